//! A Postgres server for one test, from a template that is made once and copied.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result};
use clawpay_cli::local::{Durability, Postgres, Toolbox};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use url::Url;

/// Where throw-away data goes: memory where the system has it.
pub fn scratch() -> Result<TempDir> {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    sweep(&parent);
    let prefix = format!("{PREFIX}{}-", process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).with_context(|| format!("cannot write below {}", parent.display()))
}

const PREFIX: &str = "clawpay-test-";

/// Removes what tests left that were killed before they could.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Another test may be removing it at this moment.
            let _raced = fs::remove_dir_all(entry.path());
        }
    }
}

/// A server of its own for tests that need no node.
#[derive(Debug)]
pub struct Database {
    server: Postgres,
    directory: TempDir,
}

impl Database {
    /// Starts it. Its process ends with the thread that started it.
    pub fn start() -> Result<Self> {
        let directory = scratch()?;
        let postgres = directory.path().join("postgres");
        fs::create_dir(&postgres)?;
        Ok(Self { server: start(&Toolbox::find()?, &postgres)?, directory })
    }

    /// Connection string of its empty database.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// What it has logged beyond the first `before` bytes.
    pub fn log(&self, before: u64) -> Result<String> {
        let mut log = self.open_log()?;
        log.seek(SeekFrom::Start(before))?;
        let mut text = String::new();
        log.read_to_string(&mut text)?;
        Ok(text)
    }

    /// How many bytes it has logged.
    pub fn logged(&self) -> Result<u64> {
        Ok(self.open_log()?.metadata()?.len())
    }

    fn open_log(&self) -> Result<File> {
        let path = self.directory.path().join("postgres/postgres.log");
        File::open(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// From here on each new session has these settings.
    pub async fn set(&self, settings: &[(&'static str, &'static str)]) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url()).await?;
        for (name, value) in settings {
            sqlx::query(AssertSqlSafe(format!("ALTER ROLE CURRENT_USER SET {name} = {value}"))).execute(&mut connection).await?;
        }
        Ok(connection.close().await?)
    }
}

/// Starts a server with an empty database in `directory`.
pub fn start(toolbox: &Toolbox, directory: &Path) -> Result<Postgres> {
    copy(&template(toolbox)?, directory).context("cannot copy the Postgres template")?;
    Postgres::start(toolbox, directory, Durability::ThrowAway)
}

/// Makes one more empty database on the server at `url`, and answers how to reach it.
pub async fn create_database(url: &str, name: &str) -> Result<String> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(AssertSqlSafe(format!(r#"CREATE DATABASE "{name}""#))).execute(&mut connection).await?;
    connection.close().await?;
    let mut url = Url::parse(url)?;
    url.set_path(name);
    Ok(url.into())
}

/// Makes a copy of the database at `url`, to which no process may be connected, and answers how to reach it.
pub async fn create_database_like(url: &str, name: &str) -> Result<String> {
    let mut copy = Url::parse(url)?;
    let original = copy.path().trim_start_matches('/').to_owned();
    copy.set_path("postgres");
    let mut connection = PgConnection::connect(copy.as_str()).await?;
    sqlx::query(AssertSqlSafe(format!(r#"CREATE DATABASE "{name}" TEMPLATE "{original}""#))).execute(&mut connection).await?;
    connection.close().await?;
    copy.set_path(name);
    Ok(copy.into())
}

/// The directory of a stopped server with an empty database; made by whichever test comes first, while the others wait.
pub(crate) fn template(toolbox: &Toolbox) -> Result<PathBuf> {
    let parent = toolbox.root().join("target/tests");
    fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let lock = File::create(parent.join("postgres-template.lock"))?;
    lock.lock()?;
    let template = parent.join("postgres-template");
    let made_by = toolbox.postgres()?.to_string_lossy().into_owned();
    let complete = template.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|by| by == made_by) {
        return Ok(template);
    }
    if template.exists() {
        fs::remove_dir_all(&template)?;
    }
    Postgres::start(toolbox, &template, Durability::Kept)?.stop();
    fs::write(complete, made_by)?;
    Ok(template)
}

pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            fs::set_permissions(&target, entry.metadata()?.permissions())?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

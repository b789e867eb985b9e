//! PgBouncer in transaction mode before a test's database.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use url::Url;

use crate::database;

/// `nobody`: PgBouncer refuses to run as root.
const NOBODY: u32 = 65534;

/// A running pooler with two sessions, which are handed out for one transaction each. Dropped, it stops.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    url: Url,
    _directory: TempDir,
}

impl Pooler {
    /// Stands before the server at `database_url`. PgBouncer must be installed.
    pub async fn start(database_url: &str) -> Result<Self> {
        let directory = database::scratch()?;
        let place = directory.path();
        fs::set_permissions(place, fs::Permissions::from_mode(0o755))?;
        let mut url = Url::parse(database_url)?;
        let (server, user) = (url.port().context("a port")?, url.username().to_owned());
        let password = url.password().context("a password")?.to_owned();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user={user} password={password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nlogfile = {}\n",
            place.join("log").display()
        );
        // `any` lets everybody in as the user of the database line.
        fs::write(place.join("settings.ini"), settings)?;
        let mut command = Command::new("pgbouncer");
        let is_root = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self")?) == 0;
        if is_root {
            std::os::unix::fs::chown(place, Some(NOBODY), Some(NOBODY))?;
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command
            .arg(place.join("settings.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("PgBouncer is not installed")?;
        url.set_port(Some(port)).ok().context("a port")?;
        url.set_query(Some("statement-cache-capacity=0"));
        let pooler = Self { child, url, _directory: directory };
        pooler.until_it_answers().await?;
        Ok(pooler)
    }

    /// The database, through the pooler.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    async fn until_it_answers(&self) -> Result<()> {
        let started = Instant::now();
        let options: sqlx::postgres::PgConnectOptions = self.url().parse()?;
        loop {
            match PgConnection::connect_with(&options.clone().extra_float_digits(None)).await {
                Ok(connection) => return Ok(connection.close().await?),
                Err(error) => ensure!(started.elapsed() < Duration::from_secs(10), "the pooler does not answer: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

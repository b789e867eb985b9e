//! A streaming replica of a test's database.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use clawpay_cli::local::{Durability, Postgres, Toolbox};
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;
use url::Url;

use crate::database;

/// A hot standby that follows another server of ours.
#[derive(Debug)]
pub struct Replica {
    server: Postgres,
    _directory: TempDir,
}

impl Replica {
    /// Copies the running server whose files are in `directory`, and follows it.
    pub(crate) async fn of(toolbox: &Toolbox, primary: &Postgres, directory: &Path) -> Result<Self> {
        let place = database::scratch()?;
        let copy = place.path().join("postgres");
        fs::create_dir(&copy)?;
        let mut connection = PgConnection::connect(&primary.url()).await?;
        sqlx::query("SELECT pg_backup_start('replica', true)").execute(&mut connection).await?;
        database::copy(directory, &copy)?;
        let label = sqlx::query("SELECT labelfile FROM pg_backup_stop(false)").fetch_one(&mut connection).await?;
        connection.close().await?;

        let data = copy.join("data");
        fs::remove_file(data.join("postmaster.pid"))?;
        fs::write(data.join("backup_label"), label.try_get::<&str, _>(0)?)?;
        fs::write(data.join("standby.signal"), "")?;
        let url = Url::parse(&primary.url())?;
        let (port, user) = (url.port().context("a port")?, url.username());
        let password = url.password().context("a password")?;
        let settings = format!("primary_conninfo = 'host=127.0.0.1 port={port} user={user} password={password}'\n");
        fs::write(data.join("postgresql.auto.conf"), settings)?;
        Ok(Self { server: Postgres::start(toolbox, &copy, Durability::ThrowAway)?, _directory: place })
    }

    /// Connection string of the copy.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Lets it fall behind from now on: what it hears of, it keeps to itself.
    pub async fn pause(&self) -> Result<()> {
        self.execute("SELECT pg_wal_replay_pause()").await
    }

    /// Lets it catch up.
    pub async fn resume(&self) -> Result<()> {
        self.execute("SELECT pg_wal_replay_resume()").await
    }

    async fn execute(&self, sql: &'static str) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url()).await?;
        sqlx::query(sql).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }
}

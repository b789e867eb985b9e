//! An indexer in the test's own process.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use anyhow::{Context, Result, bail};
use clawpay_indexer::{Config, IndexError};
use clawpay_store::Writer;
use sqlx::{Connection, PgConnection, Row};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{IndexDump, Stack, create_database};

/// Longest wait for a block to be indexed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running indexer. Dropped, it stops soon after.
#[derive(Debug)]
pub struct Indexer {
    task: JoinHandle<Result<(), IndexError>>,
    shutdown: CancellationToken,
}

impl Indexer {
    /// Starts one on the database at `database_url`.
    pub fn start(config: Config, database_url: &str) -> Result<Self> {
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(clawpay_indexer::run(config, Writer::new(database_url)?, shutdown.clone()));
        Ok(Self { task, shutdown })
    }

    /// Stops it, which must take less than a second, and answers how it ended.
    pub async fn stop(self) -> Result<Result<(), IndexError>> {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(1), self.task)
            .await
            .context("the indexer did not stop within a second")?
            .map_err(Into::into)
    }

    /// How it ends by itself.
    pub async fn end(self) -> Result<Result<(), IndexError>> {
        tokio::time::timeout(PATIENCE, self.task).await.context("the indexer did not end by itself")?.map_err(Into::into)
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }
}

/// The block a database is indexed to, if any yet.
pub async fn indexed_block(database_url: &str) -> Result<Option<(u64, B256)>> {
    let mut connection = PgConnection::connect(database_url).await?;
    let there: bool = sqlx::query_scalar("SELECT to_regclass('cursor') IS NOT NULL").fetch_one(&mut connection).await?;
    if !there {
        return Ok(None);
    }
    let row = sqlx::query("SELECT number, hash FROM cursor").fetch_optional(&mut connection).await?;
    row.map(|row| Ok((u64::try_from(row.try_get::<i64, _>(0)?)?, B256::try_from(row.try_get::<&[u8], _>(1)?)?))).transpose()
}

impl Stack {
    /// What an indexer of this market is told by default.
    pub fn index_config(&self) -> Config {
        Config::new(self.ws_url(), self.deployment)
    }

    /// Waits until a database is indexed up to this node's head, by number and hash.
    pub async fn until_indexed(&self, database_url: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let head = self.head_block().await?;
            let indexed = indexed_block(database_url).await;
            if matches!(indexed, Ok(Some(indexed)) if indexed == head) {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("the head is {head:?}, the index is at {indexed:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Indexes this chain from the start into a new database called `name`, and answers its rows.
    pub async fn fresh_index(&self, name: &str) -> Result<IndexDump> {
        let url = create_database(&self.database_url()?, name).await?;
        let indexer = Indexer::start(Config::new(self.rpc_url(), self.deployment), &url)?;
        self.until_indexed(&url).await?;
        indexer.stop().await??;
        IndexDump::read(&url).await
    }
}

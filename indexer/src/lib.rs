//! Follows the contracts' events into Postgres, and keeps the database equal to what a fresh index of the node's chain would hold.
//!
//! A library: `clawpay index` runs it alone, `clawpay up` beside the API. It distrusts the node, sends no transaction, and writes through
//! the one [`Writer`] a database has. Each batch is one transaction, so it may be killed anywhere.

mod ahead;
mod chain;
mod config;
mod decode;
mod error;
mod fetch;
mod fold;
mod follow;
mod index;
mod log;
mod progress;
mod recent;
mod replay;
mod start;

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use clawpay_store::{Session, StoreError, Writer};
use tokio_util::sync::CancellationToken;

pub use config::{Config, FinalizedHeaders, ShorterChain};
pub use error::{IndexError, NodeError};
pub use replay::{Replayed, replay};

use crate::{chain::Node, fetch::Source, follow::Follower, index::Index};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After working this long, the next failure is a new one.
const HEALTHY: Duration = Duration::from_secs(30);
/// How often a standby asks for the lock.
const STANDBY_PAUSE: Duration = Duration::from_secs(1);

/// Indexes until `shutdown`, waiting out an absent node, an absent database and another active indexer. Returns an error only for what
/// waiting does not mend.
pub async fn run(config: Config, store: Writer, shutdown: CancellationToken) -> Result<(), IndexError> {
    // Dropping the work at any point is as good as stopping it: an open transaction rolls back with its connection.
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        result = keep_going(&config, &store) => result.map(|never| match never {}),
    }
}

async fn keep_going(config: &Config, store: &Writer) -> Result<Infallible, IndexError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let Err(error) = index(config, store).await;
        if !error.is_transient() {
            return Err(error);
        }
        if started.elapsed() >= HEALTHY {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(%error, "the indexer is waiting; trying again in {pause:?}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt, from proving the chain to whatever goes wrong.
async fn index(config: &Config, store: &Writer) -> Result<Infallible, IndexError> {
    let node = Node::connect(config).await?;
    let proof = start::prove(config, &node).await?;
    store.migrate().await?;
    let mut session = lock(store).await?;
    session.initialise(&proof.chain, &proof.start, &proof.tags).await?;
    let contracts = config.deployment.contracts;
    let index = Index::open(session, contracts, proof.chain.parameters).await?;
    tracing::info!(chain = proof.chain.chain_id, block = index.cursor.number, head = proof.tags.head, "indexing");
    let source = Source::new(node, contracts, config.finalized_headers);
    Follower::new(config, source, index).follow().await
}

/// Becomes the database's writer, once no other indexer is.
async fn lock(store: &Writer) -> Result<Session, StoreError> {
    let mut announced = false;
    loop {
        if let Some(session) = store.try_lock().await? {
            return Ok(session);
        }
        if !announced {
            tracing::info!("another indexer is writing to this database; standing by");
            announced = true;
        }
        tokio::time::sleep(STANDBY_PAUSE).await;
    }
}

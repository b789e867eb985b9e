//! Follows the contracts' events into Postgres, and keeps the database equal to what a fresh index of the node's chain would hold.
//!
//! A library: `clawpay index` runs it alone, `clawpay up` beside the API. It distrusts the node, sends no transaction, and writes through
//! the one [`Writer`] a database has. Each batch is one transaction, so it may be killed anywhere.

mod chain;
mod config;
mod decode;
mod error;
mod fetch;
mod fold;
mod follow;
mod index;
mod log;
pub mod metrics;
mod prefetcher;
mod progress;
mod reindex;
mod replay;
mod split;
mod start;
mod undo_log;
mod verify;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use clawpay_store::{Standby, Writer};
use tokio_util::sync::CancellationToken;

pub use config::{Config, FinalizedHeaders, Hashes, Secrets, ShorterChain, origin};
pub use error::{Fits, IndexError, NodeError};
pub use reindex::{Reindexed, reindex};
pub use replay::{Replayed, replay};
pub use verify::{Difference, Verified, VerifyError, verify};

use crate::{chain::Node, fetch::Source, follow::Follower, index::Index};

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After working this long, the next failure is a new one.
const HEALTHY: Duration = Duration::from_secs(30);

/// How often a standby asks for the lock.
const STANDBY_PAUSE: Duration = Duration::from_millis(200);

/// Indexes until `shutdown`, waiting out an absent node, an absent database and another active indexer. Returns an error only for what
/// waiting does not mend.
pub async fn run(config: Config, store: Writer, shutdown: CancellationToken) -> Result<(), IndexError> {
    let node = Arc::new(Node::new(&config)?);
    // Dropping the work at any point is as good as stopping it: an open transaction rolls back with its connection.
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        result = keep_going(&config, &node, &store) => result.map(|never| match never {}),
    }
}

async fn keep_going(config: &Config, node: &Arc<Node>, store: &Writer) -> Result<Infallible, IndexError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        let Err(error) = Box::pin(index(config, node, store)).await;
        if !error.is_transient() {
            return Err(error);
        }
        if started.elapsed() >= config.scaled(HEALTHY) {
            pause = FIRST_PAUSE;
        }
        metrics::writing(false);
        metrics::retried(&error);
        tracing::warn!(%error, "the indexer is waiting; trying again in {pause:?}");
        tokio::time::sleep(config.scaled(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt, from proving the chain to whatever goes wrong.
async fn index(config: &Config, node: &Arc<Node>, store: &Writer) -> Result<Infallible, IndexError> {
    let proof = loop {
        node.settle().await?;
        match start::prove(config, node).await {
            Err(IndexError::Node(error)) => tokio::time::sleep(node.failed(error)?).await,
            proof => break proof?,
        }
    };
    store.migrate().await?;
    let patience = config.standby_patience;
    let tell = |standby| match standby {
        Standby::Waiting => tracing::info!("another indexer is writing to this database; standing by"),
        Standby::WriterDisconnected => tracing::warn!("the other indexer was silent for {patience:?}; taking over"),
    };
    let mut session = store.lock(config.scaled(STANDBY_PAUSE), patience, tell).await?;
    metrics::writing(true);
    session.initialise(&proof.chain, &proof.start, &proof.tags).await?;
    let contracts = config.deployment.contracts;
    let index = Index::open(session, contracts, proof.chain.parameters).await?;
    tracing::info!(chain = proof.chain.chain_id, block = index.cursor.number, head = proof.tags.head, "indexing");
    let source = Source::new(Arc::clone(node), contracts, config.finalized_headers);
    Follower::new(config, source, index).follow().await
}

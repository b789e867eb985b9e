//! The market as the database holds it: where its contracts are, and what is known as of the last indexed block.

use std::time::Duration;

use clawpay_bindings::Contracts;
use clawpay_store::{Chain, IndexedBlock, Reader, Sight, Snapshot};

use crate::error::ApiError;

/// The contracts of the chain that the database holds.
pub(crate) const fn contracts(chain: &Chain) -> Contracts {
    Contracts {
        usdc: chain.usdc,
        agent_registry: chain.agent_registry,
        agent_stake: chain.agent_stake,
        run_escrow: chain.run_escrow,
        forwarder: chain.forwarder,
    }
}

/// The database as of the last indexed block. Fails where it does not answer, and before an indexer has written to it.
pub(crate) async fn snapshot(reader: &Reader) -> Result<Snapshot, ApiError> {
    reader.snapshot().await?.ok_or(ApiError::NothingIndexed)
}

/// Something read from the index, as of one block.
pub(crate) trait AsOf {
    /// The block.
    fn indexed(&self) -> &IndexedBlock;
}

impl AsOf for Snapshot {
    fn indexed(&self) -> &IndexedBlock {
        &self.indexed
    }
}

impl<T> AsOf for Sight<T> {
    fn indexed(&self) -> &IndexedBlock {
        &self.indexed
    }
}

/// How far the index may be behind the node for anything to be decided by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LagLimits {
    /// Blocks that the node has and the index has not.
    pub blocks: u64,
    /// Since the indexer last checked the node's head.
    pub staleness: Duration,
}

impl LagLimits {
    /// Whether the index is too far behind, or has not heard of the node for too long.
    pub(crate) fn are_exceeded(&self, indexed: &IndexedBlock) -> bool {
        indexed.lag() > self.blocks || indexed.staleness > self.staleness
    }
}

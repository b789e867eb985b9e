//! What of a market never changes, remembered.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Account, Chain, Hash};

/// The market that a database held when it was last looked at in full. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownChain(Arc<Mutex<Option<Chain>>>);

impl KnownChain {
    pub(super) fn set(&self, chain: Chain) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
    }

    /// The one that a statement found these of, if it is known.
    pub(super) fn with(
        &self,
        chain_id: u64,
        Hash(genesis_hash): Hash,
        Account(run_escrow): Account,
        Account(forwarder): Account,
    ) -> Option<Chain> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = (chain_id, genesis_hash, run_escrow, forwarder);
        known.filter(|chain| (chain.chain_id, chain.genesis_hash, chain.run_escrow, chain.forwarder) == found)
    }
}

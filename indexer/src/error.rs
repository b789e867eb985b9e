//! What stops an indexer. Enums, because `run` waits out some of these and its caller tells the rest apart.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use clawpay_store::StoreError;
use thiserror::Error;

/// What is wrong with a block whose parent is another than the one below it.
pub(crate) const UNCONNECTED: &str = "it does not build on the block below";

/// Why the indexer stopped.
#[derive(Debug, Error)]
pub enum IndexError {
    /// The node is of another chain than the deployment.
    #[error("the node is on chain {found}, the deployment is on chain {expected}")]
    WrongChain {
        /// The deployment's chain id.
        expected: u64,
        /// The node's.
        found: u64,
    },
    /// The node's chain has the deployment's id and another beginning.
    #[error("the node's genesis block is {found}, the deployment's chain begins with {expected}")]
    WrongGenesis {
        /// The deployment's block 0.
        expected: B256,
        /// The node's.
        found: B256,
    },
    /// Nothing is deployed there.
    #[error("there is no code at {address}, where the deployment has {contract}")]
    NoCode {
        /// The contract's name.
        contract: &'static str,
        /// Where it should be.
        address: Address,
    },
    /// Something else is deployed there.
    #[error("{contract} at {address} does not belong to this deployment: {reason}")]
    WrongContract {
        /// The contract's name.
        contract: &'static str,
        /// Where it is.
        address: Address,
        /// What it answers.
        reason: String,
    },
    /// A block that was final is not on the node's chain any more. Nothing was changed.
    #[error("block {number} was final as {stored}, and the node now has {found} there; the index was left as it is")]
    FinalizedBlockReplaced {
        /// Its height.
        number: u64,
        /// What is indexed.
        stored: B256,
        /// What the node says.
        found: B256,
    },
    /// The chain lost blocks that are indexed, and no other node has them.
    #[error("the chain ends at block {head}, the index at block {indexed}")]
    ChainBehindIndex {
        /// The chain's last block.
        head: u64,
        /// The index's.
        indexed: u64,
    },
    /// The database is away, or not ours.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has not answered in time.
    #[error("the database has not answered within {0} s")]
    StoreTimeout(u64),
    /// The node is away, or not to be believed.
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl IndexError {
    /// Whether the database holds another history than the chain has. On a local chain that means starting over; see
    /// [`Writer::clear`](clawpay_store::Writer::clear).
    pub fn is_foreign_history(&self) -> bool {
        matches!(self, Self::FinalizedBlockReplaced { .. } | Self::ChainBehindIndex { .. } | Self::Store(StoreError::OtherMarket { .. }))
    }

    /// Whether trying again later may succeed without the operator changing anything.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Node(error) => error.is_transient(),
            Self::Store(error) => error.is_transient(),
            Self::StoreTimeout(_) => true,
            Self::WrongChain { .. }
            | Self::WrongGenesis { .. }
            | Self::NoCode { .. }
            | Self::WrongContract { .. }
            | Self::FinalizedBlockReplaced { .. }
            | Self::ChainBehindIndex { .. } => false,
        }
    }
}

/// Why the node's answer is no use.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Neither HTTP nor WebSocket.
    #[error("RPC_URL has the scheme {0}; use http, https, ws or wss")]
    Scheme(String),
    /// No answer came.
    #[error("the node at {origin} is away: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        origin: String,
        /// The innermost cause, without the address.
        reason: String,
    },
    /// No answer came in time.
    #[error("the node has not answered {method} within {limit:?}")]
    Timeout {
        /// The JSON-RPC method.
        method: &'static str,
        /// How long it had.
        limit: Duration,
    },
    /// It answered with an error.
    #[error("the node refuses {method}: {message} ({code})")]
    Refused {
        /// The JSON-RPC method.
        method: &'static str,
        /// Its error code.
        code: i64,
        /// Its message, shortened.
        message: String,
        /// What it would answer instead, if it says so.
        fits: Option<Fits>,
    },
    /// It was asked too often.
    #[error("the node has had enough of {method}: {message} ({code})")]
    Quota {
        /// The JSON-RPC method.
        method: &'static str,
        /// Its error code.
        code: i64,
        /// Its message, shortened.
        message: String,
        /// How long it wants to be left alone, if it says so.
        wait: Option<Duration>,
    },
    /// It asked to be left alone, and no other node is there to be asked.
    #[error("the node at {origin} wants to be left alone for another {seconds} s")]
    Busy {
        /// Scheme, host and port.
        origin: String,
        /// For how long.
        seconds: u64,
    },
    /// It is behind the other nodes.
    #[error("the node at {origin} is at block {height}, another one at block {best}")]
    Lagging {
        /// Scheme, host and port.
        origin: String,
        /// Its head.
        height: u64,
        /// The head of the furthest.
        best: u64,
    },
    /// It answered with something else than the method's result.
    #[error("the node's answer to {method} is not understood: {reason}")]
    NotUnderstood {
        /// The JSON-RPC method.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// It was asked about a block that it has not got, or no longer.
    #[error("the node does not know the block that {method} is about")]
    UnknownBlock {
        /// The JSON-RPC method.
        method: &'static str,
    },
    /// It has not got a block that it had.
    #[error("the node does not have block {0}")]
    MissingBlock(u64),
    /// Two of its answers contradict each other.
    #[error("the node contradicts itself at block {number}: {reason}")]
    Contradiction {
        /// Where.
        number: u64,
        /// How.
        reason: &'static str,
    },
}

/// What a node says it would answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// This range of blocks, both included.
    Range(u64, u64),
    /// Any range of this many blocks.
    Blocks(u64),
}

impl Fits {
    /// How many blocks that is for a question which begins at `from` and was about `asked` blocks; nothing, if it is no smaller.
    fn blocks(self, from: u64, asked: u64) -> Option<u64> {
        let blocks = match self {
            Self::Range(first, last) if first == from => last.checked_sub(first)?.checked_add(1)?,
            Self::Range(..) => return None,
            Self::Blocks(blocks) => blocks,
        };
        (1..asked).contains(&blocks).then_some(blocks)
    }
}

impl NodeError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Scheme(_) => false,
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::Quota { .. }
            | Self::Busy { .. }
            | Self::Lagging { .. }
            | Self::NotUnderstood { .. }
            | Self::UnknownBlock { .. }
            | Self::MissingBlock(_)
            | Self::Contradiction { .. } => true,
        }
    }

    /// Whether a call was executed and refused by the contract: EIP-1474's code, or what older nodes say.
    pub(crate) fn is_revert(&self) -> bool {
        matches!(self, Self::Refused { method: "eth_call", code, message, .. } if *code == 3 || message.to_ascii_lowercase().contains("revert"))
    }

    /// How many blocks from `from` to ask for, after a question about the blocks from there to `to` ended like this; nothing, if fewer would
    /// not help. What the node suggests is believed only where it is less.
    pub(crate) fn smaller_span(&self, from: u64, to: u64) -> Option<u64> {
        let asked = to.checked_sub(from)?.saturating_add(1);
        let part = |of: u64| (asked > 1).then(|| (asked / of).max(1));
        match self {
            Self::Refused { fits, .. } => fits.and_then(|fits| fits.blocks(from, asked)).or_else(|| part(2)),
            Self::NotUnderstood { .. } => part(2),
            // An answer may be late, or cut off, because it is too large. Each try takes long, and the node may just as well be gone.
            Self::Timeout { .. } | Self::Unreachable { .. } => part(16),
            Self::Scheme(_)
            | Self::Quota { .. }
            | Self::Busy { .. }
            | Self::Lagging { .. }
            | Self::UnknownBlock { .. }
            | Self::MissingBlock(_)
            | Self::Contradiction { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fits: Option<Fits>) -> NodeError {
        NodeError::Refused { method: "eth_getLogs", code: -32_000, message: "too much".to_owned(), fits }
    }

    #[test]
    fn fewer_blocks_are_asked_for_down_to_one() {
        let mut asked = 2_000;
        let mut spans = Vec::new();
        while let Some(span) = refused(None).smaller_span(100, 99 + asked) {
            assert!(span < asked);
            spans.push(span);
            asked = span;
        }
        assert_eq!(spans, [1_000, 500, 250, 125, 62, 31, 15, 7, 3, 1]);
    }

    #[test]
    fn a_suggestion_is_taken_only_where_it_is_smaller() {
        assert_eq!(refused(Some(Fits::Range(100, 130))).smaller_span(100, 1_099), Some(31));
        assert_eq!(refused(Some(Fits::Blocks(800))).smaller_span(100, 1_099), Some(800));
        assert_eq!(refused(Some(Fits::Range(100, 1_099))).smaller_span(100, 1_099), Some(500));
        assert_eq!(refused(Some(Fits::Range(90, 130))).smaller_span(100, 1_099), Some(500));
        assert_eq!(refused(Some(Fits::Blocks(10_000))).smaller_span(100, 1_099), Some(500));
        assert_eq!(refused(Some(Fits::Blocks(1))).smaller_span(100, 100), None);
    }

    #[test]
    fn a_spent_quota_is_no_reason_to_ask_for_less() {
        let quota = NodeError::Quota { method: "eth_getLogs", code: 429, message: String::new(), wait: None };
        assert_eq!(quota.smaller_span(1, 1_000), None);
        assert_eq!(NodeError::MissingBlock(7).smaller_span(1, 1_000), None);
    }

    #[test]
    fn only_a_smaller_range_from_the_same_block_is_a_suggestion() {
        assert_eq!(Fits::Range(100, 199).blocks(100, 1_000), Some(100));
        assert_eq!(Fits::Range(100, 100).blocks(100, 2), Some(1));
        // No smaller than what was asked, elsewhere, backwards, empty, and as large as numbers go.
        assert_eq!(Fits::Range(100, 199).blocks(100, 100), None);
        assert_eq!(Fits::Range(101, 199).blocks(100, 1_000), None);
        assert_eq!(Fits::Range(100, 99).blocks(100, 1_000), None);
        assert_eq!(Fits::Range(0, u64::MAX).blocks(0, u64::MAX), None);
        assert_eq!(Fits::Blocks(0).blocks(100, 1_000), None);
        assert_eq!(Fits::Blocks(1_000).blocks(100, 1_000), None);
        assert_eq!(Fits::Blocks(999).blocks(100, 1_000), Some(999));
    }
}

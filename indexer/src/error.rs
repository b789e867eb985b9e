//! What stops an indexer. Enums, because `run` waits out some of these and its caller tells the rest apart.

use alloy::primitives::{Address, B256};
use clawpay_store::StoreError;
use thiserror::Error;

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
    /// The chain lost blocks that are indexed, and nobody else has them.
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

    /// Whether trying again later may succeed without anybody changing anything.
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
    #[error("the node has not answered {method} within {seconds} s")]
    Timeout {
        /// The JSON-RPC method.
        method: &'static str,
        /// How long it had.
        seconds: u64,
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
    },
    /// It answered with something else than the method's result.
    #[error("the node's answer to {method} is not understood: {reason}")]
    NotUnderstood {
        /// The JSON-RPC method.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
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

impl NodeError {
    fn is_transient(&self) -> bool {
        match self {
            Self::Scheme(_) => false,
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::NotUnderstood { .. }
            | Self::MissingBlock(_)
            | Self::Contradiction { .. } => true,
        }
    }

    /// Whether a smaller question may be answered.
    pub(crate) fn may_be_the_range(&self) -> bool {
        match self {
            Self::Refused { message, .. } => !is_quota(message),
            Self::Timeout { .. } | Self::NotUnderstood { .. } => true,
            // A connection may be cut because an answer is too large.
            Self::Unreachable { .. } => true,
            Self::Scheme(_) | Self::MissingBlock(_) | Self::Contradiction { .. } => false,
        }
    }
}

/// Whether a provider's refusal is about how often it was asked, not about what.
fn is_quota(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["rate limit", "rate-limit", "too many requests", "quota", "compute units", "capacity", "throughput", "429"]
        .iter()
        .any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64, message: &str) -> NodeError {
        NodeError::Refused { method: "eth_getLogs", code, message: message.to_owned() }
    }

    #[test]
    fn a_refused_range_is_told_from_a_spent_quota() {
        for (code, message) in [
            (-32005, "query returned more than 10000 results"),
            (-32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range"),
            (-32000, "exceed maximum block range: 5000"),
            (-32600, "eth_getLogs is limited to a 10,000 range"),
            (-32701, "Please specify an address in your request or, to remove restrictions, order a dedicated full node"),
            (-32000, "block range is too wide"),
            (-32603, "query timeout exceeded"),
            (35, "ranges over 10000 blocks are not supported on freetier"),
            (-32614, "eth_getLogs and eth_newFilter are limited to a 10,000 blocks range"),
            (-32000, "something nobody has seen before"),
        ] {
            assert!(refused(code, message).may_be_the_range(), "{message}");
        }
        for (code, message) in [
            (-32005, "daily request count exceeded, request rate limited: rate limit"),
            (429, "Your app has exceeded its compute units per second capacity"),
            (-32029, "Too Many Requests"),
            (-32005, "project ID request quota reached"),
        ] {
            assert!(!refused(code, message).may_be_the_range(), "{message}");
        }
    }
}

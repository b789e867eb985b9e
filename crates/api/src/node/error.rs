//! What goes wrong with a node.

use std::borrow::Cow;

use alloy::rpc::json_rpc::ErrorPayload;
use thiserror::Error;

/// Why the node gave no answer that can be used.
#[derive(Clone, Debug, Error)]
pub(crate) enum NodeError {
    /// It cannot be reached.
    #[error("{0}")]
    Away(Cow<'static, str>),
    /// It took too long.
    #[error("{0} took too long")]
    TimedOut(Cow<'static, str>),
    /// It answered with an error.
    #[error("{method} was refused with code {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The JSON-RPC error code.
        code: i64,
        /// The beginning of what it said, for the log alone: it may hold the node's address.
        message: String,
    },
    /// It answered something else than was asked.
    #[error("the answer to {0} makes no sense")]
    Nonsense(&'static str),
    /// It follows another chain than the market's.
    #[error("it is on chain {actual}, the market on chain {expected}")]
    WrongChain {
        /// The market's chain.
        expected: u64,
        /// The node's.
        actual: u64,
    },
}

/// What kind of trouble there is with a node: all that an answer says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeTrouble {
    /// It cannot be reached.
    Unreachable,
    /// It takes too long.
    TimedOut,
    /// It answers with errors.
    Refused,
    /// It answers something else than was asked.
    UnusableAnswer,
    /// It follows another chain.
    WrongChain,
    /// It is behind the other nodes.
    Behind,
    /// It has other blocks than the index.
    Forked,
}

/// What came of one JSON-RPC call.
pub(super) enum Failure {
    /// The node's own error object.
    Response(ErrorPayload),
    /// Everything else.
    Node(NodeError),
}

/// An error that may be a node's fault, so that another node may do better.
pub(crate) trait MayBlameNode {
    /// The trouble with the node; nothing where any other node would answer the same.
    fn trouble(&self) -> Option<NodeTrouble>;
}

impl MayBlameNode for NodeError {
    fn trouble(&self) -> Option<NodeTrouble> {
        Some(self.kind())
    }
}

impl NodeTrouble {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
            Self::UnusableAnswer => "unusable_answer",
            Self::WrongChain => "wrong_chain",
            Self::Behind => "behind",
            Self::Forked => "forked",
        }
    }
}

impl NodeError {
    /// Whether asking again in a moment may help.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_) | Self::TimedOut(_))
    }

    /// What kind of trouble it is.
    pub(crate) const fn kind(&self) -> NodeTrouble {
        match self {
            Self::Away(_) => NodeTrouble::Unreachable,
            Self::TimedOut(_) => NodeTrouble::TimedOut,
            Self::Refused { .. } => NodeTrouble::Refused,
            Self::Nonsense(_) => NodeTrouble::UnusableAnswer,
            Self::WrongChain { .. } => NodeTrouble::WrongChain,
        }
    }
}

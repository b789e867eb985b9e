//! What goes wrong. [`ApiError`] is an enum because its variants become different statuses, all in one place: the `problem` module of `http`.

use alloy::primitives::{Address, B256, U256};
use clawpay_bindings::{Call, Revert};
use clawpay_domain::{AgentId, Refusal, RunId, Timestamp, Usdc};
use clawpay_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::node::{CallError, MayBlameNode, NodeError, NodeTrouble};

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The request itself is wrong.
    Invalid(Invalid),
    /// The body lacks these fields.
    MissingFields(Vec<String>),
    /// Nothing is there.
    UnknownPath,
    /// Something is there, but not for this method.
    MethodNotAllowed,
    /// The body is larger than [`crate::MAX_BODY_BYTES`].
    BodyTooLarge,
    /// The body is not declared as JSON.
    NotJson,
    /// The body did not arrive in time.
    BodyTimeout,
    /// No such run in the index.
    RunNotFound(RunId),
    /// No such agent in the index.
    AgentNotFound(AgentId),
    /// The operator keeps it from being shown.
    Hidden {
        /// Why, in the operator's words.
        reason: String,
    },
    /// The rules forbid it.
    Refused {
        /// What was asked; the same refusal is another status for another verb.
        call: Box<Call>,
        /// Why not.
        refusal: Refusal,
        /// Whether only by what waits to be mined, or is not indexed yet.
        is_ahead: bool,
    },
    /// The run that was to be claimed is not open any more.
    Taken {
        /// Why not, by the rules.
        refusal: Refusal,
        /// The agent that has it, or had it last.
        claimed_by: AgentId,
        /// Whether that is the very agent or wallet that asks.
        is_yours: bool,
    },
    /// The signer has too few USDC.
    InsufficientUsdc {
        /// What the call takes.
        asked: Usdc,
        /// What the signer has.
        available: Usdc,
    },
    /// The chain would refuse the call, for a reason that is no rule of the market.
    WouldRevert(Revert),
    /// The transaction was mined and reverted.
    Reverted {
        /// Its hash.
        hash: B256,
        /// The block it was mined in.
        block: u64,
        /// Why.
        reason: Box<Revert>,
    },
    /// A transaction was given that is not what the request asks for.
    NotThisAction {
        /// Which part of the request held it.
        field: &'static str,
        /// How it differs.
        detail: String,
    },
    /// A transaction was given that is none of this market's.
    ForeignTransaction {
        /// Which part of the request held it.
        field: &'static str,
        /// How so.
        detail: String,
    },
    /// No node would take the signed transaction.
    TransactionRefused(SendRefusal),
    /// Nothing with this number was ever told, or not in this feed.
    UnknownEventId {
        /// The number asked for.
        after: u64,
        /// The first that can be read.
        first: u64,
        /// The last.
        last: u64,
    },
    /// As many listen as may.
    TooManyListeners {
        /// How many that is.
        limit: u32,
    },
    /// The idempotency key came with another request before.
    KeyReused,
    /// What the idempotency key stands for cannot be signed any more.
    KeySpent {
        /// The nonce that it has.
        nonce: u64,
        /// Why not.
        detail: String,
    },
    /// What the idempotency key stands for seems to be on its way.
    KeyPending {
        /// The nonce that it has.
        nonce: u64,
    },
    /// The token does not take the permit that came along.
    PermitRefused {
        /// What came of it.
        detail: String,
    },
    /// This server relays nothing.
    RelayDisabled,
    /// What was signed is nothing that is relayed.
    NotRelayable {
        /// How so.
        detail: String,
    },
    /// What was signed is good for too long, or not any more.
    RelayDeadline {
        /// Which part of the request says so.
        field: &'static str,
        /// Chain time.
        now: Timestamp,
        /// The latest that is relayed.
        latest: Timestamp,
    },
    /// What was signed needs more gas than is paid for.
    RelayGasTooHigh {
        /// How much is.
        limit: u64,
    },
    /// The signer has had its share of the day.
    RelayQuota {
        /// How many that are.
        limit: u32,
        /// Of what.
        of: RelayShare,
    },
    /// The day's budget for all signers is used up.
    RelayBudget {
        /// Whether it is the part of it that registrations have.
        of_registrations: bool,
    },
    /// The relayer cannot pay for gas.
    RelayOutOfFunds,
    /// The node cannot be asked.
    Node(NodeError),
    /// The index is too far behind the node to prepare anything.
    IndexBehind {
        /// Its last block.
        indexed: u64,
        /// The node's.
        head: u64,
        /// Seconds since the indexer last checked the node.
        staleness: u64,
    },
    /// The index follows another fork than the node, for the moment or because the node was replaced.
    IndexForked {
        /// The block they disagree about.
        block: u64,
    },
    /// Something that this process works with is missing, or the index too far behind.
    NotReady {
        /// What is in the way, in words.
        reasons: Vec<String>,
        /// Where the index stands.
        freshness: Freshness,
        /// Whether anything can be prepared.
        prepares: Prepares,
    },
    /// The block that a read asks for is not in the index, nor came in time.
    NotIndexedYet {
        /// That block.
        asked: u64,
        /// The index's last.
        indexed: u64,
    },
    /// No indexer has written to the database yet.
    NothingIndexed,
    /// More of a list comes before a page than is counted through.
    PageTooDeep {
        /// How many items may.
        deepest: u32,
    },
    /// The database cannot be asked.
    Store(StoreError),
    /// The database did not answer when it was last looked at.
    DatabaseAway,
    /// The address makes too many requests.
    RateLimited,
    /// The address has too many connections.
    TooManyConnections {
        /// How many it may have.
        limit: u32,
    },
    /// As much is in hand as may be.
    Busy,
    /// The head of a request is longer than any that means something here.
    HeadTooLarge,
    /// What came is no request.
    MalformedRequest,
    /// Something behind this server took too long.
    Overdue,
    /// A fault of this server.
    Internal(&'static str),
}

/// Why a signed transaction is not taken, in words of this server: what a node says may hold its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendRefusal {
    /// For programs.
    pub reason: RefusalReason,
    /// For people: what is wrong, and what to do.
    pub detail: String,
}

impl SendRefusal {
    /// `sender` has `ether`, and what it signed may cost `cost`.
    pub(crate) fn short_of_ether(sender: Address, ether: U256, cost: U256) -> Self {
        let detail = format!(
            "{sender} has {ether} wei, and what it signed may cost {cost} wei of gas; send it ether, or, where this server relays (GET \
             /api/config), act by a signature alone"
        );
        Self { reason: RefusalReason::InsufficientFunds, detail }
    }

    /// Its gas limit is `limit`, and it needs `needed`.
    pub(crate) fn gas_too_low(limit: u64, needed: u64) -> Self {
        let detail = format!(
            "its gas limit is {limit}, and it needs {needed}: it would be mined without effect. Sign it with the `gas` that was prepared; a \
             library may know it by another name, such as gasLimit"
        );
        Self { reason: RefusalReason::GasTooLow, detail }
    }
}

/// Each reason why a signed transaction is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefusalReason {
    /// Its nonce has been used.
    NonceUsed,
    /// Another transaction with its nonce waits, and offers as much.
    NonceWaiting,
    /// Its sender cannot pay for its gas.
    InsufficientFunds,
    /// Its gas limit is below what it needs.
    GasTooLow,
    /// Its gas limit is above what a block has.
    GasTooHigh,
    /// It offers too little for gas.
    Underpriced,
    /// There is no room for another that waits.
    PoolFull,
    /// Something else.
    Other,
}

/// What each signer has a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelayShare {
    /// All that is relayed for it.
    Transactions,
    /// Registrations.
    Registrations,
    /// Transactions that it has made revert.
    Reverts,
    /// Transactions that may still revert, with those that have.
    Waiting,
}

/// A request that can never succeed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Stable.
    pub code: &'static str,
    /// The query parameter, body field or path segment at fault.
    pub field: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl Invalid {
    /// A value that cannot be used.
    pub(crate) fn value(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: "invalid_value", field: Some(field.into()), detail: detail.into() }
    }
}

impl Invalid {
    /// A cursor that no client was given.
    pub(crate) fn cursor() -> Self {
        let detail = "cursor: is none of this server's; take it as it is from `pagination` or the Link header".to_owned();
        Self { code: "invalid_cursor", field: Some("cursor".to_owned()), detail }
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PageTooDeep { deepest } => Self::PageTooDeep { deepest },
            error => Self::Store(error),
        }
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

impl MayBlameNode for ApiError {
    fn trouble(&self) -> Option<NodeTrouble> {
        match self {
            Self::Node(error) => error.trouble(),
            Self::IndexForked { .. } => Some(NodeTrouble::Forked),
            _ => None,
        }
    }
}

impl ApiError {
    /// Why `call` is not allowed.
    pub(crate) fn refused(call: &Call, refusal: Refusal) -> Self {
        Self::Refused { call: Box::new(call.clone()), refusal, is_ahead: false }
    }

    /// The same, where the index allows it: what refuses it is not in the index yet.
    pub(crate) fn ahead(self) -> Self {
        match self {
            Self::Refused { call, refusal, .. } => Self::Refused { call, refusal, is_ahead: true },
            other => other,
        }
    }

    /// Why `call` came to nothing when it was tried out.
    pub(crate) fn of_trial(call: &Call, error: CallError) -> Self {
        match error {
            CallError::Reverted(Revert::Refusal(refusal)) => Self::refused(call, refusal),
            CallError::Reverted(Revert::InsufficientUsdc { asked, available }) => Self::InsufficientUsdc { asked, available },
            CallError::Reverted(revert) => Self::WouldRevert(revert),
            CallError::Unsupported => Self::Internal("a call that every node has is not supported"),
            CallError::Node(error) => error.into(),
        }
    }

    /// The client gets a code; the log gets the cause, where it is one that an operator can do something about.
    pub(crate) fn log(&self) {
        match self {
            Self::Store(error) => tracing::warn!(%error, "the database did not answer"),
            Self::Node(error) => tracing::warn!(%error, "the node did not answer"),
            Self::Overdue => tracing::warn!("a request took too long"),
            Self::IndexForked { block } => tracing::warn!(block, "the index and the node disagree about a block"),
            Self::Internal(what) => tracing::error!(what, "internal error"),
            _ => {}
        }
    }
}

/// How far the index is, and how far it has to be.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Freshness {
    /// The index's last block.
    pub indexed_block: u64,
    /// The block it has to reach first.
    pub ready_at_block: u64,
    /// The node's last block.
    pub head: u64,
    /// Blocks between them.
    pub lag: u64,
    /// How many there may be.
    pub max_lag: u64,
    /// Seconds since the indexer last heard of the node.
    pub staleness_seconds: u64,
    /// How many there may be.
    pub max_staleness_seconds: u64,
}

/// Whether actions can be prepared and sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Prepares {
    /// Whether they can be: a node is there, and the index is close enough to the chain to decide by.
    pub ready: bool,
    /// Each of the operator's nodes in order of preference: `ok`, `unreachable`, `timed_out`, `refused`, `unusable_answer`, `wrong_chain`,
    /// `behind` or `forked`.
    pub nodes: Vec<&'static str>,
}

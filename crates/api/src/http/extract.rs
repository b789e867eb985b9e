//! Requests into domain words. Everything a client can get wrong about a request's form is refused here, naming the field.

mod body;
mod fields;
mod json;
mod near;
mod parameters;
mod path;
pub(crate) mod query;

pub(crate) use body::{Body, IdempotencyKey, LAST_NONCE, Signable, SignedUntil};
pub(crate) use parameters::{
    Account, AgentStatuses, AgentUri, AnyHex, BaseUnits, ContentUri, DayCount, DeliverableUri, Digits, EventTypes, Feedback, HexBytes,
    MetadataKey, MetadataText, PageNumber, PageSize, RewardBound, Rfc3339, RunStates, Search, Tag, TransactionHash, WaitSeconds, Word,
};
pub(crate) use path::{AccountPath, AgentPath, HashPath, RunPath};
pub(crate) use query::{Nothing, Query, ReadQuery};

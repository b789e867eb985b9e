//! Requests into domain words. Everything a client can get wrong about a request's form is refused here, naming the field.

mod body;
mod fields;
mod path;
pub(crate) mod query;
mod words;

pub(crate) use body::{Body, Signable, Signed};
pub(crate) use path::{AccountPath, AgentPath, HashPath, RunPath};
pub(crate) use query::{Nothing, Query, ReadQuery};
pub(crate) use words::{
    Account, AgentUri, BaseUnits, ContentUri, DeliverableUri, Digits, EventTypes, Feedback, PageNumber, PageSize, Rfc3339, Search,
    TransactionHash, UsdcDecimal, WaitSeconds,
};

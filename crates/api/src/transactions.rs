//! Transactions on their way: what was signed, sending it, and what became of it.

pub(crate) mod explain;
mod looks;
pub(crate) mod signed;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod track;

pub(crate) use looks::{Looks, SharedLook};
pub(crate) use status::TransactionStatus;
pub(crate) use track::{Place, Tracker, Whereabouts};

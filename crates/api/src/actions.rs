//! Something a wallet wants to do: asked for, prepared, and confirmed once it is signed.

pub(crate) mod confirm;
mod consent;
mod facts;
mod gasless;
mod intent;
mod mismatch;
mod once;
mod past;
mod plan;
mod prepare;
mod preparer;
mod price;
mod proof;
mod spent_permit;
mod steps;
mod token_domain;
mod verb;
mod waiting;
mod warning;

pub(crate) use consent::ConsentWanted;
pub(crate) use facts::Facts;
pub(crate) use gasless::{Gasless, MOST_RELAYED_BYTES, Payload, refused_by_relayers};
pub(crate) use intent::{Intent, Payment};
pub(crate) use once::{Once, require_same};
pub(crate) use prepare::{GOOD_FOR, Prepared};
pub(crate) use preparer::Preparer;
pub(crate) use price::{Step, UnsignedTransaction};
pub(crate) use token_domain::TokenDomain;
pub(crate) use verb::{STEP_IDS, Verb};
pub(crate) use warning::Warning;

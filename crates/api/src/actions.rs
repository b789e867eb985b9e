//! Something a wallet wants to do: asked for, prepared, and confirmed once it is signed.

pub(crate) mod confirm;
mod facts;
mod gasless;
mod plan;
pub(crate) mod prepare;
mod verb;

pub(crate) use facts::Facts;
pub(crate) use plan::{Intent, plan};
pub(crate) use prepare::Payment;
pub(crate) use verb::{STEP_IDS, Verb};

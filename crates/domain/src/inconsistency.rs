//! An event that contradicts the rules. The chain happened; the model, or the node that told of it, is what is wrong.

use std::fmt;

use thiserror::Error;

/// What an event states against what the rules expect there. The event is kept and its subject flagged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field} is {stated}, expected {expected}")]
pub struct Inconsistency {
    field: &'static str,
    stated: String,
    expected: String,
}

impl Inconsistency {
    /// `field` of the event states `stated` where the rules expect `expected`.
    pub fn new(field: &'static str, stated: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self { field, stated: stated.to_string(), expected: expected.to_string() }
    }
}

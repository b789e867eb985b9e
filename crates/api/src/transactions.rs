//! Transactions on their way: whether one is what was asked for, and what became of it.

pub(crate) mod explain;
pub(crate) mod signed;
pub(crate) mod status;

//! End-to-end tests on a real anvil and a real Postgres. One module per subject.

mod indexer;
mod stack;
mod store;

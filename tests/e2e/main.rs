//! End-to-end tests on a real anvil and a real Postgres. One module per subject.

mod api;
mod indexer;
mod stack;
mod store;

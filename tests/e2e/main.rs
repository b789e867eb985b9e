//! End-to-end tests on a real anvil and a real Postgres. One module per subject.

mod api;
mod indexer;
mod local_stack;
mod random_walk;
mod stack;
mod store;

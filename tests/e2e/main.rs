//! End-to-end tests on a real anvil and a real Postgres. One module per subject.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what a test does not expect ends it")]

mod api;
mod crashes;
mod indexer;
mod local_stack;
mod operations;
mod other_node;
mod random_walk;
mod simulation;
mod stack;
mod store;

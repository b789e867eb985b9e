//! The `clawpay` program as a library: what its commands are made of. Used by `main.rs` and by the workspace's tests.

pub mod actor;
pub mod deploy;
pub mod local;
pub mod wallet;

//! The `clawpay` program as a library: what its commands are made of. Used by `main.rs` and by the workspace's tests.

pub mod actor;
pub mod args;
pub mod commands;
pub mod config;
mod database_url;
pub mod deploy;
pub mod deployment_file;
#[cfg(test)]
mod documented;
mod dotenv;
mod listen;
pub mod local;
pub mod output;
pub mod redact;
pub mod shutdown;
pub mod telemetry;
pub mod wallet;

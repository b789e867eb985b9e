//! What the workspace's tests share: [`Stack`], a market of its own for one test. Never part of a release.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a fixture that fails ends its test")]

mod api;
mod bulk;
mod clawpay;
pub mod contract_wallets;
mod database;
mod database_proxy;
mod following;
mod hardhat;
mod index_dump;
mod indexer;
mod live_chain;
mod lying_node;
mod nginx;
mod npm_artifact;
mod pooler;
mod real_usdc;
mod replica;
pub mod simulation;
mod small_disk;
mod stack;
mod websocket_proxy;

pub use api::Api;
pub use bulk::{BULK_NOW, bulk_events, bulk_runs, bulk_runs_at_once, empty_index};
pub use clawpay::{Clawpay, clawpay, memory_kib, processes_of, until_no_process_of};
pub use database::{Database, create_database, create_database_like, scratch, start as start_database};
pub use database_proxy::{DatabaseProxy, Loss};
pub use following::Following;
pub use hardhat::Hardhat;
pub use index_dump::IndexDump;
pub use indexer::{Indexer, indexed_block};
pub use live_chain::LiveChain;
pub use lying_node::{Lie, LyingNode};
pub use nginx::Nginx;
pub use pooler::Pooler;
pub use real_usdc::RealUsdc;
pub use replica::Replica;
pub use small_disk::SmallDisk;
pub use stack::{OPERATOR, Stack, key};
pub use websocket_proxy::{Line, WebSocketProxy};

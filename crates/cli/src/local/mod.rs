//! The parts of a market that runs on one machine: an embedded Postgres and an anvil node, as children of this process.
//!
//! Used by `clawpay up` and by the tests. Everything listens on loopback, lives in directories the caller names, and ends with the process
//! that started it, however that one ends.

mod anvil;
mod chain_file;
mod child;
mod ports;
mod postgres;
mod toolbox;

pub use anvil::{Anvil, AnvilOptions, MNEMONIC};
pub use chain_file::ChainFile;
pub use child::ChildProcess;
pub use ports::{PortTaken, free_port, is_free, on_free_port};
pub use postgres::{Durability, Postgres};
pub use toolbox::Toolbox;

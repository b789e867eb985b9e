//! One module per command.

pub mod deploy;
pub mod index;
pub mod reindex;
pub mod serve;
pub mod up;
pub mod verify;

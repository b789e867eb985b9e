//! What an operator does and watches: comparing, rebuilding, upgrading, measuring, while everything goes on.

mod messages;
mod metrics;
mod reads;
mod reindex;
mod upgrade;
mod verify;

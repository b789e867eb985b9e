//! What an operator does and watches: comparing, rebuilding, upgrading, measuring, while everything goes on.

mod image;
mod messages;
mod metrics;
mod reads;
mod reindex;
mod rolling_restart;
mod units;
mod upgrade;
mod verify;

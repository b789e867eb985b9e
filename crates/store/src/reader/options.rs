//! What a reader may use of its database.

use std::{num::NonZeroU32, time::Duration};

/// How a [`crate::Reader`] treats its database.
#[derive(Clone, Copy, Debug)]
pub struct ReaderOptions {
    /// Connections at most; one at least. Half of them are for reads of one statement each, and the others for views that read more than once, so
    /// that neither waits for the other.
    pub connections: NonZeroU32,
    /// Longest wait for a free connection, or a new one.
    pub acquire_timeout: Duration,
    /// Longest a single statement may run.
    pub statement_timeout: Duration,
    /// Rows that a list may look at to find a part of it, and as many to count it.
    pub look: u32,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            connections: NonZeroU32::MIN.saturating_add(15),
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            look: 100_000,
        }
    }
}

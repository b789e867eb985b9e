//! Chain time: the timestamp of a block, never a server's clock.

use std::{fmt, ops::Add};

use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch, as a block states them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

/// A length of chain time, seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u64);

impl Seconds {
    /// `days` x 86,400 seconds.
    pub const fn days(days: u64) -> Self {
        Self(days * 86_400)
    }
}

impl Timestamp {
    /// Seconds from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Seconds {
        Seconds(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Seconds> for Timestamp {
    type Output = Self;

    /// Saturates: no block is that late.
    fn add(self, seconds: Seconds) -> Self {
        Self(self.0.saturating_add(seconds.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What stops at `deadline` is still possible at `now`.
pub fn is_before(now: Timestamp, deadline: Timestamp) -> bool {
    now < deadline
}

/// What starts at `deadline` is possible at `now`.
pub fn is_reached(now: Timestamp, deadline: Timestamp) -> bool {
    !is_before(now, deadline)
}

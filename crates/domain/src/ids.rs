//! Identifiers. Each is its own type, so that a run id cannot be passed where an agent id is wanted.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

/// Defines an identifier over `u64` that prints and parses as its number.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A run, counted from 1 by the escrow.
    RunId
}

id! {
    /// An agent: its ERC-721 token id. Our registry counts from 1; a foreign one may start at 0. Fits 48 bits.
    AgentId
}

impl AgentId {
    /// Largest agent id the contracts accept.
    pub const MAX: Self = Self((1 << 48) - 1);
}

//! An agent's standing.

use crate::spelling::spelled;

spelled! {
    /// An agent's standing. Only PROVISIONAL and ESTABLISHED may claim.
    AgentStatus {
        /// Stake below the minimum.
        Unverified = "UNVERIFIED",
        /// Stake at or above the minimum.
        Provisional = "PROVISIONAL",
        /// PROVISIONAL, staked without interruption for long enough, with enough completions.
        Established = "ESTABLISHED",
        /// Slashed, and what was slashed has not been staked again in full.
        Frozen = "FROZEN",
        /// Slashed too often. Forever.
        Banned = "BANNED",
    }
}

impl AgentStatus {
    /// Whether the status allows claiming.
    pub const fn may_claim(self) -> bool {
        match self {
            Self::Provisional | Self::Established => true,
            Self::Unverified | Self::Frozen | Self::Banned => false,
        }
    }
}

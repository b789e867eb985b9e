//! The trust ladder: an agent's status as a pure function of its stake record and chain time. Restates `TrustLadder.sol`.

use crate::{AgentStatus, Seconds, StakeParameters, StakeRecord, Timestamp, Usdc};

impl StakeRecord {
    /// The status at `now`; the first rung that applies, from the worst.
    pub fn status(&self, parameters: &StakeParameters, now: Timestamp) -> AgentStatus {
        if self.slashes >= parameters.banned_after_slashes {
            AgentStatus::Banned
        } else if self.owed > Usdc::ZERO {
            AgentStatus::Frozen
        } else if self.stake < parameters.minimum_stake {
            AgentStatus::Unverified
        } else if self.staked_for(now) >= parameters.established_after && self.completions >= parameters.established_completions {
            AgentStatus::Established
        } else {
            AgentStatus::Provisional
        }
    }

    /// How long the stake has been at or above the minimum without interruption. Asked only of a stake that is; should one have no start,
    /// which no call brings about, the contract counts from the epoch, and so does this.
    fn staked_for(&self, now: Timestamp) -> Seconds {
        now.since(self.staked_since.unwrap_or_default())
    }
}

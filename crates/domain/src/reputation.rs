//! Reputation, from chain facts only.

use crate::Agent;

impl Agent {
    /// Runs that ended: approved, rejected or slashed.
    pub fn settled(&self) -> u64 {
        self.record.completions.saturating_add(self.track.rejected).saturating_add(self.record.slashes)
    }

    /// 0 to 100; a newcomer starts at 50: floor((200 (c + 1) + (s + 2)) / (2 (s + 2))) for c completions among s settled runs.
    pub fn score(&self) -> u64 {
        let completions = u128::from(self.record.completions);
        let settled = u128::from(self.settled());
        let score = (200 * (completions + 1) + settled + 2) / (2 * (settled + 2));
        u64::try_from(score).unwrap_or(100)
    }
}

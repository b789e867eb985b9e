//! What rows were before each of the last batches, for as long as those may be undone.
//!
//! A reorg folds what it touched again. An agent may have a long past, of which a reorg undoes the last minutes: its row is folded again
//! from where it stood before those. What is not remembered here (after a restart, or for want of room) is folded from its first event.

use std::collections::{BTreeMap, VecDeque};

use clawpay_domain::{AgentId, RunId};
use clawpay_store::{AgentRecord, RunRecord};

/// Bytes of rows that are remembered, counted as roughly as a projection counts them.
const ROOM: usize = 16 << 20;

/// The rows that a batch changed, as they were before: nothing where there was none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct UndoEntry {
    /// The batch's first block.
    pub(crate) first: u64,
    pub(crate) runs: BTreeMap<RunId, Option<RunRecord>>,
    pub(crate) agents: BTreeMap<AgentId, Option<AgentRecord>>,
    /// Bytes, roughly.
    pub(crate) size: usize,
}

impl UndoEntry {
    /// Of a batch from block `first` on, of which nothing is known yet.
    pub(crate) fn from(first: u64) -> Self {
        Self { first, ..Self::default() }
    }
}

/// The last batches, oldest first, without a gap.
#[derive(Debug, Default)]
pub(crate) struct UndoLog(VecDeque<UndoEntry>);

impl UndoLog {
    /// Remembers one more batch, and lets go of those that are final, or too many.
    pub(crate) fn remember(&mut self, before: UndoEntry, finalized: Option<u64>) {
        self.0.push_back(before);
        // A batch ends where the next begins.
        while self.0.get(1).is_some_and(|second| finalized.is_some_and(|finalized| second.first <= finalized + 1)) {
            self.0.pop_front();
        }
        while self.0.iter().map(|before| before.size).sum::<usize>() > ROOM {
            self.0.pop_front();
        }
    }

    /// Forgets everything: what follows is not connected to it.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// The rows that blocks from `number` up have changed, as they were before the batch that `number` is in; nothing if that is not known.
    pub(crate) fn before(&self, number: u64) -> Option<UndoEntry> {
        let start = self.0.iter().rposition(|before| before.first <= number)?;
        let mut batches = self.0.range(start..);
        let mut rows = batches.next()?.clone();
        for later in batches {
            for (id, row) in &later.runs {
                rows.runs.entry(*id).or_insert_with(|| row.clone());
            }
            for (id, row) in &later.agents {
                rows.agents.entry(*id).or_insert_with(|| row.clone());
            }
        }
        Some(rows)
    }

    /// Blocks from `number` up are undone. The batch that `number` is in goes on to say what was before it.
    pub(crate) fn cut(&mut self, number: u64) {
        while self.0.back().is_some_and(|last| last.first >= number) {
            self.0.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use clawpay_domain::Agent;

    use super::*;

    fn row(updated_block: u64) -> Option<AgentRecord> {
        Some(AgentRecord { agent: Agent::unknown(AgentId(1)), updated_block, inconsistency: None })
    }

    /// A batch from block `first` that changed agents, each of which was last changed in the block beside it, if it was there.
    fn batch(first: u64, agents: &[(u64, Option<u64>)]) -> UndoEntry {
        let agents = agents.iter().map(|(id, block)| (AgentId(*id), block.and_then(row))).collect();
        UndoEntry { first, agents, size: 1, ..UndoEntry::default() }
    }

    fn recent() -> UndoLog {
        let mut recent = UndoLog::default();
        recent.remember(batch(10, &[(1, Some(3))]), None);
        recent.remember(batch(15, &[(1, Some(12)), (2, None)]), None);
        recent.remember(batch(16, &[(2, Some(15)), (3, Some(4))]), None);
        recent
    }

    #[test]
    fn rows_are_those_before_the_batch_that_the_block_is_in() {
        let recent = recent();
        assert_eq!(recent.before(9), None);
        assert_eq!(recent.before(10), Some(batch(10, &[(1, Some(3)), (2, None), (3, Some(4))])));
        assert_eq!(recent.before(14), recent.before(10));
        assert_eq!(recent.before(15), Some(batch(15, &[(1, Some(12)), (2, None), (3, Some(4))])));
        assert_eq!(recent.before(99), Some(batch(16, &[(2, Some(15)), (3, Some(4))])));
    }

    #[test]
    fn what_is_final_is_let_go_of() {
        let mut recent = recent();
        recent.remember(batch(17, &[]), Some(14));
        assert!(recent.before(14).is_none());
        assert!(recent.before(15).is_some());
    }

    #[test]
    fn what_does_not_fit_is_let_go_of_oldest_first() {
        let mut recent = recent();
        recent.remember(UndoEntry { size: ROOM - 1, ..batch(17, &[]) }, None);
        assert!(recent.before(15).is_none());
        assert!(recent.before(16).is_some());
        recent.remember(UndoEntry { size: ROOM + 1, ..batch(18, &[]) }, None);
        assert!(recent.before(18).is_none());
    }

    #[test]
    fn a_batch_that_is_undone_in_part_still_says_what_was_before_it() {
        let mut recent = recent();
        recent.cut(12);
        assert_eq!(recent.before(12), Some(batch(10, &[(1, Some(3))])));
        recent.cut(10);
        assert!(recent.before(99).is_none());
    }
}

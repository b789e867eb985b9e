//! One thing that listeners are told, and which of them it concerns.

use alloy::primitives::Address;
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{Chain, FeedRecord, IndexedBlock, Snapshot};

/// How a record of this chain is written out, as of an indexed block.
pub(crate) type Render = fn(&FeedRecord, &Chain, &IndexedBlock) -> String;

/// One thing to tell, written out once for all listeners.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its number.
    pub seq: u64,
    /// As JSON.
    pub json: String,
    subjects: Subjects,
}

impl Item {
    /// `record` as it is shown at `snapshot`.
    pub(super) fn new(record: &FeedRecord, snapshot: &Snapshot, render: Render) -> Self {
        Self { seq: record.seq, json: render(record, &snapshot.chain, &snapshot.indexed), subjects: Subjects::of(record) }
    }
}

/// What an event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Subjects {
    run: Option<RunId>,
    agent: Option<AgentId>,
    poster: Option<Address>,
    kind: Option<String>,
}

impl Subjects {
    fn of(record: &FeedRecord) -> Self {
        let event = &record.event;
        Self { run: event.run, agent: event.agent, poster: record.poster, kind: event.name.clone() }
    }
}

/// What a listener wants to hear of: everything that meets all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this run.
    pub run: Option<RunId>,
    /// Naming this agent.
    pub agent: Option<AgentId>,
    /// Of runs that this account posted.
    pub poster: Option<Address>,
    /// Events of these names; of all names if there is none.
    pub kinds: Vec<String>,
}

impl Filter {
    /// Whether the listener wants to hear of it.
    pub(super) fn admits(&self, item: &Item) -> bool {
        self.selects(&item.subjects)
    }

    fn selects(&self, subjects: &Subjects) -> bool {
        (self.run.is_none() || self.run == subjects.run)
            && (self.agent.is_none() || self.agent == subjects.agent)
            && (self.poster.is_none() || self.poster == subjects.poster)
            && (self.kinds.is_empty() || subjects.kind.as_ref().is_some_and(|kind| self.kinds.contains(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_selects_what_meets_all_its_conditions() {
        let poster = Address::repeat_byte(1);
        let funded = Subjects { run: Some(RunId(7)), agent: None, poster: Some(poster), kind: Some("RunFunded".to_owned()) };
        let all = Filter::default();
        assert!(all.selects(&funded));
        let run = |id| Filter { run: Some(RunId(id)), ..Filter::default() };
        assert!(run(7).selects(&funded) && !run(8).selects(&funded));
        assert!(!Filter { agent: Some(AgentId(7)), ..Filter::default() }.selects(&funded));
        let kinds = |kinds: &[&str]| Filter { kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..run(7) };
        assert!(kinds(&["RunClaimed", "RunFunded"]).selects(&funded) && !kinds(&["RunClaimed"]).selects(&funded));
        assert!(Filter { poster: Some(poster), ..run(7) }.selects(&funded));
        assert!(!Filter { poster: Some(Address::ZERO), ..run(7) }.selects(&funded));
        assert!(!kinds(&["RunFunded"]).selects(&Subjects { kind: None, ..funded }));
    }
}

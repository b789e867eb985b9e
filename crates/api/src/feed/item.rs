//! One thing that listeners are told, and which of them it concerns.

use alloy::primitives::Address;
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{FeedRecord, Snapshot};

use crate::http::dto::{feed::FeedItemDto, market::contracts};

/// One thing to tell, written out once for all listeners.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its number.
    pub seq: u64,
    /// As JSON.
    pub json: Box<str>,
    run: Option<RunId>,
    agent: Option<AgentId>,
    poster: Option<Address>,
    kind: Option<String>,
}

impl Item {
    /// `record` as it is shown at `snapshot`.
    pub(crate) fn new(record: &FeedRecord, snapshot: &Snapshot) -> Self {
        let event = &record.event;
        let dto = FeedItemDto::new(record, &contracts(&snapshot.chain), &snapshot.indexed);
        Self {
            seq: record.seq,
            // A tree of texts and numbers always serialises.
            json: serde_json::to_string(&dto).unwrap_or_default().into(),
            run: event.run,
            agent: event.agent,
            poster: record.poster,
            kind: event.name.clone(),
        }
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
    pub(crate) fn admits(&self, item: &Item) -> bool {
        (self.run.is_none() || self.run == item.run)
            && (self.agent.is_none() || self.agent == item.agent)
            && (self.poster.is_none() || self.poster == item.poster)
            && (self.kinds.is_empty() || item.kind.as_ref().is_some_and(|kind| self.kinds.contains(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_admits_what_meets_all_its_conditions() {
        let poster = Address::repeat_byte(1);
        let item =
            Item { seq: 1, json: "{}".into(), run: Some(RunId(7)), agent: None, poster: Some(poster), kind: Some("RunFunded".to_owned()) };
        let all = Filter::default();
        assert!(all.admits(&item));
        let run = |id| Filter { run: Some(RunId(id)), ..Filter::default() };
        assert!(run(7).admits(&item) && !run(8).admits(&item));
        assert!(!Filter { agent: Some(AgentId(7)), ..Filter::default() }.admits(&item));
        let kinds = |kinds: &[&str]| Filter { kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(), ..run(7) };
        assert!(kinds(&["RunClaimed", "RunFunded"]).admits(&item) && !kinds(&["RunClaimed"]).admits(&item));
        assert!(Filter { poster: Some(poster), ..run(7) }.admits(&item));
        assert!(!Filter { poster: Some(Address::ZERO), ..run(7) }.admits(&item));
        assert!(!kinds(&["RunFunded"]).admits(&Item { kind: None, ..item }));
    }
}

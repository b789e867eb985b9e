//! One thing that listeners are told, and which of them it concerns.

use alloy::primitives::Address;
use clawpay_bindings::named_accounts;
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{Chain, FeedRecord, Holder, IndexedBlock, Snapshot};

use crate::hidden::{HideList, Hideable};

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

    /// Whether it is about this run.
    pub(super) fn is_of(&self, run: RunId) -> bool {
        self.subjects.run == Some(run)
    }
}

/// Whom and what an event concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Subjects {
    run: Option<RunId>,
    /// Named by it.
    agent: Option<AgentId>,
    poster: Option<Address>,
    holder: Option<Holder>,
    owner: Option<Address>,
    /// Who acts by now for the agent it names.
    acting: Vec<Address>,
    /// Named by it.
    accounts: Vec<Address>,
    kind: Option<String>,
}

impl Subjects {
    fn of(record: &FeedRecord) -> Self {
        let FeedRecord { seq: _, retracts: _, event, poster, holder, owner, acting } = record;
        let accounts = event.name.as_deref().map(|name| named_accounts(name, &event.topics, &event.data)).unwrap_or_default();
        Self {
            run: event.run,
            agent: event.agent,
            poster: *poster,
            holder: *holder,
            owner: *owner,
            acting: acting.clone(),
            accounts,
            kind: event.name.clone(),
        }
    }

    /// Whether it names this agent, or is of a run that was in its hands.
    fn concerns_agent(&self, agent: AgentId) -> bool {
        self.agent == Some(agent) || self.holder.is_some_and(|holder| holder.agent == agent)
    }

    /// Whether it names this account, is of a run that the account posted or had claimed, or of an agent that it owned.
    fn concerns_account(&self, account: Address) -> bool {
        self.poster == Some(account)
            || self.holder.is_some_and(|holder| holder.wallet == account)
            || self.owner == Some(account)
            || self.accounts.contains(&account)
    }
}

impl Hideable for Item {
    /// What happens to a run is hidden where the run is, whichever agent has it in hand: its poster has to hear of a delivery by a hidden agent. What else
    /// happens to an agent is hidden with it, and what happens to accounts with them.
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str> {
        let Subjects { run, agent, poster, holder: _, owner, acting, accounts, kind: _ } = &self.subjects;
        let named = accounts.iter().copied();
        match (run, agent) {
            (Some(run), _) => list.run(*run, *poster),
            (None, Some(agent)) => list.agent(*agent, named.chain(*owner).chain(acting.iter().copied())),
            (None, None) => list.accounts(named),
        }
    }
}

/// What a listener wants to hear of: everything that meets all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Of this run.
    pub run: Option<RunId>,
    /// Naming this agent, or of a run in its hands.
    pub agent: Option<AgentId>,
    /// Of runs that this account posted.
    pub poster: Option<Address>,
    /// Naming this account, or of its runs and agents.
    pub wallet: Option<Address>,
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
            && self.agent.is_none_or(|agent| subjects.concerns_agent(agent))
            && (self.poster.is_none() || self.poster == subjects.poster)
            && self.wallet.is_none_or(|wallet| subjects.concerns_account(wallet))
            && (self.kinds.is_empty() || subjects.kind.as_ref().is_some_and(|kind| self.kinds.contains(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_selects_what_meets_all_its_conditions() {
        let poster = Address::repeat_byte(1);
        let funded = Subjects { run: Some(RunId(7)), poster: Some(poster), kind: Some("RunFunded".to_owned()), ..Subjects::default() };
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

    #[test]
    fn an_agent_hears_of_the_runs_in_its_hands_and_a_wallet_of_all_that_is_its_own() {
        let account = |byte| Some(Address::repeat_byte(byte));
        let holder = Some(Holder { agent: AgentId(4), wallet: Address::repeat_byte(2) });
        let requested = Subjects { run: Some(RunId(7)), poster: account(1), holder, owner: account(3), ..Subjects::default() };
        let agent = |id| Filter { agent: Some(AgentId(id)), ..Filter::default() };
        assert!(agent(4).selects(&requested) && !agent(7).selects(&requested));
        assert!(agent(5).selects(&Subjects { agent: Some(AgentId(5)), ..Subjects::default() }));
        let wallet = |byte| Filter { wallet: account(byte), ..Filter::default() };
        for (byte, hears) in [(1, true), (2, true), (3, true), (4, false)] {
            assert_eq!(wallet(byte).selects(&requested), hears, "{byte}");
        }
        assert!(wallet(4).selects(&Subjects { accounts: vec![Address::repeat_byte(4)], ..requested }));
        assert!(!wallet(0).selects(&Subjects::default()));
    }
}

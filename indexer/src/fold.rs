//! Events into runs and agents, by the domain's rules.
//!
//! The chain has happened, so an event that contradicts the rules is kept, says why, and changes nothing but a flag on whatever it names.
//! A row is a pure function of the events that name its subject: folding them again gives the same row.
//!
//! Rows stay in memory between batches, as far as there is room: those that may change again are not read for every batch anew, and each is
//! written once per batch, however many events name it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use clawpay_domain::{Agent, AgentEvent, AgentId, Parameters, Run, RunEvent, RunId, SlashEntry};
use clawpay_store::{AgentRecord, Batch, EventRecord, RunRecord, StateDigest, StoreError};

use crate::{decode::Event, undo_log::UndoEntry};

/// Bytes of rows that are kept between batches. Counted roughly: what the rows point to, and [`ROW`] for the rest.
const ROOM: usize = 16 << 20;
/// What a row takes beside its texts.
const ROW: usize = 700;

/// The rows that events change, on their way between the database and the events.
#[derive(Debug)]
pub(crate) struct Projection {
    parameters: Parameters,
    runs: BTreeMap<RunId, RunRecord>,
    agents: BTreeMap<AgentId, AgentRecord>,
    /// Those that the database does not hold as they are here.
    unsaved_runs: BTreeSet<RunId>,
    unsaved_agents: BTreeSet<AgentId>,
    /// The highest ids in the database: what is above them need not be looked for. Nothing until it was asked.
    stored: Option<(Option<RunId>, Option<AgentId>)>,
    /// The part each row has in the digest, as far as it was asked for.
    hashes: BTreeMap<Subject, B256>,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Run(RunId),
    Agent(AgentId),
}

impl Projection {
    /// No rows yet.
    pub(crate) fn new(parameters: Parameters) -> Self {
        Self {
            parameters,
            runs: BTreeMap::new(),
            agents: BTreeMap::new(),
            unsaved_runs: BTreeSet::new(),
            unsaved_agents: BTreeSet::new(),
            stored: None,
            hashes: BTreeMap::new(),
        }
    }

    /// Reads the rows of everything these events name, where they are not here already.
    pub(crate) async fn load(&mut self, events: &[Event], batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let (highest_run, highest_agent) = match self.stored {
            Some(stored) => stored,
            None => *self.stored.insert(batch.highest().await?),
        };
        let runs = events.iter().filter_map(|event| event.record.run);
        let runs: BTreeSet<_> = runs.filter(|id| Some(*id) <= highest_run && !self.runs.contains_key(id)).collect();
        if !runs.is_empty() {
            let rows = batch.runs(&Vec::from_iter(runs)).await?;
            self.runs.extend(rows.into_iter().map(|record| (record.run.id, record)));
        }
        let agents = events.iter().filter_map(|event| event.record.agent);
        let agents: BTreeSet<_> = agents.filter(|id| Some(*id) <= highest_agent && !self.agents.contains_key(id)).collect();
        if !agents.is_empty() {
            let rows = batch.agents(&Vec::from_iter(agents)).await?;
            self.agents.extend(rows.into_iter().map(|record| (record.agent.id, record)));
        }
        Ok(())
    }

    /// Notes the rows that these events are about to change, once they are loaded.
    pub(crate) fn note_before(&self, before: &mut UndoEntry, events: &[Event]) {
        for event in events {
            if let Some(id) = event.record.run {
                before.runs.entry(id).or_insert_with(|| self.runs.get(&id).cloned());
            }
            if let Some(id) = event.record.agent {
                before.agents.entry(id).or_insert_with(|| self.agents.get(&id).cloned());
            }
        }
        let runs: usize = before.runs.values().flatten().map(run_size).sum();
        let agents: usize = before.agents.values().flatten().map(agent_size).sum();
        before.size = runs + agents;
    }

    /// Takes rows back to what they were: those of these runs and agents.
    pub(crate) fn restore(&mut self, before: UndoEntry, runs: &BTreeSet<RunId>, agents: &BTreeSet<AgentId>) {
        let was = before.runs.into_iter().filter(|(id, _)| runs.contains(id)).filter_map(|(id, row)| Some((id, row?)));
        self.runs.extend(was);
        let was = before.agents.into_iter().filter(|(id, _)| agents.contains(id)).filter_map(|(id, row)| Some((id, row?)));
        self.agents.extend(was);
        self.unsaved_runs.extend(self.runs.keys());
        self.unsaved_agents.extend(self.agents.keys());
    }

    /// Folds the events of one block in and takes the digest of all rows from before the block to after it. Answers how many events the
    /// rules refuse.
    pub(crate) fn fold_block(&mut self, events: &mut [Event], digest: &mut StateDigest) -> usize {
        let runs = events.iter().filter_map(|event| event.record.run).map(Subject::Run);
        let agents = events.iter().filter_map(|event| event.record.agent).map(Subject::Agent);
        let subjects: BTreeSet<Subject> = runs.chain(agents).collect();
        for subject in &subjects {
            if let Some(hash) = self.hashes.remove(subject).or_else(|| self.hash(*subject)) {
                digest.remove(hash);
            }
        }
        let refused = events.iter_mut().map(|event| usize::from(self.fold(event))).sum();
        for subject in subjects {
            if let Some(hash) = self.hash(subject) {
                digest.add(hash);
                self.hashes.insert(subject, hash);
            }
        }
        refused
    }

    fn hash(&self, subject: Subject) -> Option<B256> {
        match subject {
            Subject::Run(id) => self.runs.get(&id).map(RunRecord::row_hash),
            Subject::Agent(id) => self.agents.get(&id).map(AgentRecord::row_hash),
        }
    }

    /// Folds one event in, or writes down on it why the rules refuse it. Answers whether they did.
    fn fold(&mut self, event: &mut Event) -> bool {
        let refused = event.record.refusal.is_none()
            && match self.apply(event) {
                Ok(()) => false,
                Err(refusal) => {
                    event.record.refusal = Some(refusal);
                    true
                }
            };
        self.touch(&event.record, event.record.run, event.record.agent);
        refused
    }

    /// Folds one event in once more, for those of its subjects that are being folded again. What was refused stays refused: the events
    /// before it are the same.
    pub(crate) fn refold(&mut self, event: &Event, runs: &BTreeSet<RunId>, agents: &BTreeSet<AgentId>) -> Result<(), String> {
        let run = event.record.run.filter(|run| runs.contains(run));
        let agent = event.record.agent.filter(|agent| agents.contains(agent));
        if event.record.refusal.is_none() {
            if let (Some(run), Some(fact)) = (run, &event.decoded.facts.run) {
                self.apply_to_run(run, fact, &event.record)?;
            }
            if let (Some(agent), Some(fact)) = (agent, &event.decoded.facts.agent) {
                self.apply_to_agent(agent, fact, &event.record)?;
            }
        }
        self.touch(&event.record, run, agent);
        Ok(())
    }

    /// Writes the rows that have changed. Once that is committed, [`Projection::saved`] must hear of it.
    pub(crate) async fn save(&self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        let (highest_run, _) = self.stored.unwrap_or_default();
        let (new, changed): (Vec<_>, Vec<_>) =
            self.unsaved_runs.iter().filter_map(|id| self.runs.get(id)).partition(|record| Some(record.run.id) > highest_run);
        let agents: Vec<_> = self.unsaved_agents.iter().filter_map(|id| self.agents.get(id)).collect();
        batch.save(&changed, &new, &agents).await
    }

    /// The database holds the rows as they are here. Lets go of those that hardly change again, and of the oldest where there are too many.
    pub(crate) fn saved(&mut self) {
        // Where the database has not been asked yet, it may hold more than what was written here.
        if let Some((highest_run, highest_agent)) = &mut self.stored {
            *highest_run = (*highest_run).max(self.unsaved_runs.last().copied());
            *highest_agent = (*highest_agent).max(self.unsaved_agents.last().copied());
        }
        self.unsaved_runs.clear();
        self.unsaved_agents.clear();
        self.runs.retain(|_, record| record.run.settled_at.is_none());
        self.make_room();
        let (runs, agents) = (&self.runs, &self.agents);
        self.hashes.retain(|subject, _| match subject {
            Subject::Run(id) => runs.contains_key(id),
            Subject::Agent(id) => agents.contains_key(id),
        });
    }

    /// Another one by the same rules, without rows.
    pub(crate) fn empty(&self) -> Self {
        Self::new(self.parameters)
    }

    /// Forgets every row: what is here may not be what the database holds.
    pub(crate) fn forget(&mut self) {
        let _forgotten = self.take();
    }

    /// All of it, with nothing left here.
    pub(crate) fn take(&mut self) -> Self {
        let empty = self.empty();
        std::mem::replace(self, empty)
    }

    /// Whether there is more in memory than is kept between batches.
    pub(crate) fn is_large(&self) -> bool {
        let runs: usize = self.runs.values().map(run_size).sum();
        let agents: usize = self.agents.values().map(agent_size).sum();
        runs + agents > ROOM
    }

    fn make_room(&mut self) {
        if !self.is_large() {
            return;
        }
        let runs = self.runs.values().map(|record| record.updated_block);
        let mut blocks: Vec<_> = runs.chain(self.agents.values().map(|record| record.updated_block)).collect();
        blocks.sort_unstable();
        let middle = blocks[blocks.len() / 2];
        self.runs.retain(|_, record| record.updated_block > middle);
        self.agents.retain(|_, record| record.updated_block > middle);
    }

    /// Both subjects change, or neither.
    fn apply(&mut self, event: &Event) -> Result<(), String> {
        let facts = &event.decoded.facts;
        let run = event.record.run.zip(facts.run.as_ref());
        let agent = event.record.agent.zip(facts.agent.as_ref());
        let before = match (run, agent) {
            (Some((run, _)), Some(_)) => self.runs.get(&run).cloned(),
            _ => None,
        };
        if let Some((run, fact)) = run {
            self.apply_to_run(run, fact, &event.record)?;
        }
        if let Some((agent, fact)) = agent
            && let Err(refusal) = self.apply_to_agent(agent, fact, &event.record)
        {
            if let Some(before) = before {
                self.runs.insert(before.run.id, before);
            }
            return Err(refusal);
        }
        Ok(())
    }

    fn apply_to_run(&mut self, id: RunId, fact: &RunEvent, event: &EventRecord) -> Result<(), String> {
        let rules = &self.parameters.escrow;
        match (self.runs.get_mut(&id), fact) {
            (Some(record), fact) => record.run.apply(fact, event.timestamp, rules).map_err(|error| error.to_string()),
            (None, RunEvent::Created { terms }) => {
                let run = Run::created(id, terms.clone(), event.timestamp, rules).map_err(|error| error.to_string())?;
                let record = RunRecord { run, tx_hash: event.tx_hash, updated_block: event.block_number, inconsistency: None };
                self.runs.insert(id, record);
                Ok(())
            }
            (None, _) => Err(format!("run {id} is unknown")),
        }
    }

    fn apply_to_agent(&mut self, id: AgentId, fact: &AgentEvent, event: &EventRecord) -> Result<(), String> {
        let rules = self.parameters.stake;
        self.agent(id).agent.apply(fact, event.timestamp, &rules).map_err(|error| error.to_string())
    }

    /// Notes on the event's subjects when they were last named, and their first contradiction. A run whose creation was refused has no row.
    fn touch(&mut self, event: &EventRecord, run: Option<RunId>, agent: Option<AgentId>) {
        if let Some(record) = run.and_then(|run| self.runs.get_mut(&run)) {
            note(event, &mut record.updated_block, &mut record.inconsistency);
            self.unsaved_runs.insert(record.run.id);
        }
        if let Some(agent) = agent {
            let record = self.agent(agent);
            note(event, &mut record.updated_block, &mut record.inconsistency);
            self.unsaved_agents.insert(agent);
        }
    }

    fn agent(&mut self, id: AgentId) -> &mut AgentRecord {
        self.agents.entry(id).or_insert_with(|| AgentRecord { agent: Agent::unknown(id), updated_block: 0, inconsistency: None })
    }
}

fn run_size(record: &RunRecord) -> usize {
    let run = &record.run;
    let texts =
        [Some(&run.terms.content_uri), run.submission.as_ref().map(|submission| &submission.deliverable_uri), run.feedback.as_ref()];
    ROW + texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
}

fn agent_size(record: &AgentRecord) -> usize {
    ROW + record.agent.uri.len() + record.agent.slash_history.len() * size_of::<SlashEntry>()
}

fn note(event: &EventRecord, updated_block: &mut u64, inconsistency: &mut Option<String>) {
    *updated_block = event.block_number;
    if inconsistency.is_none() {
        inconsistency.clone_from(&event.refusal);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bytes};
    use clawpay_bindings::{Decoded, Facts};
    use clawpay_domain::{Inconsistency, RunState, Terms, Timestamp, Usdc, rules};

    use super::*;

    const RUN: RunId = RunId(1);
    const AGENT: AgentId = AgentId(7);
    const NOW: Timestamp = Timestamp(1_700_000_000);

    /// An event in a block of its own.
    fn event(block: u64, run: Option<RunEvent>, agent: Option<AgentEvent>) -> Event {
        let record = EventRecord {
            block_number: block,
            log_index: 0,
            block_hash: B256::ZERO,
            timestamp: NOW,
            tx_hash: B256::with_last_byte(9),
            tx_index: 0,
            contract: Address::ZERO,
            topics: Vec::new(),
            data: Bytes::new(),
            name: Some("Event".to_owned()),
            run: run.as_ref().map(|_| RUN),
            agent: agent.as_ref().map(|_| AGENT),
            refusal: None,
        };
        let decoded = Decoded { run: record.run, agent: record.agent, facts: Facts { run, agent }, ..Decoded::default() };
        Event { record, decoded }
    }

    fn open_run(parameters: &Parameters) -> [Event; 2] {
        let reward = Usdc::whole(100);
        let terms = Terms {
            poster: Address::repeat_byte(1),
            reward,
            fee: rules::fee(reward, &parameters.escrow),
            deadline: Timestamp(NOW.0 + 60),
            max_revisions: 3,
            content_uri: Bytes::from_static(b"ipfs://content"),
        };
        let amount = terms.escrowed();
        [event(1, Some(RunEvent::Created { terms }), None), event(2, Some(RunEvent::Funded { amount }), None)]
    }

    fn claim(block: u64, parameters: &Parameters) -> Event {
        let stake_at_risk = parameters.stake.stake_at_risk;
        let due_at = NOW + parameters.escrow.submission_timeout;
        let wallet = Address::repeat_byte(2);
        event(block, Some(RunEvent::Claimed { agent: AGENT, wallet, stake_at_risk, due_at }), Some(AgentEvent::Claimed { stake_at_risk }))
    }

    fn staked(block: u64) -> Event {
        let amount = Usdc::whole(20);
        event(block, None, Some(AgentEvent::Staked { from: Address::ZERO, amount, stake: amount, owed: Usdc::ZERO }))
    }

    #[test]
    fn what_the_agent_cannot_have_done_does_not_happen_to_the_run_either() {
        let parameters = Parameters::default();
        let mut projection = Projection::new(parameters);
        for mut event in open_run(&parameters) {
            assert!(!projection.fold(&mut event));
        }
        let before = projection.runs[&RUN].run.clone();
        let mut claim = claim(3, &parameters);
        assert!(projection.fold(&mut claim));

        let refusal = claim.record.refusal;
        assert!(refusal.is_some());
        let (run, agent) = (&projection.runs[&RUN], &projection.agents[&AGENT]);
        assert_eq!((&run.run, run.updated_block, &run.inconsistency), (&before, 3, &refusal));
        assert_eq!((&agent.agent, agent.updated_block, &agent.inconsistency), (&Agent::unknown(AGENT), 3, &refusal));
    }

    #[test]
    fn the_first_contradiction_is_the_one_shown() {
        let parameters = Parameters::default();
        let mut projection = Projection::new(parameters);
        let mut events = Vec::from(open_run(&parameters));
        events.extend([event(3, Some(RunEvent::Started), None), event(4, Some(RunEvent::Cancelled { refund: Usdc::ZERO }), None)]);
        for event in &mut events {
            projection.fold(event);
        }
        assert_ne!(events[2].record.refusal, events[3].record.refusal);
        assert_eq!(projection.runs[&RUN].inconsistency, events[2].record.refusal);
    }

    #[test]
    fn an_event_of_an_unknown_run_has_no_row_to_flag() {
        let parameters = Parameters::default();
        let mut projection = Projection::new(parameters);
        let mut funded = event(1, Some(RunEvent::Funded { amount: Usdc::ZERO }), None);
        assert!(projection.fold(&mut funded));
        assert_eq!(funded.record.refusal.as_deref(), Some("run 1 is unknown"));
        assert!(projection.runs.is_empty());
    }

    #[test]
    fn what_could_not_be_decoded_flags_what_it_names() {
        let parameters = Parameters::default();
        let mut projection = Projection::new(parameters);
        let mut broken = event(1, None, None);
        broken.record.agent = Some(AGENT);
        broken.record.refusal = Some(Inconsistency::new("data", 1, 2).to_string());
        assert!(!projection.fold(&mut broken), "only a contradiction of the rules is a reason to read again");
        assert_eq!(projection.agents[&AGENT].inconsistency, broken.record.refusal);
    }

    #[test]
    fn folding_again_gives_the_same_rows_of_those_asked_for_and_no_others() {
        let parameters = Parameters::default();
        let mut events = Vec::from(open_run(&parameters));
        events.extend([claim(3, &parameters), staked(4), claim(5, &parameters)]);
        let mut projection = Projection::new(parameters);
        for event in &mut events {
            projection.fold(event);
        }
        assert_eq!(projection.runs[&RUN].run.state, RunState::Claimed);

        let mut again = Projection::new(parameters);
        for event in &events {
            again.refold(event, &BTreeSet::from([RUN]), &BTreeSet::new()).unwrap();
        }
        assert_eq!(again.runs, projection.runs);
        assert!(again.agents.is_empty());
        for event in &events {
            again.refold(event, &BTreeSet::new(), &BTreeSet::from([AGENT])).unwrap();
        }
        assert_eq!(again.agents, projection.agents);
    }
}

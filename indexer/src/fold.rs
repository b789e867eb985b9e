//! Events into runs and agents, by the domain's rules.
//!
//! The chain has happened, so an event that contradicts the rules is kept, says why, and changes nothing but a flag on whatever it names.
//! A row is a pure function of the events that name its subject: folding them again gives the same row.

use std::collections::{BTreeMap, BTreeSet};

use clawpay_domain::{Agent, AgentEvent, AgentId, Parameters, Run, RunEvent, RunId};
use clawpay_store::{AgentRecord, Batch, EventRecord, RunRecord, StoreError};

use crate::decode::Event;

/// The rows that a batch of events touches.
pub(crate) struct Projection<'a> {
    parameters: &'a Parameters,
    runs: BTreeMap<RunId, RunRecord>,
    agents: BTreeMap<AgentId, AgentRecord>,
}

impl<'a> Projection<'a> {
    /// The rows as they are, of everything these events name.
    pub(crate) async fn load(parameters: &'a Parameters, events: &[Event], batch: &mut Batch<'_>) -> Result<Self, StoreError> {
        let runs: BTreeSet<_> = events.iter().filter_map(|event| event.record.run).collect();
        let agents: BTreeSet<_> = events.iter().filter_map(|event| event.record.agent).collect();
        let runs = batch.runs(&Vec::from_iter(runs)).await?;
        let agents = batch.agents(&Vec::from_iter(agents)).await?;
        Ok(Self {
            parameters,
            runs: runs.into_iter().map(|record| (record.run.id, record)).collect(),
            agents: agents.into_iter().map(|record| (record.agent.id, record)).collect(),
        })
    }

    /// No rows yet.
    pub(crate) fn empty(parameters: &'a Parameters) -> Self {
        Self { parameters, runs: BTreeMap::new(), agents: BTreeMap::new() }
    }

    /// Folds one event in, or writes down on it why the rules refuse it. Answers whether they did.
    pub(crate) fn fold(&mut self, event: &mut Event) -> bool {
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

    /// Writes the rows.
    pub(crate) async fn save(&self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        if !self.runs.is_empty() {
            batch.save_runs(&Vec::from_iter(self.runs.values())).await?;
        }
        if !self.agents.is_empty() {
            batch.save_agents(&Vec::from_iter(self.agents.values())).await?;
        }
        Ok(())
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
        let rules = &self.parameters.stake;
        self.agent(id).agent.apply(fact, event.timestamp, rules).map_err(|error| error.to_string())
    }

    /// Notes on the event's subjects when they were last named, and their first contradiction. A run whose creation was refused has no row.
    fn touch(&mut self, event: &EventRecord, run: Option<RunId>, agent: Option<AgentId>) {
        if let Some(record) = run.and_then(|run| self.runs.get_mut(&run)) {
            note(event, &mut record.updated_block, &mut record.inconsistency);
        }
        if let Some(agent) = agent {
            let record = self.agent(agent);
            note(event, &mut record.updated_block, &mut record.inconsistency);
        }
    }

    fn agent(&mut self, id: AgentId) -> &mut AgentRecord {
        self.agents.entry(id).or_insert_with(|| AgentRecord { agent: Agent::unknown(id), updated_block: 0, inconsistency: None })
    }
}

fn note(event: &EventRecord, updated_block: &mut u64, inconsistency: &mut Option<String>) {
    *updated_block = event.block_number;
    if inconsistency.is_none() {
        inconsistency.clone_from(&event.refusal);
    }
}

//! The reference: what an index of a list of logs must hold, worked out plainly, one log after the other, from the first.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, LogData};
use clawpay_bindings::{Contracts, decode};
use clawpay_domain::{Agent, AgentEvent, AgentId, Parameters, Run, RunEvent, RunId, Timestamp};
use clawpay_store::{AgentRecord, EventRecord, RunRecord};

/// Something a contract emitted.
#[derive(Clone, Debug)]
pub(crate) struct Emission {
    pub(crate) contract: Address,
    pub(crate) log: LogData,
}

/// Where a log is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogContext {
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
    pub(crate) timestamp: Timestamp,
    pub(crate) tx_hash: B256,
    pub(crate) tx_index: u64,
    pub(crate) log_index: u64,
}

/// All runs and agents.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    contracts: Contracts,
    pub(crate) parameters: Parameters,
    pub(crate) runs: BTreeMap<RunId, RunRecord>,
    pub(crate) agents: BTreeMap<AgentId, AgentRecord>,
}

impl Ledger {
    /// Nothing yet.
    pub(crate) fn new(contracts: Contracts, parameters: Parameters) -> Self {
        Self { contracts, parameters, runs: BTreeMap::new(), agents: BTreeMap::new() }
    }

    /// Enters one log, and answers its row.
    pub(crate) fn enter(&mut self, emission: &Emission, place: &LogContext) -> EventRecord {
        let Emission { contract, log } = emission;
        let decoded = decode(&self.contracts, *contract, log.topics(), &log.data);
        let refusal = match &decoded.error {
            Some(error) => Some(error.to_string()),
            None => self.happen(decoded.run.zip(decoded.facts.run), decoded.agent.zip(decoded.facts.agent), place).err(),
        };
        if let Some(row) = decoded.run.and_then(|id| self.runs.get_mut(&id)) {
            row.updated_block = place.block_number;
            row.inconsistency = row.inconsistency.take().or_else(|| refusal.clone());
        }
        if let Some(id) = decoded.agent {
            let row = self.agents.entry(id).or_insert_with(|| unknown(id));
            row.updated_block = place.block_number;
            row.inconsistency = row.inconsistency.take().or_else(|| refusal.clone());
        }
        EventRecord {
            block_number: place.block_number,
            log_index: place.log_index,
            block_hash: place.block_hash,
            timestamp: place.timestamp,
            tx_hash: place.tx_hash,
            tx_index: place.tx_index,
            contract: *contract,
            topics: log.topics().to_vec(),
            data: log.data.clone(),
            name: decoded.name.map(str::to_owned),
            run: decoded.run,
            agent: decoded.agent,
            refusal,
        }
    }

    /// Changes the run and the agent, or neither.
    fn happen(&mut self, run: Option<(RunId, RunEvent)>, agent: Option<(AgentId, AgentEvent)>, place: &LogContext) -> Result<(), String> {
        let run = run.map(|(id, fact)| self.run_after(id, &fact, place)).transpose()?;
        let agent = agent.map(|(id, fact)| self.agent_after(id, &fact, place)).transpose()?;
        if let Some(row) = run {
            self.runs.insert(row.run.id, row);
        }
        if let Some(row) = agent {
            self.agents.insert(row.agent.id, row);
        }
        Ok(())
    }

    fn run_after(&self, id: RunId, fact: &RunEvent, place: &LogContext) -> Result<RunRecord, String> {
        let rules = &self.parameters.escrow;
        match (self.runs.get(&id).cloned(), fact) {
            (Some(mut row), fact) => {
                row.run.apply(fact, place.timestamp, rules).map_err(|error| error.to_string())?;
                Ok(row)
            }
            (None, RunEvent::Created { terms }) => {
                let run = Run::created(id, terms.clone(), place.timestamp, rules).map_err(|error| error.to_string())?;
                Ok(RunRecord { run, tx_hash: place.tx_hash, updated_block: place.block_number, inconsistency: None })
            }
            (None, _) => Err(format!("run {id} is unknown")),
        }
    }

    fn agent_after(&self, id: AgentId, fact: &AgentEvent, place: &LogContext) -> Result<AgentRecord, String> {
        let mut row = self.agents.get(&id).cloned().unwrap_or_else(|| unknown(id));
        row.agent.apply(fact, place.timestamp, &self.parameters.stake).map_err(|error| error.to_string())?;
        Ok(row)
    }
}

fn unknown(id: AgentId) -> AgentRecord {
    AgentRecord { agent: Agent::unknown(id), updated_block: 0, inconsistency: None }
}

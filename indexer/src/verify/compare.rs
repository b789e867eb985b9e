//! One row against one answer.

use std::fmt::Display;

use alloy::primitives::{Address, B256, U256};
use clawpay_bindings::{agent_stake::IAgentStake, run_escrow::IRunEscrow};
use clawpay_domain::{AgentId, AgentStatus, RunId, RunState, StakeParameters, Timestamp};
use clawpay_store::{AgentRecord, MarketTotals, RunRecord, StateDigest};
use serde::Serialize;

/// What a side says that has nothing to say.
const NOTHING: &str = "nothing";

/// One fact about which index and chain do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What it is about, such as `run 7`.
    pub subject: String,
    /// Which fact, such as `reward`.
    pub fact: &'static str,
    /// What the index says.
    pub index: String,
    /// What the chain says.
    pub chain: String,
}

/// An agent as registry and stakes know it.
pub(super) struct Identity {
    pub(super) owner: Option<Address>,
    pub(super) wallet: Option<Address>,
    pub(super) stake: Option<IAgentStake::Agent>,
}

/// What has been compared so far.
pub(super) struct Comparison<F> {
    report: F,
    differences: u64,
    /// Of what the chain says.
    pub(super) sums: Sums,
    digest: StateDigest,
    parameters: StakeParameters,
    now: Timestamp,
}

/// Sums over the chain's answers.
#[derive(Default)]
pub(super) struct Sums {
    /// How many runs are in each state, their rewards and their fees, by the state's position.
    states: [(u64, U256, U256); RunState::ALL.len()],
    /// Rewards and fees that the escrow holds.
    pub(super) escrowed: U256,
    /// Stakes.
    pub(super) staked: U256,
}

impl Sums {
    fn add(&mut self, run: &IRunEscrow::Run) {
        let Some(state) = RunState::from_index(run.state) else { return };
        let (count, rewards, fees) = &mut self.states[usize::from(run.state)];
        *count += 1;
        *rewards = rewards.saturating_add(run.reward);
        *fees = fees.saturating_add(run.fee);
        if state == RunState::Open || state.is_in_hand() {
            self.escrowed = self.escrowed.saturating_add(run.reward).saturating_add(run.fee);
        }
    }

    /// The states whose totals in the index are others.
    pub(super) fn compared(&self, totals: &MarketTotals) -> Vec<Difference> {
        let show = |(count, rewards, fees): (u64, U256, U256)| format!("{count} runs, rewards {rewards}, fees {fees}");
        let mut differences = Vec::new();
        for (state, chain) in RunState::ALL.iter().zip(self.states) {
            let row = totals.runs.iter().find(|runs| runs.state == *state);
            let index = row.map_or((0, U256::ZERO, U256::ZERO), |runs| (runs.count, runs.rewards.0, runs.fees.0));
            if index != chain {
                differences.push(Difference { subject: "totals".to_owned(), fact: state.as_str(), index: show(index), chain: show(chain) });
            }
        }
        differences
    }
}

impl<F: FnMut(Difference)> Comparison<F> {
    /// Nothing yet, in a market with these rules at this time.
    pub(super) fn new(report: F, parameters: StakeParameters, now: Timestamp) -> Self {
        Self { report, differences: 0, sums: Sums::default(), digest: StateDigest::EMPTY, parameters, now }
    }

    /// Of the rows compared.
    pub(super) fn digest(&self) -> B256 {
        self.digest.to_word()
    }

    /// How many facts differ.
    pub(super) const fn differences(&self) -> u64 {
        self.differences
    }

    /// What is owed or left over cannot be more than what there is.
    pub(super) fn at_most(&mut self, fact: &'static str, owed: U256, there_is: U256) {
        if owed > there_is {
            self.differ("money", fact, owed, format!("at most {there_is}"));
        }
    }

    pub(super) fn fact<T: PartialEq + Display>(&mut self, subject: impl Display, fact: &'static str, index: T, chain: T) {
        if index != chain {
            self.differ(subject, fact, index, chain);
        }
    }

    pub(super) fn differ(&mut self, subject: impl Display, fact: &'static str, index: impl Display, chain: impl Display) {
        self.differences += 1;
        (self.report)(Difference { subject: subject.to_string(), fact, index: index.to_string(), chain: chain.to_string() });
    }

    pub(super) fn run(&mut self, id: RunId, row: Option<&RunRecord>, chain: Option<&IRunEscrow::Run>) {
        if let Some(row) = row {
            self.digest.add(row.row_hash());
        }
        if let Some(chain) = chain {
            self.sums.add(chain);
        }
        let subject = format!("run {id}");
        let (run, chain) = match (row, chain) {
            (Some(row), Some(chain)) => (&row.run, chain),
            (Some(row), None) => return self.differ(subject, "existence", row.run.state, NOTHING),
            (None, Some(chain)) => return self.differ(subject, "existence", NOTHING, state(chain.state)),
            (None, None) => return self.differ(subject, "existence", NOTHING, "counted, but unknown"),
        };
        self.fact(&subject, "state", run.state.to_string(), state(chain.state));
        self.fact(&subject, "poster", run.terms.poster, chain.poster);
        self.fact(&subject, "reward", run.terms.reward.0, chain.reward);
        self.fact(&subject, "fee", run.terms.fee.0, chain.fee);
        self.fact(&subject, "deadline", seconds(Some(run.terms.deadline)), chain.deadline);
        self.fact(&subject, "maxRevisions", U256::from(run.terms.max_revisions), chain.maxRevisions);
        self.fact(&subject, "revisions", U256::from(run.revisions), chain.revisions);
        self.fact(&subject, "agentId", U256::from(run.claim.map_or(0, |claim| claim.agent.0)), chain.agentId);
        self.fact(&subject, "wallet", run.claim.map_or(Address::ZERO, |claim| claim.wallet), chain.wallet);
        self.fact(&subject, "dueAt", seconds(run.due_at), chain.dueAt);
        self.fact(&subject, "reviewBy", seconds(run.review_by), chain.reviewBy);
        self.consistent(&subject, row.and_then(|row| row.inconsistency.as_deref()));
    }

    pub(super) fn agent(&mut self, id: AgentId, row: Option<&AgentRecord>, chain: &Identity) {
        if let Some(row) = row {
            self.digest.add(row.row_hash());
        }
        if let Some(stake) = &chain.stake {
            self.sums.staked = self.sums.staked.saturating_add(stake.stake);
        }
        let subject = format!("agent {id}");
        let Some(row) = row else {
            return self.differ(subject, "existence", NOTHING, chain.owner.map_or(NOTHING.to_owned(), |owner| format!("owned by {owner}")));
        };
        let agent = &row.agent;
        // An agent that a foreign registry knew before this market did has no owner here until its token moves.
        match (agent.owner, chain.owner) {
            (None, Some(_)) => {}
            (index, chain) => self.fact(&subject, "owner", account(index), account(chain)),
        }
        // So has its wallet.
        if agent.registered_at.is_some() || agent.wallet.is_some() {
            self.fact(&subject, "wallet", agent.wallet.unwrap_or_default(), chain.wallet.unwrap_or_default());
        }
        let Some(stake) = &chain.stake else { return self.differ(subject, "stake", agent.record.stake.0, NOTHING) };
        let parameters = self.parameters;
        let record = &agent.record;
        self.fact(&subject, "stake", record.stake.0, stake.stake);
        self.fact(&subject, "committed", record.committed(&parameters).0, stake.committed);
        self.fact(&subject, "free", record.free(&parameters).0, stake.free);
        self.fact(&subject, "owed", record.owed.0, stake.owed);
        self.fact(&subject, "runsInHand", U256::from(record.runs_in_hand), stake.runsInHand);
        self.fact(&subject, "slashes", U256::from(record.slashes), stake.slashes);
        self.fact(&subject, "completions", U256::from(record.completions), stake.completions);
        self.fact(&subject, "stakedSince", seconds(record.staked_since), stake.stakedSince);
        self.status(&subject, row, stake);
        self.consistent(&subject, row.inconsistency.as_deref());
    }

    /// What follows from the facts at the block's time, on both sides.
    fn status(&mut self, subject: &str, row: &AgentRecord, stake: &IAgentStake::Agent) {
        let status = row.agent.record.status(&self.parameters, self.now);
        let chain = AgentStatus::from_index(stake.status).map_or_else(|| format!("{}", stake.status), |status| status.to_string());
        self.fact(subject, "status", status.to_string(), chain);
    }

    /// A row that contradicts the rules is reported, whatever its facts.
    fn consistent(&mut self, subject: &str, inconsistency: Option<&str>) {
        if let Some(inconsistency) = inconsistency {
            self.differ(subject, "rules", inconsistency, "what the rules allow");
        }
    }
}

fn state(index: u8) -> String {
    RunState::from_index(index).map_or_else(|| format!("state {index}"), |state| state.to_string())
}

fn account(account: Option<Address>) -> String {
    account.map_or_else(|| NOTHING.to_owned(), |account| account.to_string())
}

/// The contracts say zero where there is no time.
fn seconds(at: Option<Timestamp>) -> U256 {
    U256::from(at.unwrap_or_default().0)
}

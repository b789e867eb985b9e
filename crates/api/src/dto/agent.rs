//! An agent, its stake, and whether it can claim.

use clawpay_domain::{Agent, AgentId, AgentStatus, Refusal, RunId, RunState, SlashEntry, StakeParameters, Timestamp, Usdc};
use clawpay_store::{AgentRecord, IndexedBlock};
use serde::Serialize;

use super::{
    poster::PosterDto,
    run::Finality,
    text::{Checksummed, IsoDate, lossy, refusal_sentence},
};

/// The few facts about an agent that go with a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentSummary {
    id: AgentId,
    status: AgentStatus,
    staked_amount: Usdc,
    has_min_stake: bool,
}

impl AgentSummary {
    /// The agent at `now`.
    pub(crate) fn new(agent: &Agent, parameters: &StakeParameters, now: Timestamp) -> Self {
        Self {
            id: agent.id,
            status: agent.record.status(parameters, now),
            staked_amount: agent.record.stake,
            has_min_stake: agent.record.stake >= parameters.minimum_stake,
        }
    }
}

/// All that is known about an agent.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentDto {
    #[serde(flatten)]
    summary: AgentSummary,
    /// Null when a foreign registry's registration is older than this market.
    owner: Option<Checksummed>,
    wallet: Option<Checksummed>,
    #[serde(rename = "agentURI")]
    agent_uri: String,
    registered_at: Option<IsoDate>,
    committed_amount: Usdc,
    free_amount: Usdc,
    owed_amount: Usdc,
    withdrawable_amount: Usdc,
    staked_at: Option<IsoDate>,
    can_claim_runs: bool,
    runs_in_hand: u64,
    reputation: ReputationDto,
    updated_block: u64,
    finality: Finality,
    /// How the agent's events contradict the rules; null when nothing does.
    inconsistency: Option<String>,
}

/// What an agent's runs came to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReputationDto {
    /// 0 to 100; a newcomer has 50.
    score: u64,
    claimed: u64,
    settled: u64,
    completions: u64,
    rejected: u64,
    slashes: u64,
    /// Rewards earned.
    volume: Usdc,
}

impl AgentDto {
    /// The agent at the indexed block.
    pub(crate) fn new(record: &AgentRecord, parameters: &StakeParameters, indexed: &IndexedBlock) -> Self {
        let AgentRecord { agent, updated_block, inconsistency } = record;
        let now = indexed.timestamp;
        Self {
            summary: AgentSummary::new(agent, parameters, now),
            owner: agent.owner.map(Checksummed),
            wallet: agent.wallet.map(Checksummed),
            agent_uri: lossy(&agent.uri),
            registered_at: agent.registered_at.map(IsoDate),
            committed_amount: agent.record.committed(parameters),
            free_amount: agent.record.free(parameters),
            owed_amount: agent.record.owed,
            withdrawable_amount: agent.record.withdrawable(parameters, now),
            staked_at: agent.record.staked_since.map(IsoDate),
            can_claim_runs: can_claim(agent, parameters, now),
            runs_in_hand: agent.record.runs_in_hand,
            reputation: ReputationDto {
                score: agent.score(),
                claimed: agent.track.claimed,
                settled: agent.settled(),
                completions: agent.record.completions,
                rejected: agent.track.rejected,
                slashes: agent.record.slashes,
                volume: agent.track.volume,
            },
            updated_block: *updated_block,
            finality: Finality::of(*updated_block, indexed),
            inconsistency: inconsistency.clone(),
        }
    }
}

/// An agent's stake.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StakeDto {
    agent_id: AgentId,
    status: AgentStatus,
    is_staked: bool,
    staked_amount: Usdc,
    committed_amount: Usdc,
    free_amount: Usdc,
    owed_amount: Usdc,
    withdrawable_amount: Usdc,
    minimum_stake: Usdc,
    can_claim_runs: bool,
    /// Since when the stake has been at or above the minimum without interruption.
    staked_at: Option<IsoDate>,
    slash_history: Vec<SlashDto>,
}

/// One slash.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SlashDto {
    run_id: RunId,
    amount: Usdc,
    at: IsoDate,
}

impl StakeDto {
    /// The stake at `now`.
    pub(crate) fn new(agent: &Agent, parameters: &StakeParameters, now: Timestamp) -> Self {
        let record = &agent.record;
        Self {
            agent_id: agent.id,
            status: record.status(parameters, now),
            is_staked: record.stake >= parameters.minimum_stake,
            staked_amount: record.stake,
            committed_amount: record.committed(parameters),
            free_amount: record.free(parameters),
            owed_amount: record.owed,
            withdrawable_amount: record.withdrawable(parameters, now),
            minimum_stake: parameters.minimum_stake,
            can_claim_runs: can_claim(agent, parameters, now),
            staked_at: record.staked_since.map(IsoDate),
            slash_history: agent
                .slash_history
                .iter()
                .map(|SlashEntry { run, amount, at }| SlashDto { run_id: *run, amount: *amount, at: IsoDate(*at) })
                .collect(),
        }
    }
}

fn can_claim(agent: &Agent, parameters: &StakeParameters, now: Timestamp) -> bool {
    agent.record.refusals_to_commit(agent.id, parameters, now).is_empty()
}

/// Whether an agent can claim a run, and everything that is in the way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EligibilityDto {
    eligible: bool,
    /// In words.
    reasons: Vec<String>,
    /// For programs, one for each of `reasons`.
    reason_codes: Vec<String>,
    agent: AgentSummary,
    run: EligibleRun,
    poster: PosterDto,
}

/// The run that eligibility is about.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EligibleRun {
    /// Its number.
    pub id: RunId,
    /// Where it stands.
    pub state: RunState,
    /// What it pays.
    pub reward: Usdc,
}

impl EligibilityDto {
    /// With these refusals, which make it ineligible if there are any.
    pub(crate) fn new(refusals: &[Refusal], agent: AgentSummary, run: EligibleRun, poster: PosterDto) -> Self {
        Self {
            eligible: refusals.is_empty(),
            reasons: refusals.iter().map(refusal_sentence).collect(),
            reason_codes: refusals.iter().map(|refusal| refusal.code().to_uppercase()).collect(),
            agent,
            run,
            poster,
        }
    }
}

//! An agent, its stake, and whether it can claim.

use clawpay_domain::{Agent, AgentId, AgentStatus, Refusal, RunId, RunState, SlashEntry, StakeParameters, Timestamp, Usdc};
use clawpay_store::{AgentRecord, EventRecord, IndexedBlock};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    metadata::{self, MetadataEntry},
    poster::PosterDto,
    run::Finality,
};
use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate, lossy, refusal_to_agent};

/// The few facts about an agent that go with a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentSummary {
    #[schema(value_type = w::AgentId)]
    id: AgentId,
    /// Where it stands on the trust ladder.
    #[schema(value_type = w::AgentStatusWord)]
    status: AgentStatus,
    /// All of its stake.
    #[schema(value_type = w::Usdc)]
    staked_amount: Usdc,
    /// Whether it has staked the minimum.
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
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AgentDto {
    #[serde(flatten)]
    summary: AgentSummary,
    /// Null when a foreign registry's registration is older than this market.
    #[schema(required)]
    owner: Option<Checksummed>,
    /// Its own wallet, where one is set.
    #[schema(required)]
    wallet: Option<Checksummed>,
    /// Where it is described.
    #[serde(rename = "agentURI")]
    agent_uri: String,
    /// When it was registered.
    #[schema(required)]
    registered_at: Option<IsoDate>,
    /// Stake that runs in hand hold.
    #[schema(value_type = w::Usdc)]
    committed_amount: Usdc,
    /// Stake that no run holds.
    #[schema(value_type = w::Usdc)]
    free_amount: Usdc,
    /// What was slashed and not staked again.
    #[schema(value_type = w::Usdc)]
    owed_amount: Usdc,
    /// What its owner can withdraw now.
    #[schema(value_type = w::Usdc)]
    withdrawable_amount: Usdc,
    #[schema(required)]
    staked_at: Option<IsoDate>,
    /// Whether its status and its free stake allow a claim.
    can_claim_runs: bool,
    /// Runs claimed and not settled.
    runs_in_hand: u64,
    reputation: ReputationDto,
    updated_block: u64,
    finality: Finality,
    /// How the agent's events contradict the rules; null when nothing does.
    #[schema(required)]
    inconsistency: Option<String>,
    /// What its owner says of it on the chain, by key, where a single agent is asked for: a stranger's words. Its wallet is a field of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    metadata: Option<Vec<MetadataEntry>>,
    /// Whether `metadata` is all of it: it is not where it was changed very often, or is very long.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    metadata_is_complete: Option<bool>,
}

/// What an agent's runs came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Reputation)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReputationDto {
    /// 0 to 100; a newcomer has 50.
    score: u64,
    /// Runs claimed.
    claimed: u64,
    /// Runs that ended.
    settled: u64,
    /// Runs approved.
    completions: u64,
    /// Runs rejected.
    rejected: u64,
    /// Runs slashed.
    slashes: u64,
    /// Rewards earned.
    #[schema(value_type = w::Usdc)]
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
            metadata: None,
            metadata_is_complete: None,
        }
    }

    /// Beside what its latest metadata `events` say, the latest first; `limit` of them at most were looked for.
    pub(crate) fn with_metadata(self, events: &[EventRecord], limit: u32) -> Self {
        let (metadata, is_whole) = metadata::entries(events);
        let has_all = u32::try_from(events.len()).is_ok_and(|found| found < limit);
        Self { metadata: Some(metadata), metadata_is_complete: Some(is_whole && has_all), ..self }
    }
}

/// An agent's stake.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Stake)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StakeDto {
    #[schema(value_type = w::AgentId)]
    agent_id: AgentId,
    /// Where it stands on the trust ladder.
    #[schema(value_type = w::AgentStatusWord)]
    status: AgentStatus,
    /// Whether it has staked the minimum.
    is_staked: bool,
    /// All of its stake.
    #[schema(value_type = w::Usdc)]
    staked_amount: Usdc,
    /// Stake that runs in hand hold.
    #[schema(value_type = w::Usdc)]
    committed_amount: Usdc,
    /// Stake that no run holds.
    #[schema(value_type = w::Usdc)]
    free_amount: Usdc,
    /// What was slashed and not staked again.
    #[schema(value_type = w::Usdc)]
    owed_amount: Usdc,
    /// What its owner can withdraw now.
    #[schema(value_type = w::Usdc)]
    withdrawable_amount: Usdc,
    /// What it takes to claim.
    #[schema(value_type = w::Usdc)]
    minimum_stake: Usdc,
    /// Whether its status and its free stake allow a claim.
    can_claim_runs: bool,
    /// Since when the stake has been at or above the minimum without interruption.
    #[schema(required)]
    staked_at: Option<IsoDate>,
    /// Oldest first.
    slash_history: Vec<SlashDto>,
}

/// One slash.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Slash)]
#[serde(rename_all = "camelCase")]
struct SlashDto {
    #[schema(value_type = w::RunId)]
    run_id: RunId,
    #[schema(value_type = w::Usdc)]
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
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Eligibility)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EligibilityDto {
    /// Whether it could claim.
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
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EligibleRun {
    /// Its number.
    #[schema(value_type = w::RunId)]
    pub id: RunId,
    /// Where it stands.
    #[schema(value_type = w::RunStateWord)]
    pub state: RunState,
    /// What it pays.
    #[schema(value_type = w::Usdc)]
    pub reward: Usdc,
}

impl EligibilityDto {
    /// Of an agent at `now`, with these refusals, which make it ineligible if there are any.
    pub(crate) fn new(
        refusals: &[Refusal],
        agent: &Agent,
        parameters: &StakeParameters,
        now: Timestamp,
        run: EligibleRun,
        poster: PosterDto,
    ) -> Self {
        Self {
            eligible: refusals.is_empty(),
            reasons: refusals.iter().map(|refusal| refusal_to_agent(refusal, agent, parameters)).collect(),
            reason_codes: refusals.iter().map(|refusal| refusal.code().to_uppercase()).collect(),
            agent: AgentSummary::new(agent, parameters, now),
            run,
            poster,
        }
    }
}

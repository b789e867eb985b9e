//! The market as a whole: its rules, its totals, and how fresh the index is.

use alloy::primitives::B256;
use clawpay_domain::{Parameters, RunState, Seconds, Usdc};
use clawpay_store::{Block, Chain, IndexedBlock, MarketTotals, StateDigest};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use crate::market::contracts;

use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate};

/// Where the market is and which rules it has. Nothing of it ever changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Config)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigDto {
    chain_id: u64,
    #[schema(value_type = w::Hash)]
    genesis_hash: B256,
    deployment_block: u64,
    contracts: ContractsDto,
    parameters: ParametersDto,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Contracts)]
#[serde(rename_all = "camelCase")]
struct ContractsDto {
    usdc: Checksummed,
    agent_registry: Checksummed,
    agent_stake: Checksummed,
    run_escrow: Checksummed,
    forwarder: Checksummed,
}

/// Amounts in base units, times in seconds.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MarketParameters)]
#[serde(rename_all = "camelCase")]
struct ParametersDto {
    fee_bps: u64,
    #[schema(value_type = w::Usdc)]
    minimum_reward: Usdc,
    #[schema(value_type = w::Seconds)]
    submission_timeout: Seconds,
    #[schema(value_type = w::Seconds)]
    review_period: Seconds,
    max_revisions: u8,
    #[schema(value_type = w::Seconds)]
    max_deadline_ahead: Seconds,
    #[schema(value_type = w::Usdc)]
    minimum_stake: Usdc,
    #[schema(value_type = w::Usdc)]
    stake_at_risk: Usdc,
    banned_after_slashes: u64,
    #[schema(value_type = w::Seconds)]
    established_after: Seconds,
    established_completions: u64,
}

impl From<&Chain> for ConfigDto {
    fn from(chain: &Chain) -> Self {
        let Parameters { escrow, stake } = chain.parameters;
        Self {
            chain_id: chain.chain_id,
            genesis_hash: chain.genesis_hash,
            deployment_block: chain.deployment_block,
            contracts: ContractsDto {
                usdc: Checksummed(chain.usdc),
                agent_registry: Checksummed(chain.agent_registry),
                agent_stake: Checksummed(chain.agent_stake),
                run_escrow: Checksummed(chain.run_escrow),
                forwarder: Checksummed(chain.forwarder),
            },
            parameters: ParametersDto {
                fee_bps: escrow.fee_bps,
                minimum_reward: escrow.minimum_reward,
                submission_timeout: escrow.submission_timeout,
                review_period: escrow.review_period,
                max_revisions: escrow.max_revisions,
                max_deadline_ahead: escrow.max_deadline_ahead,
                minimum_stake: stake.minimum_stake,
                stake_at_risk: stake.stake_at_risk,
                banned_after_slashes: stake.banned_after_slashes,
                established_after: stake.established_after,
                established_completions: stake.established_completions,
            },
        }
    }
}

/// The market in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Stats)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsDto {
    /// Every state, with how many runs are in it.
    #[schema(value_type = w::RunsByState)]
    runs_by_state: Map<String, Value>,
    runs: u64,
    posters: u64,
    agents: u64,
    /// Reward and fee of funded, unfinished runs.
    #[schema(value_type = w::Usdc)]
    escrowed: Usdc,
    /// Rewards paid to agents.
    #[schema(value_type = w::Usdc)]
    paid: Usdc,
    /// Fees earned by the platform.
    #[schema(value_type = w::Usdc)]
    fees: Usdc,
    /// All stakes, committed or not.
    #[schema(value_type = w::Usdc)]
    staked: Usdc,
}

impl From<&MarketTotals> for StatsDto {
    fn from(totals: &MarketTotals) -> Self {
        let count = |state| totals.runs.iter().find(|runs| runs.state == state).map_or(0, |runs| runs.count);
        let approved = totals.runs.iter().find(|runs| runs.state == RunState::Approved);
        let escrowed = totals.runs.iter().filter(|runs| runs.state == RunState::Open || runs.state.is_in_hand());
        Self {
            runs_by_state: RunState::ALL.iter().map(|state| (state.to_string(), count(*state).into())).collect(),
            runs: totals.runs.iter().map(|runs| runs.count).sum(),
            posters: totals.posters,
            agents: totals.agents,
            escrowed: escrowed.map(|runs| runs.rewards.saturating_add(runs.fees)).sum(),
            paid: approved.map_or(Usdc::ZERO, |runs| runs.rewards),
            fees: approved.map_or(Usdc::ZERO, |runs| runs.fees),
            staked: totals.staked,
        }
    }
}

/// How far the index has come.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Status)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatusDto {
    chain_id: u64,
    indexed_block: BlockDto,
    #[schema(required)]
    safe_block: Option<u64>,
    #[schema(required)]
    finalized_block: Option<u64>,
    /// Null while no block is final.
    #[schema(required)]
    finalized_state: Option<StateDto>,
    /// The node's highest block at the last successful check.
    head: u64,
    /// Blocks the node has and the index has not.
    lag: u64,
    /// Milliseconds since that check.
    staleness_ms: u64,
}

/// A block.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Block)]
struct BlockDto {
    number: u64,
    #[schema(value_type = w::Hash)]
    hash: B256,
    timestamp: IsoDate,
}

/// All runs and agents after a block, in one string: two indexes of one chain that show the same block show the same digest.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FinalizedState)]
#[serde(rename_all = "camelCase")]
struct StateDto {
    block: u64,
    #[schema(value_type = w::Hash)]
    block_hash: B256,
    #[schema(value_type = w::Hash)]
    digest: B256,
}

impl StatusDto {
    /// Of this index.
    pub(crate) fn new(chain: &Chain, indexed: &IndexedBlock, finalized: Option<(Block, StateDigest)>) -> Self {
        let state =
            |(block, digest): (Block, StateDigest)| StateDto { block: block.number, block_hash: block.hash, digest: digest.to_word() };
        Self {
            chain_id: chain.chain_id,
            indexed_block: BlockDto { number: indexed.number, hash: indexed.hash, timestamp: IsoDate(indexed.timestamp) },
            safe_block: indexed.safe,
            finalized_block: indexed.finalized,
            finalized_state: finalized.map(state),
            head: indexed.head,
            lag: indexed.lag(),
            staleness_ms: u64::try_from(indexed.staleness.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

//! The market as a whole: its rules, its totals, and how fresh the index is.

use alloy::primitives::B256;
use clawpay_domain::{Parameters, RunState, Seconds, Usdc};
use clawpay_store::{Block, Chain, Custody, Day, IndexedBlock, MarketTotals, StateDigest};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use crate::market::contracts;

use crate::chains;
use crate::http::openapi::schemas as w;
use crate::node::Holdings;
use crate::text::{Checksummed, IsoDate};

/// Where the market is and which rules it has. Only whether it is paused and whether this server relays ever changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Config)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConfigDto {
    chain_id: u64,
    /// What people call the chain; null for one that few know.
    #[schema(required)]
    chain_name: Option<&'static str>,
    /// Where people look things up on the chain: `/tx/{hash}` and `/address/{address}` follow. Null for a chain that few know.
    #[schema(required)]
    explorer: Option<&'static str>,
    #[schema(value_type = w::Hash)]
    genesis_hash: B256,
    deployment_block: u64,
    contracts: ContractsDto,
    token: TokenDto,
    parameters: ParametersDto,
    /// Whether nothing new can be created, funded or claimed for now; null while this server cannot tell.
    #[schema(required)]
    paused: Option<bool>,
    /// Whether this server sends what wallets only sign.
    relaying: bool,
    /// Whether it would, but has spent what its operator pays in 24 hours.
    relaying_exhausted: bool,
}

/// The token that everything is paid in.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenDto {
    /// What it is called; null while the node cannot be asked.
    #[schema(required)]
    symbol: Option<String>,
    /// Decimals of its base unit, which the deployment has made sure of.
    decimals: u32,
}

/// What a [`ConfigDto`] shows beside what the index says of the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circumstances {
    /// What the token is called.
    pub token_symbol: Option<String>,
    /// Whether the escrow is paused.
    pub is_paused: Option<bool>,
    /// Whether this server relays at the moment.
    pub is_relaying: bool,
    /// Whether it would, but for the operator's budget.
    pub is_budget_used_up: bool,
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

impl ConfigDto {
    /// Of this market, as things are.
    pub(crate) fn new(chain: &Chain, circumstances: Circumstances) -> Self {
        let Parameters { escrow, stake } = chain.parameters;
        let known = chains::by_id(chain.chain_id);
        Self {
            chain_id: chain.chain_id,
            chain_name: known.map(|chain| chain.name),
            explorer: known.map(|chain| chain.explorer),
            token: TokenDto { symbol: circumstances.token_symbol, decimals: Usdc::DECIMALS },
            paused: circumstances.is_paused,
            relaying: circumstances.is_relaying,
            relaying_exhausted: circumstances.is_budget_used_up,
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
    holdings: HoldingsDto,
    /// The last days of the chain in UTC, oldest first, the indexed block's day last; null while the index is of an older version.
    #[schema(required)]
    history: Option<Vec<DayDto>>,
}

/// What each contract has and what it owes, which is never more.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Holdings)]
#[serde(rename_all = "camelCase")]
struct HoldingsDto {
    run_escrow: HoldingDto,
    agent_stake: HoldingDto,
}

/// What a contract has and what it owes.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Holding)]
struct HoldingDto {
    /// USDC that it has at the indexed block, by the token's word; null while the node cannot be asked.
    #[schema(value_type = Option<w::Usdc>, required)]
    has: Option<Usdc>,
    /// USDC that it owes at the indexed block: what is escrowed, fees and payouts not collected yet, or stakes. Null while the index is of an
    /// older version.
    #[schema(value_type = Option<w::Usdc>, required)]
    owes: Option<Usdc>,
}

/// One day.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Day)]
struct DayDto {
    /// Midnight in UTC, when it began.
    day: IsoDate,
    created: u64,
    funded: u64,
    claimed: u64,
    /// By their posters or by their silence.
    approved: u64,
    slashed: u64,
    /// Rewards paid to agents.
    #[schema(value_type = w::Usdc)]
    volume: Usdc,
}

impl From<Day> for DayDto {
    fn from(Day { began_at, created, funded, claimed, approved, slashed, volume }: Day) -> Self {
        Self { day: IsoDate(began_at), created, funded, claimed, approved, slashed, volume }
    }
}

/// What a [`StatsDto`] is made of.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    /// The market's totals.
    pub totals: MarketTotals,
    /// Its last days.
    pub days: Option<Vec<Day>>,
    /// The escrow's books.
    pub run_escrow: Option<Custody>,
    /// The stake contract's.
    pub agent_stake: Option<Custody>,
    /// What both have.
    pub holdings: Option<Holdings>,
}

impl From<Stats> for StatsDto {
    fn from(Stats { totals, days, run_escrow, agent_stake, holdings }: Stats) -> Self {
        let count = |state| totals.runs.iter().find(|runs| runs.state == state).map_or(0, |runs| runs.count);
        let approved = totals.runs.iter().find(|runs| runs.state == RunState::Approved);
        let escrowed = totals.runs.iter().filter(|runs| runs.state == RunState::Open || runs.state.is_in_hand());
        let escrowed: Usdc = escrowed.map(|runs| runs.rewards.saturating_add(runs.fees)).sum();
        let fees = approved.map_or(Usdc::ZERO, |runs| runs.fees);
        let escrow_owes =
            run_escrow.map(|books| escrowed.saturating_add(fees.saturating_sub(books.collected)).saturating_add(books.credited));
        let stake_owes = agent_stake.map(|books| totals.staked.saturating_add(books.credited));
        Self {
            runs_by_state: RunState::ALL.iter().map(|state| (state.to_string(), count(*state).into())).collect(),
            runs: totals.runs.iter().map(|runs| runs.count).sum(),
            posters: totals.posters,
            agents: totals.agents,
            escrowed,
            paid: approved.map_or(Usdc::ZERO, |runs| runs.rewards),
            fees,
            staked: totals.staked,
            holdings: HoldingsDto {
                run_escrow: HoldingDto { has: holdings.map(|has| has.run_escrow), owes: escrow_owes },
                agent_stake: HoldingDto { has: holdings.map(|has| has.agent_stake), owes: stake_owes },
            },
            history: days.map(|days| days.into_iter().map(Into::into).collect()),
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

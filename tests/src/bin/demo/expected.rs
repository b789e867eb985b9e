//! What the story must come to, worked out by hand from the specification. Nothing here is computed: the program's own arithmetic is what
//! this is held against. Amounts are base units: 1 USDC is 1_000_000.

use clawpay_domain::{AgentId, AgentStatus, RunId, RunState, Seconds, Usdc};

use crate::{
    books::{AgentEntry, Balances, Books, RunEntry, Totals},
    cast::{Cast, POSTER_BEGINS_WITH, WORKER_BEGINS_WITH},
    movements::Movement,
};

/// What each agent stakes, the minimum.
pub(crate) const STAKE: Usdc = Usdc::base_units(20_000_000);

/// Run 1 pays 100 USDC, and its fee is 5 of them on top.
pub(crate) const FIRST_REWARD: Usdc = Usdc::base_units(100_000_000);
const FIRST_FEE: Usdc = Usdc::base_units(5_000_000);
const FIRST_ESCROWED: Usdc = Usdc::base_units(105_000_000);

/// Run 2's reward is chosen so that its fee, 12_500_000.95 base units, has to be rounded down.
pub(crate) const SECOND_REWARD: Usdc = Usdc::base_units(250_000_019);
const SECOND_FEE: Usdc = Usdc::base_units(12_500_000);
const SECOND_ESCROWED: Usdc = Usdc::base_units(262_500_019);

/// What a claim commits of the stake, and a slash gives to the poster.
const STAKE_AT_RISK: Usdc = Usdc::base_units(10_000_000);
/// How long an agent has to submit.
pub(crate) const SUBMISSION_TIMEOUT: Seconds = Seconds(604_800);

/// Everything as it must stand at the end.
pub(crate) fn books(cast: &Cast) -> Books {
    Books {
        runs: vec![
            RunEntry {
                id: RunId(1),
                state: RunState::Approved,
                poster: cast.poster.address(),
                agent: Some(AgentId(1)),
                wallet: Some(cast.builder.address()),
                reward: FIRST_REWARD,
                fee: FIRST_FEE,
                stake_at_risk: Some(STAKE_AT_RISK),
                inconsistency: None,
            },
            RunEntry {
                id: RunId(2),
                state: RunState::Slashed,
                poster: cast.poster.address(),
                agent: Some(AgentId(2)),
                wallet: Some(cast.dawdler.address()),
                reward: SECOND_REWARD,
                fee: SECOND_FEE,
                stake_at_risk: Some(STAKE_AT_RISK),
                inconsistency: None,
            },
        ],
        agents: vec![
            AgentEntry {
                id: AgentId(1),
                owner: cast.builder.address(),
                status: AgentStatus::Provisional,
                stake: Usdc::base_units(20_000_000),
                committed: Usdc::ZERO,
                free: Usdc::base_units(20_000_000),
                owed: Usdc::ZERO,
                slashes: 0,
                completions: 1,
                inconsistency: None,
            },
            AgentEntry {
                id: AgentId(2),
                owner: cast.dawdler.address(),
                status: AgentStatus::Frozen,
                stake: Usdc::base_units(10_000_000),
                committed: Usdc::ZERO,
                free: Usdc::base_units(10_000_000),
                owed: Usdc::base_units(10_000_000),
                slashes: 1,
                completions: 0,
                inconsistency: None,
            },
        ],
        totals: Totals {
            escrowed: Usdc::ZERO,
            paid: Usdc::base_units(100_000_000),
            fees: Usdc::base_units(5_000_000),
            staked: Usdc::base_units(30_000_000),
        },
        balances: Balances {
            // 1000 - 105 for run 1 + 10 from agent 2's stake; run 2 came back whole.
            poster: Usdc::base_units(905_000_000),
            // 50 - 20 staked + 100 earned.
            builder: Usdc::base_units(130_000_000),
            // 50 - 20 staked.
            dawdler: Usdc::base_units(30_000_000),
            // The fee of run 1, which the treasury has not collected yet.
            run_escrow: Usdc::base_units(5_000_000),
            // 20 of agent 1 and 10 of agent 2.
            agent_stake: Usdc::base_units(30_000_000),
            uncollected_fees: Usdc::base_units(5_000_000),
            treasury: Some(Usdc::ZERO),
        },
    }
}

/// Every movement of USDC, in the order of the chain.
pub(crate) fn movements() -> Vec<Movement> {
    [
        ("test money", "nobody", "poster", POSTER_BEGINS_WITH),
        ("test money", "nobody", "builder", WORKER_BEGINS_WITH),
        ("test money", "nobody", "dawdler", WORKER_BEGINS_WITH),
        ("stake for agent 1", "builder", "AgentStake", STAKE),
        ("stake for agent 2", "dawdler", "AgentStake", STAKE),
        ("post run 1", "poster", "RunEscrow", FIRST_ESCROWED),
        ("approve run 1", "RunEscrow", "builder", FIRST_REWARD),
        ("post run 2", "poster", "RunEscrow", SECOND_ESCROWED),
        ("slash run 2", "AgentStake", "poster", STAKE_AT_RISK),
        ("slash run 2", "RunEscrow", "poster", SECOND_ESCROWED),
    ]
    .into_iter()
    .map(|(what_for, from, to, amount)| Movement { what_for, from: from.to_owned(), to: to.to_owned(), amount })
    .collect()
}

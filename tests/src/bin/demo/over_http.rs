//! The books as the API tells them, in the JSON that every client gets.

use alloy::primitives::Address;
use anyhow::Result;
use clawpay_domain::{AgentId, AgentStatus, RunId, RunState, Usdc};
use serde::Deserialize;

use crate::{
    books::{AgentEntry, Balances, Books, RunEntry, Totals},
    cast::Cast,
    market::Market,
};

#[derive(Deserialize)]
struct RunList {
    runs: Vec<Run>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    bounty_id: RunId,
    state: RunState,
    poster_address: Address,
    claimed_by: Option<AgentId>,
    claimed_by_wallet: Option<Address>,
    reward: Usdc,
    fee: Usdc,
    stake: Option<Usdc>,
    inconsistency: Option<String>,
}

#[derive(Deserialize)]
struct AgentList {
    agents: Vec<Agent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Agent {
    id: AgentId,
    owner: Address,
    status: AgentStatus,
    staked_amount: Usdc,
    committed_amount: Usdc,
    free_amount: Usdc,
    owed_amount: Usdc,
    reputation: Reputation,
    inconsistency: Option<String>,
}

#[derive(Deserialize)]
struct Reputation {
    completions: u64,
    slashes: u64,
}

#[derive(Deserialize)]
struct Stats {
    escrowed: Usdc,
    paid: Usdc,
    fees: Usdc,
    staked: Usdc,
}

/// Asks for them.
pub(crate) async fn books(market: &Market, cast: &Cast) -> Result<Books> {
    let list: RunList = market.get("/api/runs").await?;
    let mut runs: Vec<RunEntry> = list.runs.into_iter().map(RunEntry::from).collect();
    runs.sort_by_key(|run| run.id);
    let list: AgentList = market.get("/api/agents").await?;
    let mut agents: Vec<AgentEntry> = list.agents.into_iter().map(AgentEntry::from).collect();
    agents.sort_by_key(|agent| agent.id);
    let Stats { escrowed, paid, fees, staked } = market.get("/api/stats").await?;
    let totals = Totals { escrowed, paid, fees, staked };
    let balances = Balances::implied_by(&runs, &agents, &totals, cast);
    Ok(Books { runs, agents, totals, balances })
}

impl From<Run> for RunEntry {
    fn from(run: Run) -> Self {
        Self {
            id: run.bounty_id,
            state: run.state,
            poster: run.poster_address,
            agent: run.claimed_by,
            wallet: run.claimed_by_wallet,
            reward: run.reward,
            fee: run.fee,
            stake_at_risk: run.stake,
            inconsistency: run.inconsistency,
        }
    }
}

impl From<Agent> for AgentEntry {
    fn from(agent: Agent) -> Self {
        Self {
            id: agent.id,
            owner: agent.owner,
            status: agent.status,
            stake: agent.staked_amount,
            committed: agent.committed_amount,
            free: agent.free_amount,
            owed: agent.owed_amount,
            slashes: agent.reputation.slashes,
            completions: agent.reputation.completions,
            inconsistency: agent.inconsistency,
        }
    }
}

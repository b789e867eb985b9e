//! The books as the index keeps them: its rows, read without the API.

use anyhow::{Context, Result};
use clawpay_domain::{RunState, StakeParameters, Timestamp, Usdc};
use clawpay_store::{AgentFilter, AgentRecord, AgentSort, MarketTotals, Page, Reader, ReaderOptions, RunFilter, RunRecord, RunSort};

use crate::{
    books::{AgentEntry, Balances, Books, RunEntry, Totals},
    cast::Cast,
};

/// Reads them as of the last indexed block.
pub(crate) async fn books(database_url: &str, cast: &Cast) -> Result<Books> {
    let reader = Reader::new(database_url, ReaderOptions::default())?;
    let mut snapshot = reader.snapshot().await?.context("nothing is indexed")?;
    let (rules, now) = (snapshot.chain.parameters.stake, snapshot.indexed.timestamp);
    let all = Page { number: 1, limit: 100 };
    let runs: Vec<RunEntry> = snapshot.runs(&RunFilter::default(), RunSort::Oldest, all).await?.items.into_iter().map(run_entry).collect();
    let mut agents = snapshot
        .agents(&AgentFilter::default(), AgentSort::default(), all)
        .await?
        .items
        .into_iter()
        .map(|record| agent_entry(record, &rules, now))
        .collect::<Result<Vec<_>>>()?;
    agents.sort_by_key(|agent| agent.id);
    let totals = totals(&snapshot.totals().await?);
    let balances = Balances::implied_by(&runs, &agents, &totals, cast);
    Ok(Books { runs, agents, totals, balances })
}

fn run_entry(RunRecord { run, inconsistency, .. }: RunRecord) -> RunEntry {
    RunEntry {
        id: run.id,
        state: run.state,
        poster: run.terms.poster,
        agent: run.claim.map(|claim| claim.agent),
        wallet: run.claim.map(|claim| claim.wallet),
        reward: run.terms.reward,
        fee: run.terms.fee,
        stake_at_risk: run.claim.map(|claim| claim.stake_at_risk),
        inconsistency,
    }
}

fn agent_entry(AgentRecord { agent, inconsistency, .. }: AgentRecord, rules: &StakeParameters, now: Timestamp) -> Result<AgentEntry> {
    Ok(AgentEntry {
        id: agent.id,
        owner: agent.owner.with_context(|| format!("agent {} has no owner", agent.id))?,
        status: agent.record.status(rules, now),
        stake: agent.record.stake,
        committed: agent.record.committed(rules),
        free: agent.record.free(rules),
        owed: agent.record.owed,
        slashes: agent.record.slashes,
        completions: agent.record.completions,
        inconsistency,
    })
}

fn totals(totals: &MarketTotals) -> Totals {
    let sum = |counts: fn(RunState) -> bool, fees: bool, rewards: bool| -> Usdc {
        totals
            .runs
            .iter()
            .filter(|runs| counts(runs.state))
            .flat_map(|runs| [rewards.then_some(runs.rewards), fees.then_some(runs.fees)])
            .flatten()
            .sum()
    };
    let is_approved = |state| state == RunState::Approved;
    Totals {
        escrowed: sum(|state| state == RunState::Open || state.is_in_hand(), true, true),
        paid: sum(is_approved, false, true),
        fees: sum(is_approved, true, false),
        staked: totals.staked,
    }
}

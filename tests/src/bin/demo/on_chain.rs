//! The books as the contracts keep them.

use alloy::primitives::{Address, U256};
use anyhow::{Context, Result};
use clawpay_bindings::{AgentRegistry, AgentStake, RunEscrow, TestUSDC, agent_stake::IAgentStake, run_escrow::IRunEscrow};
use clawpay_cli::wallet::read;
use clawpay_domain::{AgentId, AgentStatus, RunId, RunState, Usdc};
use clawpay_tests::Stack;

use crate::{
    books::{AgentEntry, Balances, Books, RunEntry, Totals},
    cast::Cast,
};

/// Reads them at the latest block.
pub(crate) async fn books(stack: &Stack, cast: &Cast) -> Result<Books> {
    let (provider, contracts) = (stack.provider(), &stack.deployment.contracts);
    let rules = read(provider, contracts.agent_stake, &AgentStake::parametersCall {}).await?;
    let count: u64 = read(provider, contracts.run_escrow, &RunEscrow::runCountCall {}).await?.try_into()?;
    let mut runs = Vec::new();
    for id in 1..=count {
        let run = read(provider, contracts.run_escrow, &RunEscrow::getRunCall { runId: U256::from(id) }).await?;
        runs.push(run_entry(RunId(id), &run, Usdc(rules.stakeAtRisk))?);
    }

    let mut agents = Vec::new();
    for id in [1, 2] {
        let number = U256::from(id);
        let owner = read(provider, contracts.agent_registry, &AgentRegistry::ownerOfCall { tokenId: number }).await?;
        let agent = read(provider, contracts.agent_stake, &AgentStake::getAgentCall { agentId: number }).await?;
        agents.push(agent_entry(AgentId(id), owner, &agent)?);
    }

    let balance = async |account: Address| read(provider, contracts.usdc, &TestUSDC::balanceOfCall { account }).await.map(Usdc);
    let treasury = read(provider, contracts.run_escrow, &RunEscrow::treasuryCall {}).await?;
    let uncollected_fees = Usdc(read(provider, contracts.run_escrow, &RunEscrow::uncollectedFeesCall {}).await?);
    let balances = Balances {
        poster: balance(cast.poster.address()).await?,
        builder: balance(cast.builder.address()).await?,
        dawdler: balance(cast.dawdler.address()).await?,
        run_escrow: balance(contracts.run_escrow).await?,
        agent_stake: balance(contracts.agent_stake).await?,
        uncollected_fees,
        treasury: Some(balance(treasury).await?),
    };
    let totals = Totals {
        escrowed: balances.run_escrow.checked_sub(uncollected_fees).context("the escrow holds less than the fees it owes")?,
        paid: runs.iter().filter(|run| run.state == RunState::Approved).map(|run| run.reward).sum(),
        fees: uncollected_fees,
        staked: agents.iter().map(|agent| agent.stake).sum(),
    };
    Ok(Books { runs, agents, totals, balances })
}

fn run_entry(id: RunId, run: &IRunEscrow::Run, stake_at_risk: Usdc) -> Result<RunEntry> {
    let is_claimed = run.wallet != Address::ZERO;
    Ok(RunEntry {
        id,
        state: RunState::from_index(run.state).with_context(|| format!("run {id} is in state {}", run.state))?,
        poster: run.poster,
        agent: is_claimed.then(|| run.agentId.try_into().map(AgentId)).transpose()?,
        wallet: is_claimed.then_some(run.wallet),
        reward: Usdc(run.reward),
        fee: Usdc(run.fee),
        stake_at_risk: is_claimed.then_some(stake_at_risk),
        inconsistency: None,
    })
}

fn agent_entry(id: AgentId, owner: Address, agent: &IAgentStake::Agent) -> Result<AgentEntry> {
    Ok(AgentEntry {
        id,
        owner,
        status: AgentStatus::from_index(agent.status).with_context(|| format!("agent {id} has status {}", agent.status))?,
        stake: Usdc(agent.stake),
        committed: Usdc(agent.committed),
        free: Usdc(agent.free),
        owed: Usdc(agent.owed),
        slashes: agent.slashes.try_into()?,
        completions: agent.completions.try_into()?,
        inconsistency: None,
    })
}

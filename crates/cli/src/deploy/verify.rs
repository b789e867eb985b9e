//! What is read back afterwards.

use alloy::{primitives::Address, providers::DynProvider};
use anyhow::{Result, ensure};
use clawpay_bindings::{
    AgentRegistry, AgentStake, Contracts, RunEscrow, agent_stake::IAgentStake::Parameters as StakeRules,
    run_escrow::IRunEscrow::Parameters as EscrowRules,
};

use super::plan::Settled;
use crate::wallet::{has_code, read};

/// Compares everything that was asked for with what the chain holds.
pub(super) async fn verify(provider: &DynProvider, contracts: &Contracts, plan: &Settled) -> Result<()> {
    let Contracts { usdc, agent_registry, agent_stake, run_escrow, forwarder } = *contracts;
    let places = [
        ("USDC", usdc),
        ("ERC2771Forwarder", forwarder),
        ("AgentRegistry", agent_registry),
        ("AgentStake", agent_stake),
        ("RunEscrow", run_escrow),
    ];
    for (name, address) in places {
        ensure!(has_code(provider, address).await?, "no code at {address}, where {name} should be");
    }
    let same = |what: &str, found: Address, asked: Address| -> Result<()> {
        ensure!(found == asked, "{what} is {found}, not {asked}");
        Ok(())
    };
    same("RunEscrow.usdc", read(provider, run_escrow, &RunEscrow::usdcCall {}).await?, usdc)?;
    same("RunEscrow.agentStake", read(provider, run_escrow, &RunEscrow::agentStakeCall {}).await?, agent_stake)?;
    same("RunEscrow.owner", read(provider, run_escrow, &RunEscrow::ownerCall {}).await?, plan.owner)?;
    same("RunEscrow.treasury", read(provider, run_escrow, &RunEscrow::treasuryCall {}).await?, plan.treasury)?;
    same("AgentStake.usdc", read(provider, agent_stake, &AgentStake::usdcCall {}).await?, usdc)?;
    same("AgentStake.agentRegistry", read(provider, agent_stake, &AgentStake::agentRegistryCall {}).await?, agent_registry)?;
    same("AgentStake.runEscrow", read(provider, agent_stake, &AgentStake::runEscrowCall {}).await?, run_escrow)?;
    same("RunEscrow.trustedForwarder", read(provider, run_escrow, &RunEscrow::trustedForwarderCall {}).await?, forwarder)?;
    same("AgentStake.trustedForwarder", read(provider, agent_stake, &AgentStake::trustedForwarderCall {}).await?, forwarder)?;
    // A foreign registry trusts whom it trusts.
    if plan.agent_registry.is_none() {
        same("AgentRegistry.trustedForwarder", read(provider, agent_registry, &AgentRegistry::trustedForwarderCall {}).await?, forwarder)?;
    }
    let rules = read(provider, run_escrow, &RunEscrow::parametersCall {}).await?;
    ensure!(rules == EscrowRules::from(plan.parameters.escrow), "RunEscrow.parameters are {rules:?}, not those asked for");
    let rules = read(provider, agent_stake, &AgentStake::parametersCall {}).await?;
    ensure!(rules == StakeRules::from(plan.parameters.stake), "AgentStake.parameters are {rules:?}, not those asked for");
    Ok(())
}

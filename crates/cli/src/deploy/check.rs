//! What is refused before the first transaction.

use alloy::{
    primitives::{Address, Bytes, FixedBytes, U256, fixed_bytes, utils::format_units},
    providers::{DynProvider, Provider},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{AgentRegistry, AgentStake, ERC2771Forwarder, RunEscrow, TestUSDC};

use super::{journal::Journal, plan::Settled};
use crate::wallet::{Wallet, has_code, read};

/// ERC-165's name for ERC-721, which ERC-8004's identity registry is.
const ERC_721: FixedBytes<4> = fixed_bytes!("0x80ac58cd");

/// Refuses a plan that the contracts would refuse, or that would make a market that no agent can use.
pub(super) async fn arguments(provider: &DynProvider, plan: &Settled) -> Result<()> {
    ensure!(!plan.treasury.is_zero(), "the treasury cannot be the zero address");
    ensure!(!plan.owner.is_zero(), "the owner cannot be the zero address");
    if let Some(usdc) = plan.usdc {
        token(provider, usdc, plan.treasury).await?;
    }
    if let Some(registry) = plan.agent_registry {
        ensure!(has_code(provider, registry).await?, "no code at {registry}, where the agent registry should be");
        let is_erc721 = ask(provider, registry, &AgentRegistry::supportsInterfaceCall { interfaceId: ERC_721 }).await;
        ensure!(is_erc721 == Some(true), "{registry} is not an ERC-8004 identity registry: it does not say that it is an ERC-721");
    }
    Ok(())
}

async fn token(provider: &DynProvider, usdc: Address, treasury: Address) -> Result<()> {
    ensure!(has_code(provider, usdc).await?, "no code at {usdc}, where the token should be");
    let decimals = read(provider, usdc, &TestUSDC::decimalsCall {}).await.with_context(|| format!("{usdc} is not a token"))?;
    ensure!(decimals == 6, "the token at {usdc} has {decimals} decimals, not 6");
    ensure!(treasury != usdc, "the treasury cannot be the token");
    // A token without these has no pause and no blacklist.
    let is_paused = ask(provider, usdc, &TestUSDC::pausedCall {}).await;
    ensure!(is_paused != Some(true), "the token at {usdc} is paused");
    let is_blacklisted = ask(provider, usdc, &TestUSDC::isBlacklistedCall { account: treasury }).await;
    ensure!(is_blacklisted != Some(true), "the token at {usdc} has blacklisted the treasury {treasury}");
    Ok(())
}

/// A view that a contract need not have.
async fn ask<C: SolCall>(provider: &DynProvider, to: Address, call: &C) -> Option<C::Return> {
    read(provider, to, call).await.ok()
}

/// Refuses a deployer that cannot pay for what is still to be created, at twice the present base fee. A rollup's share of the cost of data
/// on its parent chain comes on top and is small beside this.
pub(super) async fn purse(deployer: &Wallet, journal: &Journal, plan: &Settled) -> Result<()> {
    let created: [(&str, &Bytes, bool); 5] = [
        ("TestUSDC", &TestUSDC::BYTECODE, plan.usdc.is_none()),
        ("ERC2771Forwarder", &ERC2771Forwarder::BYTECODE, true),
        ("AgentRegistry", &AgentRegistry::BYTECODE, plan.agent_registry.is_none()),
        ("AgentStake", &AgentStake::BYTECODE, true),
        ("RunEscrow", &RunEscrow::BYTECODE, true),
    ];
    let gas: u64 =
        created.iter().filter(|(name, _, is_ours)| *is_ours && journal.address(name).is_none()).map(|(_, code, _)| most_gas(code)).sum();
    let (provider, deployer) = (deployer.provider(), deployer.address());
    let fee = provider.estimate_eip1559_fees().await.context("the node names no gas price")?.max_fee_per_gas;
    let cost = U256::from(gas) * U256::from(fee);
    let balance = provider.get_balance(deployer).await?;
    ensure!(
        balance >= cost,
        "{deployer} has {} ETH; the deployment may take up to {gas} gas, which at {} gwei is {} ETH",
        format_units(balance, "ether")?,
        format_units(fee, "gwei")?,
        format_units(cost, "ether")?
    );
    Ok(())
}

/// More than creating a contract takes: the transaction, its bytes, the bytes kept, and a constructor that writes some words.
fn most_gas(code: &Bytes) -> u64 {
    const TRANSACTION: u64 = 53_000;
    const CONSTRUCTOR: u64 = 300_000;
    const BYTE_SENT: u64 = 16;
    const BYTE_KEPT: u64 = 200;
    let bytes = u64::try_from(code.len()).unwrap_or(u64::MAX);
    TRANSACTION + CONSTRUCTOR + bytes.saturating_mul(BYTE_SENT + BYTE_KEPT)
}

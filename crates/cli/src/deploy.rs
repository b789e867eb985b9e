//! The one way the contracts get onto a chain: used by `clawpay deploy`, the local stack and the tests.
//!
//! Order: token (local chains only), registry (unless there is one), `AgentStake` with the address `RunEscrow` is going to have,
//! `RunEscrow`. Afterwards everything is read back: a deployment is reported only if the chain agrees with what was asked for.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256},
    providers::{DynProvider, Provider},
    sol_types::SolConstructor,
};
use anyhow::{Context, Result, bail, ensure};
use clawpay_bindings::{AgentRegistry, AgentStake, Contracts, Deployment, RunEscrow, TestUSDC, agent_stake, run_escrow};
use clawpay_domain::{EscrowParameters, Parameters, StakeParameters, Usdc};

use crate::wallet::{Wallet, read};

/// Chain ids that development nodes use: anvil's and hardhat's, and ganache's.
const LOCAL_CHAINS: [u64; 2] = [31_337, 1_337];

/// Whether `chain_id` is a development node's, where a token anyone can mint does no harm.
pub fn is_local(chain_id: u64) -> bool {
    LOCAL_CHAINS.contains(&chain_id)
}

/// What to deploy. The default is what a local chain gets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// The token; on a local chain `TestUSDC` is deployed if there is none.
    pub usdc: Option<Address>,
    /// An existing ERC-8004 registry; ours is deployed if there is none.
    pub agent_registry: Option<Address>,
    /// Where collected fees go; the deployer if not said.
    pub treasury: Option<Address>,
    /// Who may change the treasury and pause new business; the deployer if not said.
    pub owner: Option<Address>,
    /// The rules, immutable once deployed.
    pub parameters: Parameters,
}

/// Deploys from `deployer`, which nothing else may send from meanwhile. `report` hears of each step.
pub async fn deploy(deployer: &Wallet, plan: &Plan, report: impl Fn(&str)) -> Result<Deployment> {
    let provider = deployer.provider();
    let chain_id = provider.get_chain_id().await.context("the node does not answer")?;
    let genesis = provider.get_block_by_number(BlockNumberOrTag::Earliest).await?.context("the node does not know block 0")?;
    let owner = plan.owner.unwrap_or(deployer.address());
    let treasury = plan.treasury.unwrap_or(deployer.address());

    // Wrong arguments are refused before the first transaction.
    if plan.usdc.is_none() && !is_local(chain_id) {
        bail!("chain {chain_id} is not a local one: say which token to use (--usdc or CLAWPAY_USDC)");
    }
    if let Some(usdc) = plan.usdc {
        require_code(provider, "the token", usdc).await?;
        let decimals = read(provider, usdc, &TestUSDC::decimalsCall {}).await.with_context(|| format!("{usdc} is not a token"))?;
        ensure!(decimals == 6, "the token at {usdc} has {decimals} decimals, not 6");
    }
    if let Some(registry) = plan.agent_registry {
        require_code(provider, "the agent registry", registry).await?;
    }

    let nonce = provider.get_transaction_count(deployer.address()).pending().await?;
    let mut site = Site { deployer, nonce, first_block: None, report };
    let usdc = match plan.usdc {
        Some(usdc) => usdc,
        None => site.create("TestUSDC", &TestUSDC::BYTECODE, &[]).await?,
    };
    // What an older registry has already emitted is not part of this market; the token's events are not followed at all.
    site.first_block = None;
    let agent_registry = match plan.agent_registry {
        Some(registry) => registry,
        None => site.create("AgentRegistry", &AgentRegistry::BYTECODE, &[]).await?,
    };
    let arguments = AgentStake::constructorCall {
        usdc_: usdc,
        agentRegistry_: agent_registry,
        runEscrow_: deployer.address().create(site.nonce + 1),
        rules: stake_parameters(&plan.parameters.stake),
    };
    let agent_stake = site.create("AgentStake", &AgentStake::BYTECODE, &arguments.abi_encode()).await?;
    let arguments = RunEscrow::constructorCall {
        usdc_: usdc,
        agentStake_: agent_stake,
        treasury_: treasury,
        owner_: owner,
        rules: escrow_parameters(&plan.parameters.escrow),
    };
    let run_escrow = site.create("RunEscrow", &RunEscrow::BYTECODE, &arguments.abi_encode()).await?;

    let deployment = Deployment {
        chain_id,
        genesis_hash: genesis.header.hash,
        deployment_block: site.first_block.context("the node's receipts name no block")?,
        contracts: Contracts { usdc, agent_registry, agent_stake, run_escrow },
    };
    (site.report)("checking");
    verify(provider, &deployment, plan, owner, treasury).await?;
    Ok(deployment)
}

/// Reads back everything that was asked for.
async fn verify(provider: &DynProvider, deployment: &Deployment, plan: &Plan, owner: Address, treasury: Address) -> Result<()> {
    let Contracts { usdc, agent_registry, agent_stake, run_escrow } = deployment.contracts;
    for (name, address) in [("TestUSDC", usdc), ("AgentRegistry", agent_registry), ("AgentStake", agent_stake), ("RunEscrow", run_escrow)] {
        require_code(provider, name, address).await?;
    }
    let same = |what: &str, found: Address, asked: Address| -> Result<()> {
        ensure!(found == asked, "{what} is {found}, not {asked}");
        Ok(())
    };
    same("RunEscrow.usdc", read(provider, run_escrow, &RunEscrow::usdcCall {}).await?, usdc)?;
    same("RunEscrow.agentStake", read(provider, run_escrow, &RunEscrow::agentStakeCall {}).await?, agent_stake)?;
    same("RunEscrow.owner", read(provider, run_escrow, &RunEscrow::ownerCall {}).await?, owner)?;
    same("RunEscrow.treasury", read(provider, run_escrow, &RunEscrow::treasuryCall {}).await?, treasury)?;
    same("AgentStake.usdc", read(provider, agent_stake, &AgentStake::usdcCall {}).await?, usdc)?;
    same("AgentStake.agentRegistry", read(provider, agent_stake, &AgentStake::agentRegistryCall {}).await?, agent_registry)?;
    same("AgentStake.runEscrow", read(provider, agent_stake, &AgentStake::runEscrowCall {}).await?, run_escrow)?;
    let rules = read(provider, run_escrow, &RunEscrow::parametersCall {}).await?;
    ensure!(rules == escrow_parameters(&plan.parameters.escrow), "RunEscrow.parameters are {rules:?}, not those asked for");
    let rules = read(provider, agent_stake, &AgentStake::parametersCall {}).await?;
    ensure!(rules == stake_parameters(&plan.parameters.stake), "AgentStake.parameters are {rules:?}, not those asked for");
    Ok(())
}

/// Refuses an address without code.
async fn require_code(provider: &DynProvider, name: &str, address: Address) -> Result<()> {
    let code = provider.get_code_at(address).await?;
    ensure!(!code.is_empty(), "no code at {address}, where {name} should be");
    Ok(())
}

/// A deployment in progress.
struct Site<'a, R> {
    deployer: &'a Wallet,
    /// The deployer's next nonce: it decides the next contract's address.
    nonce: u64,
    /// Block of the first contract since this was last cleared.
    first_block: Option<u64>,
    report: R,
}

impl<R: Fn(&str)> Site<'_, R> {
    async fn create(&mut self, name: &str, bytecode: &[u8], arguments: &[u8]) -> Result<Address> {
        (self.report)(name);
        let receipt =
            self.deployer.create([bytecode, arguments].concat(), self.nonce).await.with_context(|| format!("cannot deploy {name}"))?;
        self.nonce += 1;
        self.first_block = self.first_block.or(receipt.block_number);
        receipt.contract_address.with_context(|| format!("the node says no address for {name}"))
    }
}

fn escrow_parameters(parameters: &EscrowParameters) -> run_escrow::IRunEscrow::Parameters {
    run_escrow::IRunEscrow::Parameters {
        feeBps: U256::from(parameters.fee_bps),
        minimumReward: units(parameters.minimum_reward),
        submissionTimeout: U256::from(parameters.submission_timeout.0),
        reviewPeriod: U256::from(parameters.review_period.0),
        maxRevisions: U256::from(parameters.max_revisions),
        maxDeadlineAhead: U256::from(parameters.max_deadline_ahead.0),
    }
}

fn stake_parameters(parameters: &StakeParameters) -> agent_stake::IAgentStake::Parameters {
    agent_stake::IAgentStake::Parameters {
        minimumStake: units(parameters.minimum_stake),
        stakeAtRisk: units(parameters.stake_at_risk),
        bannedAfterSlashes: U256::from(parameters.banned_after_slashes),
        establishedAfter: U256::from(parameters.established_after.0),
        establishedCompletions: U256::from(parameters.established_completions),
    }
}

const fn units(amount: Usdc) -> U256 {
    amount.0
}

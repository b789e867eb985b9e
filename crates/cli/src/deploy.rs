//! The one way the contracts get onto a chain: used by `clawpay deploy`, the local stack and the tests.
//!
//! Order: token (local chains only), forwarder, registry (unless there is one), `AgentStake` with the address `RunEscrow` is going to have,
//! `RunEscrow`. Wrong arguments are refused before the first transaction; each transaction is noted before it is sent, so that an
//! interrupted deployment continues where it stopped; afterwards everything is read back: a deployment is reported only if the chain
//! agrees with what was asked for.

mod check;
mod journal;
mod plan;
mod step;
mod verify;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, Bytes},
    providers::Provider,
    sol_types::SolConstructor,
};
use anyhow::{Context, Result, bail, ensure};
use clawpay_bindings::{AgentRegistry, AgentStake, Contracts, Deployment, ERC2771Forwarder, FORWARDER_NAME, RunEscrow, TestUSDC};

pub use journal::Journal;
pub use plan::Plan;
pub use step::Step;

use crate::wallet::{LAST_WAIT, MINED_WITHIN, Wallet, has_code};
use journal::Note;
use plan::Settled;

/// Chain ids that development nodes use: anvil's and hardhat's, and ganache's.
const LOCAL_CHAINS: [u64; 2] = [31_337, 1_337];

/// Whether `chain_id` is a development node's, where a token anyone can mint does no harm.
pub fn is_local(chain_id: u64) -> bool {
    LOCAL_CHAINS.contains(&chain_id)
}

/// Deploys from `deployer`, which nothing else may send from meanwhile. `report` hears of each step.
pub async fn deploy(deployer: &Wallet, plan: &Plan, report: impl Fn(&Step<'_>)) -> Result<Deployment> {
    deploy_or_continue(deployer, plan, &mut Journal::in_memory(), report).await
}

/// As [`deploy`], reusing what `journal` says an interrupted deployment by the same account has already put there, as far as it is what
/// `plan` asks for.
pub async fn deploy_or_continue(deployer: &Wallet, plan: &Plan, journal: &mut Journal, report: impl Fn(&Step<'_>)) -> Result<Deployment> {
    let provider = deployer.provider();
    let chain_id = provider.get_chain_id().await.context("the node does not answer")?;
    let genesis = provider.get_block_by_number(BlockNumberOrTag::Earliest).await?.context("the node does not know block 0")?;
    let genesis_hash = genesis.header.hash;
    if plan.usdc.is_none() && !is_local(chain_id) {
        bail!("chain {chain_id} is not a local one: say which token to use (--usdc or CLAWPAY_USDC)");
    }
    let settled = plan.settled(deployer.address());
    check::arguments(provider, &settled).await?;

    journal.belong_to(chain_id, genesis_hash, deployer.address());
    let nonce = settled_nonce(deployer, &report).await?;
    let mut site = Site { deployer, nonce, journal, report };
    check::purse(deployer, site.journal, &settled).await?;
    let contracts = site.build(&settled).await?;

    site.wait_for_confirmations(plan.confirmations).await?;
    (site.report)(&Step::Checking);
    verify::verify(provider, &contracts, &settled).await?;
    Ok(Deployment { chain_id, genesis_hash, deployment_block: site.first_block(&contracts)?, contracts })
}

/// The deployer's next nonce, once none of its transactions is on its way: an interrupted deployment may have left some.
async fn settled_nonce(deployer: &Wallet, report: impl Fn(&Step<'_>)) -> Result<u64> {
    let (provider, address) = (deployer.provider(), deployer.address());
    let until = tokio::time::Instant::now() + MINED_WITHIN;
    let mut is_reported = false;
    loop {
        let pending = provider.get_transaction_count(address).pending().await?;
        let mined = provider.get_transaction_count(address).latest().await?;
        if pending <= mined {
            return Ok(mined);
        }
        let waiting = pending - mined;
        ensure!(
            tokio::time::Instant::now() < until,
            "{waiting} transaction(s) of {address} are not mined after {} s: replace them, or wait and try again",
            MINED_WITHIN.as_secs()
        );
        if !is_reported {
            report(&Step::Waiting { transactions: waiting });
            is_reported = true;
        }
        tokio::time::sleep(LAST_WAIT).await;
    }
}

/// A deployment in progress.
struct Site<'a, R> {
    deployer: &'a Wallet,
    /// The deployer's next nonce: it decides the next contract's address.
    nonce: u64,
    journal: &'a mut Journal,
    report: R,
}

impl<R: Fn(&Step<'_>)> Site<'_, R> {
    async fn build(&mut self, plan: &Settled) -> Result<Contracts> {
        let usdc = match plan.usdc {
            Some(usdc) => usdc,
            None => self.create("TestUSDC", code(&TestUSDC::BYTECODE, &[])).await?,
        };
        let arguments = ERC2771Forwarder::constructorCall { name: FORWARDER_NAME.to_owned() };
        let forwarder = self.create("ERC2771Forwarder", code(&ERC2771Forwarder::BYTECODE, &arguments.abi_encode())).await?;
        let arguments = AgentRegistry::constructorCall { forwarder_: forwarder };
        let agent_registry = match plan.agent_registry {
            Some(registry) => registry,
            None => self.create("AgentRegistry", code(&AgentRegistry::BYTECODE, &arguments.abi_encode())).await?,
        };

        // The pair know each other by immutable addresses: AgentStake is told the one that RunEscrow is going to have.
        let agent_stake_code = |run_escrow| {
            let arguments = AgentStake::constructorCall {
                usdc_: usdc,
                agentRegistry_: agent_registry,
                runEscrow_: run_escrow,
                forwarder_: forwarder,
                rules: plan.parameters.stake.into(),
            };
            code(&AgentStake::BYTECODE, &arguments.abi_encode())
        };
        let run_escrow_code = |agent_stake| {
            let arguments = RunEscrow::constructorCall {
                usdc_: usdc,
                agentStake_: agent_stake,
                forwarder_: forwarder,
                treasury_: plan.treasury,
                owner_: plan.owner,
                rules: plan.parameters.escrow.into(),
            };
            code(&RunEscrow::BYTECODE, &arguments.abi_encode())
        };
        if let (Some(agent_stake), Some(run_escrow)) = (self.journal.address("AgentStake"), self.journal.address("RunEscrow"))
            && self.stands("AgentStake", &agent_stake_code(run_escrow)).await?
            && self.stands("RunEscrow", &run_escrow_code(agent_stake)).await?
        {
            self.report_standing("AgentStake", agent_stake);
            self.report_standing("RunEscrow", run_escrow);
            return Ok(Contracts { usdc, agent_registry, agent_stake, run_escrow, forwarder });
        }
        // One AgentStake from last time still serves if its RunEscrow would be created next.
        let next = agent_stake_code(self.deployer.address().create(self.nonce));
        let agent_stake = match self.journal.address("AgentStake") {
            Some(agent_stake) if self.stands("AgentStake", &next).await? => {
                self.report_standing("AgentStake", agent_stake);
                agent_stake
            }
            _ => self.create("AgentStake", agent_stake_code(self.deployer.address().create(self.nonce + 1))).await?,
        };
        let run_escrow = self.create("RunEscrow", run_escrow_code(agent_stake)).await?;
        Ok(Contracts { usdc, agent_registry, agent_stake, run_escrow, forwarder })
    }

    /// Creates the contract `name`, unless it stands since last time.
    async fn create(&mut self, name: &'static str, code: Bytes) -> Result<Address> {
        if let Some(address) = self.journal.address(name)
            && self.stands(name, &code).await?
        {
            self.report_standing(name, address);
            return Ok(address);
        }
        (self.report)(&Step::Creating { name });
        let address = self.deployer.address().create(self.nonce);
        let head = self.deployer.provider().get_block_number().await?;
        // Noted first: a transaction that was sent must not be forgotten.
        self.journal.note(name, Note::new(address, &code, head))?;
        let receipt = self.deployer.create(code, self.nonce).await.with_context(|| format!("cannot deploy {name}"))?;
        self.nonce += 1;
        ensure!(
            receipt.contract_address == Some(address),
            "{name} came to {:?} instead of {address}: nothing else may send from {} during a deployment",
            receipt.contract_address,
            self.deployer.address()
        );
        (self.report)(&Step::Created { name, address, gas: receipt.gas_used });
        Ok(address)
    }

    /// Whether exactly this contract stands where the journal says.
    async fn stands(&self, name: &'static str, code: &Bytes) -> Result<bool> {
        match self.journal.address_of(name, code) {
            Some(address) => has_code(self.deployer.provider(), address).await,
            None => Ok(false),
        }
    }

    fn report_standing(&self, name: &'static str, address: Address) {
        (self.report)(&Step::Standing { name, address });
    }

    async fn wait_for_confirmations(&self, confirmations: u64) -> Result<()> {
        if confirmations == 0 {
            return Ok(());
        }
        (self.report)(&Step::Confirming { blocks: confirmations });
        let provider = self.deployer.provider();
        let last = provider.get_block_number().await?;
        let wait = async {
            while provider.get_block_number().await? < last + confirmations {
                tokio::time::sleep(LAST_WAIT).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(MINED_WITHIN, wait)
            .await
            .with_context(|| format!("{confirmations} more blocks did not come in {} s", MINED_WITHIN.as_secs()))?
    }

    /// A block before which none of the contracts can have emitted anything. What an older registry has emitted is not part of this
    /// market; the token's events are not followed at all.
    fn first_block(&self, contracts: &Contracts) -> Result<u64> {
        self.journal.first_block(&contracts.indexed()).context("nothing was deployed")
    }
}

/// What creates a contract.
fn code(bytecode: &[u8], arguments: &[u8]) -> Bytes {
    [bytecode, arguments].concat().into()
}

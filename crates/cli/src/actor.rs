//! An account on the market that calls the contracts directly: posts, claims, delivers, reviews.
//!
//! Used where transactions come from this program itself, as the demo market's do, and by tests.

use alloy::{
    primitives::{Address, U256},
    rpc::types::TransactionReceipt,
    sol_types::SolEvent,
};
use anyhow::{Context, Result};
use clawpay_bindings::{AgentRegistry, Call, Contracts, RunEscrow, TestUSDC, run_escrow::IRunEscrow};
use clawpay_domain::{AgentId, NewRun, RunId, Timestamp, Usdc};

use crate::wallet::{Wallet, read};

/// An account on one market. Each verb returns when it is mined; a revert is an error.
#[derive(Clone, Debug)]
pub struct Actor {
    wallet: Wallet,
    contracts: Contracts,
}

impl Actor {
    /// `wallet` on the market at `contracts`.
    pub const fn new(wallet: Wallet, contracts: Contracts) -> Self {
        Self { wallet, contracts }
    }

    /// Its account.
    pub const fn address(&self) -> Address {
        self.wallet.address()
    }

    /// What it signs and sends with.
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// Makes `amount` of test money for `to`. Local chains only.
    pub async fn mint(&self, to: Address, amount: Usdc) -> Result<TransactionReceipt> {
        self.wallet.call(self.contracts.usdc, &TestUSDC::mintCall { to, amount: amount.0 }).await
    }

    /// What it holds.
    pub async fn balance(&self) -> Result<Usdc> {
        read(self.wallet.provider(), self.contracts.usdc, &TestUSDC::balanceOfCall { account: self.address() }).await.map(Usdc)
    }

    /// Any one call, without the allowance it may need.
    pub async fn perform(&self, call: &Call) -> Result<TransactionReceipt> {
        self.wallet.send(call.contract(&self.contracts), call.calldata()).await.with_context(|| format!("{call:?} failed"))
    }

    /// Registers a new agent.
    pub async fn register(&self, agent_uri: &str) -> Result<AgentId> {
        let receipt = self.perform(&Call::Register { agent_uri: agent_uri.to_owned() }).await?;
        let event: AgentRegistry::Registered = event(&receipt, self.contracts.agent_registry)?;
        Ok(AgentId(u64::try_from(event.agentId)?))
    }

    /// Stakes `amount` for `agent`, allowance included.
    pub async fn stake(&self, agent: AgentId, amount: Usdc) -> Result<TransactionReceipt> {
        self.perform(&Call::ApproveUsdc { spender: self.contracts.agent_stake, amount }).await?;
        self.perform(&Call::Stake { agent, amount }).await
    }

    /// Withdraws `amount` of `agent`'s free stake.
    pub async fn unstake(&self, agent: AgentId, amount: Usdc) -> Result<TransactionReceipt> {
        self.perform(&Call::Unstake { agent, amount }).await
    }

    /// Writes a run down without funding it.
    pub async fn draft(&self, run: NewRun) -> Result<RunId> {
        self.created(&self.perform(&Call::Create(run)).await?)
    }

    /// Creates and funds a run, allowance included.
    pub async fn post(&self, run: NewRun) -> Result<RunId> {
        let rules = read(self.wallet.provider(), self.contracts.run_escrow, &RunEscrow::parametersCall {}).await?;
        let fee = run.reward.0 * rules.feeBps / U256::from(10_000);
        self.allow_escrow(Usdc(run.reward.0 + fee)).await?;
        self.created(&self.perform(&Call::CreateAndFund(run)).await?)
    }

    /// Funds a draft, allowance included.
    pub async fn fund(&self, run: RunId) -> Result<TransactionReceipt> {
        let facts = self.run(run).await?;
        self.allow_escrow(Usdc(facts.reward + facts.fee)).await?;
        self.perform(&Call::Fund { run }).await
    }

    /// Withdraws an unclaimed run.
    pub async fn cancel(&self, run: RunId) -> Result<TransactionReceipt> {
        self.perform(&Call::Cancel { run }).await
    }

    /// Claims a run for `agent`, on the terms it has now.
    pub async fn claim(&self, run: RunId, agent: AgentId) -> Result<TransactionReceipt> {
        let terms = RunEscrow::termsOfCall { runId: U256::from(run.0) };
        let expected_terms = read(self.wallet.provider(), self.contracts.run_escrow, &terms).await?;
        self.perform(&Call::Claim { run, agent, expected_terms }).await
    }

    /// Says that work has begun.
    pub async fn start(&self, run: RunId) -> Result<TransactionReceipt> {
        self.perform(&Call::Start { run }).await
    }

    /// Delivers.
    pub async fn submit(&self, run: RunId, deliverable_uri: &str) -> Result<TransactionReceipt> {
        self.perform(&Call::Submit { run, deliverable_uri: deliverable_uri.to_owned() }).await
    }

    /// Asks for changes to the submission there is now.
    pub async fn request_revision(&self, run: RunId, feedback: &str) -> Result<TransactionReceipt> {
        let expected_review_by = timestamp(self.run(run).await?.reviewBy)?;
        self.perform(&Call::RequestRevision { run, expected_review_by, feedback: feedback.to_owned() }).await
    }

    /// Accepts the submission there is now.
    pub async fn approve(&self, run: RunId) -> Result<TransactionReceipt> {
        let expected_review_by = timestamp(self.run(run).await?.reviewBy)?;
        self.perform(&Call::Approve { run, expected_review_by }).await
    }

    /// Refuses the submission there is now, or a requested revision that never came.
    pub async fn reject(&self, run: RunId) -> Result<TransactionReceipt> {
        let facts = self.run(run).await?;
        let expected_deadline = timestamp(facts.reviewBy.max(facts.dueAt))?;
        self.perform(&Call::Reject { run, expected_deadline }).await
    }

    /// Approves by silence.
    pub async fn finalize(&self, run: RunId) -> Result<TransactionReceipt> {
        self.perform(&Call::Finalize { run }).await
    }

    /// Takes the stake at risk of an agent that is late.
    pub async fn slash(&self, run: RunId) -> Result<TransactionReceipt> {
        self.perform(&Call::Slash { run }).await
    }

    /// The run as the contract holds it.
    pub async fn run(&self, run: RunId) -> Result<IRunEscrow::Run> {
        read(self.wallet.provider(), self.contracts.run_escrow, &RunEscrow::getRunCall { runId: U256::from(run.0) }).await
    }

    async fn allow_escrow(&self, amount: Usdc) -> Result<TransactionReceipt> {
        self.perform(&Call::ApproveUsdc { spender: self.contracts.run_escrow, amount }).await
    }

    /// The id of the run that a transaction created.
    fn created(&self, receipt: &TransactionReceipt) -> Result<RunId> {
        let event: RunEscrow::RunCreated = event(receipt, self.contracts.run_escrow)?;
        Ok(RunId(u64::try_from(event.runId)?))
    }
}

fn timestamp(word: U256) -> Result<Timestamp> {
    Ok(Timestamp(u64::try_from(word)?))
}

/// The first event of this kind that `contract` emitted in a transaction.
fn event<E: SolEvent>(receipt: &TransactionReceipt, contract: Address) -> Result<E> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == contract)
        .find_map(|log| E::decode_log(&log.inner).ok())
        .map(|log| log.data)
        .with_context(|| format!("no {} in transaction {}", E::SIGNATURE, receipt.transaction_hash))
}

//! The index against the contracts: every run, every agent and every total, by the contracts' own views at the block the index is at.
//!
//! Works beside a live indexer: the rows are one snapshot of the database, and the views are asked for that very block. Only a page of rows
//! and the chain's answers about them are in memory at once. What only events say (texts, and when things happened) has no view to be
//! compared with; the digest covers it between two indexes.

mod compare;

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    sol_types::SolCall,
};
use clawpay_bindings::{AgentRegistry, AgentStake, Contracts, RunEscrow, TestUSDC, run_escrow::IRunEscrow};
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_store::{MarketTotals, Snapshot, StoreError};
use serde::Serialize;
use thiserror::Error;

use crate::{
    chain::Node,
    config::Config,
    error::{IndexError, NodeError},
};

pub use self::compare::Difference;
use self::compare::{Comparison, Identity};

/// Runs or agents looked at together.
const PAGE: u16 = 200;

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// Node or database cannot be asked.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The indexed block was replaced meanwhile.
    #[error("block {0} was replaced while it was looked at; run it again")]
    Reorganised(u64),
    /// A contract's answer is not what its ABI says.
    #[error("the answer of {call} at block {block} is not understood")]
    Answer {
        /// Which view.
        call: &'static str,
        /// By which block.
        block: u64,
    },
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Index(error.into())
    }
}

impl From<NodeError> for VerifyError {
    fn from(error: NodeError) -> Self {
        Self::Index(error.into())
    }
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Height of the block that both were asked about.
    pub block: u64,
    /// Its hash.
    pub block_hash: B256,
    /// Runs compared.
    pub runs: u64,
    /// Agents compared.
    pub agents: u64,
    /// Of all rows, as computed from them now.
    pub digest: B256,
    /// How many facts differ.
    pub differences: u64,
}

/// Compares everything in `snapshot` with the contracts on the node of `config`, and reports each difference as it is found.
///
/// # Errors
/// Node or database is away, the indexed block was replaced meanwhile, or a contract answers what its ABI does not say.
pub async fn verify(config: &Config, snapshot: Snapshot, report: impl FnMut(Difference)) -> Result<Verified, VerifyError> {
    let node = Node::new(config)?;
    node.settle().await?;
    let indexed = snapshot.indexed;
    let contracts = config.deployment.contracts;
    let chain = Chain { node, contracts, block: indexed.number };
    chain.require_block(indexed.hash).await?;
    let parameters = snapshot.chain.parameters.stake;
    let mut check = Check { chain, snapshot, comparison: Comparison::new(report, parameters, indexed.timestamp) };
    let runs = check.runs().await?;
    let agents = check.agents().await?;
    check.totals(runs, agents).await?;
    check.chain.require_block(indexed.hash).await?;
    let (digest, differences) = (check.comparison.digest(), check.comparison.differences());
    Ok(Verified { block: indexed.number, block_hash: indexed.hash, runs, agents, digest, differences })
}

/// The contracts, at one block.
struct Chain {
    node: Node,
    contracts: Contracts,
    block: u64,
}

impl Chain {
    async fn require_block(&self, hash: B256) -> Result<(), VerifyError> {
        let header = self.node.header(self.block).await?.ok_or(NodeError::MissingBlock(self.block))?;
        if header.hash == hash { Ok(()) } else { Err(VerifyError::Reorganised(self.block)) }
    }

    /// One view asked many times; nothing where it reverts.
    async fn views<C: SolCall>(&self, to: Address, calls: impl Iterator<Item = C>) -> Result<Vec<Option<C::Return>>, VerifyError> {
        let calls: Vec<_> = calls.map(|call| (to, call.abi_encode())).collect();
        let answers = self.node.calls(&calls, self.block).await?;
        let decode =
            |answer: Bytes| C::abi_decode_returns(&answer).map_err(|_| VerifyError::Answer { call: C::SIGNATURE, block: self.block });
        answers.into_iter().map(|answer| answer.map(decode).transpose()).collect()
    }

    /// One view asked once; nothing if it reverts.
    async fn view<C: SolCall>(&self, to: Address, call: C) -> Result<Option<C::Return>, VerifyError> {
        Ok(self.views(to, std::iter::once(call)).await?.pop().flatten())
    }

    /// One view that never reverts.
    async fn number<C: SolCall<Return = U256>>(&self, to: Address, call: C) -> Result<U256, VerifyError> {
        self.view(to, call).await?.ok_or(VerifyError::Answer { call: C::SIGNATURE, block: self.block })
    }

    async fn runs(&self, ids: &[u64]) -> Result<Vec<Option<IRunEscrow::Run>>, VerifyError> {
        let calls = ids.iter().map(|id| RunEscrow::getRunCall { runId: U256::from(*id) });
        self.views(self.contracts.run_escrow, calls).await
    }

    async fn agents(&self, ids: &[u64]) -> Result<Vec<Identity>, VerifyError> {
        let registry = self.contracts.agent_registry;
        let each = || ids.iter().map(|id| U256::from(*id));
        let owners = self.views(registry, each().map(|id| AgentRegistry::ownerOfCall { tokenId: id })).await?;
        let wallets = self.views(registry, each().map(|id| AgentRegistry::getAgentWalletCall { agentId: id })).await?;
        let stakes = self.views(self.contracts.agent_stake, each().map(|id| AgentStake::getAgentCall { agentId: id })).await?;
        let all = owners.into_iter().zip(wallets).zip(stakes);
        Ok(all.map(|((owner, wallet), stake)| Identity { owner, wallet, stake }).collect())
    }
}

/// The comparison under way.
struct Check<F> {
    chain: Chain,
    snapshot: Snapshot,
    comparison: Comparison<F>,
}

impl<F: FnMut(Difference)> Check<F> {
    /// Every run of either side. Answers how many the chain has.
    async fn runs(&mut self) -> Result<u64, VerifyError> {
        let count = self.chain.number(self.chain.contracts.run_escrow, RunEscrow::runCountCall {}).await?;
        let count = u64::try_from(count).map_err(|_| VerifyError::Answer { call: "runCount()", block: self.chain.block })?;
        for first in (1..=count).step_by(PAGE.into()) {
            let last = count.min(first.saturating_add(u64::from(PAGE) - 1));
            let ids = Vec::from_iter(first..=last);
            let mut rows = self.snapshot.runs_in(RunId(first)..=RunId(last)).await?.into_iter().peekable();
            for (id, run) in ids.iter().zip(self.chain.runs(&ids).await?) {
                let row = rows.next_if(|row| row.run.id.0 == *id);
                self.comparison.run(RunId(*id), row.as_ref(), run.as_ref());
            }
        }
        // Rows that the chain knows nothing of.
        let mut next = RunId(0);
        loop {
            let rows = self.snapshot.runs_outside(RunId(1)..=RunId(count), next, PAGE).await?;
            let Some(last) = rows.last() else { break };
            next = RunId(last.run.id.0.saturating_add(1));
            for row in &rows {
                self.comparison.run(row.run.id, Some(row), None);
            }
        }
        Ok(count)
    }

    /// Every agent of either side. Answers how many rows and registered agents were looked at. A registry that is not ours does not say how
    /// many it has: then only those of the index.
    async fn agents(&mut self) -> Result<u64, VerifyError> {
        let count = self.chain.view(self.chain.contracts.agent_registry, AgentRegistry::agentCountCall {}).await?;
        let count = u64::try_from(count.unwrap_or_default()).unwrap_or_default();
        let mut compared = 0;
        for first in (1..=count).step_by(PAGE.into()) {
            let last = count.min(first.saturating_add(u64::from(PAGE) - 1));
            let ids = Vec::from_iter(first..=last);
            let mut rows = self.snapshot.agents_in(AgentId(first)..=AgentId(last)).await?.into_iter().peekable();
            for (id, identity) in ids.iter().zip(self.chain.agents(&ids).await?) {
                let row = rows.next_if(|row| row.agent.id.0 == *id);
                self.comparison.agent(AgentId(*id), row.as_ref(), &identity);
                compared += 1;
            }
        }
        let mut next = AgentId(0);
        loop {
            let rows = self.snapshot.agents_outside(AgentId(1)..=AgentId(count), next, PAGE).await?;
            let Some(last) = rows.last() else { break };
            next = AgentId(last.agent.id.0.saturating_add(1));
            let ids: Vec<_> = rows.iter().map(|row| row.agent.id.0).collect();
            for (row, identity) in rows.iter().zip(self.chain.agents(&ids).await?) {
                self.comparison.agent(row.agent.id, Some(row), &identity);
                compared += 1;
            }
        }
        Ok(compared)
    }

    /// What the API sums up, against the same sums over what the chain says, and against the money.
    async fn totals(&mut self, runs: u64, agents: u64) -> Result<(), VerifyError> {
        let totals = self.snapshot.totals().await?;
        self.comparison.fact("totals", "runs", totals.runs.iter().map(|runs| runs.count).sum::<u64>(), runs);
        self.comparison.fact("totals", "agents", totals.agents, agents);
        self.comparison.fact("totals", "staked", totals.staked.0, self.comparison.sums.staked);
        for state in self.comparison.sums.compared(&totals) {
            self.comparison.differ("totals", state.fact, state.index, state.chain);
        }
        let contracts = self.chain.contracts;
        let fees = self.chain.number(contracts.run_escrow, RunEscrow::uncollectedFeesCall {}).await?;
        self.comparison.at_most("uncollected fees", fees, earned(&totals).0);
        for (fact, account, owed) in [
            ("escrowed and uncollected", contracts.run_escrow, self.comparison.sums.escrowed.saturating_add(fees)),
            ("staked", contracts.agent_stake, self.comparison.sums.staked),
        ] {
            let balance = self.chain.number(contracts.usdc, TestUSDC::balanceOfCall { account }).await?;
            self.comparison.at_most(fact, owed, balance);
        }
        let noted = self.snapshot.state_digest().await?;
        if let Some(noted) = noted {
            self.comparison.fact(
                "state digest",
                "kept beside the block, and computed from the rows",
                noted.to_word(),
                self.comparison.digest(),
            );
        }
        Ok(())
    }
}

/// Fees of paid runs.
fn earned(totals: &MarketTotals) -> Usdc {
    totals.runs.iter().filter(|runs| runs.state == clawpay_domain::RunState::Approved).map(|runs| runs.fees).sum()
}

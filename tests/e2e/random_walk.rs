//! One random walk, taken on a real node through the real contracts and on the domain at once: after each step both hold the same.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes, TxHash, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    signers::SignerSync,
    sol,
    sol_types::{SolCall, SolStruct, eip712_domain},
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{AgentRegistry, AgentStake, Call as Verb, Revert, RunEscrow, TestUSDC, agent_stake::IAgentStake};
use clawpay_cli::wallet::read;
use clawpay_domain::{Agent, AgentId, Parameters, Refusal, Run, RunId, Timestamp, Usdc, rules::Action};
use clawpay_tests::{Stack, key};
use serde_json::{Value, json};

use market::{Call, Market};
use walk::{AMOUNTS, Choice, Step, VERBS, Wait};

#[path = "../../crates/domain/tests/law/market.rs"]
mod market;
#[path = "../../crates/domain/tests/law/walk.rs"]
mod walk;

sol! {
    /// What a new agent wallet signs.
    struct AgentWalletSet { uint256 agentId; address newWallet; address owner; uint256 deadline; }
}

const STEPS: u32 = 600;
const FUNDS: Usdc = Usdc::whole(1_000_000);
/// More than any verb uses, so that a refused call is mined too and can be asked why.
const GAS: u64 = 1_000_000;

#[tokio::test]
async fn the_contracts_and_the_domain_take_the_same_walk() -> Result<()> {
    let mut dice = Dice::new()?;
    let mut walk = Walk::begin().await?;
    let (mut made, mut refused) = (0_u32, 0_u32);
    for number in 0..STEPS {
        let choice = dice.choice();
        let step = Step::choose(&choice, &walk.market, &walk.accounts, walk.now);
        let outcome = walk.take(step.clone()).await.with_context(|| format!("step {number}: {step:?}"))?;
        if outcome.is_ok() { made += 1 } else { refused += 1 }
    }
    walk.compare_runs(1..=walk.market.runs.len() as u64).await?;
    ensure!(made > STEPS / 10 && refused > STEPS / 10, "{made} steps were made and {refused} refused: such a walk shows little");
    Ok(())
}

/// The same market twice.
struct Walk {
    stack: Stack,
    market: Market,
    accounts: Vec<Address>,
    now: Timestamp,
}

impl Walk {
    /// Four accounts with money, two of which register and stake for an agent.
    async fn begin() -> Result<Self> {
        let stack = Stack::node().await?;
        let mut accounts = Vec::new();
        for index in 1..=4 {
            let actor = stack.funded_actor(index, FUNDS).await?;
            let contracts = stack.deployment.contracts;
            for spender in [contracts.run_escrow, contracts.agent_stake] {
                actor.perform(&Verb::ApproveUsdc { spender, amount: Usdc(U256::MAX) }).await?;
            }
            accounts.push(actor.address());
        }
        let now = stack.now().await?;
        let market = Market::new(Parameters::default(), &accounts, FUNDS);
        let mut walk = Self { stack, market, accounts, now };
        for agent in [AgentId(1), AgentId(2)] {
            let caller = walk.accounts[usize::try_from(agent.0)?];
            for call in [Call::Register, Call::Stake { agent, amount: Usdc::whole(30) }] {
                walk.take(Step { now: walk.now, caller, call }).await??;
            }
        }
        Ok(walk)
    }

    /// Takes one step on both sides and compares what came of it.
    async fn take(&mut self, step: Step) -> Result<Result<(), Refusal>> {
        // No two blocks share a second here.
        self.now = step.now.max(Timestamp(self.now.0 + 1));
        let expected = self.market.perform(step.caller, &step.call, self.now);
        let actual = self.send(step.caller, &step.call).await?;
        match (&expected, &actual) {
            (Ok(()), None) => {}
            (Err(refusal), Some(Revert::Refusal(reverted))) if refusal == reverted => {}
            _ => anyhow::bail!("at {}: the domain says {expected:?}, the contracts {actual:?}", self.now),
        }
        if let Call::Act { run, .. } = step.call {
            self.compare_runs(run.0..=run.0).await?;
        }
        self.compare_agents().await?;
        self.compare_money().await?;
        Ok(expected)
    }

    /// Mines the call as the only one of a block at `now`; answers why it reverted, if it did.
    async fn send(&self, caller: Address, call: &Call) -> Result<Option<Revert>> {
        let provider = self.stack.provider();
        let (to, data) = self.calldata(caller, call)?;
        provider.anvil_set_next_block_timestamp(self.now.0).await?;
        let request = TransactionRequest::default().with_from(caller).with_to(to).with_input(data).with_gas_limit(GAS);
        let hash = *provider.send_transaction(request).await?.tx_hash();
        if self.succeeded(hash).await? {
            return Ok(None);
        }
        let trace: Value = provider.raw_request("debug_traceTransaction".into(), (hash, json!({ "tracer": "callTracer" }))).await?;
        let data: Bytes = trace["output"].as_str().context("a reverted call without data")?.parse()?;
        Ok(Some(Revert::decode(&data)))
    }

    /// What a wallet would send.
    fn calldata(&self, caller: Address, call: &Call) -> Result<(Address, Bytes)> {
        let contracts = &self.stack.deployment.contracts;
        let verb = match call {
            Call::Register => Verb::Register { agent_uri: String::new() },
            Call::Stake { agent, amount } => Verb::Stake { agent: *agent, amount: *amount },
            Call::Unstake { agent, amount } => Verb::Unstake { agent: *agent, amount: *amount },
            Call::Create(new) => Verb::Create(new.clone()),
            Call::CreateAndFund(new) => Verb::CreateAndFund(new.clone()),
            Call::Act { run, action } => verb(*run, action)?,
            Call::Transfer { agent, to } => {
                let transfer = AgentRegistry::transferFromCall { from: caller, to: *to, tokenId: U256::from(agent.0) };
                return Ok((contracts.agent_registry, transfer.abi_encode().into()));
            }
            Call::SetWallet { agent, wallet } => return Ok((contracts.agent_registry, self.consent(caller, *agent, *wallet)?)),
        };
        Ok((verb.contract(contracts), verb.calldata()))
    }

    /// `setAgentWallet` with the signature by which the new wallet consents.
    fn consent(&self, owner: Address, agent: AgentId, wallet: Address) -> Result<Bytes> {
        let index = (1..=4).find(|&index| key(index).address() == wallet).context("a wallet whose key is known")?;
        let deadline = U256::from(self.now.0);
        let consent = AgentWalletSet { agentId: U256::from(agent.0), newWallet: wallet, owner, deadline };
        let domain = eip712_domain! {
            name: "ERC8004IdentityRegistry",
            version: "1",
            chain_id: self.stack.deployment.chain_id,
            verifying_contract: self.stack.deployment.contracts.agent_registry,
        };
        let signature = key(index).sign_hash_sync(&consent.eip712_signing_hash(&domain))?;
        let call = AgentRegistry::setAgentWalletCall {
            agentId: consent.agentId,
            newWallet: wallet,
            deadline,
            signature: signature.as_bytes().to_vec().into(),
        };
        Ok(call.abi_encode().into())
    }

    /// Whether a transaction succeeded. The node mines it at once, and soon knows that it has.
    async fn succeeded(&self, hash: TxHash) -> Result<bool> {
        for _ in 0..1_000 {
            if let Some(receipt) = self.stack.provider().get_transaction_receipt(hash).await? {
                let block = receipt.block_number.context("a receipt has a block")?;
                let block = self.stack.provider().get_block_by_number(block.into()).await?.context("a mined block")?;
                ensure!(block.header.timestamp == self.now.0, "mined at {}, not at {}", block.header.timestamp, self.now);
                return Ok(receipt.status());
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        anyhow::bail!("transaction {hash} is not mined")
    }

    async fn compare_runs(&self, ids: impl Iterator<Item = u64>) -> Result<()> {
        for id in ids {
            let run = self.market.run(RunId(id));
            let escrow = self.stack.deployment.contracts.run_escrow;
            let actual = read(self.stack.provider(), escrow, &RunEscrow::getRunCall { runId: U256::from(id) }).await?;
            let actual = RunFacts {
                poster: actual.poster,
                amounts: [actual.reward, actual.fee],
                deadline: actual.deadline,
                state: actual.state,
                revisions: [actual.revisions, actual.maxRevisions],
                holder: (actual.wallet != Address::ZERO).then_some((actual.agentId, actual.wallet)),
                due_at: actual.dueAt,
                review_by: actual.reviewBy,
            };
            ensure!(actual == RunFacts::of(run), "run {id} is {actual:?} on the node, {:?} in the domain", RunFacts::of(run));
        }
        Ok(())
    }

    async fn compare_agents(&self) -> Result<()> {
        let contracts = self.stack.deployment.contracts;
        for agent in &self.market.agents {
            let id = U256::from(agent.id.0);
            let owner = read(self.stack.provider(), contracts.agent_registry, &AgentRegistry::ownerOfCall { tokenId: id }).await?;
            ensure!(Some(owner) == agent.owner, "agent {} is owned by {owner}, in the domain by {:?}", agent.id, agent.owner);
            let wallet = read(self.stack.provider(), contracts.agent_registry, &AgentRegistry::getAgentWalletCall { agentId: id }).await?;
            ensure!(
                wallet == agent.wallet.unwrap_or_default(),
                "agent {} has the wallet {wallet}, in the domain {:?}",
                agent.id,
                agent.wallet
            );
            let actual = read(self.stack.provider(), contracts.agent_stake, &AgentStake::getAgentCall { agentId: id }).await?;
            let expected = self.record_of(agent);
            ensure!(actual == expected, "agent {} is {actual:?} on the node, {expected:?} in the domain", agent.id);
        }
        Ok(())
    }

    /// What `getAgent` must answer.
    fn record_of(&self, agent: &Agent) -> IAgentStake::Agent {
        let (record, parameters) = (&agent.record, &self.market.parameters.stake);
        IAgentStake::Agent {
            status: record.status(parameters, self.now).index(),
            stake: record.stake.0,
            committed: record.committed(parameters).0,
            free: record.free(parameters).0,
            owed: record.owed.0,
            runsInHand: U256::from(record.runs_in_hand),
            slashes: U256::from(record.slashes),
            completions: U256::from(record.completions),
            stakedSince: U256::from(record.staked_since.unwrap_or_default().0),
            withdrawable: record.withdrawable(parameters, self.now).0,
        }
    }

    async fn compare_money(&self) -> Result<()> {
        let contracts = self.stack.deployment.contracts;
        let money = &self.market.money;
        let held = self.accounts.iter().map(|&account| (account, money.of(account)));
        for (account, expected) in held.chain([(contracts.run_escrow, money.escrow), (contracts.agent_stake, money.stakes)]) {
            let actual = read(self.stack.provider(), contracts.usdc, &TestUSDC::balanceOfCall { account }).await?;
            ensure!(actual == expected.0, "{account} holds {actual} base units, in the domain {}", expected.0);
        }
        let fees = read(self.stack.provider(), contracts.run_escrow, &RunEscrow::uncollectedFeesCall {}).await?;
        ensure!(fees == money.fees.0, "{fees} base units of fees, in the domain {}", money.fees.0);
        Ok(())
    }
}

/// What a run is on both sides.
#[derive(Debug, PartialEq, Eq)]
struct RunFacts {
    poster: Address,
    amounts: [U256; 2],
    deadline: U256,
    state: u8,
    revisions: [U256; 2],
    holder: Option<(U256, Address)>,
    due_at: U256,
    review_by: U256,
}

impl RunFacts {
    fn of(run: &Run) -> Self {
        let second = |time: Option<Timestamp>| U256::from(time.unwrap_or_default().0);
        Self {
            poster: run.terms.poster,
            amounts: [run.terms.reward.0, run.terms.fee.0],
            deadline: U256::from(run.terms.deadline.0),
            state: run.state.index(),
            revisions: [U256::from(run.revisions), U256::from(run.terms.max_revisions)],
            holder: run.claim.map(|claim| (U256::from(claim.agent.0), claim.wallet)),
            due_at: second(run.due_at),
            review_by: second(run.review_by),
        }
    }
}

fn verb(run: RunId, action: &Action) -> Result<Verb> {
    Ok(match action {
        Action::Fund => Verb::Fund { run },
        Action::Cancel => Verb::Cancel { run },
        Action::Claim { agent, expected_terms } => Verb::Claim { run, agent: *agent, expected_terms: *expected_terms },
        Action::Start => Verb::Start { run },
        Action::Submit { deliverable_uri } => Verb::Submit { run, deliverable_uri: String::from_utf8(deliverable_uri.to_vec())? },
        Action::RequestRevision { expected_review_by, feedback } => {
            Verb::RequestRevision { run, expected_review_by: *expected_review_by, feedback: String::from_utf8(feedback.to_vec())? }
        }
        Action::Approve { expected_review_by } => Verb::Approve { run, expected_review_by: *expected_review_by },
        Action::Reject { expected_deadline } => Verb::Reject { run, expected_deadline: *expected_deadline },
        Action::Finalize => Verb::Finalize { run },
        Action::Slash => Verb::Slash { run },
    })
}

/// Random numbers that a seed repeats (SplitMix64).
struct Dice(u64);

impl Dice {
    /// Another walk each time; the one that failed again with its seed in `CLAWPAY_WALK_SEED`.
    fn new() -> Result<Self> {
        let seed = match std::env::var("CLAWPAY_WALK_SEED") {
            Ok(seed) => seed.parse().context("CLAWPAY_WALK_SEED is a whole number")?,
            Err(_) => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        };
        eprintln!("CLAWPAY_WALK_SEED={seed} takes this walk again");
        Ok(Self(seed))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn index(&mut self, length: u64) -> usize {
        usize::try_from(self.below(length)).unwrap_or_default()
    }

    fn choice(&mut self) -> Choice {
        Choice {
            verb: u8::try_from(self.below(VERBS.into())).unwrap_or_default(),
            caller: (self.below(5) == 0).then(|| self.index(4)),
            run: self.index(3),
            agent: self.index(2),
            amount: self.below(AMOUNTS),
            wait: if self.below(5) == 0 { Wait::Deadline(self.below(3)) } else { Wait::Seconds(self.below(3_600)) },
        }
    }
}

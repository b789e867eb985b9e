//! A whole market in memory: what the chain would hold after a sequence of calls, worked out by the domain alone.

use std::collections::BTreeMap;

use alloy_primitives::{Address, Bytes};
use clawpay_domain::{
    Agent, AgentEvent, AgentId, Inconsistency, NewRun, Parameters, Refusal, Run, RunEvent, RunId, Terms, Timestamp, Usdc,
    rules::{self, Action, Circumstances},
};

/// A state-changing call to one of the contracts.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// Mints the next agent to the caller, who is its first agent wallet.
    Register,
    /// The agent's owner names another agent wallet.
    SetWallet { agent: AgentId, wallet: Address },
    /// The agent's owner gives the token away; the agent wallet does not go with it.
    Transfer { agent: AgentId, to: Address },
    /// Deposits for an agent.
    Stake { agent: AgentId, amount: Usdc },
    /// Withdraws to the agent's owner.
    Unstake { agent: AgentId, amount: Usdc },
    /// Writes a run down.
    Create(NewRun),
    /// Writes a run down and escrows its money.
    CreateAndFund(NewRun),
    /// Does something with a run that exists.
    Act { run: RunId, action: Action },
}

/// Runs and agents in the order of their ids, which count from 1, and where the USDC is.
#[derive(Clone, Debug)]
pub(crate) struct Market {
    pub(crate) parameters: Parameters,
    pub(crate) runs: Vec<Run>,
    pub(crate) agents: Vec<Agent>,
    pub(crate) money: Money,
}

/// USDC by who holds it. Moved, never made: the sum stays what it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) accounts: BTreeMap<Address, Usdc>,
    /// Held by `RunEscrow`, fees included.
    pub(crate) escrow: Usdc,
    /// Held by `AgentStake`.
    pub(crate) stakes: Usdc,
    /// The part of the escrow's that the platform earned.
    pub(crate) fees: Usdc,
}

impl Market {
    /// An empty market in which each account holds `funds`.
    pub(crate) fn new(parameters: Parameters, accounts: &[Address], funds: Usdc) -> Self {
        let accounts = accounts.iter().map(|&account| (account, funds)).collect();
        Self { parameters, runs: Vec::new(), agents: Vec::new(), money: Money { accounts, ..Money::default() } }
    }

    pub(crate) fn run(&self, id: RunId) -> &Run {
        &self.runs[index(id.0)]
    }

    /// The agent, if that many have registered.
    pub(crate) fn agent(&self, id: AgentId) -> Option<&Agent> {
        self.agents.get(index(id.0))
    }

    /// Makes the call, or says which refusal it reverts with; then nothing has changed.
    ///
    /// What the domain decides it must also accept as having happened: a decided event that does not fold is a panic.
    pub(crate) fn perform(&mut self, caller: Address, call: &Call, now: Timestamp) -> Result<(), Refusal> {
        match call {
            Call::Register => {
                let mut agent = Agent::unknown(AgentId(self.agents.len() as u64 + 1));
                let registered = AgentEvent::Registered { owner: caller, uri: Bytes::new() };
                for event in [registered, AgentEvent::WalletSet { wallet: Some(caller) }] {
                    must(agent.apply(&event, now, &self.parameters.stake));
                }
                self.agents.push(agent);
            }
            Call::SetWallet { agent, wallet } => self.tell(*agent, &AgentEvent::WalletSet { wallet: Some(*wallet) }, now),
            Call::Transfer { agent, to } => {
                self.tell(*agent, &AgentEvent::Transferred { to: *to }, now);
                self.tell(*agent, &AgentEvent::WalletSet { wallet: None }, now);
            }
            Call::Stake { agent: id, amount } => {
                let agent = self.agent(*id).ok_or(Refusal::AgentNotFound { agent: *id })?;
                rules::stake(*amount, agent.record.stake)?;
                let (stake, owed) = (agent.record.stake.saturating_add(*amount), agent.record.owed.saturating_sub(*amount));
                self.tell(*id, &AgentEvent::Staked { from: caller, amount: *amount, stake, owed }, now);
                self.money.take(caller, *amount);
                self.money.stakes = self.money.stakes.saturating_add(*amount);
            }
            Call::Unstake { agent: id, amount } => {
                let agent = self.agent(*id).ok_or(Refusal::AgentNotFound { agent: *id })?;
                rules::unstake(agent, *amount, caller, now, &self.parameters.stake)?;
                let stake = minus(agent.record.stake, *amount);
                self.tell(*id, &AgentEvent::Unstaked { to: caller, amount: *amount, stake }, now);
                self.money.stakes = minus(self.money.stakes, *amount);
                self.money.give(caller, *amount);
            }
            Call::Create(new) => {
                self.create(caller, new, now)?;
            }
            Call::CreateAndFund(new) => {
                let run = self.create(caller, new, now)?;
                let events = self.decide(caller, run, &Action::Fund, now)?;
                self.settle(run, &events, now);
            }
            Call::Act { run, action } => {
                let events = self.decide(caller, *run, action, now)?;
                self.settle(*run, &events, now);
            }
        }
        Ok(())
    }

    /// What the escrow would answer to `action`.
    pub(crate) fn decide(&self, caller: Address, run: RunId, action: &Action, now: Timestamp) -> Result<Vec<RunEvent>, Refusal> {
        let run = self.run(run);
        let agent = match action {
            Action::Claim { agent, .. } => self.agent(*agent),
            _ => run.claim.and_then(|claim| self.agent(claim.agent)),
        };
        rules::decide(run, action, &Circumstances { caller, agent, now, parameters: &self.parameters })
    }

    fn create(&mut self, poster: Address, new: &NewRun, now: Timestamp) -> Result<RunId, Refusal> {
        rules::create(new, now, &self.parameters.escrow)?;
        let terms = Terms {
            poster,
            reward: new.reward,
            fee: rules::fee(new.reward, &self.parameters.escrow),
            deadline: new.deadline,
            max_revisions: u8::try_from(new.max_revisions).unwrap_or(u8::MAX),
            content_uri: new.content_uri.clone(),
        };
        let id = RunId(self.runs.len() as u64 + 1);
        self.runs.push(must(Run::created(id, terms, now, &self.parameters.escrow)));
        Ok(id)
    }

    /// Folds a run's events into the run, into its agent, and into the balances.
    fn settle(&mut self, id: RunId, events: &[RunEvent], now: Timestamp) {
        for event in events {
            let escrow = self.parameters.escrow;
            let run = &mut self.runs[index(id.0)];
            must(run.apply(event, now, &escrow));
            let poster = run.terms.poster;
            match event {
                RunEvent::Created { .. } | RunEvent::Started | RunEvent::Submitted { .. } | RunEvent::RevisionRequested { .. } => {}
                RunEvent::Funded { amount } => {
                    self.money.take(poster, *amount);
                    self.money.escrow = self.money.escrow.saturating_add(*amount);
                }
                RunEvent::Cancelled { refund } => self.money.release(poster, *refund),
                RunEvent::Claimed { agent, stake_at_risk, .. } => {
                    self.tell(*agent, &AgentEvent::Claimed { stake_at_risk: *stake_at_risk }, now);
                }
                RunEvent::Approved(payment) | RunEvent::Finalized(payment) => {
                    self.tell(payment.agent, &AgentEvent::Completed { reward: payment.reward }, now);
                    self.money.fees = self.money.fees.saturating_add(payment.fee);
                    self.money.release(payment.wallet, payment.reward);
                }
                RunEvent::Rejected { agent, refund } => {
                    self.tell(*agent, &AgentEvent::Rejected, now);
                    self.money.release(poster, *refund);
                }
                RunEvent::Slashed { agent, refund, slashed } => {
                    self.tell(*agent, &AgentEvent::Slashed { run: id, amount: *slashed }, now);
                    self.money.stakes = minus(self.money.stakes, *slashed);
                    self.money.give(poster, *slashed);
                    self.money.release(poster, *refund);
                }
            }
        }
    }

    fn tell(&mut self, agent: AgentId, event: &AgentEvent, now: Timestamp) {
        must(self.agents[index(agent.0)].apply(event, now, &self.parameters.stake));
    }
}

impl Money {
    /// What `account` holds.
    pub(crate) fn of(&self, account: Address) -> Usdc {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    fn take(&mut self, account: Address, amount: Usdc) {
        self.accounts.insert(account, minus(self.of(account), amount));
    }

    fn give(&mut self, account: Address, amount: Usdc) {
        self.accounts.insert(account, self.of(account).saturating_add(amount));
    }

    fn release(&mut self, account: Address, amount: Usdc) {
        self.escrow = minus(self.escrow, amount);
        self.give(account, amount);
    }
}

/// Where the thing with this id, counted from 1, is kept; for id 0, where nothing is.
fn index(id: u64) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1)
}

fn minus(amount: Usdc, less: Usdc) -> Usdc {
    amount.checked_sub(less).unwrap_or_else(|| panic!("{less} USDC were to leave where {amount} are"))
}

fn must<T>(folded: Result<T, Inconsistency>) -> T {
    folded.unwrap_or_else(|inconsistency| panic!("a decided event does not fold: {inconsistency}"))
}

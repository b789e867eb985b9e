//! An agent: its identity, its stake record, and what its runs came to.

use alloy_primitives::{Address, Bytes};

use crate::{AgentId, Inconsistency, Refusal, StakeParameters, Timestamp, Usdc};

/// One agent's stake as the contract keeps it in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StakeRecord {
    /// All of it, committed or not.
    pub stake: Usdc,
    /// Slashed and not yet staked again.
    pub owed: Usdc,
    /// Runs claimed and not settled; each commits the stake at risk.
    pub runs_in_hand: u64,
    /// Runs that ended in a slash.
    pub slashes: u64,
    /// Runs that ended in approval.
    pub completions: u64,
    /// When the stake last reached the minimum; nothing while it is below.
    pub staked_since: Option<Timestamp>,
}

impl StakeRecord {
    /// Stake that runs in hand hold.
    pub fn committed(&self, parameters: &StakeParameters) -> Usdc {
        parameters.stake_at_risk.saturating_mul(self.runs_in_hand)
    }

    /// Stake that no run holds.
    pub fn free(&self, parameters: &StakeParameters) -> Usdc {
        self.stake.saturating_sub(self.committed(parameters))
    }

    /// What `unstake` allows at `now`.
    pub fn withdrawable(&self, parameters: &StakeParameters, now: Timestamp) -> Usdc {
        use crate::AgentStatus::{Banned, Established, Frozen, Provisional, Unverified};
        match self.status(parameters, now) {
            Frozen => Usdc::ZERO,
            Unverified | Provisional | Established | Banned => self.stake.saturating_sub(self.locked(parameters)),
        }
    }

    /// Stake that must stay while runs are in hand: the minimum, or more where the runs hold more.
    fn locked(&self, parameters: &StakeParameters) -> Usdc {
        if self.runs_in_hand == 0 { Usdc::ZERO } else { parameters.minimum_stake.max(self.committed(parameters)) }
    }

    /// Why the agent cannot take on one more run at `now`; empty if it can. The contract reports the first.
    pub fn refusals_to_commit(&self, agent: AgentId, parameters: &StakeParameters, now: Timestamp) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let status = self.status(parameters, now);
        if !status.may_claim() {
            refusals.push(Refusal::NotEligible { agent, status });
        }
        let free = self.free(parameters);
        if free < parameters.stake_at_risk {
            refusals.push(Refusal::StakeCommitted { agent, free, required: parameters.stake_at_risk });
        }
        refusals
    }

    /// Sets the stake and starts or stops the uninterrupted time at the minimum.
    fn set_stake(&mut self, stake: Usdc, parameters: &StakeParameters, at: Timestamp) {
        self.stake = stake;
        if stake < parameters.minimum_stake {
            self.staked_since = None;
        } else if self.staked_since.is_none() {
            self.staked_since = Some(at);
        }
    }
}

/// What the runs an agent claimed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackRecord {
    /// Runs ever claimed.
    pub claimed: u64,
    /// Runs that ended in rejection.
    pub rejected: u64,
    /// Rewards earned.
    pub volume: Usdc,
}

/// Everything the events say about one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its token id.
    pub id: AgentId,
    /// The token's owner; nothing if its registration has not been seen (a foreign registry may be older than this market).
    pub owner: Option<Address>,
    /// The ERC-8004 agent wallet, if one is set.
    pub wallet: Option<Address>,
    /// The agent URI, as arbitrary bytes.
    pub uri: Bytes,
    /// When it registered.
    pub registered_at: Option<Timestamp>,
    /// Its stake.
    pub record: StakeRecord,
    /// Its runs.
    pub track: TrackRecord,
    /// What it lost to slashes, newest last.
    pub slash_history: Vec<SlashEntry>,
}

/// One slash of an agent's stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlashEntry {
    /// The run that timed out.
    pub run: crate::RunId,
    /// What was taken.
    pub amount: Usdc,
    /// When.
    pub at: Timestamp,
}

/// A fact about one agent, as an event states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentEvent {
    /// Minted to `owner`.
    Registered {
        /// The first owner.
        owner: Address,
        /// The agent URI.
        uri: Bytes,
    },
    /// The token moved (a mint is a move from the zero address).
    Transferred {
        /// The new owner.
        to: Address,
    },
    /// The agent URI changed.
    UriUpdated {
        /// The new URI.
        uri: Bytes,
    },
    /// The agent wallet was set or unset.
    WalletSet {
        /// The new wallet, or nothing.
        wallet: Option<Address>,
    },
    /// An account deposited for it.
    Staked {
        /// Who paid.
        from: Address,
        /// How much.
        amount: Usdc,
        /// Stake afterwards.
        stake: Usdc,
        /// Still owed afterwards.
        owed: Usdc,
    },
    /// Its owner withdrew.
    Unstaked {
        /// The owner.
        to: Address,
        /// How much.
        amount: Usdc,
        /// Stake afterwards.
        stake: Usdc,
    },
    /// It claimed a run.
    Claimed {
        /// Stake committed.
        stake_at_risk: Usdc,
    },
    /// A run of its was approved or finalized.
    Completed {
        /// The reward earned.
        reward: Usdc,
    },
    /// A run of its was rejected.
    Rejected,
    /// A run of its timed out.
    Slashed {
        /// Which.
        run: crate::RunId,
        /// Stake taken.
        amount: Usdc,
    },
}

impl Agent {
    /// An agent nothing has been said about yet.
    pub fn unknown(id: AgentId) -> Self {
        Self {
            id,
            owner: None,
            wallet: None,
            uri: Bytes::new(),
            registered_at: None,
            record: StakeRecord::default(),
            track: TrackRecord::default(),
            slash_history: Vec::new(),
        }
    }

    /// Whether `account` acts for the agent: its owner or its agent wallet.
    pub fn is_agent(&self, account: Address) -> bool {
        self.owner == Some(account) || self.wallet == Some(account)
    }

    /// Folds one event in. On an error the agent is unchanged.
    pub fn apply(&mut self, event: &AgentEvent, at: Timestamp, parameters: &StakeParameters) -> Result<(), Inconsistency> {
        let mut next = self.record;
        match event {
            AgentEvent::Registered { owner, uri } => {
                self.owner = Some(*owner);
                self.uri = uri.clone();
                self.registered_at = Some(at);
            }
            AgentEvent::Transferred { to } => self.owner = Some(*to),
            AgentEvent::UriUpdated { uri } => self.uri = uri.clone(),
            AgentEvent::WalletSet { wallet } => self.wallet = *wallet,
            AgentEvent::Staked { amount, stake, owed, .. } => {
                expect("stake", Some(*stake), next.stake.checked_add(*amount))?;
                expect("owed", Some(*owed), Some(next.owed.saturating_sub(*amount)))?;
                next.owed = *owed;
                next.set_stake(*stake, parameters, at);
            }
            AgentEvent::Unstaked { amount, stake, .. } => {
                expect("stake", Some(*stake), next.stake.checked_sub(*amount))?;
                if *amount > next.withdrawable(parameters, at) {
                    return Err(Inconsistency::new("amount", *amount, format!("at most {}", next.withdrawable(parameters, at))));
                }
                next.set_stake(*stake, parameters, at);
            }
            AgentEvent::Claimed { stake_at_risk } => {
                expect("stakeAtRisk", Some(*stake_at_risk), Some(parameters.stake_at_risk))?;
                if let Some(refusal) = next.refusals_to_commit(self.id, parameters, at).first() {
                    return Err(Inconsistency::new("claim", "emitted", refusal));
                }
                next.runs_in_hand += 1;
                self.track.claimed += 1;
            }
            AgentEvent::Completed { reward } => {
                next.runs_in_hand = settle(next.runs_in_hand)?;
                next.completions += 1;
                self.track.volume = self.track.volume.saturating_add(*reward);
            }
            AgentEvent::Rejected => {
                next.runs_in_hand = settle(next.runs_in_hand)?;
                self.track.rejected += 1;
            }
            AgentEvent::Slashed { run, amount } => {
                expect("slashed", Some(*amount), Some(parameters.stake_at_risk))?;
                let stake = next.stake.checked_sub(*amount).ok_or_else(|| Inconsistency::new("slashed", *amount, next.stake))?;
                next.runs_in_hand = settle(next.runs_in_hand)?;
                next.slashes += 1;
                next.owed = next.owed.saturating_add(*amount);
                next.set_stake(stake, parameters, at);
                self.slash_history.push(SlashEntry { run: *run, amount: *amount, at });
            }
        }
        self.record = next;
        Ok(())
    }
}

/// One run fewer in hand.
fn settle(runs_in_hand: u64) -> Result<u64, Inconsistency> {
    runs_in_hand.checked_sub(1).ok_or_else(|| Inconsistency::new("runsInHand", 0, "at least 1"))
}

/// Compares what an event states with what the rules make of the facts before it.
fn expect(field: &'static str, stated: Option<Usdc>, expected: Option<Usdc>) -> Result<(), Inconsistency> {
    let show = |amount: Option<Usdc>| amount.map_or_else(|| "out of range".to_owned(), |amount| amount.0.to_string());
    if stated == expected { Ok(()) } else { Err(Inconsistency::new(field, show(stated), show(expected))) }
}

//! The market at the end of the story, in one shape for all that tell it: the expectation, the chain, the index or the API.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use clawpay_domain::{AgentId, AgentStatus, RunId, RunState, Usdc};

use crate::cast::{Cast, POSTER_BEGINS_WITH, WORKER_BEGINS_WITH};

/// Everything that is compared.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub runs: Vec<RunEntry>,
    pub agents: Vec<AgentEntry>,
    pub totals: Totals,
    pub balances: Balances,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct RunEntry {
    pub id: RunId,
    pub state: RunState,
    pub poster: Address,
    pub agent: Option<AgentId>,
    /// The account that claimed and is paid.
    pub wallet: Option<Address>,
    pub reward: Usdc,
    pub fee: Usdc,
    /// Stake the claim committed.
    pub stake_at_risk: Option<Usdc>,
    /// Why the index refused one of its events, if it did.
    pub inconsistency: Option<String>,
}

/// One agent.
#[derive(Clone, Debug)]
pub(crate) struct AgentEntry {
    pub id: AgentId,
    pub owner: Address,
    pub status: AgentStatus,
    pub stake: Usdc,
    pub committed: Usdc,
    pub free: Usdc,
    pub owed: Usdc,
    pub slashes: u64,
    pub completions: u64,
    /// Why the index refused one of its events, if it did.
    pub inconsistency: Option<String>,
}

/// The market's sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    /// Reward and fee of funded, unfinished runs.
    pub escrowed: Usdc,
    /// Rewards paid.
    pub paid: Usdc,
    /// Fees earned.
    pub fees: Usdc,
    /// All stakes.
    pub staked: Usdc,
}

/// Who holds how much USDC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Balances {
    pub poster: Usdc,
    pub builder: Usdc,
    pub dawdler: Usdc,
    pub run_escrow: Usdc,
    pub agent_stake: Usdc,
    /// The part of the escrow's USDC that is the platform's.
    pub uncollected_fees: Usdc,
    /// Nothing where it cannot be known: the token's own transfers are not indexed.
    pub treasury: Option<Usdc>,
}

impl Balances {
    /// What `runs`, `agents` and `totals` leave each holder with, given what it began with and that no stake was withdrawn. This is how the index
    /// and the API, which do not follow the token, still vouch for each balance.
    pub(crate) fn implied_by(runs: &[RunEntry], agents: &[AgentEntry], totals: &Totals, cast: &Cast) -> Self {
        let after = |account: Address, before: Usdc| {
            let posted: Usdc = runs.iter().filter(|run| run.poster == account).map(RunEntry::kept_from_poster).sum();
            let compensated: Usdc = runs.iter().filter(|run| run.poster == account).map(RunEntry::slashed).sum();
            let earned: Usdc = runs.iter().filter(|run| run.wallet == Some(account)).map(RunEntry::earned).sum();
            let owned = agents.iter().filter(|agent| agent.owner == account);
            let deposited: Usdc = owned
                .map(|agent| {
                    let lost: Usdc = runs.iter().filter(|run| run.agent == Some(agent.id)).map(RunEntry::slashed).sum();
                    agent.stake.saturating_add(lost)
                })
                .sum();
            let gained = compensated.saturating_add(earned);
            let spent = posted.saturating_add(deposited);
            before.saturating_add(gained).saturating_sub(spent)
        };
        Self {
            poster: after(cast.poster.address(), POSTER_BEGINS_WITH),
            builder: after(cast.builder.address(), WORKER_BEGINS_WITH),
            dawdler: after(cast.dawdler.address(), WORKER_BEGINS_WITH),
            run_escrow: totals.escrowed.saturating_add(totals.fees),
            agent_stake: totals.staked,
            uncollected_fees: totals.fees,
            treasury: None,
        }
    }

    /// Each holder by name, in the order of the tables.
    pub(crate) fn by_name(&self) -> [(&'static str, Option<Usdc>); 7] {
        [
            ("poster", Some(self.poster)),
            ("builder", Some(self.builder)),
            ("dawdler", Some(self.dawdler)),
            ("RunEscrow", Some(self.run_escrow)),
            ("AgentStake", Some(self.agent_stake)),
            ("uncollected fees", Some(self.uncollected_fees)),
            ("treasury", self.treasury),
        ]
    }
}

impl RunEntry {
    /// What the poster paid and does not have back.
    fn kept_from_poster(&self) -> Usdc {
        match self.state {
            RunState::Draft | RunState::Cancelled | RunState::Rejected | RunState::Slashed => Usdc::ZERO,
            RunState::Open
            | RunState::Claimed
            | RunState::InProgress
            | RunState::Submitted
            | RunState::RevisionRequested
            | RunState::Approved => self.reward.saturating_add(self.fee),
        }
    }

    /// What the wallet that claimed was paid.
    fn earned(&self) -> Usdc {
        if self.state == RunState::Approved { self.reward } else { Usdc::ZERO }
    }

    /// What the poster got from the agent's stake.
    fn slashed(&self) -> Usdc {
        if self.state == RunState::Slashed { self.stake_at_risk.unwrap_or_default() } else { Usdc::ZERO }
    }
}

impl Books {
    /// Each way in which `other` is not the same, in words. A balance that `other` cannot know is not compared.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.lines(), other.lines());
        let find = |lines: &[(String, String)], label: &str| lines.iter().find(|(known, _)| known == label).map(|(_, value)| value.clone());
        let labels: BTreeSet<&String> = mine.iter().chain(&theirs).map(|(label, _)| label).collect();
        labels
            .into_iter()
            .filter_map(|label| match (find(&mine, label), find(&theirs, label)) {
                (Some(mine), Some(theirs)) if mine == theirs => None,
                (Some(_), None) if label == TREASURY && other.balances.treasury.is_none() => None,
                (mine, theirs) => {
                    let shown = |value: Option<String>| value.unwrap_or_else(|| "missing".to_owned());
                    Some(format!("{label}: {}, not {}", shown(theirs), shown(mine)))
                }
            })
            .collect()
    }

    /// Every fact as a label and a value.
    fn lines(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        for run in &self.runs {
            let mut line = |field: &str, value: String| lines.push((format!("run {} {field}", run.id), value));
            line("state", run.state.to_string());
            line("poster", run.poster.to_string());
            line("agent", or_none(run.agent));
            line("wallet", or_none(run.wallet));
            line("reward", run.reward.0.to_string());
            line("fee", run.fee.0.to_string());
            line("stake at risk", or_none(run.stake_at_risk.map(|stake| stake.0)));
            line("inconsistency", or_none(run.inconsistency.as_ref()));
        }
        for agent in &self.agents {
            let mut line = |field: &str, value: String| lines.push((format!("agent {} {field}", agent.id), value));
            line("owner", agent.owner.to_string());
            line("status", agent.status.to_string());
            line("stake", agent.stake.0.to_string());
            line("committed stake", agent.committed.0.to_string());
            line("free stake", agent.free.0.to_string());
            line("owed stake", agent.owed.0.to_string());
            line("slashes", agent.slashes.to_string());
            line("completions", agent.completions.to_string());
            line("inconsistency", or_none(agent.inconsistency.as_ref()));
        }
        let Totals { escrowed, paid, fees, staked } = self.totals;
        for (name, total) in [("escrowed", escrowed), ("paid", paid), ("fees", fees), ("staked", staked)] {
            lines.push((format!("total {name}"), total.0.to_string()));
        }
        for (name, balance) in self.balances.by_name() {
            lines.extend(balance.map(|balance| (format!("balance of {name}"), balance.0.to_string())));
        }
        lines
    }
}

const TREASURY: &str = "balance of treasury";

fn or_none(value: Option<impl std::fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

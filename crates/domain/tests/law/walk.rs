//! Random walks through a market: what an account might do next, by a few random choices. Most of it is refused, which is part of the point.

use alloy_primitives::{Address, Bytes};
use clawpay_domain::{AgentId, NewRun, Run, RunState, Timestamp, Usdc, rules::Action};

use super::market::{Call, Market};

/// One random choice for each thing a step needs; what they mean depends on the market they meet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    /// Below [`VERBS`].
    pub(crate) verb: u8,
    /// Which account calls; if none, the account most likely to be allowed.
    pub(crate) caller: Option<usize>,
    /// Which run, counted from the newest; below the number of accounts, for it also says who is given an agent.
    pub(crate) run: usize,
    /// Which agent, counted from the oldest.
    pub(crate) agent: usize,
    /// Base units.
    pub(crate) amount: u64,
    pub(crate) wait: Wait,
}

/// How long passes before a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Seconds(u64),
    /// Until so many seconds after the last one before the next deadline that any run has.
    Deadline(u64),
}

/// Verbs that a choice may name. Half of them mean one that fits the run's state, or hardly any run would grow old.
pub(crate) const VERBS: u8 = 36;
/// Amounts that a choice may name: enough for two stakes.
pub(crate) const AMOUNTS: u64 = 40_000_000;

/// A call, by whom, and when.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) now: Timestamp,
    pub(crate) caller: Address,
    pub(crate) call: Call,
}

impl Step {
    /// What `choice` means in `market`, in which it is `now` and the first of `accounts` posts the runs.
    pub(crate) fn choose(choice: &Choice, market: &Market, accounts: &[Address], now: Timestamp) -> Self {
        let now = after(&choice.wait, market, now);
        let id = AgentId(choice.agent as u64 + 1);
        let owner = market.agent(id).and_then(|agent| agent.owner).unwrap_or_default();
        let amount = Usdc::base_units(choice.amount);
        let by = |likely| choice.caller.map_or(likely, |caller| accounts[caller]);
        let run = market.runs.iter().rev().nth(choice.run);
        let (caller, call) = match (choice.verb, run) {
            (0 | 1, _) => (by(owner), Call::Stake { agent: id, amount }),
            (2, _) => (by(owner), Call::Unstake { agent: id, amount }),
            (3, _) if choice.amount.is_multiple_of(2) => (owner, Call::Transfer { agent: id, to: accounts[choice.run] }),
            (3, _) => (owner, Call::SetWallet { agent: id, wallet: accounts[choice.run] }),
            (4, _) => (by(accounts[0]), Call::Create(offer(choice, now))),
            (7.., Some(run)) => {
                let action = action(choice, run, id);
                let likely = match action {
                    Action::Claim { .. } => owner,
                    Action::Start | Action::Submit { .. } => run.claim.map_or(owner, |claim| claim.wallet),
                    _ => run.terms.poster,
                };
                (by(likely), Call::Act { run: run.id, action })
            }
            (5.., _) => (by(accounts[0]), Call::CreateAndFund(offer(choice, now))),
        };
        Self { now, caller, call }
    }
}

fn after(wait: &Wait, market: &Market, now: Timestamp) -> Timestamp {
    match *wait {
        Wait::Seconds(seconds) => Timestamp(now.0 + seconds),
        Wait::Deadline(past) => {
            let timeout = market.parameters.escrow.submission_timeout;
            let of_run = |run: &Run| [Some(run.terms.deadline), run.due_at, run.due_at.map(|due_at| due_at + timeout), run.review_by];
            let next = market.runs.iter().flat_map(of_run).flatten().filter(|&deadline| deadline > now).min();
            next.map_or(now, |next| Timestamp(next.0 - 1 + past))
        }
    }
}

/// Mostly within the limits; also a reward below the minimum, a deadline that is over, or one revision too many.
fn offer(choice: &Choice, now: Timestamp) -> NewRun {
    NewRun {
        reward: Usdc::base_units(choice.amount + 900_000),
        deadline: Timestamp(now.0 + choice.amount / 100),
        max_revisions: choice.amount % 5,
        content_uri: Bytes::from_static(b"x"),
    }
}

/// A verb with everything that the run's onlookers know.
fn action(choice: &Choice, run: &Run, agent: AgentId) -> Action {
    let deadline = run.review_by.or(run.due_at).unwrap_or_default();
    let any = [
        Action::Fund,
        Action::Cancel,
        Action::Claim { agent, expected_terms: run.terms_word() },
        Action::Start,
        Action::Submit { deliverable_uri: Bytes::from_static(b"x") },
        Action::RequestRevision { expected_review_by: deadline, feedback: Bytes::new() },
        Action::Approve { expected_review_by: deadline },
        Action::Reject { expected_deadline: deadline },
        Action::Finalize,
        Action::Slash,
    ];
    let fitting: &[usize] = match run.state {
        RunState::Draft => &[0],
        RunState::Open => &[2],
        RunState::Claimed => &[3, 4, 9],
        RunState::InProgress => &[4, 9],
        RunState::Submitted => &[5, 5, 5, 6, 7, 7, 8],
        RunState::RevisionRequested => &[4, 7],
        RunState::Approved | RunState::Rejected | RunState::Slashed | RunState::Cancelled => &[1, 6],
    };
    let which = usize::from(choice.verb) - 7;
    any[if which < any.len() { which } else { fitting[which % fitting.len()] }].clone()
}

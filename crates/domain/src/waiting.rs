//! Whose turn it is: what a run waits for from an account that has a part in it.

use alloy_primitives::Address;

use crate::{
    Run, RunState, Timestamp,
    time::{is_before, is_reached},
};

/// What an account is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The poster: escrow reward and fee.
    Fund,
    /// The poster: take back what no agent claimed in time.
    Cancel,
    /// The agent: deliver.
    Submit,
    /// The poster: answer a delivery, by approving it or otherwise.
    Approve,
    /// The agent: be paid, since the poster did not answer in time.
    Finalize,
    /// The poster: take back what was not delivered in time.
    Slash,
    /// The poster: take back what was not delivered again in time.
    Reject,
}

impl Turn {
    /// The verb, as the API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fund => "fund",
            Self::Cancel => "cancel",
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Finalize => "finalize",
            Self::Slash => "slash",
            Self::Reject => "reject",
        }
    }

    /// Every value.
    pub const ALL: [Self; 7] = [Self::Fund, Self::Cancel, Self::Submit, Self::Approve, Self::Finalize, Self::Slash, Self::Reject];
}

impl Run {
    /// What the run waits for from `account` at `now`, and the deadline that it is about: before it, or since it. `agent_owner` owns the agent
    /// that has the run.
    pub fn turn_of(&self, account: Address, agent_owner: Option<Address>, now: Timestamp) -> Option<(Turn, Timestamp)> {
        let is_poster = self.terms.poster == account;
        let has_it = self.claim.is_some_and(|claim| claim.wallet == account) || agent_owner == Some(account);
        let turn = |is_its: bool, turn: Turn, deadline: Timestamp| is_its.then_some((turn, deadline));
        match self.state {
            RunState::Draft => turn(is_poster && is_before(now, self.terms.deadline), Turn::Fund, self.terms.deadline),
            RunState::Open => turn(is_poster && is_reached(now, self.terms.deadline), Turn::Cancel, self.terms.deadline),
            RunState::Claimed | RunState::InProgress | RunState::RevisionRequested => {
                let due = self.due_at?;
                let late = if self.state == RunState::RevisionRequested { Turn::Reject } else { Turn::Slash };
                if is_before(now, due) { turn(has_it, Turn::Submit, due) } else { turn(is_poster, late, due) }
            }
            RunState::Submitted => {
                let review_by = self.review_by?;
                let by_silence = turn(has_it && is_reached(now, review_by), Turn::Finalize, review_by);
                turn(is_poster, Turn::Approve, review_by).or(by_silence)
            }
            RunState::Approved | RunState::Rejected | RunState::Slashed | RunState::Cancelled => None,
        }
    }
}

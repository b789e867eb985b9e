//! A run: its facts, and what an event of the escrow states about one.

use alloy_primitives::{Address, Bytes, U256};

use crate::{
    AgentId, RunId, RunState, Terms, Timestamp, Usdc,
    time::{is_before, is_reached},
};

/// The claim that put a run into an agent's hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The agent.
    pub agent: AgentId,
    /// The account that claimed, and is paid.
    pub wallet: Address,
    /// Stake committed to this run.
    pub stake_at_risk: Usdc,
    /// When.
    pub at: Timestamp,
}

/// The latest delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Where the deliverable is; arbitrary bytes.
    pub deliverable_uri: Bytes,
    /// When.
    pub at: Timestamp,
}

/// Everything the events say about one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Counted from 1.
    pub id: RunId,
    /// What was offered.
    pub terms: Terms,
    /// Where it stands.
    pub state: RunState,
    /// Who holds or held it.
    pub claim: Option<Claim>,
    /// What was delivered last.
    pub submission: Option<Submission>,
    /// Revisions requested so far.
    pub revisions: u8,
    /// The poster's latest feedback; arbitrary bytes.
    pub feedback: Option<Bytes>,
    /// Submitting stops here (CLAIMED, IN_PROGRESS, REVISION_REQUESTED).
    pub due_at: Option<Timestamp>,
    /// The poster's answer stops here (SUBMITTED).
    pub review_by: Option<Timestamp>,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When its reward and fee were escrowed.
    pub funded_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub settled_at: Option<Timestamp>,
    /// Approved by `finalize`, after the poster stayed silent.
    pub finalized_by_silence: bool,
}

/// A fact about one run, as an event of the escrow states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// Written down.
    Created {
        /// What was offered.
        terms: Terms,
    },
    /// Reward and fee escrowed.
    Funded {
        /// Taken from the poster.
        amount: Usdc,
    },
    /// Withdrawn by the poster.
    Cancelled {
        /// Returned to the poster.
        refund: Usdc,
    },
    /// Taken by an agent.
    Claimed {
        /// The agent.
        agent: AgentId,
        /// The account that claimed.
        wallet: Address,
        /// Stake committed.
        stake_at_risk: Usdc,
        /// Submitting stops here.
        due_at: Timestamp,
    },
    /// Work began.
    Started,
    /// Work delivered.
    Submitted {
        /// The poster's answer stops here.
        review_by: Timestamp,
        /// Where it is; arbitrary bytes.
        deliverable_uri: Bytes,
    },
    /// Changes requested.
    RevisionRequested {
        /// Which revision, from 1.
        revision: u64,
        /// Submitting stops here.
        due_at: Timestamp,
        /// What should change; arbitrary bytes.
        feedback: Bytes,
    },
    /// Accepted and paid.
    Approved(Payment),
    /// Accepted by silence and paid.
    Finalized(Payment),
    /// Refused; refunded.
    Rejected {
        /// The agent whose stake was released.
        agent: AgentId,
        /// Returned to the poster.
        refund: Usdc,
    },
    /// Timed out; refunded, with the stake at risk on top.
    Slashed {
        /// The agent whose stake was taken.
        agent: AgentId,
        /// Returned to the poster from escrow.
        refund: Usdc,
        /// Paid to the poster from the agent's stake.
        slashed: Usdc,
    },
}

/// Who was paid what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The agent that completed the run.
    pub agent: AgentId,
    /// The account paid.
    pub wallet: Address,
    /// What it was paid.
    pub reward: Usdc,
    /// What the platform kept.
    pub fee: Usdc,
}

impl Run {
    /// The terms word of the funded run, as `termsOf` answers it: poster, reward, deadline, revisions, stage.
    pub fn terms_word(&self) -> U256 {
        const FUNDED: u64 = 1;
        (U256::from_be_slice(self.terms.poster.as_slice()) << 96)
            | (self.terms.reward.0 << 40)
            | (U256::from(self.terms.deadline.0) << 4)
            | U256::from(FUNDED << 2)
            | U256::from(self.terms.max_revisions)
    }

    /// The word that `requestRevision`, `approve` and `reject` name: the deadline in force; nothing where none is.
    pub fn progress_word(&self) -> Option<U256> {
        self.review_by.or(self.due_at).map(|deadline| U256::from(deadline.0))
    }

    /// What the escrow holds for this run.
    pub fn escrowed(&self) -> Usdc {
        if self.state == RunState::Open || self.state.is_in_hand() { self.terms.escrowed() } else { Usdc::ZERO }
    }

    /// Whether the deadline still allows claiming at `now`.
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        self.state == RunState::Open && is_before(now, self.terms.deadline)
    }

    /// Whether the poster may slash at `now`.
    pub fn is_slashable(&self, now: Timestamp) -> bool {
        matches!(self.state, RunState::Claimed | RunState::InProgress) && self.due_at.is_some_and(|due| is_reached(now, due))
    }

    /// Whether anyone may finalize at `now`.
    pub fn is_finalizable(&self, now: Timestamp) -> bool {
        self.state == RunState::Submitted && self.review_by.is_some_and(|by| is_reached(now, by))
    }
}

//! A run: its facts, and how the events of the escrow change them.

use alloy_primitives::{Address, Bytes, U256};

use crate::{AgentId, EscrowParameters, Inconsistency, Refusal, RunId, Timestamp, Usdc, rules, words::words};

words! {
    /// Where a run stands.
    RunState {
        /// Created, not funded.
        Draft = "DRAFT",
        /// Funded and claimable until its deadline.
        Open = "OPEN",
        /// In an agent's hands.
        Claimed = "CLAIMED",
        /// The agent said it works.
        InProgress = "IN_PROGRESS",
        /// Delivered, waiting for the poster.
        Submitted = "SUBMITTED",
        /// Paid. Terminal.
        Approved = "APPROVED",
        /// Sent back for changes.
        RevisionRequested = "REVISION_REQUESTED",
        /// Refunded, stake untouched. Terminal.
        Rejected = "REJECTED",
        /// Refunded, stake at risk paid to the poster. Terminal.
        Slashed = "SLASHED",
        /// Withdrawn before any claim. Terminal.
        Cancelled = "CANCELLED",
    }
}

impl RunState {
    /// Whether an agent holds the run.
    pub const fn is_in_hand(self) -> bool {
        match self {
            Self::Claimed | Self::InProgress | Self::Submitted | Self::RevisionRequested => true,
            Self::Draft | Self::Open | Self::Approved | Self::Rejected | Self::Slashed | Self::Cancelled => false,
        }
    }
}

/// What a poster offers. Immutable once written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who pays and reviews.
    pub poster: Address,
    /// Paid to the agent on approval.
    pub reward: Usdc,
    /// Escrowed on top, kept by the platform when the agent is paid.
    pub fee: Usdc,
    /// Claiming and funding stop here.
    pub deadline: Timestamp,
    /// Revisions the poster may request before it may reject.
    pub max_revisions: u8,
    /// Where the work is described; arbitrary bytes.
    pub content_uri: Bytes,
}

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

impl Terms {
    /// Reward and fee: what funding takes and a refund returns.
    pub fn escrowed(&self) -> Usdc {
        self.reward.saturating_add(self.fee)
    }
}

impl Run {
    /// A run as `RunCreated` states it.
    pub fn created(id: RunId, terms: Terms, at: Timestamp, parameters: &EscrowParameters) -> Result<Self, Inconsistency> {
        let fee = rules::fee(terms.reward, parameters);
        if terms.fee != fee {
            return Err(Inconsistency::new("fee", terms.fee.0, fee.0));
        }
        if let Err(refusal) = rules::create(&rules::Offer::of(&terms), at, parameters) {
            return Err(Inconsistency::new("RunCreated", "emitted", refusal));
        }
        Ok(Self {
            id,
            terms,
            state: RunState::Draft,
            claim: None,
            submission: None,
            revisions: 0,
            feedback: None,
            due_at: None,
            review_by: None,
            created_at: at,
            funded_at: None,
            settled_at: None,
            finalized_by_silence: false,
        })
    }

    /// The terms word of the funded run, as `termsOf` answers it: poster, reward, deadline, revisions, stage.
    pub fn terms_word(&self) -> U256 {
        const FUNDED: u64 = 1;
        (U256::from_be_slice(self.terms.poster.as_slice()) << 96)
            | (self.terms.reward.0 << 40)
            | (U256::from(self.terms.deadline.0) << 4)
            | U256::from(FUNDED << 2)
            | U256::from(self.terms.max_revisions)
    }

    /// What the escrow holds for this run.
    pub fn escrowed(&self) -> Usdc {
        if self.state == RunState::Open || self.state.is_in_hand() { self.terms.escrowed() } else { Usdc::ZERO }
    }

    /// Whether the deadline still allows claiming at `now`.
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        self.state == RunState::Open && rules::is_before(now, self.terms.deadline)
    }

    /// Whether the poster may slash at `now`.
    pub fn is_slashable(&self, now: Timestamp) -> bool {
        matches!(self.state, RunState::Claimed | RunState::InProgress) && self.due_at.is_some_and(|due| rules::is_reached(now, due))
    }

    /// Whether anyone may finalize at `now`.
    pub fn is_finalizable(&self, now: Timestamp) -> bool {
        self.state == RunState::Submitted && self.review_by.is_some_and(|by| rules::is_reached(now, by))
    }

    /// Folds one event in. On an error the run is unchanged.
    ///
    /// The event has happened; this checks that it could have: the edge is legal, at that time, with those amounts. Who called is not
    /// in the events, and so not checked here.
    pub fn apply(&mut self, event: &RunEvent, at: Timestamp, parameters: &EscrowParameters) -> Result<(), Inconsistency> {
        match event {
            RunEvent::Created { .. } => return Err(Inconsistency::new("runId", self.id, "a new one")),
            RunEvent::Funded { amount } => {
                self.legal(self.require_state(&[RunState::Draft]).and_then(|()| self.require_before_deadline(at)))?;
                same("amount", amount.0, self.terms.escrowed().0)?;
                self.funded_at = Some(at);
                self.state = RunState::Open;
            }
            RunEvent::Cancelled { refund } => {
                self.legal(self.require_state(&[RunState::Draft, RunState::Open]))?;
                same("refund", refund.0, self.escrowed().0)?;
                self.settle(RunState::Cancelled, at);
            }
            RunEvent::Claimed { agent, wallet, stake_at_risk, due_at } => {
                self.legal(self.require_state(&[RunState::Open]).and_then(|()| self.require_before_deadline(at)))?;
                if *wallet == self.terms.poster {
                    return Err(Inconsistency::new("wallet", wallet, "not the poster"));
                }
                same("dueAt", *due_at, at + parameters.submission_timeout)?;
                self.claim = Some(Claim { agent: *agent, wallet: *wallet, stake_at_risk: *stake_at_risk, at });
                self.due_at = Some(*due_at);
                self.state = RunState::Claimed;
            }
            RunEvent::Started => {
                self.legal(self.require_state(&[RunState::Claimed]).and_then(|()| self.require_before_due(at)))?;
                self.state = RunState::InProgress;
            }
            RunEvent::Submitted { review_by, deliverable_uri } => {
                self.legal(
                    self.require_state(&[RunState::InProgress, RunState::RevisionRequested]).and_then(|()| self.require_before_due(at)),
                )?;
                same("reviewBy", *review_by, at + parameters.review_period)?;
                self.submission = Some(Submission { deliverable_uri: deliverable_uri.clone(), at });
                self.due_at = None;
                self.review_by = Some(*review_by);
                self.state = RunState::Submitted;
            }
            RunEvent::RevisionRequested { revision, due_at, feedback } => {
                self.legal(
                    self.require_state(&[RunState::Submitted])
                        .and_then(|()| self.require_before_review(at))
                        .and_then(|()| self.require_revisions_left()),
                )?;
                same("revision", *revision, u64::from(self.revisions) + 1)?;
                same("dueAt", *due_at, at + parameters.submission_timeout)?;
                self.revisions += 1;
                self.feedback = Some(feedback.clone());
                self.review_by = None;
                self.due_at = Some(*due_at);
                self.state = RunState::RevisionRequested;
            }
            RunEvent::Approved(payment) => {
                self.legal(self.require_state(&[RunState::Submitted]))?;
                self.pay(payment, at)?;
            }
            RunEvent::Finalized(payment) => {
                self.legal(self.require_state(&[RunState::Submitted]).and_then(|()| self.require_reviewed(at)))?;
                self.pay(payment, at)?;
                self.finalized_by_silence = true;
            }
            RunEvent::Rejected { agent, refund } => {
                self.legal(self.require_rejectable(at))?;
                self.same_agent(*agent)?;
                same("refund", refund.0, self.escrowed().0)?;
                self.settle(RunState::Rejected, at);
            }
            RunEvent::Slashed { agent, refund, slashed } => {
                self.legal(self.require_state(&[RunState::Claimed, RunState::InProgress]).and_then(|()| self.require_due(at)))?;
                self.same_agent(*agent)?;
                same("refund", refund.0, self.escrowed().0)?;
                same("slashed", slashed.0, self.claim.map_or(Usdc::ZERO, |claim| claim.stake_at_risk).0)?;
                self.settle(RunState::Slashed, at);
            }
        }
        Ok(())
    }

    /// Turns a refusal of the rules into a contradiction with the event that happened anyway.
    fn legal(&self, outcome: Result<(), Refusal>) -> Result<(), Inconsistency> {
        outcome.map_err(|refusal| Inconsistency::new("event", "emitted", refusal))
    }

    fn pay(&mut self, payment: &Payment, at: Timestamp) -> Result<(), Inconsistency> {
        self.same_agent(payment.agent)?;
        same("wallet", payment.wallet, self.claim.map_or(Address::ZERO, |claim| claim.wallet))?;
        same("reward", payment.reward.0, self.terms.reward.0)?;
        same("fee", payment.fee.0, self.terms.fee.0)?;
        self.settle(RunState::Approved, at);
        Ok(())
    }

    fn same_agent(&self, agent: AgentId) -> Result<(), Inconsistency> {
        match self.claim {
            Some(claim) => same("agentId", agent, claim.agent),
            None => Err(Inconsistency::new("agentId", agent, "no agent")),
        }
    }

    fn settle(&mut self, state: RunState, at: Timestamp) {
        self.state = state;
        self.due_at = None;
        self.review_by = None;
        self.settled_at = Some(at);
    }
}

/// Refuses a value that the rules do not expect there.
fn same<T: PartialEq + std::fmt::Display>(field: &'static str, stated: T, expected: T) -> Result<(), Inconsistency> {
    if stated == expected { Ok(()) } else { Err(Inconsistency::new(field, stated, expected)) }
}

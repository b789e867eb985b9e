//! How the events of the escrow change a run.

use alloy_primitives::Address;

use crate::{
    AgentId, Claim, EscrowParameters, Inconsistency, NewRun, Payment, Refusal, Run, RunEvent, RunId, RunState, Submission, Terms,
    Timestamp, Usdc, terms,
};

impl Run {
    /// A run as `RunCreated` states it.
    ///
    /// # Errors
    /// The rules allow no such run, or its fee is another one.
    pub fn created(id: RunId, terms: Terms, at: Timestamp, parameters: &EscrowParameters) -> Result<Self, Inconsistency> {
        let fee = terms::fee(terms.reward, parameters);
        if terms.fee != fee {
            return Err(Inconsistency::new("fee", terms.fee.0, fee.0));
        }
        if let Err(refusal) = terms::create(&NewRun::from(&terms), at, parameters) {
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

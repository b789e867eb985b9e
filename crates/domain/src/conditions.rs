//! The single conditions that verbs and the fold are made of.

use alloy_primitives::Address;

use crate::{
    Agent, AgentId, EscrowParameters, Payment, Refusal, Run, RunId, RunState, Timestamp,
    time::{is_before, is_reached},
};

impl Run {
    pub(crate) fn require_state(&self, accepted: &[RunState]) -> Result<(), Refusal> {
        if accepted.contains(&self.state) {
            return Ok(());
        }
        Err(Refusal::WrongState { run: self.id, state: self.state, accepted: accepted.to_vec() })
    }

    pub(crate) fn require_poster(&self, caller: Address) -> Result<(), Refusal> {
        let poster = self.terms.poster;
        if caller == poster { Ok(()) } else { Err(Refusal::NotPoster { run: self.id, caller, poster }) }
    }

    pub(crate) fn require_not_poster(&self, caller: Address) -> Result<(), Refusal> {
        let poster = self.terms.poster;
        if caller != poster { Ok(()) } else { Err(Refusal::PosterCannotClaim { run: self.id, poster }) }
    }

    /// Refuses every caller but the wallet that claimed, and the current owner of the agent that holds the run.
    pub fn require_run_agent(&self, caller: Address, agent: Option<&Agent>) -> Result<(), Refusal> {
        let wallet = self.claim.map_or(Address::ZERO, |claim| claim.wallet);
        let owns = agent.is_some_and(|agent| agent.id == self.agent_id() && agent.owner == Some(caller));
        if caller == wallet || owns { Ok(()) } else { Err(Refusal::NotRunAgent { run: self.id, caller, wallet }) }
    }

    pub(crate) fn require_before_deadline(&self, now: Timestamp) -> Result<(), Refusal> {
        let deadline = self.terms.deadline;
        if is_before(now, deadline) { Ok(()) } else { Err(Refusal::DeadlinePassed { run: self.id, deadline, timestamp: now }) }
    }

    pub(crate) fn require_before_due(&self, now: Timestamp) -> Result<(), Refusal> {
        before(self.id, now, self.due_at.unwrap_or_default())
    }

    pub(crate) fn require_before_review(&self, now: Timestamp) -> Result<(), Refusal> {
        before(self.id, now, self.review_by.unwrap_or_default())
    }

    pub(crate) fn require_due(&self, now: Timestamp) -> Result<(), Refusal> {
        reached(self.id, now, self.due_at.unwrap_or_default())
    }

    pub(crate) fn require_reviewed(&self, now: Timestamp) -> Result<(), Refusal> {
        reached(self.id, now, self.review_by.unwrap_or_default())
    }

    /// From `dueAt` for the poster; for all others one submission timeout later.
    pub(crate) fn require_due_for(&self, caller: Address, now: Timestamp, parameters: &EscrowParameters) -> Result<(), Refusal> {
        reached(self.id, now, self.due_for(caller, parameters))
    }

    /// From when on `caller` may act on an agent that has not delivered.
    pub(crate) fn due_for(&self, caller: Address, parameters: &EscrowParameters) -> Timestamp {
        let due_at = self.due_at.unwrap_or_default();
        if caller == self.terms.poster { due_at } else { due_at + parameters.submission_timeout }
    }

    pub(crate) fn require_revisions_left(&self) -> Result<(), Refusal> {
        let max_revisions = self.terms.max_revisions;
        if self.revisions < max_revisions { Ok(()) } else { Err(Refusal::NoRevisionsLeft { run: self.id, max_revisions }) }
    }

    /// A submission before `reviewBy` once all revisions are used, or a requested revision that never came.
    pub(crate) fn require_rejectable(&self, now: Timestamp) -> Result<(), Refusal> {
        self.require_state(&[RunState::Submitted, RunState::RevisionRequested])?;
        if self.state == RunState::RevisionRequested {
            return self.require_due(now);
        }
        self.require_before_review(now)?;
        let max_revisions = self.terms.max_revisions;
        if self.revisions < max_revisions {
            return Err(Refusal::RevisionsLeft { run: self.id, revisions: self.revisions, max_revisions });
        }
        Ok(())
    }

    /// The deadline in force is the one the caller looked at.
    pub(crate) fn require_expected(&self, expected: Timestamp) -> Result<(), Refusal> {
        let actual = self.review_by.or(self.due_at).unwrap_or_default();
        if expected == actual { Ok(()) } else { Err(Refusal::SubmissionChanged { run: self.id, expected, actual }) }
    }

    pub(crate) fn payment(&self) -> Payment {
        Payment {
            agent: self.agent_id(),
            wallet: self.claim.map_or(Address::ZERO, |claim| claim.wallet),
            reward: self.terms.reward,
            fee: self.terms.fee,
        }
    }

    pub(crate) fn agent_id(&self) -> AgentId {
        self.claim.map_or(AgentId(0), |claim| claim.agent)
    }
}

fn before(run: RunId, now: Timestamp, until: Timestamp) -> Result<(), Refusal> {
    if is_before(now, until) { Ok(()) } else { Err(Refusal::TooLate { run, until, timestamp: now }) }
}

fn reached(run: RunId, now: Timestamp, from: Timestamp) -> Result<(), Refusal> {
    if is_reached(now, from) { Ok(()) } else { Err(Refusal::TooEarly { run, from, timestamp: now }) }
}

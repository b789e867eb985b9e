//! Who may do what, when: the law of `RunEscrow` and `AgentStake`, restated once.
//!
//! Each function answers as the contract would: `Ok`, or the refusal whose Solidity error the call would revert with. The order of the
//! checks is the contracts' order, because the differential vectors compare which error comes first. Two facts are left to the chain,
//! because no event of a run or an agent tells them: whether the owner has paused new business, and whether the payer has the USDC.

use alloy_primitives::{Address, Bytes, U256};

use crate::{
    Agent, AgentId, AgentStatus, EscrowParameters, Parameters, Refusal, Run, RunEvent, RunId, RunState, StakeParameters, Terms, Timestamp,
    Usdc, run::Payment,
};

/// Largest reward: one base unit less than 2^56.
pub const MAXIMUM_REWARD: Usdc = Usdc::base_units((1 << 56) - 1);
/// Latest claiming deadline: one second before 2^36.
pub const MAXIMUM_DEADLINE: Timestamp = Timestamp((1 << 36) - 1);
/// Largest stake: one base unit less than 2^64.
pub const MAXIMUM_STAKE: Usdc = Usdc::base_units(u64::MAX);
/// Most bytes of a content URI, a deliverable URI, or feedback.
pub const MAXIMUM_TEXT_BYTES: u64 = 2048;
/// Most bytes of an agent URI.
pub const MAXIMUM_AGENT_URI_BYTES: u64 = 8192;

const BASIS_POINTS: u64 = 10_000;

/// What a poster writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Paid to the agent on approval.
    pub reward: Usdc,
    /// Claiming and funding stop here.
    pub deadline: Timestamp,
    /// Revisions before rejection.
    pub max_revisions: u64,
    /// Bytes of the content URI.
    pub content_uri_bytes: u64,
}

impl Offer {
    /// The offer that `terms` came from.
    pub fn of(terms: &Terms) -> Self {
        Self {
            reward: terms.reward,
            deadline: terms.deadline,
            max_revisions: terms.max_revisions.into(),
            content_uri_bytes: byte_count(&terms.content_uri),
        }
    }
}

/// Something a caller wants to do with an existing run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Escrow reward and fee.
    Fund,
    /// Withdraw the run.
    Cancel,
    /// Take the run on.
    Claim {
        /// For which agent.
        agent: AgentId,
        /// The terms word the caller looked at.
        expected_terms: U256,
    },
    /// Say that work begins.
    Start,
    /// Deliver.
    Submit {
        /// Where; arbitrary bytes.
        deliverable_uri: Bytes,
    },
    /// Ask for changes.
    RequestRevision {
        /// `reviewBy` of the submission answered.
        expected_review_by: Timestamp,
        /// What should change; arbitrary bytes.
        feedback: Bytes,
    },
    /// Accept and pay.
    Approve {
        /// `reviewBy` of the submission answered.
        expected_review_by: Timestamp,
    },
    /// Refuse and be refunded.
    Reject {
        /// `reviewBy` or `dueAt` of what is answered.
        expected_deadline: Timestamp,
    },
    /// Accept in a silent poster's place.
    Finalize,
    /// Take the run back from an agent that did not deliver.
    Slash,
}

/// The facts beside the run that decide.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Who calls.
    pub caller: Address,
    /// The agent that claims, or that holds the run.
    pub agent: Option<&'a Agent>,
    /// Chain time.
    pub now: Timestamp,
    /// The deployment's rules.
    pub parameters: &'a Parameters,
}

/// floor(reward x fee_bps / 10000).
pub fn fee(reward: Usdc, parameters: &EscrowParameters) -> Usdc {
    Usdc(reward.saturating_mul(parameters.fee_bps).0 / U256::from(BASIS_POINTS))
}

/// What stops at `deadline` is still possible at `now`.
pub fn is_before(now: Timestamp, deadline: Timestamp) -> bool {
    now < deadline
}

/// What starts at `deadline` is possible at `now`.
pub fn is_reached(now: Timestamp, deadline: Timestamp) -> bool {
    !is_before(now, deadline)
}

/// Whether an offer may be written down.
pub fn create(offer: &Offer, now: Timestamp, parameters: &EscrowParameters) -> Result<(), Refusal> {
    if offer.reward < parameters.minimum_reward || offer.reward > MAXIMUM_REWARD {
        return Err(Refusal::RewardOutOfRange { reward: offer.reward, minimum: parameters.minimum_reward, maximum: MAXIMUM_REWARD });
    }
    let latest = (now + parameters.max_deadline_ahead).min(MAXIMUM_DEADLINE);
    if !is_before(now, offer.deadline) || offer.deadline > latest {
        return Err(Refusal::DeadlineOutOfRange { deadline: offer.deadline, timestamp: now, latest });
    }
    if offer.max_revisions > parameters.max_revisions.into() {
        return Err(Refusal::TooManyRevisions { max_revisions: offer.max_revisions, limit: parameters.max_revisions.into() });
    }
    require_length(offer.content_uri_bytes, 1)
}

/// Whether `amount` may be deposited for an agent that already has `stake`.
pub fn stake(amount: Usdc, stake: Usdc) -> Result<(), Refusal> {
    let maximum = MAXIMUM_STAKE.saturating_sub(stake);
    if amount.0.is_zero() || amount > maximum {
        return Err(Refusal::AmountOutOfRange { amount, minimum: Usdc::base_units(1), maximum });
    }
    Ok(())
}

/// Whether `caller` may withdraw `amount` of an agent's stake.
pub fn unstake(agent: &Agent, amount: Usdc, caller: Address, now: Timestamp, parameters: &StakeParameters) -> Result<(), Refusal> {
    let owner = agent.owner.unwrap_or_default();
    if caller != owner {
        return Err(Refusal::NotOwner { agent: agent.id, caller, owner });
    }
    if agent.record.status(parameters, now) == AgentStatus::Frozen {
        return Err(Refusal::Frozen { agent: agent.id, owed: agent.record.owed });
    }
    let withdrawable = agent.record.withdrawable(parameters, now);
    if amount.0.is_zero() {
        return Err(Refusal::AmountOutOfRange { amount, minimum: Usdc::base_units(1), maximum: withdrawable });
    }
    if amount > withdrawable {
        return Err(Refusal::ExceedsWithdrawable { agent: agent.id, amount, withdrawable });
    }
    Ok(())
}

/// Every reason why `agent` could not claim `run` by a call of `caller`, in the order people are told; empty if it can.
pub fn claim_refusals(run: &Run, agent: &Agent, caller: Address, now: Timestamp, parameters: &Parameters) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    refusals.extend(run.require_state(&[RunState::Open]).err());
    refusals.extend(run.require_before_deadline(now).err());
    if !agent.is_agent(caller) {
        refusals.push(Refusal::NotAgent { agent: agent.id, caller });
    }
    refusals.extend(run.require_not_poster(caller).err());
    refusals.extend(agent.record.refusals_to_commit(agent.id, &parameters.stake, now));
    refusals
}

/// What the escrow would do: the events it would emit, or the refusal it would revert with.
pub fn decide(run: &Run, action: &Action, circumstances: &Circumstances<'_>) -> Result<Vec<RunEvent>, Refusal> {
    let Circumstances { caller, agent, now, parameters } = *circumstances;
    let due_at = now + parameters.escrow.submission_timeout;
    match action {
        Action::Fund => {
            run.require_poster(caller)?;
            run.require_state(&[RunState::Draft])?;
            run.require_before_deadline(now)?;
            Ok(vec![RunEvent::Funded { amount: run.terms.escrowed() }])
        }
        Action::Cancel => {
            run.require_poster(caller)?;
            run.require_state(&[RunState::Draft, RunState::Open])?;
            Ok(vec![RunEvent::Cancelled { refund: run.escrowed() }])
        }
        Action::Claim { agent: id, expected_terms } => {
            run.require_state(&[RunState::Open])?;
            run.require_before_deadline(now)?;
            if *expected_terms != run.terms_word() {
                return Err(Refusal::TermsChanged { run: run.id });
            }
            run.require_not_poster(caller)?;
            let agent = agent.filter(|agent| agent.id == *id).ok_or(Refusal::AgentNotFound { agent: *id })?;
            if !agent.is_agent(caller) {
                return Err(Refusal::NotAgent { agent: agent.id, caller });
            }
            if let Some(refusal) = agent.record.refusals_to_commit(agent.id, &parameters.stake, now).into_iter().next() {
                return Err(refusal);
            }
            let stake_at_risk = parameters.stake.stake_at_risk;
            Ok(vec![RunEvent::Claimed { agent: agent.id, wallet: caller, stake_at_risk, due_at }])
        }
        Action::Start => {
            run.require_state(&[RunState::Claimed])?;
            run.require_run_agent(caller, agent)?;
            run.require_before_due(now)?;
            Ok(vec![RunEvent::Started])
        }
        Action::Submit { deliverable_uri } => {
            run.require_state(&[RunState::Claimed, RunState::InProgress, RunState::RevisionRequested])?;
            run.require_run_agent(caller, agent)?;
            run.require_before_due(now)?;
            require_length(byte_count(deliverable_uri), 1)?;
            let review_by = now + parameters.escrow.review_period;
            let submitted = RunEvent::Submitted { review_by, deliverable_uri: deliverable_uri.clone() };
            Ok(if run.state == RunState::Claimed { vec![RunEvent::Started, submitted] } else { vec![submitted] })
        }
        Action::RequestRevision { expected_review_by, feedback } => {
            run.require_poster(caller)?;
            run.require_state(&[RunState::Submitted])?;
            run.require_expected(*expected_review_by)?;
            run.require_before_review(now)?;
            run.require_revisions_left()?;
            require_length(byte_count(feedback), 0)?;
            Ok(vec![RunEvent::RevisionRequested { revision: u64::from(run.revisions) + 1, due_at, feedback: feedback.clone() }])
        }
        Action::Approve { expected_review_by } => {
            run.require_poster(caller)?;
            run.require_state(&[RunState::Submitted])?;
            run.require_expected(*expected_review_by)?;
            Ok(vec![RunEvent::Approved(run.payment())])
        }
        Action::Reject { expected_deadline } => {
            run.require_state(&[RunState::Submitted, RunState::RevisionRequested])?;
            if run.state == RunState::Submitted {
                run.require_poster(caller)?;
                run.require_expected(*expected_deadline)?;
            } else {
                run.require_expected(*expected_deadline)?;
                run.require_due_for(caller, now, &parameters.escrow)?;
            }
            run.require_rejectable(now)?;
            Ok(vec![RunEvent::Rejected { agent: run.agent_id(), refund: run.escrowed() }])
        }
        Action::Finalize => {
            run.require_state(&[RunState::Submitted])?;
            run.require_reviewed(now)?;
            Ok(vec![RunEvent::Finalized(run.payment())])
        }
        Action::Slash => {
            run.require_state(&[RunState::Claimed, RunState::InProgress])?;
            run.require_due_for(caller, now, &parameters.escrow)?;
            let slashed = run.claim.map_or(Usdc::ZERO, |claim| claim.stake_at_risk);
            Ok(vec![RunEvent::Slashed { agent: run.agent_id(), refund: run.escrowed(), slashed }])
        }
    }
}

fn byte_count(text: &[u8]) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

fn require_length(length: u64, minimum: u64) -> Result<(), Refusal> {
    if length < minimum || length > MAXIMUM_TEXT_BYTES {
        return Err(Refusal::LengthOutOfRange { length, minimum, maximum: MAXIMUM_TEXT_BYTES });
    }
    Ok(())
}

/// The single conditions that verbs and the fold are made of.
impl Run {
    pub(crate) fn require_state(&self, accepted: &[RunState]) -> Result<(), Refusal> {
        if accepted.contains(&self.state) {
            return Ok(());
        }
        Err(Refusal::WrongState { run: self.id, state: self.state, accepted: accepted.to_vec() })
    }

    fn require_poster(&self, caller: Address) -> Result<(), Refusal> {
        let poster = self.terms.poster;
        if caller == poster { Ok(()) } else { Err(Refusal::NotPoster { run: self.id, caller, poster }) }
    }

    fn require_not_poster(&self, caller: Address) -> Result<(), Refusal> {
        let poster = self.terms.poster;
        if caller != poster { Ok(()) } else { Err(Refusal::PosterCannotClaim { run: self.id, poster }) }
    }

    /// The wallet that claimed, or the current owner of the agent that holds the run.
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

    /// From `dueAt` for the poster; for everybody else one submission timeout later.
    fn require_due_for(&self, caller: Address, now: Timestamp, parameters: &EscrowParameters) -> Result<(), Refusal> {
        let due_at = self.due_at.unwrap_or_default();
        let from = if caller == self.terms.poster { due_at } else { due_at + parameters.submission_timeout };
        reached(self.id, now, from)
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
    fn require_expected(&self, expected: Timestamp) -> Result<(), Refusal> {
        let actual = self.review_by.or(self.due_at).unwrap_or_default();
        if expected == actual { Ok(()) } else { Err(Refusal::SubmissionChanged { run: self.id, expected, actual }) }
    }

    fn payment(&self) -> Payment {
        Payment {
            agent: self.agent_id(),
            wallet: self.claim.map_or(Address::ZERO, |claim| claim.wallet),
            reward: self.terms.reward,
            fee: self.terms.fee,
        }
    }

    fn agent_id(&self) -> AgentId {
        self.claim.map_or(AgentId(0), |claim| claim.agent)
    }
}

fn before(run: RunId, now: Timestamp, until: Timestamp) -> Result<(), Refusal> {
    if is_before(now, until) { Ok(()) } else { Err(Refusal::TooLate { run, until, timestamp: now }) }
}

fn reached(run: RunId, now: Timestamp, from: Timestamp) -> Result<(), Refusal> {
    if is_reached(now, from) { Ok(()) } else { Err(Refusal::TooEarly { run, from, timestamp: now }) }
}

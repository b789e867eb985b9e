//! Who may do what, when: the law of `RunEscrow` and `AgentStake`, restated once.
//!
//! Each function answers as the contract would: `Ok`, or the refusal whose Solidity error the call would revert with. The order of the
//! checks is the contracts' order, because the differential vectors compare which error comes first. Two facts are left to the chain,
//! because no event of a run or an agent tells them: whether the owner has paused new business, and whether the payer has the USDC.

use alloy_primitives::{Address, Bytes, U256};

use crate::{
    Agent, AgentId, AgentStatus, Parameters, Refusal, Run, RunEvent, RunState, StakeParameters, Timestamp, Usdc, terms::require_length,
};

pub use crate::{
    terms::{MAXIMUM_DEADLINE, MAXIMUM_REWARD, MAXIMUM_TEXT_BYTES, create, fee},
    time::{is_before, is_reached},
};

/// Largest stake: one base unit less than 2^64.
pub const MAXIMUM_STAKE: Usdc = Usdc::base_units(u64::MAX);
/// Most bytes of an agent URI.
pub const MAXIMUM_AGENT_URI_BYTES: u64 = 8192;

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

/// Why an action is not allowed; empty if it is.
///
/// The contract reports the first thing wrong in an order that is cheap for it. People are told first whether they are the right one to ask,
/// and of a claim everything that stands in its way, in the order of the market's reference.
pub fn refusals(run: &Run, action: &Action, circumstances: &Circumstances<'_>) -> Vec<Refusal> {
    let Circumstances { caller, agent, now, parameters } = *circumstances;
    let first = match (action, agent) {
        (Action::Claim { .. }, Some(agent)) => claim_refusals(run, agent, caller, now, parameters),
        (Action::Start | Action::Submit { .. }, holder) if run.claim.is_some() => {
            run.require_run_agent(caller, holder).err().into_iter().collect()
        }
        _ => Vec::new(),
    };
    if first.is_empty() { decide(run, action, circumstances).err().into_iter().collect() } else { first }
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
            require_length(deliverable_uri, 1)?;
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
            require_length(feedback, 0)?;
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

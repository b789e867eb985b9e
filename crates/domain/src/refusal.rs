//! Why an action is refused: one variant per custom error of the contracts that an action can meet, with the same numbers.

use alloy_primitives::Address;
use thiserror::Error;

use crate::{AgentId, AgentStatus, RunId, RunState, Timestamp, Usdc};

/// A rule that forbids an action. [`Refusal::code`] is stable; the sentence is for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No run has this id.
    #[error("run {run} does not exist")]
    RunNotFound {
        /// The id asked for.
        run: RunId,
    },
    /// No agent has this id.
    #[error("agent {agent} does not exist")]
    AgentNotFound {
        /// The id asked for.
        agent: AgentId,
    },
    /// The run is in a state the action does not start from.
    #[error("run {run} is {state}, not {}", words(.accepted))]
    WrongState {
        /// The run.
        run: RunId,
        /// Its state.
        state: RunState,
        /// The states the action starts from.
        accepted: Vec<RunState>,
    },
    /// Only the run's poster may do this.
    #[error("{caller} is not the poster of run {run}, {poster} is")]
    NotPoster {
        /// The run.
        run: RunId,
        /// Who asked.
        caller: Address,
        /// Who may.
        poster: Address,
    },
    /// Only the wallet that claimed, or the agent's owner, may do this.
    #[error("{caller} neither claimed run {run} (that was {wallet}) nor owns the agent")]
    NotRunAgent {
        /// The run.
        run: RunId,
        /// Who asked.
        caller: Address,
        /// The wallet that claimed.
        wallet: Address,
    },
    /// The caller does not act for the agent.
    #[error("{caller} is neither the owner nor the agent wallet of agent {agent}")]
    NotAgent {
        /// The agent.
        agent: AgentId,
        /// Who asked.
        caller: Address,
    },
    /// Only the agent token's owner may do this.
    #[error("{caller} does not own agent {agent}, {owner} does")]
    NotOwner {
        /// The agent.
        agent: AgentId,
        /// Who asked.
        caller: Address,
        /// Who may.
        owner: Address,
    },
    /// A poster's own wallet may not claim its run.
    #[error("{poster} posted run {run} and cannot claim it")]
    PosterCannotClaim {
        /// The run.
        run: RunId,
        /// Its poster.
        poster: Address,
    },
    /// The reward is outside what the escrow accepts.
    #[error("a reward of {reward} USDC is not between {minimum} and {maximum} USDC")]
    RewardOutOfRange {
        /// What was asked.
        reward: Usdc,
        /// Smallest reward.
        minimum: Usdc,
        /// Largest reward.
        maximum: Usdc,
    },
    /// The deadline is in the past or too far ahead.
    #[error("a deadline of {deadline} is not later than {timestamp} and at most {latest}")]
    DeadlineOutOfRange {
        /// What was asked.
        deadline: Timestamp,
        /// Chain time.
        timestamp: Timestamp,
        /// Last acceptable deadline.
        latest: Timestamp,
    },
    /// More revisions than a run may have.
    #[error("{max_revisions} revisions are more than {limit}")]
    TooManyRevisions {
        /// What was asked.
        max_revisions: u64,
        /// Largest acceptable number.
        limit: u64,
    },
    /// A URI or feedback is too short or too long.
    #[error("{length} bytes are not between {minimum} and {maximum}")]
    LengthOutOfRange {
        /// Bytes given.
        length: u64,
        /// Fewest.
        minimum: u64,
        /// Most.
        maximum: u64,
    },
    /// The claiming deadline has passed.
    #[error("the deadline of run {run} has passed")]
    DeadlinePassed {
        /// The run.
        run: RunId,
        /// Its deadline.
        deadline: Timestamp,
        /// Chain time.
        timestamp: Timestamp,
    },
    /// The run on chain is not the one the caller looked at.
    #[error("the terms of run {run} are not the ones expected")]
    TermsChanged {
        /// The run.
        run: RunId,
    },
    /// The submission on chain is not the one the caller looked at.
    #[error("the submission or revision of run {run} is not the one expected")]
    SubmissionChanged {
        /// The run.
        run: RunId,
        /// The deadline the caller named.
        expected: Timestamp,
        /// The deadline in force.
        actual: Timestamp,
    },
    /// The time for this has passed.
    #[error("too late for run {run}: possible until {until}, it is {timestamp}")]
    TooLate {
        /// The run.
        run: RunId,
        /// First second at which it is no longer possible.
        until: Timestamp,
        /// Chain time.
        timestamp: Timestamp,
    },
    /// The time for this has not come.
    #[error("too early for run {run}: possible from {from}, it is {timestamp}")]
    TooEarly {
        /// The run.
        run: RunId,
        /// First second at which it is possible for this caller.
        from: Timestamp,
        /// Chain time.
        timestamp: Timestamp,
    },
    /// Every revision has been used.
    #[error("run {run} has used all its {max_revisions} revisions")]
    NoRevisionsLeft {
        /// The run.
        run: RunId,
        /// How many it had.
        max_revisions: u8,
    },
    /// The agent still has revisions.
    #[error("run {run} has used {revisions} of its {max_revisions} revisions: reject after the last")]
    RevisionsLeft {
        /// The run.
        run: RunId,
        /// Used.
        revisions: u8,
        /// Allowed.
        max_revisions: u8,
    },
    /// The agent's status does not allow claiming.
    #[error("agent {agent} is {status}; only PROVISIONAL and ESTABLISHED agents can claim")]
    NotEligible {
        /// The agent.
        agent: AgentId,
        /// Its status.
        status: AgentStatus,
    },
    /// The stake is committed to runs in hand.
    #[error("agent {agent} has {free} USDC of free stake, a claim commits {required} USDC")]
    StakeCommitted {
        /// The agent.
        agent: AgentId,
        /// Stake that no run holds.
        free: Usdc,
        /// What a claim commits.
        required: Usdc,
    },
    /// An amount is zero or too large.
    #[error("an amount of {amount} USDC is not between {minimum} and {maximum} USDC")]
    AmountOutOfRange {
        /// What was asked.
        amount: Usdc,
        /// Smallest.
        minimum: Usdc,
        /// Largest.
        maximum: Usdc,
    },
    /// More than the agent may withdraw now.
    #[error("agent {agent} can withdraw {withdrawable} USDC now, not {amount} USDC")]
    ExceedsWithdrawable {
        /// The agent.
        agent: AgentId,
        /// What was asked.
        amount: Usdc,
        /// What it may withdraw.
        withdrawable: Usdc,
    },
    /// A FROZEN agent withdraws nothing.
    #[error("agent {agent} is FROZEN until {owed} USDC have been staked again")]
    Frozen {
        /// The agent.
        agent: AgentId,
        /// What it owes.
        owed: Usdc,
    },
    /// The escrow's owner has paused create, fund and claim.
    #[error("creating, funding and claiming are paused")]
    Paused,
}

impl Refusal {
    /// A stable code: the Solidity error without its component, in snake case; `NotEligible` names the status that is in the way.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RunNotFound { .. } => "run_not_found",
            Self::AgentNotFound { .. } => "agent_not_found",
            Self::WrongState { .. } => "wrong_state",
            Self::NotPoster { .. } => "not_poster",
            Self::NotRunAgent { .. } => "not_run_agent",
            Self::NotAgent { .. } => "not_agent",
            Self::NotOwner { .. } => "not_owner",
            Self::PosterCannotClaim { .. } => "poster_cannot_claim",
            Self::RewardOutOfRange { .. } => "reward_out_of_range",
            Self::DeadlineOutOfRange { .. } => "deadline_out_of_range",
            Self::TooManyRevisions { .. } => "too_many_revisions",
            Self::LengthOutOfRange { .. } => "length_out_of_range",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::TermsChanged { .. } => "terms_changed",
            Self::SubmissionChanged { .. } => "submission_changed",
            Self::TooLate { .. } => "too_late",
            Self::TooEarly { .. } => "too_early",
            Self::NoRevisionsLeft { .. } => "no_revisions_left",
            Self::RevisionsLeft { .. } => "revisions_left",
            Self::NotEligible { status, .. } => match status {
                AgentStatus::Frozen => "agent_frozen",
                AgentStatus::Banned => "agent_banned",
                AgentStatus::Unverified | AgentStatus::Provisional | AgentStatus::Established => "agent_unverified",
            },
            Self::StakeCommitted { .. } => "stake_committed",
            Self::AmountOutOfRange { .. } => "amount_out_of_range",
            Self::ExceedsWithdrawable { .. } => "exceeds_withdrawable",
            Self::Frozen { .. } => "agent_frozen",
            Self::Paused => "paused",
        }
    }

    /// The Solidity error that states the same; nothing where the registry or OpenZeppelin words it.
    pub const fn solidity_error(&self) -> Option<&'static str> {
        Some(match self {
            Self::RunNotFound { .. } => "RunEscrow_RunNotFound",
            Self::AgentNotFound { .. } => return None,
            Self::WrongState { .. } => "RunEscrow_WrongState",
            Self::NotPoster { .. } => "RunEscrow_NotPoster",
            Self::NotRunAgent { .. } => "RunEscrow_NotRunAgent",
            Self::NotAgent { .. } => "AgentStake_NotAgent",
            Self::NotOwner { .. } => "AgentStake_NotOwner",
            Self::PosterCannotClaim { .. } => "RunEscrow_PosterCannotClaim",
            Self::RewardOutOfRange { .. } => "RunEscrow_RewardOutOfRange",
            Self::DeadlineOutOfRange { .. } => "RunEscrow_DeadlineOutOfRange",
            Self::TooManyRevisions { .. } => "RunEscrow_TooManyRevisions",
            Self::LengthOutOfRange { .. } => "RunEscrow_LengthOutOfRange",
            Self::DeadlinePassed { .. } => "RunEscrow_DeadlinePassed",
            Self::TermsChanged { .. } => "RunEscrow_TermsChanged",
            Self::SubmissionChanged { .. } => "RunEscrow_SubmissionChanged",
            Self::TooLate { .. } => "RunEscrow_TooLate",
            Self::TooEarly { .. } => "RunEscrow_TooEarly",
            Self::NoRevisionsLeft { .. } => "RunEscrow_NoRevisionsLeft",
            Self::RevisionsLeft { .. } => "RunEscrow_RevisionsLeft",
            Self::NotEligible { .. } => "AgentStake_NotEligible",
            Self::StakeCommitted { .. } => "AgentStake_StakeCommitted",
            Self::AmountOutOfRange { .. } => "AgentStake_AmountOutOfRange",
            Self::ExceedsWithdrawable { .. } => "AgentStake_ExceedsWithdrawable",
            Self::Frozen { .. } => "AgentStake_Frozen",
            Self::Paused => "EnforcedPause",
        })
    }
}

/// `A, B or C`.
fn words(states: &[RunState]) -> String {
    match states {
        [] => "any".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} or {last}", first.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ")),
    }
}

//! The immutable rules of one deployment, read from the chain at start-up.

use serde::{Deserialize, Serialize};

use crate::{Seconds, Usdc};

/// What `RunEscrow.parameters()` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EscrowParameters {
    /// Fee in basis points of the reward.
    pub fee_bps: u64,
    /// Smallest reward.
    pub minimum_reward: Usdc,
    /// Time an agent has to submit, after the claim and after each requested revision.
    pub submission_timeout: Seconds,
    /// Time a poster has to answer a submission.
    pub review_period: Seconds,
    /// Largest `max_revisions` of a run.
    pub max_revisions: u8,
    /// Furthest a deadline may lie ahead.
    pub max_deadline_ahead: Seconds,
}

/// What `AgentStake.parameters()` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StakeParameters {
    /// Stake needed to claim any run.
    pub minimum_stake: Usdc,
    /// Stake committed by each run in hand.
    pub stake_at_risk: Usdc,
    /// Slashes after which an agent is BANNED.
    pub banned_after_slashes: u64,
    /// Uninterrupted time at or above the minimum stake before an agent is ESTABLISHED.
    pub established_after: Seconds,
    /// Completions before an agent is ESTABLISHED.
    pub established_completions: u64,
}

/// Both contracts' rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Parameters {
    /// The escrow's.
    pub escrow: EscrowParameters,
    /// The stake contract's.
    pub stake: StakeParameters,
}

impl Default for Parameters {
    /// What `clawpay deploy` uses unless told otherwise.
    fn default() -> Self {
        Self {
            escrow: EscrowParameters {
                fee_bps: 500,
                minimum_reward: Usdc::whole(1),
                submission_timeout: Seconds::days(7),
                review_period: Seconds::days(7),
                max_revisions: 3,
                max_deadline_ahead: Seconds::days(365),
            },
            stake: StakeParameters {
                minimum_stake: Usdc::whole(20),
                stake_at_risk: Usdc::whole(10),
                banned_after_slashes: 3,
                established_after: Seconds::days(30),
                established_completions: 5,
            },
        }
    }
}

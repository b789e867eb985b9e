//! What a poster writes down, its limits, and the fee on top of it.

use alloy_primitives::{Address, Bytes, U256};

use crate::{EscrowParameters, Refusal, Timestamp, Usdc, time::is_before};

/// Largest reward: one base unit less than 2^56.
pub const MAXIMUM_REWARD: Usdc = Usdc::base_units((1 << 56) - 1);
/// Latest claiming deadline: one second before 2^36.
pub const MAXIMUM_DEADLINE: Timestamp = Timestamp((1 << 36) - 1);
/// Most bytes of a content URI, a deliverable URI, or feedback.
pub const MAXIMUM_TEXT_BYTES: u64 = 2048;
const BASIS_POINTS: u64 = 10_000;

/// What a poster writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Paid to the agent on approval.
    pub reward: Usdc,
    /// Claiming and funding stop here.
    pub deadline: Timestamp,
    /// Revisions the poster may request before it may reject.
    pub max_revisions: u64,
    /// Where the work is described; arbitrary bytes.
    pub content_uri: Bytes,
}

/// What the chain holds of a [`NewRun`]. Immutable once written down.
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

impl From<&Terms> for NewRun {
    fn from(terms: &Terms) -> Self {
        Self {
            reward: terms.reward,
            deadline: terms.deadline,
            max_revisions: terms.max_revisions.into(),
            content_uri: terms.content_uri.clone(),
        }
    }
}

impl Terms {
    /// Reward and fee: what funding takes and a refund returns.
    pub fn escrowed(&self) -> Usdc {
        self.reward.saturating_add(self.fee)
    }
}

/// floor(reward x fee_bps / 10000).
pub fn fee(reward: Usdc, parameters: &EscrowParameters) -> Usdc {
    Usdc(reward.saturating_mul(parameters.fee_bps).0 / U256::from(BASIS_POINTS))
}

/// Whether a run may be written down at `now`, or the refusal that the contract would revert with.
pub fn create(run: &NewRun, now: Timestamp, parameters: &EscrowParameters) -> Result<(), Refusal> {
    if run.reward < parameters.minimum_reward || run.reward > MAXIMUM_REWARD {
        return Err(Refusal::RewardOutOfRange { reward: run.reward, minimum: parameters.minimum_reward, maximum: MAXIMUM_REWARD });
    }
    let latest = (now + parameters.max_deadline_ahead).min(MAXIMUM_DEADLINE);
    if !is_before(now, run.deadline) || run.deadline > latest {
        return Err(Refusal::DeadlineOutOfRange { deadline: run.deadline, timestamp: now, latest });
    }
    if run.max_revisions > parameters.max_revisions.into() {
        return Err(Refusal::TooManyRevisions { max_revisions: run.max_revisions, limit: parameters.max_revisions.into() });
    }
    require_length(&run.content_uri, 1)
}

/// Refuses a text of fewer bytes than `minimum`, or of more than any text may have.
pub(crate) fn require_length(text: &[u8], minimum: u64) -> Result<(), Refusal> {
    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if length < minimum || length > MAXIMUM_TEXT_BYTES {
        return Err(Refusal::LengthOutOfRange { length, minimum, maximum: MAXIMUM_TEXT_BYTES });
    }
    Ok(())
}

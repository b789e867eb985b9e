//! A run.

use clawpay_domain::{AgentId, RunId, RunState, Usdc};
use clawpay_store::{IndexedBlock, RunRecord};
use serde::Serialize;

use super::{
    poster::PosterDto,
    text::{Checksummed, IsoDate, lossy},
};

/// A run as the market's reference spells it, followed by what its history adds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunDto {
    bounty_id: RunId,
    poster_address: Checksummed,
    ipfs_hash: String,
    reward: Usdc,
    deadline: IsoDate,
    state: RunState,
    claimed_by: Option<AgentId>,
    claimed_by_wallet: Option<Checksummed>,
    stake: Option<Usdc>,
    deliverable_hash: Option<String>,
    claimed_at: Option<IsoDate>,
    submitted_at: Option<IsoDate>,
    created_at: IsoDate,
    fee: Usdc,
    max_revisions: u8,
    revisions: u8,
    feedback: Option<String>,
    due_at: Option<IsoDate>,
    review_by: Option<IsoDate>,
    funded_at: Option<IsoDate>,
    settled_at: Option<IsoDate>,
    finalized_by_silence: bool,
    claimable: bool,
    slashable: bool,
    finalizable: bool,
    tx_hash: alloy::primitives::B256,
    updated_block: u64,
    finality: Finality,
    /// How the run's events contradict the rules; null when nothing does.
    inconsistency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    poster: Option<PosterDto>,
}

/// How far the chain stands behind a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Finality {
    /// May still be replaced.
    Latest,
    /// The node calls its block safe.
    Safe,
    /// The node calls its block finalized.
    Finalized,
}

impl Finality {
    /// Of a row last changed in `block`.
    pub(crate) fn of(block: u64, indexed: &IndexedBlock) -> Self {
        let reached = |tag: Option<u64>| tag.is_some_and(|tag| block <= tag);
        if reached(indexed.finalized) {
            Self::Finalized
        } else if reached(indexed.safe) {
            Self::Safe
        } else {
            Self::Latest
        }
    }
}

impl RunDto {
    /// The run at the indexed block.
    pub(crate) fn new(record: &RunRecord, indexed: &IndexedBlock) -> Self {
        let RunRecord { run, tx_hash, updated_block, inconsistency } = record;
        let now = indexed.timestamp;
        Self {
            bounty_id: run.id,
            poster_address: Checksummed(run.terms.poster),
            ipfs_hash: lossy(&run.terms.content_uri),
            reward: run.terms.reward,
            deadline: IsoDate(run.terms.deadline),
            state: run.state,
            claimed_by: run.claim.map(|claim| claim.agent),
            claimed_by_wallet: run.claim.map(|claim| Checksummed(claim.wallet)),
            stake: run.claim.map(|claim| claim.stake_at_risk),
            deliverable_hash: run.submission.as_ref().map(|submission| lossy(&submission.deliverable_uri)),
            claimed_at: run.claim.map(|claim| IsoDate(claim.at)),
            submitted_at: run.submission.as_ref().map(|submission| IsoDate(submission.at)),
            created_at: IsoDate(run.created_at),
            fee: run.terms.fee,
            max_revisions: run.terms.max_revisions,
            revisions: run.revisions,
            feedback: run.feedback.as_ref().map(|feedback| lossy(feedback)),
            due_at: run.due_at.map(IsoDate),
            review_by: run.review_by.map(IsoDate),
            funded_at: run.funded_at.map(IsoDate),
            settled_at: run.settled_at.map(IsoDate),
            finalized_by_silence: run.finalized_by_silence,
            claimable: run.is_claimable(now),
            slashable: run.is_slashable(now),
            finalizable: run.is_finalizable(now),
            tx_hash: *tx_hash,
            updated_block: *updated_block,
            finality: Finality::of(*updated_block, indexed),
            inconsistency: inconsistency.clone(),
            poster: None,
        }
    }

    /// With its poster's record.
    pub(crate) fn with_poster(mut self, poster: PosterDto) -> Self {
        self.poster = Some(poster);
        self
    }
}

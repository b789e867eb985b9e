//! What has become of a transaction.

use alloy::primitives::B256;
use clawpay_bindings::Revert;
use clawpay_store::SubmittedTransaction;
use serde::Serialize;
use utoipa::ToSchema;

use crate::text::{Checksummed, revert_sentence};
use crate::{
    http::openapi::{ProblemCode, schemas as w},
    node::{Receipt, SentTransaction},
};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TransactionStatus)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Nobody here has heard of it.
    Unknown,
    /// On its way, or mined on a branch that is not certain yet.
    Pending,
    /// Mined, and not indexed yet.
    Included,
    /// Mined without effect.
    Reverted,
    /// Mined, and its effects are shown.
    Indexed,
    /// Mined in a block that stays.
    Finalized,
    /// Another transaction of the sender's has its place for good.
    Replaced,
    /// The node has let go of it. Its place is free, so it may still be mined, or sent again.
    Dropped,
}

impl Status {
    fn sentence(self, is_replaced: bool) -> &'static str {
        match self {
            Self::Unknown => "neither the node nor this server has heard of this transaction; that does not mean that it failed",
            Self::Pending if is_replaced => {
                "another transaction of the same sender has been mined in its place, in a block that is not final"
            }
            Self::Pending => "the transaction waits to be mined",
            Self::Included => "the transaction is mined; the index has not come to its block yet",
            Self::Reverted => "the transaction is mined and had no effect",
            Self::Indexed => "the transaction is mined and indexed; its block may still be replaced",
            Self::Finalized => "the transaction is mined in a block that stays",
            Self::Replaced => "another transaction of the same sender has taken its place for good",
            Self::Dropped => "the node has let go of the transaction; it may still be mined, or be sent again as it is",
        }
    }
}

/// A transaction's standing.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Transaction)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionDto {
    #[schema(value_type = w::Hash)]
    transaction_hash: B256,
    status: Status,
    /// What the status means.
    detail: &'static str,
    /// Who signed it.
    #[schema(required)]
    from: Option<Checksummed>,
    /// Its place among its sender's.
    #[schema(required)]
    nonce: Option<u64>,
    /// The contract it calls.
    #[schema(required)]
    to: Option<Checksummed>,
    /// The block it was mined in.
    #[schema(required)]
    block_number: Option<u64>,
    /// That block's hash.
    #[schema(value_type = Option<w::Hash>, required)]
    block_hash: Option<B256>,
    /// The transaction mined in the place of this one, where it is known.
    #[schema(value_type = Option<w::Hash>, required)]
    replaced_by: Option<B256>,
    /// Why it reverted.
    #[schema(required)]
    reason: Option<Reason>,
}

/// Why a call reverted, by its stable code.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RevertReason)]
struct Reason {
    /// What the contract's error is called, in snake case.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    /// In words.
    detail: String,
}

impl TransactionDto {
    /// A transaction of which nothing is known but this.
    pub(crate) fn new(transaction_hash: B256, status: Status) -> Self {
        Self {
            transaction_hash,
            status,
            detail: status.sentence(false),
            from: None,
            nonce: None,
            to: None,
            block_number: None,
            block_hash: None,
            replaced_by: None,
            reason: None,
        }
    }

    /// With what the node says of it.
    pub(crate) fn sent(self, transaction: Option<&SentTransaction>) -> Self {
        let Some(transaction) = transaction else { return self };
        let (from, to) = (Some(Checksummed(transaction.from)), transaction.to.map(Checksummed));
        Self { from, to, nonce: Some(transaction.nonce()), ..self }
    }

    /// With what is remembered of it.
    pub(crate) fn known(self, sent: &SubmittedTransaction) -> Self {
        Self { from: Some(Checksummed(sent.sender)), nonce: Some(sent.nonce), ..self }
    }

    /// With its place in the chain.
    pub(crate) fn mined(self, receipt: &Receipt) -> Self {
        Self { block_number: Some(receipt.block_number()), block_hash: Some(receipt.block_hash), ..self }
    }

    /// With what is there instead.
    pub(crate) fn replaced_by(self, replaced_by: Option<B256>) -> Self {
        Self { replaced_by, detail: self.status.sentence(true), ..self }
    }

    /// With why it had no effect.
    pub(crate) fn because(self, revert: Option<Revert>) -> Self {
        let reason = revert.map(|revert| Reason { code: revert.code(), detail: revert_sentence(&revert) });
        Self { reason, ..self }
    }
}

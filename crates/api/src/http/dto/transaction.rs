//! What has become of a transaction.

use alloy::primitives::B256;
use clawpay_bindings::Revert;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    http::openapi::{ProblemCode, schemas as w},
    text::{Checksummed, revert_sentence},
    transactions::{
        Place, TransactionStatus,
        status::{AccountStanding, State},
    },
};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TransactionStatus)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Nothing here has heard of it. That does not mean that it failed.
    Unknown,
    /// On its way. `waitingForNonce`: it cannot be mined before a transaction that nothing here knows.
    Pending,
    /// Mined, and not indexed yet.
    Included,
    /// Mined without effect.
    Reverted,
    /// Mined, and its effects are shown.
    Indexed,
    /// Mined in a block that stays.
    Finalized,
    /// Another transaction of the sender's has been mined in its place.
    Replaced,
    /// The node has let go of it. Its place is free, so it may still be mined, or sent again.
    Dropped,
}

impl From<State> for Status {
    fn from(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Pending => Self::Pending,
            State::Included => Self::Included,
            State::Reverted => Self::Reverted,
            State::Indexed => Self::Indexed,
            State::Finalized => Self::Finalized,
            State::Replaced => Self::Replaced,
            State::Dropped => Self::Dropped,
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
    detail: String,
    /// The account that signed it.
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
    /// The nonce of its sender that must be used before it can be mined, and that no transaction known here uses.
    #[schema(required)]
    waiting_for_nonce: Option<u64>,
    /// Why it reverted.
    #[schema(required)]
    reason: Option<Reason>,
    /// What the nonces of the account named by `wallet` say, of a transaction that nothing here has heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    account: Option<AccountDto>,
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

/// What an account has used its nonces for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AccountNonces)]
#[serde(rename_all = "camelCase")]
struct AccountDto {
    address: Checksummed,
    /// All nonces below this have been used: a transaction signed with one of them, and not mined, never will be.
    next_nonce: u64,
    /// How many of its transactions wait to be mined.
    waiting: u64,
    /// The mined transaction with the highest nonce, where it can be found.
    #[schema(value_type = Option<w::Hash>, required)]
    last_transaction: Option<B256>,
}

impl From<&Revert> for Reason {
    fn from(revert: &Revert) -> Self {
        Self { code: revert.code(), detail: revert_sentence(revert) }
    }
}

impl From<AccountStanding> for AccountDto {
    fn from(standing: AccountStanding) -> Self {
        let AccountStanding { account, next_nonce, waiting, last_transaction } = standing;
        Self { address: Checksummed(account), next_nonce, waiting, last_transaction }
    }
}

impl From<TransactionStatus> for TransactionDto {
    fn from(status: TransactionStatus) -> Self {
        let detail = detail(&status);
        let TransactionStatus { hash, state, place, to, block, replaced_by, waiting_for_nonce, reason, account, .. } = status;
        Self {
            transaction_hash: hash,
            status: state.into(),
            detail,
            from: place.map(|Place { sender, .. }| Checksummed(sender)),
            nonce: place.map(|Place { nonce, .. }| nonce),
            to: to.map(Checksummed),
            block_number: block.map(|(number, _)| number),
            block_hash: block.map(|(_, hash)| hash),
            replaced_by,
            waiting_for_nonce,
            reason: reason.as_ref().map(Into::into),
            account: account.map(Into::into),
        }
    }
}

fn detail(status: &TransactionStatus) -> String {
    match (status.state, status.account, status.waiting_for_nonce) {
        (State::Unknown, Some(AccountStanding { account, next_nonce, waiting, .. }), _) => format!(
            "neither the node nor this server has heard of this transaction; {account} has used all nonces below {next_nonce}, so if it was \
             signed with one of those it never will be mined, and otherwise it still may be; {waiting} of its transactions wait"
        ),
        (State::Unknown, None, _) => {
            "neither the node nor this server has heard of this transaction; that does not mean that it failed. A hash names no account: ask \
             with `?wallet=` for what its nonces say"
                .to_owned()
        }
        (State::Pending, _, Some(nonce)) => {
            format!("the transaction waits for the one of the same sender with nonce {nonce}, which no node here knows: send that one first")
        }
        (State::Pending, _, None) => "the transaction waits to be mined".to_owned(),
        (State::Included, ..) => "the transaction is mined; the index has not come to its block yet".to_owned(),
        (State::Reverted, ..) => "the transaction is mined and had no effect".to_owned(),
        (State::Indexed, ..) => "the transaction is mined and indexed; its block may still be replaced".to_owned(),
        (State::Finalized, ..) => "the transaction is mined in a block that stays".to_owned(),
        (State::Replaced, ..) if status.may_return => {
            "another transaction of the same sender has been mined in its place; this one could only be mined if that block were replaced".to_owned()
        }
        (State::Replaced, ..) => "another transaction of the same sender has taken its place for good".to_owned(),
        (State::Dropped, ..) => "the node has let go of the transaction; it may still be mined, or be sent again as it is".to_owned(),
    }
}

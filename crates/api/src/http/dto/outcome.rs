//! What came of a signed action.

use alloy::primitives::B256;
use axum::http::StatusCode;
use clawpay_bindings::Call;
use serde::Serialize;
use utoipa::ToSchema;

use super::prepared::Subjects;
use crate::{
    actions::{
        Facts, Verb,
        confirm::{Alike, Instead, Outcome, Progress},
    },
    hidden::HideList,
    http::openapi::schemas as w,
};

/// What came of a signed action.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum OutcomeDto {
    /// It has happened.
    Done(DoneDto),
    /// It is on its way.
    Pending(PendingDto),
    /// Nothing is known of it.
    Unknown(UnknownDto),
    /// It will not happen by this transaction.
    Replaced(ReplacedDto),
    /// It may still happen by this transaction.
    Dropped(DroppedDto),
}

/// A signed action that has happened: mined, and indexed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Done)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DoneDto {
    /// Whether the action has happened.
    success: bool,
    #[schema(inline, value_type = w::IsDone)]
    status: &'static str,
    #[serde(flatten)]
    subjects: Subjects,
    /// In words.
    message: String,
    /// The action's transaction.
    #[schema(value_type = w::Hash)]
    transaction_hash: B256,
    /// The block it was mined in.
    block_number: u64,
    /// The transaction that was handed in, where another one did the action in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<w::Hash>, nullable = false)]
    replaces: Option<B256>,
}

/// What is said of every signed action that has not happened, as far as is known.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Unsettled {
    /// Whether the action has happened.
    success: bool,
    #[serde(flatten)]
    subjects: Subjects,
    /// In words, and what to do next.
    message: String,
    /// The transaction that was handed in.
    #[schema(value_type = w::Hash)]
    transaction_hash: B256,
}

/// A signed action that is still on its way.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Pending)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PendingDto {
    #[schema(inline, value_type = w::StillPending)]
    status: &'static str,
    #[serde(flatten)]
    unsettled: Unsettled,
    /// The block it was mined in, once it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    block_number: Option<u64>,
    /// The nonce of its sender that must be used before it can be mined, and that no transaction known here uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    waiting_for_nonce: Option<u64>,
}

/// A signed action whose transaction nothing here has heard of.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = NeverSeenTransaction)]
pub(crate) struct UnknownDto {
    #[schema(inline, value_type = w::NeverSeen)]
    status: &'static str,
    #[serde(flatten)]
    unsettled: Unsettled,
}

/// A signed action in whose transaction's place another one was mined, which did something else.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReplacedTransaction)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReplacedDto {
    #[schema(inline, value_type = w::IsReplaced)]
    status: &'static str,
    #[serde(flatten)]
    unsettled: Unsettled,
    /// The transaction mined in its place, where it can be found.
    #[schema(value_type = Option<w::Hash>, required)]
    replaced_by: Option<B256>,
}

/// A signed action whose transaction the node has let go of.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DroppedTransaction)]
pub(crate) struct DroppedDto {
    #[schema(inline, value_type = w::IsDropped)]
    status: &'static str,
    #[serde(flatten)]
    unsettled: Unsettled,
}

impl OutcomeDto {
    /// The HTTP status that says as much.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Done(_) => StatusCode::OK,
            Self::Pending(_) | Self::Unknown(_) | Self::Replaced(_) | Self::Dropped(_) => StatusCode::ACCEPTED,
        }
    }

    /// What came of an action, without the words of a hidden run.
    pub(crate) fn new(outcome: Outcome, hidden: &HideList) -> Self {
        let Outcome { chain, indexed, facts, hash, progress } = outcome;
        let subjects = Subjects::of(&facts, &chain.parameters, &indexed, hidden);
        let unsettled = |subjects, message| Unsettled { success: false, subjects, message, transaction_hash: hash };
        match progress {
            Progress::Done { call, block, instead, alike, since } => Self::Done(DoneDto {
                success: true,
                status: "done",
                subjects,
                message: done(Verb::of(&call).done, hash, instead, alike, since) + &draft(&call, &facts),
                transaction_hash: hash,
                block_number: block,
                replaces: instead.map(|instead| instead.of),
            }),
            Progress::Pending { block, waiting_for_nonce } => Self::Pending(PendingDto {
                status: "pending",
                unsettled: unsettled(subjects, pending(hash, block, waiting_for_nonce)),
                block_number: block,
                waiting_for_nonce,
            }),
            Progress::Unknown => Self::Unknown(UnknownDto { status: "unknown", unsettled: unsettled(subjects, unknown(hash)) }),
            Progress::Replaced { by } => {
                Self::Replaced(ReplacedDto { status: "replaced", unsettled: unsettled(subjects, replaced(hash, by)), replaced_by: by })
            }
            Progress::Dropped => Self::Dropped(DroppedDto { status: "dropped", unsettled: unsettled(subjects, dropped(hash)) }),
        }
    }
}

fn done(words: &str, hash: B256, instead: Option<Instead>, alike: Option<Alike>, since: Option<String>) -> String {
    let by = match instead {
        Some(Instead { is_replaced: true, .. }) => format!(" Done by {hash}, which replaced the transaction that was handed in."),
        Some(Instead { is_replaced: false, .. }) => format!(" Done by {hash}, and not by the transaction that was handed in."),
        None => String::new(),
    };
    let alike = alike.map(|Alike { number, subjects }| {
        let (times, all) = (subjects.len(), subjects.join(", "));
        format!(" The transaction did the same {times} times ({all}); this is number {number}.")
    });
    let since = since.map(|since| format!(" But {since}."));
    format!("{words}{by}{}{}", alike.unwrap_or_default(), since.unwrap_or_default())
}

/// What is still to be done with a run that is a draft.
fn draft(call: &Call, facts: &Facts) -> String {
    match (call, &facts.run) {
        (Call::Create(_), Some(record)) => {
            format!(" It is a draft: POST /api/runs/{}/fund escrows its money and opens it.", record.run.id)
        }
        _ => String::new(),
    }
}

fn pending(hash: B256, block: Option<u64>, waiting_for_nonce: Option<u64>) -> String {
    match (block, waiting_for_nonce) {
        (None, Some(nonce)) => format!(
            "The transaction cannot be mined yet: it waits for the one of the same account with nonce {nonce}, which no node here knows. Send \
             that one first; then post the same body again, with \"transactionHash\": \"{hash}\"."
        ),
        (block, _) => {
            let waiting = if block.is_some() { "indexed" } else { "mined" };
            format!(
                "The transaction is not {waiting} yet. Post the same body again, with \"transactionHash\": \"{hash}\", to go on waiting."
            )
        }
    }
}

fn replaced(hash: B256, by: Option<B256>) -> String {
    let by = by.map_or_else(|| "another transaction".to_owned(), |by| by.to_string());
    format!(
        "{hash} was replaced by {by} of the same account, which did something else: the action has not happened, and will not happen by it. \
         To do it after all, prepare it again."
    )
}

fn unknown(hash: B256) -> String {
    format!(
        "No node and no server here has heard of {hash}, so nothing can be said of it: it has not failed, and it may never have been sent. See \
         in the wallet what became of it, and hand in the hash that it shows now (of a Safe or a smart account that of the transaction which carried \
         it out, not its safeTxHash or userOpHash); before signing anew, make sure that this one is not mined \
         after all (GET /api/transactions/{hash}?wallet= tells what the account has used its nonces for)."
    )
}

fn dropped(hash: B256) -> String {
    format!(
        "The node has let go of {hash}, and its nonce is still free: nothing has happened. It may be sent again as it is; to be sure that it \
         never is mined, use its nonce for another transaction."
    )
}

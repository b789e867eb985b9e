//! One thing that listeners are told.

use alloy::primitives::Address;
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{Chain, FeedRecord, IndexedBlock};
use serde::Serialize;
use utoipa::ToSchema;

use super::{event::EventDto, market::contracts};
use crate::http::openapi::schemas as w;
use crate::text::Checksummed;

/// An event that has been indexed, or that a reorg has taken back.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FeedItem)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedItemDto {
    /// Larger than that of everything told before. What `Last-Event-ID` and `after` take.
    id: u64,
    kind: Kind,
    /// The id of what is taken back; null in an event.
    #[schema(required)]
    retracts: Option<u64>,
    /// The run it names.
    #[schema(value_type = Option<w::RunId>, required)]
    run_id: Option<RunId>,
    /// The agent it names.
    #[schema(value_type = Option<w::AgentId>, required)]
    agent_id: Option<AgentId>,
    /// Who posted the run.
    #[schema(required)]
    poster_address: Option<Checksummed>,
    #[serde(flatten)]
    event: EventDto,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = FeedKind)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// It happened.
    Event,
    /// It did not happen after all.
    Retraction,
}

impl FeedItemDto {
    /// The record, read again from its log.
    fn new(record: &FeedRecord, chain: &Chain, indexed: &IndexedBlock) -> Self {
        let FeedRecord { seq, retracts, event, poster } = record;
        Self {
            id: *seq,
            kind: if retracts.is_some() { Kind::Retraction } else { Kind::Event },
            retracts: *retracts,
            run_id: event.run,
            agent_id: event.agent,
            poster_address: poster.map(|poster: Address| Checksummed(poster)),
            event: EventDto::new(event, &contracts(chain), indexed),
        }
    }
}

/// A record of this chain as JSON, as it is shown at the indexed block.
pub(crate) fn render(record: &FeedRecord, chain: &Chain, indexed: &IndexedBlock) -> String {
    // A tree of texts and numbers always serialises.
    serde_json::to_string(&FeedItemDto::new(record, chain, indexed)).unwrap_or_default()
}

/// What a stream says of itself.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum NoticeDto {
    /// First of all: what the listener is told next has a larger id.
    Position {
        /// What to come back with.
        id: u64,
    },
    /// Last of all.
    End {
        /// What to come back with; null where numbers mean nothing any more.
        id: Option<u64>,
        /// Why it hears nothing more.
        reason: EndReason,
    },
}

/// What ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndReason {
    /// It has lasted as long as one may: come back.
    Lifetime,
    /// The client did not keep up: come back, and read faster.
    TooSlow,
    /// All events have new ids: begin anew, after 0 or from now on.
    Restarted,
    /// The server stops: come back, to another one or later.
    Shutdown,
    /// The database cannot be read: come back later.
    Unavailable,
}

impl NoticeDto {
    /// The name of its block.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Position { .. } => "position",
            Self::End { .. } => "end",
        }
    }

    /// The id of its block.
    pub(crate) const fn id(&self) -> Option<u64> {
        match self {
            Self::Position { id } => Some(*id),
            Self::End { id, .. } => *id,
        }
    }
}

//! One thing that listeners are told.

use alloy::primitives::Address;
use clawpay_bindings::Contracts;
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{FeedRecord, IndexedBlock};
use serde::Serialize;
use utoipa::ToSchema;

use super::event::EventDto;
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
    pub(crate) fn new(record: &FeedRecord, contracts: &Contracts, indexed: &IndexedBlock) -> Self {
        let FeedRecord { seq, retracts, event, poster } = record;
        Self {
            id: *seq,
            kind: if retracts.is_some() { Kind::Retraction } else { Kind::Event },
            retracts: *retracts,
            run_id: event.run,
            agent_id: event.agent,
            poster_address: poster.map(|poster: Address| Checksummed(poster)),
            event: EventDto::new(event, contracts, indexed),
        }
    }
}

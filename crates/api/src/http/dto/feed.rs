//! One thing that listeners are told.

use std::borrow::Cow;

use clawpay_domain::{AgentId, RunId};
use clawpay_store::{Chain, FeedRecord, IndexedBlock};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};

use super::event::{EventDto, component, components, union};
use crate::{market::contracts, text::Checksummed};

/// An event that has been indexed, or that a reorg has taken back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedItemDto {
    /// Larger than that of everything told before. What `Last-Event-ID` and `after` take.
    id: u64,
    kind: Kind,
    /// The id of what is taken back; null in an event.
    retracts: Option<u64>,
    /// The run it names.
    run_id: Option<RunId>,
    /// The agent it names.
    agent_id: Option<AgentId>,
    /// Who posted the run.
    poster_address: Option<Checksummed>,
    /// The agent in whose hands the run was.
    claimed_by: Option<AgentId>,
    /// The wallet that had claimed it.
    claimed_by_wallet: Option<Checksummed>,
    #[serde(flatten)]
    event: EventDto,
}

const SUFFIX: &str = "Item";

impl ToSchema for FeedItemDto {
    fn name() -> Cow<'static, str> {
        "FeedItem".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        components(schemas, SUFFIX, || {
            let whole = || ObjectBuilder::new().schema_type(Type::Integer);
            let or_null = |kind| ObjectBuilder::new().schema_type(SchemaType::from_iter([kind, Type::Null]));
            let members: [(&str, RefOr<Schema>); 8] = [
                ("id", whole().into()),
                ("kind", component(&Kind::name())),
                ("retracts", or_null(Type::Integer).into()),
                ("runId", or_null(Type::Integer).into()),
                ("agentId", or_null(Type::Integer).into()),
                ("posterAddress", or_null(Type::String).into()),
                ("claimedBy", or_null(Type::Integer).into()),
                ("claimedByWallet", or_null(Type::String).into()),
            ];
            members.into_iter().fold(ObjectBuilder::new(), |object, (name, schema)| object.property(name, schema).required(name))
        });
        schemas.push((Kind::name().into_owned(), Kind::schema()));
    }
}

impl PartialSchema for FeedItemDto {
    fn schema() -> RefOr<Schema> {
        let description = "An event that has been indexed, or that a reorg has taken back, under an `id` larger than that of everything told \
                           before. `retracts` is the id of what is taken back; `runId` and `agentId` are named by the event; `posterAddress` \
                           posted the run, and `claimedBy` had it in hand, claimed by `claimedByWallet`.";
        union(description, SUFFIX)
    }
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
        let FeedRecord { seq, retracts, event, poster, holder, owner: _, acting: _ } = record;
        Self {
            id: *seq,
            kind: if retracts.is_some() { Kind::Retraction } else { Kind::Event },
            retracts: *retracts,
            run_id: event.run,
            agent_id: event.agent,
            poster_address: poster.map(Checksummed),
            claimed_by: holder.map(|holder| holder.agent),
            claimed_by_wallet: holder.map(|holder| Checksummed(holder.wallet)),
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

//! What happens, as it happens: as a stream of server-sent events, or asked for again and again.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use clawpay_domain::{AgentId, RunId};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    client::Client,
    error::{ApiError, Invalid},
    feed::{Ended, Filter, Item, ListenerPermit, Subscription},
    http::dto::{
        feed::{EndReason, FeedItemDto, NoticeDto, render},
        stamped::{INDEXED_BLOCK, Stamped},
    },
    http::event_stream::{Block, respond},
    http::extract::{Account, Digits, EventTypes, Query, WaitSeconds},
};

/// What a client that has seen something says when it comes back.
const LAST_EVENT_ID: &str = "last-event-id";
/// How long a client that lost its stream should wait before it comes back.
const COME_BACK: Duration = Duration::from_secs(1);
/// Most events in one answer to a client that asks again and again.
const MOST_EVENTS: usize = 256;
/// Most pages looked through for one such answer: a rare kind of event in a long history is found in several askings.
const MOST_PAGES: usize = 40;

/// The parameters of `GET /api/events`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListenQuery {
    /// Events of this run.
    #[param(inline)]
    run_id: Option<Digits>,
    /// Events that name this agent, and all events of each run that it holds or held, from its claim to the run's end.
    #[param(inline)]
    agent_id: Option<Digits>,
    /// All events of runs that this account posted.
    #[param(inline)]
    poster: Option<Account>,
    /// Events that name this account, all events of runs that it posted or claimed, and those of agents that it owned when they happened and of
    /// the runs in their hands.
    #[param(inline)]
    wallet: Option<Account>,
    /// Events of these names.
    #[serde(rename = "type")]
    #[param(inline)]
    kinds: Option<EventTypes>,
    /// What follows this id; from now on if there is none, from the beginning if it is 0.
    #[param(inline)]
    after: Option<Digits>,
    /// The same as `after`, by the name under which a client that cannot set headers says how far it had come. Counts more than `after`.
    #[param(inline)]
    last_event_id: Option<Digits>,
    /// Answers with JSON as soon as there is something to tell, at the latest after this many seconds.
    #[param(inline)]
    wait: Option<WaitSeconds>,
}

/// The headers of `GET /api/events`, for its description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read as it comes: it counts more than a parameter, and a browser sends it by itself")]
struct ListenHeaders {
    /// What follows this id. Counts more than `lastEventId` and `after`.
    #[param(rename = "Last-Event-ID", inline, value_type = Digits, required = false)]
    last_event_id: Option<Digits>,
}

/// One event of the stream, as its fields are named on the way.
#[derive(ToSchema)]
#[schema(as = Streamed)]
#[expect(dead_code, reason = "the description's; the stream is written by hand")]
struct StreamedDto {
    /// What `Last-Event-ID`, `lastEventId` and `after` take.
    #[schema(nullable = false)]
    id: Option<String>,
    /// Left out for a `FeedItem`, which readers of streams take for `message`.
    #[schema(nullable = false)]
    event: Option<StreamedName>,
    /// JSON, told apart by `kind`: a `FeedItem`; at first `{kind: "position", id}`; at last `{kind: "end", id, reason}`, where `reason` is
    /// `lifetime`, `too_slow`, `restarted` (all ids are new; `id` is null), `shutdown` or `unavailable`, and all but `restarted` mean to come
    /// back with the last id.
    data: String,
}

/// What kind of message it is.
#[derive(ToSchema)]
#[schema(as = StreamedName, rename_all = "lowercase")]
#[expect(dead_code, reason = "the description's")]
enum StreamedName {
    /// First of all: how far the client is.
    Position,
    /// Last of all: why it hears nothing more.
    End,
    /// What happened: what a reader of streams calls a message without a name.
    Message,
}

/// What has happened since the client last asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Feed)]
#[serde(rename_all = "camelCase")]
struct EventsDto {
    /// In the order of their ids.
    #[schema(value_type = Vec<FeedItemDto>)]
    events: Vec<Box<RawValue>>,
    /// What to ask after next.
    last_event_id: u64,
}

/// Listen to events
///
/// What happens, as it happens: a stream of server-sent events, each a `FeedItem` under its `id`, or with `wait` one JSON answer. A reorg takes
/// back what it makes undone by a `retraction` that names its id, and then tells what is there instead. A client that lost its stream comes back
/// with the last id it has seen, in `Last-Event-ID`, `lastEventId` or `after`, and misses nothing. The first event of a stream, named `position`,
/// has an id already; the last one, named `end`, says why the stream ends.
#[utoipa::path(get, path = "/api/events", operation_id = "listen", tag = "events", params(
    ListenQuery,
    ListenHeaders
), responses(
    (status = 200, description = "The stream, or with `wait` what has happened.", content(
        (EventsDto = "application/json"),
        (StreamedDto = "text/event-stream")
    )),
), extensions(("x-problems" = json!(["409 unknown_event_id", "429 too_many_listeners"]))))]
pub(super) async fn listen(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Query(query): Query<ListenQuery>,
) -> Result<Response, ApiError> {
    let permit = app.listeners().take(client, app.config().rate_limit.holds_for(client))?;
    let filter = Filter {
        run: query.run_id.map(|id| RunId(id.0)),
        agent: query.agent_id.map(|id| AgentId(id.0)),
        poster: query.poster.map(|poster| poster.0),
        wallet: query.wallet.map(|wallet| wallet.0),
        kinds: query.kinds.map(|kinds| kinds.0).unwrap_or_default(),
    };
    // A client that comes back by itself asks for the same address again, and says beside it how far it had come.
    let after = match headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()) {
        Some(id) => Some(seen(id.to_str().unwrap_or_default())?),
        None => query.last_event_id.or(query.after).map(|after| after.0),
    };
    let subscription = Subscription::open(app.hub(), render, filter, after).await?;
    match query.wait {
        Some(WaitSeconds(seconds)) => Ok(wait(&app, subscription, permit, Duration::from_secs(seconds)).await?.into_response()),
        None => {
            let options = app.config().events;
            let indexed = subscription.indexed();
            let mut response = respond(blocks(subscription, permit, Instant::now() + options.lifetime), options.heartbeat);
            response.headers_mut().insert(INDEXED_BLOCK, indexed.into());
            Ok(response)
        }
    }
}

fn seen(id: &str) -> Result<u64, Invalid> {
    let Digits(id) = id.to_owned().try_into().map_err(|error| Invalid::value("Last-Event-ID", format!("Last-Event-ID: {error}")))?;
    Ok(id)
}

/// The stream's state between two events.
struct Listening {
    subscription: Subscription,
    waiting: VecDeque<Arc<Item>>,
    ends_at: Instant,
    /// Kept for as long as the answer is.
    _permit: ListenerPermit,
}

/// All that a listener is told: where it is, what happens, and why that is all.
fn blocks(subscription: Subscription, permit: ListenerPermit, ends_at: Instant) -> impl Stream<Item = Block> {
    // With its first words a client knows where to go on, should it never hear a second.
    let first = notice(&NoticeDto::Position { id: subscription.position() }).retry(COME_BACK);
    let listening = Listening { subscription, waiting: VecDeque::new(), ends_at, _permit: permit };
    stream::iter([first]).chain(stream::unfold(Some(listening), async |listening| Some(listening?.told().await)))
}

impl Listening {
    /// The next block, and whether there is another after it.
    async fn told(mut self) -> (Block, Option<Self>) {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return (Block::message(item.seq, &item.json), Some(self));
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.ends_at) => return (self.end(EndReason::Lifetime), None),
                items = self.subscription.next() => match items {
                    Ok(items) => self.waiting.extend(items),
                    Err(ended) => return (self.end(ended.into()), None),
                },
            }
        }
    }

    fn end(&self, reason: EndReason) -> Block {
        // Of a feed that was begun anew, numbers mean something else now, and a client that comes back with its own is told so.
        let id = (reason != EndReason::Restarted).then(|| self.subscription.position());
        notice(&NoticeDto::End { id, reason })
    }
}

fn notice(notice: &NoticeDto) -> Block {
    Block::named(notice.name(), notice.id(), notice)
}

impl From<Ended> for EndReason {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TooSlow => Self::TooSlow,
            Ended::Restarted => Self::Restarted,
            Ended::Shutdown => Self::Shutdown,
            Ended::Failed(error) => {
                error.log();
                Self::Unavailable
            }
        }
    }
}

/// Answers once there is something to tell, or the wait is over.
async fn wait(app: &App, mut subscription: Subscription, _permit: ListenerPermit, wait: Duration) -> Result<Stamped<EventsDto>, ApiError> {
    let ends_at = Instant::now() + wait;
    let mut items = Vec::new();
    for _ in 0..MOST_PAGES {
        if subscription.is_live() || items.len() >= MOST_EVENTS {
            break;
        }
        items.extend(subscription.read().await?);
    }
    if items.is_empty() {
        // Whatever ends the wait, the position says how far it came.
        if let Ok(Ok(told)) = tokio::time::timeout_at(ends_at, subscription.next()).await {
            items = told;
        }
    }
    let last_event_id = subscription.position();
    let events = items.iter().filter_map(|item| RawValue::from_string(item.json.clone()).ok()).collect();
    let indexed = app.hub().position().await?.indexed;
    Ok(Stamped::new(app, &indexed, EventsDto { events, last_event_id }))
}

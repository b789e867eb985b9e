//! What happens, as it happens: as a stream of server-sent events, or asked for again and again.

use std::{collections::VecDeque, convert::Infallible, net::IpAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use clawpay_domain::{AgentId, RunId};
use futures::{Stream, stream};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::{
    App,
    error::{ApiError, Invalid},
    feed::{Ended, Filter, Item, ListenerPermit, Subscription},
    http::dto::{
        feed::FeedItemDto,
        stamped::{INDEXED_BLOCK, Stamped},
    },
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
    /// Events that name this agent.
    #[param(inline)]
    agent_id: Option<Digits>,
    /// Events of runs that this account posted.
    #[param(inline)]
    poster: Option<Account>,
    /// Events of these names.
    #[serde(rename = "type")]
    #[param(inline)]
    kinds: Option<EventTypes>,
    /// What follows this id; from now on if there is none, from the beginning if it is 0.
    #[param(inline)]
    after: Option<Digits>,
    /// Answers with JSON as soon as there is something to tell, at the latest after this many seconds.
    #[param(inline)]
    wait: Option<WaitSeconds>,
}

/// The headers of `GET /api/events`, for its description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the header is read as it comes: it counts more than a parameter, and a browser sends it by itself")]
struct ListenHeaders {
    /// What follows this id. Counts more than `after`.
    #[param(rename = "Last-Event-ID", inline, value_type = Digits, required = false)]
    last_event_id: Option<Digits>,
}

/// One event of the stream, as its fields are named on the way.
#[derive(ToSchema)]
#[schema(as = Streamed)]
#[expect(dead_code, reason = "the description's; the stream is written by the library")]
struct StreamedDto {
    /// What `Last-Event-ID` and `after` take.
    id: String,
    /// A `FeedItem`, as JSON.
    data: String,
}

/// Who asks. Where the listener does not say, listeners cannot be told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(IpAddr);

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        Ok(Self(address.unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]))))
    }
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
/// with the last id it has seen, in `Last-Event-ID` or `after`, and misses nothing.
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
    Client(address): Client,
    headers: HeaderMap,
    Query(query): Query<ListenQuery>,
) -> Result<Response, ApiError> {
    let place = app.listeners().take(address)?;
    let filter = Filter {
        run: query.run_id.map(|id| RunId(id.0)),
        agent: query.agent_id.map(|id| AgentId(id.0)),
        poster: query.poster.map(|poster| poster.0),
        kinds: query.kinds.map(|kinds| kinds.0).unwrap_or_default(),
    };
    // A browser that comes back by itself asks for the same address again, and says in the header how far it had come.
    let after = match headers.get(LAST_EVENT_ID) {
        Some(id) => Some(seen(id.to_str().unwrap_or_default())?),
        None => query.after.map(|after| after.0),
    };
    let tail = Subscription::open(&app, filter, after).await?;
    match query.wait {
        Some(WaitSeconds(seconds)) => Ok(wait(&app, tail, place, Duration::from_secs(seconds)).await?.into_response()),
        None => {
            let indexed = tail.indexed();
            let mut response = stream(&app, tail, place).into_response();
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
    tail: Subscription,
    waiting: VecDeque<Item>,
    ends_at: Instant,
    /// Kept for as long as the answer is.
    _place: ListenerPermit,
}

fn stream(app: &App, tail: Subscription, place: ListenerPermit) -> impl IntoResponse + use<> {
    let options = app.config().events;
    let listening = Listening { tail, waiting: VecDeque::new(), ends_at: Instant::now() + options.lifetime, _place: place };
    // Its first line tells the client that it is heard, and when to come back.
    let hello = stream::once(async { Ok(Event::default().retry(COME_BACK).comment("listening")) });
    let events = futures::StreamExt::chain(hello, told(listening));
    Sse::new(events).keep_alive(KeepAlive::new().interval(options.heartbeat))
}

fn told(listening: Listening) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(listening, async |mut listening| {
        loop {
            if let Some(item) = listening.waiting.pop_front() {
                let event = Event::default().id(item.seq.to_string()).data(&*item.json);
                return Some((Ok(event), listening));
            }
            let ends_at = listening.ends_at;
            tokio::select! {
                () = tokio::time::sleep_until(ends_at) => return None,
                items = listening.tail.next() => match items {
                    Ok(items) => listening.waiting.extend(items),
                    Err(Ended::Lagged) => return None,
                    Err(Ended::Failed(error)) => {
                        error.log();
                        return None;
                    }
                },
            }
        }
    })
}

/// Answers once there is something to tell, or the wait is over.
async fn wait(app: &App, mut tail: Subscription, _place: ListenerPermit, wait: Duration) -> Result<Stamped<EventsDto>, ApiError> {
    let ends_at = Instant::now() + wait;
    let mut items = Vec::new();
    for _ in 0..MOST_PAGES {
        if tail.is_live() || items.len() >= MOST_EVENTS {
            break;
        }
        items.extend(tail.read().await?);
    }
    if items.is_empty() {
        // Whatever ends the wait, the position says how far it came.
        if let Ok(Ok(told)) = tokio::time::timeout_at(ends_at, tail.next()).await {
            items = told;
        }
    }
    let last_event_id = tail.position();
    let events = items.into_iter().filter_map(|item| RawValue::from_string(item.json.into()).ok()).collect();
    let indexed = match app.hub().position() {
        Some(position) => position.indexed,
        None => app.snapshot().await?.indexed,
    };
    Ok(Stamped::new(app, &indexed, EventsDto { events, last_event_id }))
}

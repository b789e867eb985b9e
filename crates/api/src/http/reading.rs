//! What every read has in common: it reflects one block, at least as new as the client asks for, and is not repeated to those who have it.

use std::{sync::Arc, time::Duration};

use alloy::primitives::{B256, hex, keccak256};
use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use clawpay_store::{IndexedBlock, Reader, Snapshot, StoreError};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa::IntoParams;

use crate::{
    App,
    error::ApiError,
    hidden::HideList,
    http::dto::stamped::{INDEXED_BLOCK, Stamped},
    http::extract::{
        Digits,
        query::{self, MIN_BLOCK},
    },
    market::AsOf,
};

/// Longest a read waits for the block its client asks for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Blocks beyond the chain's head, as it was last seen, that may come within that time.
const SOON: u64 = 64;

/// A read of the index, which a client that has it already does not get again.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The database as of one block.
    pub snapshot: Snapshot,
    /// What is not shown of it.
    pub hidden: Arc<HideList>,
    app: App,
    tag: Option<HeaderValue>,
}

/// A read that one statement answers. What it finds is not asked for before it is known that the client lacks it.
#[derive(Debug)]
pub(crate) struct Question {
    app: App,
    hidden: Arc<HideList>,
    min_block: u64,
    client: Client,
}

/// What a client asks, and which answers it has.
#[derive(Debug)]
struct Client {
    /// The request, and the version of what is hidden.
    asked: B256,
    /// Its `If-None-Match`.
    known: Vec<HeaderValue>,
}

/// A read whose answer is another one each moment, whatever the block.
#[derive(Debug)]
pub(crate) struct Momentary(pub Reading);

/// What every read takes.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MinBlock {
    /// The block that the answer must reflect, or a later one: a client that has seen its transaction in a block reads what came of it. Waits up
    /// to 3 seconds for it.
    #[param(inline)]
    min_block: Option<Digits>,
}

/// Why there is nothing to read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Something is wrong.
    Problem(ApiError),
    /// The client has it.
    Unchanged {
        /// What it is known by.
        tag: HeaderValue,
        /// The block it reflects.
        block: u64,
    },
}

impl From<ApiError> for Unread {
    fn from(error: ApiError) -> Self {
        Self::Problem(error)
    }
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(error) => error.into_response(),
            Self::Unchanged { tag, block } => {
                (StatusCode::NOT_MODIFIED, [(header::ETAG, tag), (INDEXED_BLOCK, HeaderValue::from(block))]).into_response()
            }
        }
    }
}

impl FromRequestParts<App> for Question {
    type Rejection = Unread;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Unread> {
        let MinBlock { min_block } = query::only(parts.uri.query().unwrap_or_default(), MIN_BLOCK).map_err(ApiError::from)?;
        let known = parts.headers.get_all(header::IF_NONE_MATCH).iter().cloned().collect();
        let hidden = app.hidden();
        // A space is in no URI.
        let client = Client { asked: keccak256(format!("{} {}", parts.uri, hidden.version())), known };
        Ok(Self { app: app.clone(), hidden, min_block: min_block.map_or(0, |block| block.0), client })
    }
}

impl Question {
    /// What `read` finds, and what the answer is made with.
    pub(crate) async fn ask<T, F>(self, read: impl Fn(Reader) -> F) -> Result<(T, Closed), Unread>
    where
        T: AsOf,
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        let Self { app, hidden, min_block, client } = self;
        if min_block > 0 || !client.known.is_empty() {
            let sight = reach(&app, min_block, |reader| async move { reader.glance().await }).await?;
            client.require_news(&app, &sight.indexed)?;
        }
        let found = reach(&app, min_block, read).await?;
        let indexed = *found.indexed();
        let tag = client.require_news(&app, &indexed)?;
        Ok((found, Closed { hidden, indexed, app, tag: Some(tag) }))
    }
}

impl Client {
    /// What the answer as of `indexed` is known by, unless the client has it.
    fn require_news(&self, app: &App, indexed: &IndexedBlock) -> Result<HeaderValue, Unread> {
        let tag = tag(self.asked, indexed, app.is_stale(indexed)).map_err(|_| ApiError::Internal("a tag is no header"))?;
        if has(&self.known, &tag) { Err(Unread::Unchanged { tag, block: indexed.number }) } else { Ok(tag) }
    }
}

impl FromRequestParts<App> for Reading {
    type Rejection = Unread;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Unread> {
        let question = Question::from_request_parts(parts, app).await?;
        let (snapshot, closed) = question.ask(|reader| async move { reader.snapshot().await }).await?;
        Ok(Self { snapshot, hidden: closed.hidden, app: closed.app, tag: closed.tag })
    }
}

impl FromRequestParts<App> for Momentary {
    type Rejection = Unread;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Unread> {
        let Question { app, hidden, min_block, .. } = Question::from_request_parts(parts, app).await?;
        let snapshot = reach(&app, min_block, |reader| async move { reader.snapshot().await }).await?;
        Ok(Self(Reading { snapshot, hidden, app, tag: None }))
    }
}

impl Reading {
    /// `body` as of the block.
    pub(crate) fn answer<T>(self, body: T) -> Stamped<T> {
        self.close().answer(body)
    }

    /// Gives the connection back, for an answer that waits for something else.
    pub(crate) fn close(self) -> Closed {
        let Self { snapshot, hidden, app, tag } = self;
        Closed { hidden, indexed: snapshot.indexed, app, tag }
    }
}

/// A read that has seen all it needs of the index.
#[derive(Debug)]
pub(crate) struct Closed {
    /// What is not shown of it.
    pub hidden: Arc<HideList>,
    indexed: IndexedBlock,
    app: App,
    tag: Option<HeaderValue>,
}

impl Closed {
    /// `body` as of the block.
    pub(crate) fn answer<T>(self, body: T) -> Stamped<T> {
        Stamped::new(&self.app, &self.indexed, body).tagged(self.tag)
    }
}

/// What `read` finds once the index holds `block`. No request waits for it while it holds a connection.
async fn reach<T, F>(app: &App, block: u64, read: impl Fn(Reader) -> F) -> Result<T, ApiError>
where
    T: AsOf,
    F: Future<Output = Result<Option<T>, StoreError>>,
{
    let deadline = Instant::now() + PATIENCE;
    // From before the first look, so that no move goes by between a look and a wait.
    let mut moves = (block > 0).then(|| app.index().moves());
    loop {
        let mut found = app.read(&read).await?;
        if found.indexed().number < block && app.has_replica() {
            drop(found);
            found = app.read_newest(&read).await?;
        }
        let (indexed, head) = (found.indexed().number, found.indexed().head);
        if indexed >= block {
            return Ok(found);
        }
        drop(found);
        let not_yet = ApiError::NotIndexedYet { asked: block, indexed };
        let Some(moves) = moves.as_mut().filter(|_| block <= head.saturating_add(SOON)) else { return Err(not_yet) };
        tokio::select! {
            () = app.shutdown().cancelled() => return Err(not_yet),
            () = tokio::time::sleep_until(deadline) => return Err(not_yet),
            () = moves.reach(block) => {}
        }
    }
}

/// What an answer is known by: all that it follows from. Weak, because two versions of this program may word it differently.
fn tag(asked: B256, indexed: &IndexedBlock, is_stale: bool) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let IndexedBlock { number, hash, epoch, safe, finalized, .. } = indexed;
    let (asked, hash) = (hex::encode(&asked[..8]), hex::encode(&hash[..8]));
    let (safe, finalized) = (safe.unwrap_or(0), finalized.unwrap_or(0));
    let version = env!("CARGO_PKG_VERSION");
    HeaderValue::try_from(format!("W/\"{version}-{asked}-{number}-{hash}-{epoch}-{safe}-{finalized}-{}\"", u8::from(is_stale)))
}

/// Whether a client says that it has this. `*` would say that it has something, and is not listened to.
fn has(known: &[HeaderValue], tag: &HeaderValue) -> bool {
    let known = known.iter().filter_map(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str() else { return false };
    known.flat_map(|tags| tags.split(',')).any(|known| opaque(known) == opaque(tag))
}

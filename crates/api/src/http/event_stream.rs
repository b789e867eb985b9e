//! Server-sent events, as every reader of them takes them.
//!
//! Some readers hand on each block of lines, also one without data, and fail when they parse its empty text as JSON; others remember an id only
//! of a block that has data. So each block here has an id, where there is one, and JSON; and a heartbeat is a line that belongs to no block.

use std::{convert::Infallible, fmt::Write, time::Duration};

use axum::{
    Extension,
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, StreamExt, stream};
use serde::Serialize;

/// Proxies that gather an answer before they pass it on are asked not to.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// A comment, and no end of a block.
const HEARTBEAT: &str = ":\n";

/// On an answer that goes on for as long as its client listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listens;

/// One block of lines.
#[derive(Debug)]
pub(super) struct Block(String);

impl Block {
    /// What readers dispatch under no name, which is what most of them listen to.
    pub(super) fn message(id: u64, json: &str) -> Self {
        Self(format!("id: {id}\ndata: {json}\n\n"))
    }

    /// What only those hear of that listen to this name. Without an id, readers go on remembering the one before.
    pub(super) fn named(name: &str, id: Option<u64>, data: &impl Serialize) -> Self {
        let mut block = format!("event: {name}\n");
        if let Some(id) = id {
            let _infallible = writeln!(block, "id: {id}");
        }
        // A struct of words and numbers always serialises.
        let _infallible = write!(block, "data: {}\n\n", serde_json::to_string(data).unwrap_or_default());
        Self(block)
    }

    /// Tells the reader besides when to come back once it has lost the stream.
    pub(super) fn retry(self, pause: Duration) -> Self {
        Self(format!("retry: {}\n{}", pause.as_millis(), self.0))
    }
}

/// An answer of these blocks, with a heartbeat wherever there was none for `heartbeat`.
pub(super) fn respond(blocks: impl Stream<Item = Block> + Send + 'static, heartbeat: Duration) -> Response {
    let lines = stream::unfold(Box::pin(blocks), move |mut blocks| async move {
        match tokio::time::timeout(heartbeat, blocks.next()).await {
            Ok(Some(Block(lines))) => Some((Ok::<_, Infallible>(lines), blocks)),
            Ok(None) => None,
            Err(_) => Some((Ok(HEARTBEAT.to_owned()), blocks)),
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    (Extension(Listens), headers, Body::from_stream(lines)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_lines_and_an_empty_one() {
        assert_eq!(Block::message(7, "{}").0, "id: 7\ndata: {}\n\n");
        let named = Block::named("position", Some(7), &serde_json::json!({ "id": 7 })).retry(Duration::from_secs(1));
        assert_eq!(named.0, "retry: 1000\nevent: position\nid: 7\ndata: {\"id\":7}\n\n");
        assert_eq!(Block::named("end", None, &serde_json::json!({})).0, "event: end\ndata: {}\n\n");
    }
}

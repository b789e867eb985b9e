//! Answers that say which block they reflect.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clawpay_store::IndexedBlock;
use serde::Serialize;

use crate::{App, error::ApiError};

/// Height of the block that an answer reflects.
pub(crate) const INDEXED_BLOCK: HeaderName = HeaderName::from_static("x-indexed-block");

/// Bytes that most bodies have at most.
const MOST_BODIES: usize = 4 * 1024;

/// A body as of an indexed block, marked when the index has fallen behind the chain.
#[derive(Debug, Serialize)]
pub(crate) struct Stamped<T> {
    #[serde(flatten)]
    body: T,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    #[serde(skip)]
    block: u64,
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    headers: HeaderMap,
}

impl<T> Stamped<T> {
    /// `body` as of `indexed`.
    pub(crate) fn new(app: &App, indexed: &IndexedBlock, body: T) -> Self {
        Self { body, stale: app.is_stale(indexed), block: indexed.number, status: StatusCode::OK, headers: HeaderMap::new() }
    }

    /// With another status than 200.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With what the answer is known by, to be asked about each time.
    pub(crate) fn tagged(mut self, tag: Option<HeaderValue>) -> Self {
        if let Some(tag) = tag {
            self.headers.insert(header::ETAG, tag);
            self.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        self
    }

    /// Without anything that it is known by: it may be another one in a moment.
    pub(crate) fn untagged(mut self) -> Self {
        self.headers.remove(header::ETAG);
        self
    }

    /// With one more header.
    pub(crate) fn header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }
}

impl<T: Serialize> IntoResponse for Stamped<T> {
    fn into_response(mut self) -> Response {
        let (status, block) = (self.status, self.block);
        let mut headers = std::mem::take(&mut self.headers);
        headers.insert(INDEXED_BLOCK, HeaderValue::from(block));
        // Written to a vector at once: what axum writes to grows from 128 bytes, and a list has twenty thousand.
        let mut json = Vec::with_capacity(MOST_BODIES);
        match serde_json::to_writer(&mut json, &self) {
            Ok(()) => {
                headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                (status, headers, json).into_response()
            }
            Err(_) => ApiError::Internal("an answer is no JSON").into_response(),
        }
    }
}

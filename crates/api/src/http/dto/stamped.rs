//! Answers that say which block they reflect.

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use clawpay_store::IndexedBlock;
use serde::Serialize;

use crate::App;

/// Height of the block that an answer reflects.
pub(crate) const INDEXED_BLOCK: HeaderName = HeaderName::from_static("x-indexed-block");

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
        (status, headers, Json(self)).into_response()
    }
}

//! Answers that say which block they reflect.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
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
}

impl<T> Stamped<T> {
    /// `body` as of `indexed`.
    pub(crate) fn new(app: &App, indexed: &IndexedBlock, body: T) -> Self {
        Self { body, stale: app.is_stale(indexed), block: indexed.number, status: StatusCode::OK }
    }

    /// With another status than 200.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl<T: Serialize> IntoResponse for Stamped<T> {
    fn into_response(self) -> Response {
        let (status, block) = (self.status, self.block);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(INDEXED_BLOCK, HeaderValue::from(block));
        response
    }
}

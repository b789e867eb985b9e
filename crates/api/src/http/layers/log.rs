//! One line per request. Bodies and query strings are not in it: they may hold signatures. Its id is in the span around the request, and so in
//! every other line that the request causes.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use tower_http::request_id::RequestId;
use tracing::Span;

use super::rate::Passed;
use crate::metrics::{self, method};

/// Logs and counts a request by the path as it is documented, so that ids do not make a series each. What no limit has let through has a line
/// for debuggers alone: there may be any number of it.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let method = method(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    let response = next.run(request).await;
    let took = started.elapsed();
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let (status, latency_ms) = (response.status().as_u16(), took.as_millis());
    metrics::answered(method, path, status, took);
    if response.extensions().get::<Passed>().is_some() {
        tracing::info!(method, path, status, latency_ms, "request");
    } else {
        tracing::debug!(method, path, status, latency_ms, "request");
    }
    response
}

/// What a request's lines have in common. At the highest level, since a filter that leaves it out leaves its id out of all of them.
pub(super) fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().map(RequestId::header_value).and_then(|id: &HeaderValue| id.to_str().ok());
    tracing::error_span!("request", id)
}

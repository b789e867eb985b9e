//! One line per request. Bodies and query strings are not in it: they may hold signatures.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use tower_http::request_id::RequestId;

use crate::metrics;

/// Logs and counts a request by the path as it is documented, so that ids do not make a series each.
pub(super) async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok()).unwrap_or("-").to_owned();
    let started = Instant::now();
    let response = next.run(request).await;
    let took = started.elapsed();
    let latency_ms = took.as_millis();
    metrics::answered(method.as_str(), &path, response.status().as_u16(), took);
    tracing::info!(%id, %method, path, status = response.status().as_u16(), latency_ms, "request");
    response
}

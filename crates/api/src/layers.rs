//! What happens to every request: it gets an id, a line in the log, and an answer even if its handler panics.

use std::{any::Any, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::HeaderName,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
};

use crate::{App, error::ApiError, metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps `router`; the last layer is the first to see a request.
pub(crate) fn wrap(router: Router<App>) -> Router<App> {
    router
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn(log))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
}

/// One line per request. Bodies and query strings are not in it: they may hold signatures.
async fn log(request: Request, next: Next) -> Response {
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

fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    ApiError::Internal("a handler panicked").into_response()
}

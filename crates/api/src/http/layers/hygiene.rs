//! Headers that keep browsers from doing harm, and what pages of other origins may ask.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tower_http::cors::{Any, CorsLayer};

use crate::http::dto::stamped::INDEXED_BLOCK;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken from a client.
const LONGEST_ID: usize = 64;

/// On every answer that has no such header of its own. An answer of this API is data: a browser that shows it as a page shows nothing of it.
const PROTECTION: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
];

/// What pages may send along: what means something here, and what their libraries add to every request by themselves.
const ASKED_WITH: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::IF_NONE_MATCH,
    REQUEST_ID,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("idempotency-key"),
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
];

/// Tells nginx, and what is made after it, to pass events on as they come.
const UNBUFFERED: (HeaderName, HeaderValue) = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// Adds the headers that protect, and the one that keeps proxies from holding a stream back.
pub(super) async fn protect(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in PROTECTION {
        response.headers_mut().entry(name).or_insert(value);
    }
    if response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        response.headers_mut().insert(UNBUFFERED.0, UNBUFFERED.1);
    }
    response
}

/// Any page may ask: there are no cookies and no sessions that it could abuse.
pub(super) fn cors() -> CorsLayer {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(ASKED_WITH)
        .expose_headers([
            header::ETAG,
            header::LINK,
            header::RETRY_AFTER,
            INDEXED_BLOCK,
            REQUEST_ID,
            super::rate::LIMIT,
            super::rate::POLICY,
        ])
        .max_age(DAY)
}

/// An id that a client brings goes into the log and back to the client: it is taken if it is short and plain, and replaced otherwise.
pub(super) async fn refuse_odd_ids(mut request: Request, next: Next) -> Response {
    let is_plain = |id: &HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    if !request.headers().get(REQUEST_ID).is_none_or(is_plain) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

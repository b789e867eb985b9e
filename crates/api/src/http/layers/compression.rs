//! Answers in fewer bytes, for clients that can read them.

use axum::{
    extract::Request,
    http::{HeaderValue, header::ACCEPT_ENCODING},
    middleware::Next,
    response::Response,
};
use tower_http::compression::{
    CompressionLayer, CompressionLevel,
    predicate::{And, NotForContentType, Predicate, SizeAbove},
};

/// Answers below this many bytes fit into one packet anyhow.
const WORTHWHILE: u64 = 1024;

/// Of 11: beyond this, time grows much faster than bytes shrink.
const QUALITY: i32 = 4;

/// What is made of an answer.
type Worthwhile = And<SizeAbove, NotForContentType>;

/// gzip or br, as the client prefers. A stream of events would be kept back until there is enough to compress, and stays as it is.
pub(super) fn compress() -> CompressionLayer<Worthwhile> {
    CompressionLayer::new()
        .gzip(true)
        .br(true)
        .quality(CompressionLevel::Precise(QUALITY))
        .compress_when(SizeAbove::new(WORTHWHILE).and(NotForContentType::SSE))
}

/// Leaves of `Accept-Encoding` what this server can do. A client that refuses everything else gets it plain all the same: the alternative is
/// to answer 406 after a transaction has been sent.
pub(super) async fn narrow(mut request: Request, next: Next) -> Response {
    let accepted =
        request.headers().get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let ours = accepted.map(str::trim).filter(|coding| {
        let name = coding.split(';').next().unwrap_or_default().trim();
        ["gzip", "x-gzip", "br"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    let ours: Vec<&str> = ours.collect();
    let narrowed = HeaderValue::try_from(ours.join(", "));
    request.headers_mut().remove(ACCEPT_ENCODING);
    if let Ok(value) = narrowed
        && !value.is_empty()
    {
        request.headers_mut().insert(ACCEPT_ENCODING, value);
    }
    next.run(request).await
}

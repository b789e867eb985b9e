//! Answers in fewer bytes, for clients that can read them.

use std::{convert::Infallible, future::ready};

use axum::{
    body::Body,
    extract::Request,
    http::{self, HeaderMap, HeaderValue, header::ACCEPT_ENCODING},
    middleware::Next,
    response::Response,
};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::{CompressionLayer, CompressionLevel, predicate::SizeAbove};

use crate::http::Listens;

/// Answers below this many bytes fit into one packet anyhow.
const WORTHWHILE: u64 = 1024;

/// Of 11: beyond this, time grows much faster than bytes shrink.
const QUALITY: i32 = 4;

/// gzip or br, as the client prefers. A stream of events would be kept back until there is enough to compress, and stays as it is; it is not
/// even wrapped, since each listener would hold an encoder's state for as long as it listens.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    let accepted = accepted(request.headers());
    let response = next.run(request).await;
    if response.extensions().get::<Listens>().is_some() {
        return response;
    }
    let mut answered = http::Request::new(response);
    answered.headers_mut().extend(accepted.map(|accepted| (ACCEPT_ENCODING, accepted)));
    let answer = service_fn(|answered: http::Request<Response>| ready(Ok::<_, Infallible>(answered.into_body())));
    let Ok(response) = layer().layer(answer).oneshot(answered).await;
    response.map(Body::new)
}

fn layer() -> CompressionLayer<SizeAbove> {
    CompressionLayer::new().gzip(true).br(true).quality(CompressionLevel::Precise(QUALITY)).compress_when(SizeAbove::new(WORTHWHILE))
}

/// Of `Accept-Encoding`, what this server can do. A client that refuses everything else gets it plain all the same: the alternative is to answer
/// 406 after a transaction has been sent.
fn accepted(headers: &HeaderMap) -> Option<HeaderValue> {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    let ours = accepted.map(str::trim).filter(|coding| {
        let name = coding.split(';').next().unwrap_or_default().trim();
        ["gzip", "x-gzip", "br"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    let ours: Vec<&str> = ours.collect();
    HeaderValue::try_from(ours.join(", ")).ok().filter(|value| !value.is_empty())
}

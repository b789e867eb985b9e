//! Answers in fewer bytes, for clients that can read them.

use std::{convert::Infallible, future::ready};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{
        self, HeaderMap, HeaderValue, Method,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::{CompressionLayer, CompressionLevel, predicate::SizeAbove};

use crate::{
    App,
    error::ApiError,
    http::{Listens, documents::Document},
};

/// Answers below this many bytes fit into one packet anyhow.
const WORTHWHILE: u64 = 1024;

/// Of 11: beyond this, time grows much faster than bytes shrink.
const QUALITY: i32 = 4;

/// More than any document has.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// gzip or br, as the client prefers. A stream of events would be kept back until there is enough to compress, and stays as it is; it is not
/// even wrapped, since each listener would hold an encoder's state for as long as it listens.
pub(super) async fn compress(State(app): State<App>, request: Request, next: Next) -> Response {
    let coding = preferred(request.headers());
    let is_read = request.method() == Method::GET;
    let response = next.run(request).await;
    if response.extensions().get::<Listens>().is_some() {
        return response;
    }
    let document = response.extensions().get::<Document>().filter(|_| is_read).cloned();
    match document.zip(coding) {
        Some((document, coding)) => document_as(&app, document, coding, response).await,
        None => compressed(response, coding).await,
    }
}

/// A document, as it was compressed when it was first asked for so.
async fn document_as(app: &App, document: Document, coding: &'static str, mut response: Response) -> Response {
    if let Some(bytes) = app.documents().compressed(&document, coding) {
        let headers = response.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
        return response.map(|_| Body::from(bytes));
    }
    let response = compressed(response, Some(coding)).await;
    if response.headers().get(CONTENT_ENCODING).is_none() {
        return response;
    }
    let (head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MOST_BYTES).await else {
        return ApiError::Internal("a document cannot be compressed").into_response();
    };
    app.documents().keep(document, coding, bytes.clone());
    Response::from_parts(head, Body::from(bytes))
}

async fn compressed(response: Response, coding: Option<&'static str>) -> Response {
    let mut answered = http::Request::new(response);
    answered.headers_mut().extend(coding.map(|coding| (ACCEPT_ENCODING, HeaderValue::from_static(coding))));
    let answer = service_fn(|answered: http::Request<Response>| ready(Ok::<_, Infallible>(answered.into_body())));
    let layer = CompressionLayer::new().gzip(true).br(true).quality(CompressionLevel::Precise(QUALITY));
    let Ok(response) = layer.compress_when(SizeAbove::new(WORTHWHILE)).layer(answer).oneshot(answered).await;
    response.map(Body::new)
}

/// Of what this server can do, what `Accept-Encoding` prefers. A client that refuses everything else gets it plain all the same: the alternative
/// is to answer 406 after a transaction has been sent.
fn preferred(headers: &HeaderMap) -> Option<&'static str> {
    let (mut br, mut gzip) = (0.0_f32, 0.0_f32);
    for accepted in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')) {
        let mut parts = accepted.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        match name.as_str() {
            "br" => br = weight,
            "gzip" | "x-gzip" => gzip = weight,
            _ => {}
        }
    }
    if br > 0.0 && br >= gzip {
        Some("br")
    } else if gzip > 0.0 {
        Some("gzip")
    } else {
        None
    }
}

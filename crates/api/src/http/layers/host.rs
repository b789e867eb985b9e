//! Requests that name no host, two, or one that is none.

use axum::{
    extract::Request,
    http::{Version, header::HOST, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::error::{ApiError, Invalid};

/// Refuses them, as RFC 9112 demands: of two programs in a row, each might take another of the two. A client of HTTP/1.0 need not know the header.
pub(super) async fn require_one(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(HOST).iter().count();
    let is_a_host = request.headers().get(HOST).is_none_or(|host| host.is_empty() || Authority::try_from(host.as_bytes()).is_ok());
    let detail = match hosts {
        0 if request.version() < Version::HTTP_11 => return next.run(request).await,
        0 => "Host: is missing",
        1 if is_a_host => return next.run(request).await,
        1 => "Host: is not the name of a host",
        _ => "Host: is given twice",
    };
    ApiError::from(Invalid::value("Host", detail)).into_response()
}

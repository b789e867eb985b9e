//! Requests that name no host, or two.

use axum::{
    extract::Request,
    http::{Version, header::HOST},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::error::{ApiError, Invalid};

/// Refuses them, as RFC 9112 demands: of two programs in a row, each might take another of the two. A client of HTTP/1.0 need not know the header.
pub(super) async fn require_one(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(HOST).iter().count();
    if hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11 {
        return next.run(request).await;
    }
    let detail = if hosts == 0 { "Host: is missing" } else { "Host: is given twice" };
    ApiError::from(Invalid::value("Host", detail)).into_response()
}

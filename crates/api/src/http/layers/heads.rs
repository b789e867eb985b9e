//! Heads that are longer than any that means something here.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::error::ApiError;

/// Largest head of a request: the longest cursor fits twice.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;

/// What is between a header's name and its value, and after it.
const BETWEEN: usize = ": \r\n".len();

/// Refuses them. The parser ends those that do not end by themselves, and may let one through that is twice as long and came in one piece.
pub(super) async fn limit(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + BETWEEN);
    if target + headers.sum::<usize>() > HEAD_BYTES { ApiError::HeadTooLarge.into_response() } else { next.run(request).await }
}

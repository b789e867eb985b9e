//! How long a request may take.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{App, error::ApiError};

/// Longest for an answer to begin, beyond what is waited for on purpose.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Answers whose end is far from their beginning, or that wait because they are asked to, have limits of their own.
const UNHURRIED: [&str; 1] = ["/api/events"];

/// Answers 503 instead of letting a client wait for a database that does not come back.
pub(super) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if path.is_some_and(|path| UNHURRIED.contains(&path)) {
        return next.run(request).await;
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let patience = if is_read { PATIENCE } else { PATIENCE + app.config().confirmation_wait };
    in_time(patience, next.run(request)).await
}

/// The answer, or after so long that there is none.
pub(super) async fn in_time(patience: Duration, answer: impl Future<Output = Response>) -> Response {
    tokio::time::timeout(patience, answer).await.unwrap_or_else(|_| ApiError::Overdue.into_response())
}

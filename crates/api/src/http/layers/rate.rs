//! Refuses the requests of a client that makes too many, and tells the others how many are left.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{App, client::Client, error::ApiError};

/// What is left.
pub(super) const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What there is.
pub(super) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What watches over the process is never told to wait.
const UNLIMITED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// On the answer to a request that was not refused here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed;

/// Refuses what is above the limit, and tells all how much is left.
pub(super) async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if path.is_some_and(|path| UNLIMITED.contains(&path)) {
        return next.run(request).await;
    }
    let client = request.extensions().get::<Client>().copied().filter(|client| app.config().rate_limit.holds_for(*client));
    let (Some(gate), Some(client)) = (app.gate(), client) else { return passed(next.run(request).await) };
    let (mut response, remaining) = match gate.pass(client) {
        Ok(remaining) => (passed(next.run(request).await), remaining),
        Err(wait) => {
            gate.refusals.count(|requests| tracing::info!(requests, "requests beyond the rate limit"));
            let mut response = ApiError::RateLimited.into_response();
            // Whole seconds, and never none: a client that comes back at once would be refused again.
            let wait = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            (response, 0)
        }
    };
    let left = format!("\"address\";r={remaining};t={}", gate.until_full(remaining));
    response.headers_mut().extend(HeaderValue::try_from(left).ok().map(|left| (LIMIT, left)));
    response.headers_mut().insert(POLICY, gate.policy.clone());
    response
}

fn passed(mut response: Response) -> Response {
    response.extensions_mut().insert(Passed);
    response
}

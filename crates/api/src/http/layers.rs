//! What happens to every request, from the outside in: its path loses a slash too many, it gets an id that all its lines in the log have, an answer that may
//! be compressed, headers that protect and links as the world sees them, a place under the rate limit, a time limit, and an answer even if
//! its handler panics.

mod client;
mod compression;
mod heads;
mod host;
mod hygiene;
mod links;
mod log;
pub(crate) mod rate;
mod slashes;
mod time;

use std::any::Any;

use axum::{
    Router,
    extract::Request,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tower::{Layer, util::MapRequestLayer};
use tower_http::{
    catch_panic::CatchPanicLayer,
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    trace::TraceLayer,
};
use tracing::Span;

use crate::{App, error::ApiError};
use hygiene::REQUEST_ID;

pub(crate) use heads::HEAD_BYTES;
pub(crate) use slashes::DOCS_PAGE;
pub(crate) use time::PATIENCE;

type MakeSpan = fn(&Request) -> Span;
type Trace = TraceLayer<SharedClassifier<ServerErrorsAsFailures>, MakeSpan, (), (), (), (), ()>;

/// `router` for one state, with everything around it.
pub(crate) fn around(router: Router<App>, app: App) -> Router {
    let router = wrap(router, &app).with_state(app);
    // Which handler a path belongs to is settled before any layer of a router is asked.
    Router::new().fallback_service(MapRequestLayer::new(slashes::trim).layer(router))
}

/// Wraps `router`; the last layer is the first to see a request.
fn wrap(router: Router<App>, app: &App) -> Router<App> {
    router
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn_with_state(app.clone(), time::limit))
        .layer(from_fn(heads::limit))
        .layer(from_fn(host::require_one))
        .layer(from_fn_with_state(app.clone(), rate::limit))
        .layer(hygiene::cors())
        .layer(from_fn_with_state(app.clone(), links::lead_outside))
        .layer(from_fn(hygiene::protect))
        .layer(from_fn_with_state(app.clone(), compression::compress))
        .layer(from_fn(log::log))
        .layer(trace())
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn(hygiene::refuse_odd_ids))
        .layer(from_fn_with_state(app.clone(), client::identify))
}

/// A span around a request and its answer's body, which says no more than the request's id.
fn trace() -> Trace {
    TraceLayer::new_for_http()
        .make_span_with(log::span as MakeSpan)
        .on_request(())
        .on_response(())
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

fn answer_panic(_: Box<dyn Any + Send>) -> Response {
    ApiError::Internal("a handler panicked").into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{body::Body, http::StatusCode, routing::get};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for() {
        let fails = get(async || -> StatusCode { panic!("on purpose") });
        let router: Router = Router::new().route("/", fails).layer(CatchPanicLayer::custom(answer_panic));
        let answer = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(answer.status(), 500);
        let problem = problem(answer).await;
        assert_eq!(problem["code"], "internal_error");
        assert!(!problem.to_string().contains("purpose"), "{problem}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_answered_for() {
        let answer = time::in_time(Duration::from_millis(1), std::future::pending()).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(problem(answer).await["code"], "overdue");
    }

    async fn problem(answer: Response) -> serde_json::Value {
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

//! Liveness and readiness.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use clawpay_store::IndexedBlock;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    error::{ApiError, Freshness, Prepares},
    http::extract::{Nothing, Query},
    index_watch::Seen,
    node::NodeTrouble,
};

/// Liveness
///
/// The process answers. How the index is doing is no reason to restart it, and so a matter of `/readyz`.
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "server", responses(
    (status = 200, description = "The process answers.", body = Alive),
))]
pub(super) async fn healthz(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Json<Alive> {
    Json(Alive { status: "ok", uptime_seconds: app.started().elapsed().as_secs() })
}

/// That a process lives.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alive {
    status: &'static str,
    uptime_seconds: u64,
}

/// Everything this process counts, in Prometheus's text format: the operator's business, and so no part of the API.
pub(super) async fn metrics(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Response, ApiError> {
    const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let handle = app.config().metrics.as_ref().ok_or(ApiError::UnknownPath)?;
    // The operator wants to know of a database that is away, and not be kept from the rest.
    match app.snapshot().await {
        Ok(snapshot) => crate::metrics::read(&snapshot.indexed),
        Err(_) => crate::metrics::unread(),
    }
    Ok(([(CONTENT_TYPE, FORMAT)], handle.render()).into_response())
}

/// Readiness
///
/// Whether reads can be answered: the database is there, and the index has come close to the chain. Whether actions can be prepared, for which
/// a node is needed as well, stands in `prepares` and changes nothing about the status. Nothing is asked for it: it is what was last found.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "server", responses(
    (status = 200, description = "Ready.", body = Ready),
), extensions(("x-problems" = json!(["503 not_ready"]))))]
pub(super) async fn readyz(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Json<Ready>, ApiError> {
    let position = match app.index().seen().await {
        Seen::At(position) => position,
        Seen::Nothing => return Err(ApiError::NothingIndexed),
        Seen::NotYet | Seen::Unavailable => return Err(ApiError::DatabaseAway),
    };
    let (config, indexed) = (app.config(), IndexedBlock { staleness: position.staleness(), ..position.indexed });
    let freshness = Freshness {
        indexed_block: indexed.number,
        ready_at_block: config.ready_at_block,
        head: indexed.head,
        lag: indexed.lag(),
        max_lag: config.max_lag_blocks,
        staleness_seconds: indexed.staleness.as_secs(),
        max_staleness_seconds: config.max_staleness.as_secs(),
    };
    let troubles = app.node().troubles();
    // An indexer that has stopped does not say how far the chain has come since.
    let is_behind = app.node().height_seen().saturating_sub(indexed.number) > config.max_lag_blocks;
    let is_decided_by = !is_behind && !app.is_stale(&indexed) && indexed.number >= config.ready_at_block;
    let prepares = Prepares {
        ready: is_decided_by && troubles.iter().any(Option::is_none),
        nodes: troubles.iter().map(|trouble| trouble.map_or("ok", NodeTrouble::word)).collect(),
    };
    let reasons = in_the_way(&app, &indexed);
    if reasons.is_empty() {
        Ok(Json(Ready { status: "ready", freshness, prepares }))
    } else {
        Err(ApiError::NotReady { reasons, freshness, prepares })
    }
}

/// That a process can do its work.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    status: &'static str,
    #[serde(flatten)]
    freshness: Freshness,
    prepares: Prepares,
}

/// Why reads should go elsewhere. A node that is away is no reason: the index has not heard of it for a while, and is what it was.
fn in_the_way(app: &App, indexed: &IndexedBlock) -> Vec<String> {
    let config = app.config();
    let mut reasons = Vec::new();
    if indexed.number < config.ready_at_block {
        reasons.push(format!("the index is at block {} and has to reach {} first", indexed.number, config.ready_at_block));
    }
    if indexed.lag() > config.max_lag_blocks {
        reasons.push(format!("the index is {} blocks behind the chain, {} are allowed", indexed.lag(), config.max_lag_blocks));
    }
    reasons
}

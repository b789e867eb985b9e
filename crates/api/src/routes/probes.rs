//! Liveness and readiness.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use clawpay_store::{Chain, IndexedBlock};
use serde_json::json;

use crate::{
    App,
    error::{ApiError, Problem},
};

/// The process answers. How the index is doing is no reason to restart it, and so a matter of `/readyz`.
pub(super) async fn healthz(State(app): State<App>) -> Json<serde_json::Value> {
    Json(json!({ "status": "ok", "uptimeSeconds": app.started().elapsed().as_secs() }))
}

/// Everything this process counts, in Prometheus's text format.
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let handle = app.config().metrics.as_ref().ok_or(ApiError::UnknownPath)?;
    // Whoever asks wants to know of a database that is away, and not be kept from the rest.
    match app.snapshot().await {
        Ok(snapshot) => crate::metrics::read(&snapshot.indexed),
        Err(_) => crate::metrics::unread(),
    }
    Ok(([(CONTENT_TYPE, FORMAT)], handle.render()).into_response())
}

/// Everything behind the process answers, and the index is close enough to the chain to act on.
pub(super) async fn readyz(State(app): State<App>) -> Result<Response, ApiError> {
    let snapshot = app.snapshot().await?;
    let (chain, indexed) = (snapshot.chain, snapshot.indexed);
    drop(snapshot);
    let reasons = in_the_way(&app, &chain, &indexed).await;
    let config = app.config();
    let numbers = [
        ("indexedBlock", json!(indexed.number)),
        ("readyAtBlock", json!(config.ready_at_block)),
        ("head", json!(indexed.head)),
        ("lag", json!(indexed.lag())),
        ("maxLag", json!(config.max_lag_blocks)),
        ("stalenessSeconds", json!(indexed.staleness.as_secs())),
        ("maxStalenessSeconds", json!(config.max_staleness.as_secs())),
    ];
    if reasons.is_empty() {
        let mut body = serde_json::Map::from_iter([("status".to_owned(), json!("ready"))]);
        body.extend(numbers.map(|(name, number)| (name.to_owned(), number)));
        return Ok(Json(body).into_response());
    }
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reasons.join("; "));
    Ok(numbers.into_iter().fold(problem, |problem, (name, number)| problem.with(name, number)).into_response())
}

async fn in_the_way(app: &App, chain: &Chain, indexed: &IndexedBlock) -> Vec<String> {
    let config = app.config();
    let mut reasons = Vec::new();
    if indexed.number < config.ready_at_block {
        reasons.push(format!("the index is at block {} and has to reach {} first", indexed.number, config.ready_at_block));
    }
    if indexed.lag() > config.max_lag_blocks {
        reasons.push(format!("the index is {} blocks behind the chain, {} are allowed", indexed.lag(), config.max_lag_blocks));
    }
    if indexed.staleness > config.max_staleness {
        let (age, allowed) = (indexed.staleness.as_secs(), config.max_staleness.as_secs());
        reasons.push(format!("the indexer last heard of the node {age} s ago, {allowed} s are allowed"));
    }
    if let Err(error) = app.node().require_chain(chain.chain_id).await {
        reasons.push(format!("the node cannot be used: {error}"));
    }
    reasons
}

//! The market's rules, totals and freshness.

use axum::extract::State;

use crate::{
    App,
    dto::{
        market::{ConfigDto, StatsDto, StatusDto},
        stamped::Stamped,
    },
    error::ApiError,
    extract::{Nothing, Query},
};

/// Get the market's rules
///
/// Chain, contracts and parameters. Nothing of it ever changes.
#[utoipa::path(get, path = "/api/config", operation_id = "getConfig", tag = "market", responses(
    (status = 200, description = "The rules.", body = ConfigDto),
))]
pub(super) async fn config(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<ConfigDto>, ApiError> {
    let snapshot = app.snapshot().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, ConfigDto::from(&snapshot.chain)))
}

/// Get the market's totals
///
/// Runs by state, and the money in them.
#[utoipa::path(get, path = "/api/stats", operation_id = "getStats", tag = "market", responses(
    (status = 200, description = "The totals.", body = StatsDto),
))]
pub(super) async fn stats(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<StatsDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let totals = snapshot.totals().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, StatsDto::from(&totals)))
}

/// Get the index's freshness
///
/// How far the index has come, how far the chain, and a digest of all rows at the last final block, by which operators compare indexes.
#[utoipa::path(get, path = "/api/status", operation_id = "getStatus", tag = "market", responses(
    (status = 200, description = "The freshness.", body = StatusDto),
))]
pub(super) async fn status(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<StatusDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let finalized = snapshot.finalized_state().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, StatusDto::new(&snapshot.chain, &snapshot.indexed, finalized)))
}

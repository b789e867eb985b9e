//! The market's rules, totals and freshness.

use crate::{
    error::ApiError,
    http::dto::{
        market::{ConfigDto, StatsDto, StatusDto},
        stamped::Stamped,
    },
    http::extract::{Nothing, ReadQuery},
    http::reading::{MinBlock, Momentary, Reading},
};

/// Get the market's rules
///
/// Chain, contracts and parameters. Nothing of it ever changes.
#[utoipa::path(get, path = "/api/config", operation_id = "getConfig", tag = "market", params(MinBlock), responses(
    (status = 200, description = "The rules.", body = ConfigDto),
))]
pub(super) async fn config(ReadQuery(Nothing {}): ReadQuery<Nothing>, reading: Reading) -> Result<Stamped<ConfigDto>, ApiError> {
    let config = ConfigDto::from(&reading.snapshot.chain);
    Ok(reading.answer(config))
}

/// Get the market's totals
///
/// Runs by state, and the money in them.
#[utoipa::path(get, path = "/api/stats", operation_id = "getStats", tag = "market", params(MinBlock), responses(
    (status = 200, description = "The totals.", body = StatsDto),
))]
pub(super) async fn stats(ReadQuery(Nothing {}): ReadQuery<Nothing>, mut reading: Reading) -> Result<Stamped<StatsDto>, ApiError> {
    let totals = reading.snapshot.totals().await?;
    Ok(reading.answer(StatsDto::from(&totals)))
}

/// Get the index's freshness
///
/// How far the index has come, how far the chain, and a digest of all rows at the last final block, by which operators compare indexes.
#[utoipa::path(get, path = "/api/status", operation_id = "getStatus", tag = "market", params(MinBlock), responses(
    (status = 200, description = "The freshness.", body = StatusDto),
))]
pub(super) async fn status(
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    Momentary(mut reading): Momentary,
) -> Result<Stamped<StatusDto>, ApiError> {
    let finalized = reading.snapshot.finalized_state().await?;
    let status = StatusDto::new(&reading.snapshot.chain, &reading.snapshot.indexed, finalized);
    Ok(reading.answer(status))
}

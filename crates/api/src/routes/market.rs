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

pub(super) async fn config(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<ConfigDto>, ApiError> {
    let snapshot = app.snapshot().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, ConfigDto::from(&snapshot.chain)))
}

pub(super) async fn stats(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<StatsDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let totals = snapshot.totals().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, StatsDto::from(&totals)))
}

pub(super) async fn status(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Result<Stamped<StatusDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let finalized = snapshot.finalized_state().await?;
    Ok(Stamped::new(&app, &snapshot.indexed, StatusDto::new(&snapshot.chain, &snapshot.indexed, finalized)))
}

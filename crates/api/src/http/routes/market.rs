//! The market's rules, totals and freshness.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    App,
    error::ApiError,
    http::dto::{
        market::{Circumstances, ConfigDto, Stats, StatsDto, StatusDto, contracts},
        stamped::Stamped,
    },
    http::extract::{DayCount, Nothing, ReadQuery},
    http::reading::{MinBlock, Momentary, Reading},
};

/// Days of history unless the client says.
const DAYS: u16 = 30;

/// Get the market's rules
///
/// Chain, token, contracts and parameters, which never change; and whether new business is paused, and whether this server relays.
#[utoipa::path(get, path = "/api/config", operation_id = "getConfig", tag = "market", params(MinBlock), responses(
    (status = 200, description = "The rules.", body = ConfigDto),
))]
pub(super) async fn config(
    State(app): State<App>,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<ConfigDto>, ApiError> {
    let chain = reading.snapshot.chain;
    let is_paused = reading.snapshot.custody(chain.run_escrow).await?.map(|books| books.is_paused);
    let reading = reading.close();
    let token_symbol = app.node_facts().symbol(app.node(), chain.usdc).await;
    let Some(purse) = app.relay_purse() else {
        return Ok(reading.answer(ConfigDto::new(&chain, Circumstances { token_symbol, is_paused, ..Circumstances::default() })));
    };
    let is_budget_used_up = purse.left(app.node(), &chain).await.is_some_and(|left| left.are_used_up());
    let circumstances = Circumstances { token_symbol, is_paused, is_relaying: !is_budget_used_up, is_budget_used_up };
    // The budget moves without the block, and so nothing tells this answer from the next.
    Ok(reading.answer(ConfigDto::new(&chain, circumstances)).untagged())
}

/// The parameters of `GET /api/stats`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// How many days of history, up to the indexed block's; 30 if not said.
    #[param(inline)]
    days: Option<DayCount>,
}

/// Get the market's totals
///
/// Runs by state, the money in them, what each contract has and owes, and what happened on each of the last days.
#[utoipa::path(get, path = "/api/stats", operation_id = "getStats", tag = "market", params(StatsQuery, MinBlock), responses(
    (status = 200, description = "The totals.", body = StatsDto),
))]
pub(super) async fn stats(
    State(app): State<App>,
    ReadQuery(query): ReadQuery<StatsQuery>,
    mut reading: Reading,
) -> Result<Stamped<StatsDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let (chain, indexed) = (snapshot.chain, snapshot.indexed);
    let totals = snapshot.totals().await?;
    let days = snapshot.days(query.days.map_or(DAYS, |days| days.0)).await?;
    let (run_escrow, agent_stake) = (snapshot.custody(chain.run_escrow).await?, snapshot.custody(chain.agent_stake).await?);
    let reading = reading.close();
    let holdings = app.node_facts().holdings(app.node(), &contracts(&chain), (indexed.number, indexed.hash)).await;
    Ok(reading.answer(StatsDto::from(Stats { totals, days, run_escrow, agent_stake, holdings })))
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

//! Reading agents.

use axum::extract::State;
use clawpay_store::AgentFilter;
use serde::{Deserialize, Serialize};

use super::runs::page;
use crate::{
    App,
    dto::{
        agent::{AgentDto, StakeDto},
        page::Pagination,
        stamped::Stamped,
    },
    error::ApiError,
    extract::{Account, AgentPath, Nothing, PageNumber, PageSize, Query},
};

/// The parameters of `GET /api/agents`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    page: Option<PageNumber>,
    limit: Option<PageSize>,
    /// Agents that this account acts for.
    account: Option<Account>,
}

/// A page of agents.
#[derive(Debug, Serialize)]
pub(super) struct AgentsDto {
    agents: Vec<AgentDto>,
    pagination: Pagination,
}

pub(super) async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Stamped<AgentsDto>, ApiError> {
    let page = page(query.page, query.limit);
    let mut snapshot = app.snapshot().await?;
    let filter = AgentFilter { account: query.account.map(|account| account.0) };
    let listing = snapshot.agents(&filter, page).await?;
    let (indexed, parameters) = (snapshot.indexed, snapshot.chain.parameters.stake);
    let agents = listing.items.iter().map(|record| AgentDto::new(record, &parameters, &indexed)).collect();
    Ok(Stamped::new(&app, &indexed, AgentsDto { agents, pagination: Pagination::new(page, listing.total) }))
}

pub(super) async fn show(
    State(app): State<App>,
    AgentPath(id): AgentPath,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Stamped<AgentDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let record = snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?;
    let agent = AgentDto::new(&record, &snapshot.chain.parameters.stake, &snapshot.indexed);
    Ok(Stamped::new(&app, &snapshot.indexed, agent))
}

pub(super) async fn stake(
    State(app): State<App>,
    AgentPath(id): AgentPath,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Stamped<StakeDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let agent = snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?.agent;
    let stake = StakeDto::new(&agent, &snapshot.chain.parameters.stake, snapshot.indexed.timestamp);
    Ok(Stamped::new(&app, &snapshot.indexed, stake))
}

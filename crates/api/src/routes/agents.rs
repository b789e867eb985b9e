//! Reading agents.

use axum::extract::State;
use clawpay_store::AgentFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

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
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Which page, from 1. A page past the end is empty.
    #[param(inline)]
    page: Option<PageNumber>,
    /// How many items on a page; 20 if not said.
    #[param(inline)]
    limit: Option<PageSize>,
    /// Agents that this account acts for, as their owner or their wallet.
    #[param(inline)]
    account: Option<Account>,
}

/// A page of agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agents)]
pub(super) struct AgentsDto {
    agents: Vec<AgentDto>,
    pagination: Pagination,
}

/// List agents
///
/// All agents, or those that an account acts for, newest first.
#[utoipa::path(get, path = "/api/agents", operation_id = "listAgents", tag = "agents", params(ListQuery), responses(
    (status = 200, description = "A page of agents.", body = AgentsDto),
))]
pub(super) async fn list(State(app): State<App>, Query(query): Query<ListQuery>) -> Result<Stamped<AgentsDto>, ApiError> {
    let page = page(query.page, query.limit);
    let mut snapshot = app.snapshot().await?;
    let filter = AgentFilter { account: query.account.map(|account| account.0) };
    let listing = snapshot.agents(&filter, page).await?;
    let (indexed, parameters) = (snapshot.indexed, snapshot.chain.parameters.stake);
    let agents = listing.items.iter().map(|record| AgentDto::new(record, &parameters, &indexed)).collect();
    Ok(Stamped::new(&app, &indexed, AgentsDto { agents, pagination: Pagination::new(page, listing.total) }))
}

/// Get an agent
///
/// An agent, its stake and its reputation.
#[utoipa::path(get, path = "/api/agents/{id}", operation_id = "getAgent", tag = "agents", params(AgentPath), responses(
    (status = 200, description = "The agent.", body = AgentDto),
), extensions(("x-problems" = json!(["404 agent_not_found"]))))]
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

/// Get an agent's stake
///
/// What an agent has staked, what holds it, and every slash.
#[utoipa::path(get, path = "/api/agents/{id}/stake", operation_id = "getStake", tag = "agents", params(AgentPath), responses(
    (status = 200, description = "The stake.", body = StakeDto),
), extensions(("x-problems" = json!(["404 agent_not_found"]))))]
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

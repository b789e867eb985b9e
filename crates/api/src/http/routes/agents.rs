//! Reading agents.

use axum::{extract::RawQuery, http::header};
use clawpay_domain::AgentId;
use clawpay_store::{AgentFilter, AgentRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lists::{Asked, Part, Parts};
use crate::{
    error::ApiError,
    http::dto::{
        agent::{AgentDto, StakeDto},
        page::Pagination,
        stamped::Stamped,
    },
    http::extract::{Account, AgentPath, Nothing, PageNumber, PageSize, ReadQuery},
    http::openapi::schemas as w,
    http::reading::{MinBlock, Reading},
};

/// The parameters of `GET /api/agents`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Which page, from 1. A page past the end is empty.
    #[param(inline)]
    page: Option<PageNumber>,
    /// How many items on a page; 20 if not said.
    #[param(inline)]
    limit: Option<PageSize>,
    /// A place to read from, as `pagination` or the Link header gave it. It carries the parameters it was made for: only `limit` and
    /// `minBlock` may stand beside it.
    #[param(inline, value_type = Option<w::CursorText>)]
    cursor: Option<String>,
    /// Agents that this account acts for, as their owner or their wallet.
    #[param(inline)]
    account: Option<Account>,
}

impl Parts for ListQuery {
    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>) {
        (self.page, self.limit, self.cursor.as_deref())
    }
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
#[utoipa::path(get, path = "/api/agents", operation_id = "listAgents", tag = "agents", params(ListQuery, MinBlock), responses(
    (status = 200, description = "Part of the list.", body = AgentsDto),
), extensions(("x-problems" = json!(["400 invalid_cursor"]))))]
pub(super) async fn list(
    RawQuery(text): RawQuery,
    ReadQuery(query): ReadQuery<ListQuery>,
    mut reading: Reading,
) -> Result<Stamped<AgentsDto>, ApiError> {
    let asked: Asked<ListQuery, AgentId> = Asked::of(query, text.as_deref().unwrap_or_default())?;
    let filter = AgentFilter { account: asked.query.account.map(|account| account.0) };
    let place = |record: &AgentRecord| record.agent.id;
    let (items, pagination) = match asked.part {
        Part::Page(page) => {
            let listing = reading.snapshot.agents(&filter, page).await?;
            let pagination = asked.by_page(page, &listing, place);
            (listing.items, pagination)
        }
        Part::Beside { place: from, direction, limit } => {
            let stretch = reading.snapshot.agents_beside(&filter, from, direction, limit).await?;
            let pagination = asked.by_cursor(from, direction, limit, &stretch, place);
            (stretch.items, pagination)
        }
    };
    let (indexed, parameters) = (reading.snapshot.indexed, reading.snapshot.chain.parameters.stake);
    let agents = items.iter().map(|record| AgentDto::new(record, &parameters, &indexed)).collect();
    let link = pagination.link("/api/agents");
    Ok(reading.answer(AgentsDto { agents, pagination }).header(header::LINK, link))
}

/// Get an agent
///
/// An agent, its stake and its reputation.
#[utoipa::path(get, path = "/api/agents/{id}", operation_id = "getAgent", tag = "agents", params(AgentPath, MinBlock), responses(
    (status = 200, description = "The agent.", body = AgentDto),
), extensions(("x-problems" = json!(["404 agent_not_found"]))))]
pub(super) async fn show(
    AgentPath(id): AgentPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<AgentDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let record = snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?;
    let agent = AgentDto::new(&record, &snapshot.chain.parameters.stake, &snapshot.indexed);
    Ok(reading.answer(agent))
}

/// Get an agent's stake
///
/// What an agent has staked, what holds it, and every slash.
#[utoipa::path(get, path = "/api/agents/{id}/stake", operation_id = "getStake", tag = "agents", params(AgentPath, MinBlock), responses(
    (status = 200, description = "The stake.", body = StakeDto),
), extensions(("x-problems" = json!(["404 agent_not_found"]))))]
pub(super) async fn stake(
    AgentPath(id): AgentPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<StakeDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let agent = snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?.agent;
    let stake = StakeDto::new(&agent, &snapshot.chain.parameters.stake, snapshot.indexed.timestamp);
    Ok(reading.answer(stake))
}

//! Reading agents.

use axum::{extract::RawQuery, http::header};
use clawpay_domain::AgentId;
use clawpay_store::{AgentFilter, AgentRecord, AgentSort, Direction, Listing, Page, Position, Reader, Stretch};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lists::{self, Found, List, Part};
use crate::{
    error::ApiError,
    http::dto::{
        agent::{AgentDto, StakeDto},
        page::Pagination,
        stamped::Stamped,
    },
    http::extract::{Account, AgentPath, AgentStatuses, Nothing, PageNumber, PageSize, ReadQuery},
    http::openapi::schemas as w,
    http::reading::{MinBlock, Question, Reading, Unread},
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
    /// Agents with this status at the indexed block, or with one of several, separated by commas: `PROVISIONAL,ESTABLISHED`.
    #[param(inline, value_type = Option<Vec<w::AgentStatusWord>>, style = Form, explode = false, min_items = 1)]
    status: Option<AgentStatuses>,
    /// In which order; newest first if not said. Agents that tie follow their ids in the same direction.
    #[param(inline)]
    sort: Option<SortWord>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = AgentSort)]
#[serde(rename_all = "snake_case")]
enum SortWord {
    Newest,
    Oldest,
    StakeDesc,
    ScoreDesc,
    VolumeDesc,
    CompletionsDesc,
}

impl From<SortWord> for AgentSort {
    fn from(word: SortWord) -> Self {
        match word {
            SortWord::Newest => Self::Newest,
            SortWord::Oldest => Self::Oldest,
            SortWord::StakeDesc => Self::LargestStake,
            SortWord::ScoreDesc => Self::HighestScore,
            SortWord::VolumeDesc => Self::LargestVolume,
            SortWord::CompletionsDesc => Self::MostCompletions,
        }
    }
}

impl ListQuery {
    fn sort(&self) -> AgentSort {
        self.sort.map(Into::into).unwrap_or_default()
    }

    fn filter(&self) -> AgentFilter {
        AgentFilter {
            account: self.account.map(|account| account.0),
            statuses: self.status.as_ref().map(|statuses| statuses.0.clone()).unwrap_or_default(),
        }
    }
}

impl List for ListQuery {
    type Item = AgentRecord;
    type Id = AgentId;

    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>) {
        (self.page, self.limit, self.cursor.as_deref())
    }

    fn position(&self, record: &AgentRecord) -> Position<AgentId> {
        self.sort().position(record)
    }

    fn has(&self, position: &Position<AgentId>) -> bool {
        self.sort().has(position)
    }

    async fn page(&self, reader: Reader, page: Page) -> Found<Listing<AgentRecord>> {
        reader.agents(&self.filter(), self.sort(), page).await
    }

    async fn beside(&self, reader: Reader, position: &Position<AgentId>, direction: Direction, limit: u32) -> Found<Stretch<AgentRecord>> {
        reader.agents_beside(&self.filter(), self.sort(), position, direction, limit).await
    }
}

/// How many of the latest changes of an agent's metadata are read.
const MOST_METADATA_EVENTS: u32 = 200;

/// A page of agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agents)]
pub(super) struct AgentsDto {
    agents: Vec<AgentDto>,
    pagination: Pagination,
}

/// List agents
///
/// The agents that all given parameters select, newest first unless `sort` says otherwise.
#[utoipa::path(get, path = "/api/agents", operation_id = "listAgents", tag = "agents", params(ListQuery, MinBlock), responses(
    (status = 200, description = "Part of the list.", body = AgentsDto),
), extensions(("x-problems" = json!(["400 invalid_cursor", "400 page_too_deep"]))))]
pub(super) async fn list(
    RawQuery(text): RawQuery,
    ReadQuery(query): ReadQuery<ListQuery>,
    question: Question,
) -> Result<Stamped<AgentsDto>, Unread> {
    let Part { items, pagination, answer } = lists::read(query, text.as_deref().unwrap_or_default(), question).await?;
    let parameters = items.chain.parameters.stake;
    let agents = items.found.iter().map(|record| AgentDto::new(record, &parameters, &items.indexed)).collect();
    let link = pagination.link("/api/agents");
    Ok(answer.answer(AgentsDto { agents, pagination }).header(header::LINK, link))
}

/// Get an agent
///
/// An agent, its stake, its reputation and its on-chain metadata.
#[utoipa::path(get, path = "/api/agents/{id}", operation_id = "getAgent", tag = "agents", params(AgentPath, MinBlock), responses(
    (status = 200, description = "The agent.", body = AgentDto),
), extensions(("x-problems" = json!(["404 agent_not_found", "451 hidden"]))))]
pub(super) async fn show(
    AgentPath(id): AgentPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<AgentDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let record = reading.hidden.shown(snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?)?;
    let metadata = snapshot.latest_metadata(id, MOST_METADATA_EVENTS).await?;
    let agent = AgentDto::new(&record, &snapshot.chain.parameters.stake, &snapshot.indexed);
    Ok(reading.answer(agent.with_metadata(&metadata, MOST_METADATA_EVENTS)))
}

/// Get an agent's stake
///
/// What an agent has staked, what holds it, and every slash.
#[utoipa::path(get, path = "/api/agents/{id}/stake", operation_id = "getStake", tag = "agents", params(AgentPath, MinBlock), responses(
    (status = 200, description = "The stake.", body = StakeDto),
), extensions(("x-problems" = json!(["404 agent_not_found", "451 hidden"]))))]
pub(super) async fn stake(
    AgentPath(id): AgentPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<StakeDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let agent = reading.hidden.shown(snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?)?.agent;
    let stake = StakeDto::new(&agent, &snapshot.chain.parameters.stake, snapshot.indexed.timestamp);
    Ok(reading.answer(stake))
}

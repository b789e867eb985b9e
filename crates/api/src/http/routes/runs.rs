//! Reading runs.

use alloy::primitives::Address;
use axum::{extract::RawQuery, http::header};
use clawpay_domain::{AgentId, RunId, rules};
use clawpay_store::{Direction, Listing, Page, Position, PostedRun, Reader, RunFilter, RunRecord, RunSearch, RunSort, Stretch};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lists::{self, Found, List, Part};
use crate::{
    error::ApiError,
    http::dto::{
        agent::{EligibilityDto, EligibleRun},
        event::EventDto,
        market::contracts,
        page::Pagination,
        poster::PosterDto,
        run::RunDto,
        stamped::Stamped,
    },
    http::extract::{Account, Digits, Nothing, PageNumber, PageSize, ReadQuery, RewardBound, RunPath, RunStates, Search, Tag},
    http::openapi::schemas as w,
    http::reading::{MinBlock, Question, Reading, Unread},
    text::begins_as_uri,
};

/// The parameters of `GET /api/runs`.
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
    /// Runs in this state, or in one of several: `OPEN,CLAIMED`, or the parameter more than once.
    #[param(inline, value_type = Option<Vec<w::RunStateWord>>, style = Form, explode = false, min_items = 1)]
    state: Option<RunStates>,
    /// Runs posted by this account.
    #[param(inline)]
    poster: Option<Account>,
    /// Runs claimed by this agent.
    #[param(inline)]
    agent_id: Option<Digits>,
    /// Runs with at least this reward, in USDC: `100` is 100 USDC.
    #[param(inline)]
    min_reward: Option<RewardBound>,
    /// Runs with at most this reward, in USDC.
    #[param(inline)]
    max_reward: Option<RewardBound>,
    /// Runs that can be claimed at the indexed block, or cannot.
    #[param(inline)]
    claimable: Option<YesNo>,
    /// Runs that their poster can slash at the indexed block, or cannot.
    #[param(inline)]
    slashable: Option<YesNo>,
    /// Runs that anyone can finalize at the indexed block, or cannot.
    #[param(inline)]
    finalizable: Option<YesNo>,
    /// In which order; newest first if not said. Runs that tie follow their ids, upwards where the order ascends.
    #[param(inline)]
    sort: Option<SortWord>,
    /// Runs with this tag in their inline content, in either case.
    #[param(inline)]
    tag: Option<Tag>,
    /// What a person types to find a run.
    #[param(inline)]
    q: Option<Search>,
}

/// Yes or no, in a query. Clients print what they hold, and some hold `True` or 1.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum YesNo {
    #[serde(alias = "True")]
    True,
    #[serde(alias = "False")]
    False,
}

impl From<YesNo> for bool {
    fn from(word: YesNo) -> Self {
        match word {
            YesNo::True => true,
            YesNo::False => false,
        }
    }
}

/// In which order.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = Sort)]
#[serde(rename_all = "snake_case")]
enum SortWord {
    Newest,
    Oldest,
    RewardDesc,
    RewardAsc,
    DeadlineAsc,
    DeadlineDesc,
}

impl From<SortWord> for RunSort {
    fn from(word: SortWord) -> Self {
        match word {
            SortWord::Newest => Self::Newest,
            SortWord::Oldest => Self::Oldest,
            SortWord::RewardDesc => Self::HighestReward,
            SortWord::RewardAsc => Self::LowestReward,
            SortWord::DeadlineAsc => Self::EarliestDeadline,
            SortWord::DeadlineDesc => Self::LatestDeadline,
        }
    }
}

impl ListQuery {
    fn sort(&self) -> RunSort {
        self.sort.map(Into::into).unwrap_or_default()
    }

    fn filter(&self) -> RunFilter {
        RunFilter {
            states: self.state.as_ref().map(|states| states.0.clone()).unwrap_or_default(),
            poster: self.poster.map(|poster| poster.0),
            agent: self.agent_id.map(|id| AgentId(id.0)),
            minimum_reward: self.min_reward.map(|reward| reward.0),
            maximum_reward: self.max_reward.map(|reward| reward.0),
            claimable: self.claimable.map(Into::into),
            slashable: self.slashable.map(Into::into),
            finalizable: self.finalizable.map(Into::into),
            tag: self.tag.as_ref().map(|tag| tag.0.clone()),
            search: self.q.as_ref().map(search),
        }
    }
}

impl List for ListQuery {
    type Item = RunRecord;
    type Id = RunId;

    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>) {
        (self.page, self.limit, self.cursor.as_deref())
    }

    fn position(&self, record: &RunRecord) -> Position<RunId> {
        self.sort().position(record)
    }

    fn has(&self, position: &Position<RunId>) -> bool {
        self.sort().has(position)
    }

    async fn page(&self, reader: Reader, page: Page) -> Found<Listing<RunRecord>> {
        reader.runs(&self.filter(), self.sort(), page).await
    }

    async fn beside(&self, reader: Reader, position: &Position<RunId>, direction: Direction, limit: u32) -> Found<Stretch<RunRecord>> {
        reader.runs_beside(&self.filter(), self.sort(), position, direction, limit).await
    }
}

/// A number is a run, an address an account, what begins as a URI the beginning of a content URI, and anything else words.
fn search(text: &Search) -> RunSearch {
    if let Ok(Digits(id)) = text.0.clone().try_into() {
        return RunSearch::Id(RunId(id));
    }
    match text.0.parse::<Address>() {
        Ok(account) if text.0.len() == 42 => RunSearch::Account(account),
        _ if begins_as_uri(&text.0) && !text.0.contains(char::is_whitespace) => RunSearch::ContentPrefix(text.0.clone().into_bytes()),
        _ => RunSearch::Words(text.0.clone()),
    }
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Runs)]
pub(super) struct RunsDto {
    runs: Vec<RunDto>,
    pagination: Pagination,
}

/// List runs
///
/// The runs that all given parameters select, newest first unless `sort` says otherwise.
#[utoipa::path(get, path = "/api/runs", operation_id = "listRuns", tag = "runs", params(ListQuery, MinBlock), responses(
    (status = 200, description = "Part of the list.", body = RunsDto),
), extensions(("x-problems" = json!(["400 invalid_cursor", "400 page_too_deep"]))))]
pub(super) async fn list(
    RawQuery(text): RawQuery,
    ReadQuery(query): ReadQuery<ListQuery>,
    question: Question,
) -> Result<Stamped<RunsDto>, Unread> {
    let Part { items, pagination, answer } = lists::read(query, text.as_deref().unwrap_or_default(), question).await?;
    let runs = items.found.iter().map(|record| RunDto::new(record, &items.indexed, &answer.hidden)).collect();
    let link = pagination.link("/api/runs");
    Ok(answer.answer(RunsDto { runs, pagination }).header(header::LINK, link))
}

/// Get a run
///
/// One run, its history and its poster's record.
#[utoipa::path(get, path = "/api/runs/{id}", operation_id = "getRun", tag = "runs", params(RunPath, MinBlock), responses(
    (status = 200, description = "The run.", body = RunDto),
), extensions(("x-problems" = json!(["404 run_not_found", "451 hidden"]))))]
pub(super) async fn show(
    RunPath(id): RunPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    question: Question,
) -> Result<Stamped<RunDto>, Unread> {
    let (sight, answer) = question.ask(|reader| async move { reader.run(id).await }).await?;
    let PostedRun { record, poster } = answer.hidden.shown(sight.found.ok_or(ApiError::RunNotFound(id))?)?;
    let poster = PosterDto::new(record.run.terms.poster, &poster);
    let run = RunDto::new(&record, &sight.indexed, &answer.hidden).with_poster(poster);
    Ok(answer.answer(run))
}

/// A run's timeline, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Events)]
pub(super) struct EventsDto {
    events: Vec<EventDto>,
}

/// Get a run's timeline
///
/// Everything that happened to a run on the chain, oldest first.
#[utoipa::path(get, path = "/api/runs/{id}/events", operation_id = "getRunEvents", tag = "runs", params(RunPath, MinBlock), responses(
    (status = 200, description = "The events.", body = EventsDto),
), extensions(("x-problems" = json!(["404 run_not_found", "451 hidden"]))))]
pub(super) async fn events(
    RunPath(id): RunPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<EventsDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    reading.hidden.shown(snapshot.run(id).await?.ok_or(ApiError::RunNotFound(id))?)?;
    let market = contracts(&snapshot.chain);
    let indexed = snapshot.indexed;
    let events = snapshot.run_events(id).await?.iter().map(|event| EventDto::new(event, &market, &indexed)).collect();
    Ok(reading.answer(EventsDto { events }))
}

/// The parameters of `GET /api/runs/{id}/claim-eligibility`.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EligibilityQuery {
    /// The agent that would claim.
    #[param(inline)]
    agent_id: Digits,
}

/// Check claim eligibility
///
/// Whether an agent could claim a run at the indexed block, by its owner's wallet, and everything that is in the way.
#[utoipa::path(get, path = "/api/runs/{id}/claim-eligibility", operation_id = "getClaimEligibility", tag = "runs",
    params(RunPath, EligibilityQuery, MinBlock),
    responses((status = 200, description = "The answer, whatever it is.", body = EligibilityDto)),
    extensions(("x-problems" = json!(["400 missing_field", "404 run_not_found", "404 agent_not_found", "451 hidden"]))))]
pub(super) async fn claim_eligibility(
    RunPath(id): RunPath,
    ReadQuery(query): ReadQuery<EligibilityQuery>,
    question: Question,
) -> Result<Stamped<EligibilityDto>, Unread> {
    let agent_id = AgentId(query.agent_id.0);
    let (sight, answer) = question.ask(|reader| async move { reader.run_and_agent(id, agent_id).await }).await?;
    let (run, agent) = sight.found;
    let PostedRun { record: RunRecord { run, .. }, poster } = answer.hidden.shown(run.ok_or(ApiError::RunNotFound(id))?)?;
    let agent = answer.hidden.shown(agent.ok_or(ApiError::AgentNotFound(agent_id))?)?.agent;
    let poster = PosterDto::new(run.terms.poster, &poster);
    let (now, parameters) = (sight.indexed.timestamp, sight.chain.parameters);
    let caller = agent.owner.unwrap_or_default();
    let refusals = rules::claim_refusals(&run, &agent, caller, now, &parameters);
    let run = EligibleRun { id, state: run.state, reward: run.terms.reward };
    Ok(answer.answer(EligibilityDto::new(&refusals, &agent, &parameters.stake, now, run, poster)))
}

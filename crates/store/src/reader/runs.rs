//! Lists of runs.

use std::ops::RangeInclusive;

use alloy_primitives::Address;
use clawpay_domain::{AgentId, RunId, RunState, Usdc};
use sqlx::{Postgres, QueryBuilder};

use super::{
    Direction, Listing, Page, Position, Snapshot, SortKey, Stretch,
    keyset::{By, Order, Selection},
};
use crate::{
    Account, Amount, RunRecord, RunRow, StoreError,
    columns::{bigint, clamp, seconds, unsigned},
    content,
    runs::COLUMNS,
};

/// Which runs; every condition that is there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// In one of these states, each named once; in any if there are none.
    pub states: Vec<RunState>,
    /// Posted by this account.
    pub poster: Option<Address>,
    /// Claimed by this agent.
    pub agent: Option<AgentId>,
    /// With at least this reward.
    pub minimum_reward: Option<Usdc>,
    /// With at most this reward.
    pub maximum_reward: Option<Usdc>,
    /// Claimable at the indexed block, or not.
    pub claimable: Option<bool>,
    /// Slashable by the poster at the indexed block, or not.
    pub slashable: Option<bool>,
    /// Finalizable by anyone at the indexed block, or not.
    pub finalizable: Option<bool>,
    /// With this tag in its inline content.
    pub tag: Option<String>,
    /// Found by this.
    pub search: Option<RunSearch>,
}

/// What a person types to find a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunSearch {
    /// The run's number.
    Id(RunId),
    /// Its poster, or the wallet that claimed it.
    Account(Address),
    /// How its content URI begins.
    ContentPrefix(Vec<u8>),
    /// Words, all of which are in its inline content.
    Words(String),
}

/// In which order; runs that tie follow their ids, upwards where the order ascends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunSort {
    /// Highest id first.
    #[default]
    Newest,
    /// Lowest id first.
    Oldest,
    /// Highest reward first.
    HighestReward,
    /// Lowest reward first.
    LowestReward,
    /// Earliest deadline first.
    EarliestDeadline,
    /// Latest deadline first.
    LatestDeadline,
}

impl RunSort {
    pub(super) const fn order(self) -> Order {
        let (by, ascends) = match self {
            Self::Newest => (By::Id, false),
            Self::Oldest => (By::Id, true),
            Self::HighestReward => (By::Amount("reward"), false),
            Self::LowestReward => (By::Amount("reward"), true),
            Self::EarliestDeadline => (By::Number("deadline"), true),
            Self::LatestDeadline => (By::Number("deadline"), false),
        };
        Order { by, ascends }
    }

    /// Where a run stands in this order.
    pub const fn position(self, record: &RunRecord) -> Position<RunId> {
        let (id, terms) = (record.run.id, &record.run.terms);
        let key = match self {
            Self::Newest | Self::Oldest => SortKey::Id,
            Self::HighestReward | Self::LowestReward => SortKey::Amount(terms.reward),
            Self::EarliestDeadline | Self::LatestDeadline => SortKey::Number(terms.deadline.0),
        };
        Position { key, id }
    }

    /// Whether a place may be one in this order.
    pub const fn has(self, position: &Position<RunId>) -> bool {
        self.order().has(position)
    }
}

impl Snapshot {
    /// One page of the runs that `filter` selects.
    ///
    /// # Errors
    /// [`StoreError::PageTooDeep`] for one that more runs come before than a list may look at.
    pub async fn runs(&mut self, filter: &RunFilter, sort: RunSort, page: Page) -> Result<Listing<RunRecord>, StoreError> {
        self.page(filter, sort.order(), page).await
    }

    /// The `limit` runs beside `position` that `filter` selects; fewer where they are far apart.
    pub async fn runs_beside(
        &mut self,
        filter: &RunFilter,
        sort: RunSort,
        position: &Position<RunId>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<RunRecord>, StoreError> {
        self.beside(filter, sort.order(), position, direction, limit).await
    }
}

impl Snapshot {
    /// The runs with an id in `ids`, in order.
    pub async fn runs_in(&mut self, ids: RangeInclusive<RunId>) -> Result<Vec<RunRecord>, StoreError> {
        self.runs_where(|query| {
            query.push("id BETWEEN ").push_bind(clamp(ids.start().0)).push(" AND ").push_bind(clamp(ids.end().0));
        })
        .await
    }

    /// The first `limit` runs from `first` up whose id is not in `ids`, in order.
    pub async fn runs_outside(&mut self, ids: RangeInclusive<RunId>, first: RunId, limit: u16) -> Result<Vec<RunRecord>, StoreError> {
        self.runs_where(|query| {
            query.push("id NOT BETWEEN ").push_bind(clamp(ids.start().0)).push(" AND ").push_bind(clamp(ids.end().0));
            query.push(" AND id >= ").push_bind(clamp(first.0)).push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
        })
        .await
    }

    async fn runs_where(&mut self, condition: impl FnOnce(&mut QueryBuilder<Postgres>)) -> Result<Vec<RunRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM runs WHERE ");
        condition(&mut query);
        let rows: Vec<RunRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        let mut runs = rows.into_iter().map(RunRecord::try_from).collect::<Result<Vec<_>, _>>()?;
        runs.sort_unstable_by_key(|record| record.run.id);
        Ok(runs)
    }
}

impl RunFilter {
    /// The counts that are kept of what this selects, if they are: of all runs, or of states, one poster or one agent alone.
    pub(super) fn counted_as(&self) -> Option<(&'static str, Vec<String>)> {
        let (kind, keys, alone) = match self {
            Self { states, .. } if !states.is_empty() => {
                let keys = states.iter().map(|state| state.as_str().to_owned()).collect();
                ("state", keys, Self { states: states.clone(), ..Self::default() })
            }
            Self { poster: Some(poster), .. } => {
                ("poster", vec![alloy_primitives::hex::encode(poster)], Self { poster: self.poster, ..Self::default() })
            }
            Self { agent: Some(agent), .. } => ("agent", vec![agent.0.to_string()], Self { agent: self.agent, ..Self::default() }),
            _ => ("all", vec![String::new()], Self::default()),
        };
        (*self == alone).then_some((kind, keys))
    }

    /// The states that a run with all these conditions can be in; nothing where it can be in any.
    fn possible_states(&self) -> Option<Vec<RunState>> {
        let implied: [(Option<bool>, &[RunState]); 3] = [
            (self.claimable, &[RunState::Open]),
            (self.slashable, &[RunState::Claimed, RunState::InProgress]),
            (self.finalizable, &[RunState::Submitted]),
        ];
        let mut possible = (!self.states.is_empty()).then(|| self.states.clone());
        for (wanted, states) in implied {
            if wanted == Some(true) {
                match &mut possible {
                    Some(possible) => possible.retain(|state| states.contains(state)),
                    None => possible = Some(states.to_vec()),
                }
            }
        }
        possible
    }

    /// Whether the runs of one poster or agent are walked along, which only ids order.
    fn is_of_one(&self, order: Order) -> bool {
        order.by == By::Id && (self.poster.is_some() || self.agent.is_some())
    }

    fn push_rewards(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(minimum) = self.minimum_reward {
            query.push(" AND reward >= ").push_bind(Amount(minimum));
        }
        if let Some(maximum) = self.maximum_reward {
            query.push(" AND reward <= ").push_bind(Amount(maximum));
        }
    }

    /// The words that are looked for, tags among them. None select nothing.
    fn words(&self) -> Option<Vec<String>> {
        let text = match &self.search {
            Some(RunSearch::Words(text)) => Some(Vec::from_iter(content::words(text))),
            _ => None,
        };
        let tag = self.tag.as_ref().map(|tag| Vec::from_iter(content::tag(tag)));
        if text.as_ref().is_some_and(Vec::is_empty) || tag.as_ref().is_some_and(Vec::is_empty) {
            return Some(Vec::new());
        }
        (text.is_some() || tag.is_some()).then(|| text.into_iter().chain(tag).flatten().collect())
    }
}

/// A condition upon runs that an index answers.
#[derive(Clone, Copy, Debug)]
pub(super) enum RunLookup {
    /// The number.
    Id,
    /// How the content URI begins.
    ContentPrefix,
    /// The poster or the wallet.
    Account,
    /// Words and tags.
    Words,
    /// The poster.
    Poster,
    /// The agent.
    Agent,
    /// Claimable.
    Claimable,
    /// The reward.
    Reward,
    /// The state.
    State,
}

/// How many bytes of content URIs are in the index of how they begin.
const INDEXED_PREFIX: usize = 64;

impl Selection for RunFilter {
    type Row = RunRow;
    type Record = RunRecord;
    type Id = RunId;
    type Lookup = RunLookup;
    const COLUMNS: &'static str = COLUMNS;
    const TABLE: &'static str = "runs";
    const ID: &'static str = "id";

    fn is_empty(&self) -> bool {
        let is_beyond = |id: u64| bigint(id).is_err();
        self.possible_states().is_some_and(|states| states.is_empty())
            || self.words().is_some_and(|words| words.is_empty())
            || self.agent.is_some_and(|agent| is_beyond(agent.0))
            || matches!(self.search, Some(RunSearch::Id(id)) if is_beyond(id.0))
    }

    async fn kept_count(&self, snapshot: &mut Snapshot) -> Result<Option<u64>, StoreError> {
        match (snapshot.kept.posters, self.counted_as()) {
            (true, Some((kind, keys))) => snapshot.runs_counted(kind, &keys).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn length(&self, snapshot: &mut Snapshot) -> Result<u64, StoreError> {
        let all = match (self.poster, self.agent, self.possible_states()) {
            (poster @ Some(_), _, _) => Self { poster, ..Self::default() },
            (None, agent @ Some(_), _) => Self { agent, ..Self::default() },
            (None, None, states) => Self { states: states.unwrap_or_default(), ..Self::default() },
        };
        Ok(all.kept_count(snapshot).await?.unwrap_or_default())
    }

    fn lookups(&self) -> Vec<RunLookup> {
        let search = self.search.as_ref().and_then(|search| match search {
            RunSearch::Id(_) => Some(RunLookup::Id),
            RunSearch::Account(_) => Some(RunLookup::Account),
            RunSearch::ContentPrefix(_) => Some(RunLookup::ContentPrefix),
            RunSearch::Words(_) => None,
        });
        let has_rewards = self.minimum_reward.is_some() || self.maximum_reward.is_some();
        let others = [
            self.words().map(|_| RunLookup::Words),
            self.poster.map(|_| RunLookup::Poster),
            self.agent.map(|_| RunLookup::Agent),
            (self.claimable == Some(true)).then_some(RunLookup::Claimable),
            has_rewards.then_some(RunLookup::Reward),
            self.possible_states().map(|_| RunLookup::State),
        ];
        search.into_iter().chain(others.into_iter().flatten()).collect()
    }

    fn push_found(&self, lookup: RunLookup, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        match lookup {
            // For each of them its run, and not all runs beside them.
            RunLookup::Words => {
                query.push(" FROM (SELECT run.* FROM (SELECT id").push(WITH_WORDS).push_bind(self.words().unwrap_or_default());
                query.push(
                    "::text[] OFFSET 0) AS word CROSS JOIN LATERAL (SELECT * FROM runs WHERE runs.id = word.id LIMIT 1) AS run) AS runs",
                );
                query.push(" WHERE true");
                Ok(())
            }
            RunLookup::Id | RunLookup::Account | RunLookup::ContentPrefix => {
                query.push(" FROM runs WHERE true");
                self.push_search(query);
                Ok(())
            }
            RunLookup::Poster => Self { poster: self.poster, ..Self::default() }.push_plain(query),
            RunLookup::Agent => Self { agent: self.agent, ..Self::default() }.push_plain(query),
            RunLookup::Reward => {
                query.push(" FROM runs WHERE true");
                self.push_rewards(query);
                Ok(())
            }
            RunLookup::Claimable => {
                query.push(" FROM runs WHERE state = 'OPEN' AND deadline > ").push_bind(seconds(snapshot.indexed.timestamp)?);
                Ok(())
            }
            RunLookup::State => {
                let states = self.possible_states().unwrap_or_default();
                let words: Vec<_> = states.iter().map(|state| state.as_str()).collect();
                query.push(" FROM runs WHERE state = ANY(").push_bind(words).push("::text[]::run_state[])");
                Ok(())
            }
        }
    }

    fn push_counted(&self, lookup: RunLookup, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        if matches!(lookup, RunLookup::Words) {
            query.push(WITH_WORDS).push_bind(self.words().unwrap_or_default()).push("::text[]");
            return Ok(());
        }
        self.push_found(lookup, query, snapshot)
    }

    fn ways(&self, order: Order) -> usize {
        if self.is_of_one(order) { 1 } else { self.possible_states().map_or(1, |states| states.len()) }
    }

    fn push_way(&self, way: usize, order: Order, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        if self.is_of_one(order) {
            let poster = self.poster;
            return Self { poster, agent: self.agent.filter(|_| poster.is_none()), ..Self::default() }.push_plain(query);
        }
        query.push(" FROM runs WHERE true");
        if let Some(state) = self.possible_states().and_then(|states| states.get(way).copied()) {
            query.push(" AND state = ").push_bind(state.as_str()).push("::run_state");
        }
        match order.by {
            By::Id => {}
            By::Amount(_) => self.push_rewards(query),
            By::Number(_) => {
                if self.claimable == Some(true) {
                    query.push(" AND deadline > ").push_bind(seconds(snapshot.indexed.timestamp)?);
                }
            }
        }
        Ok(())
    }

    /// What time alone decides is compared with the indexed block's, as `Run::is_claimable` and its like do.
    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        let now = seconds(snapshot.indexed.timestamp)?;
        if let Some(states) = self.possible_states() {
            let words: Vec<_> = states.iter().map(|state| state.as_str()).collect();
            query.push(" AND state = ANY(").push_bind(words).push("::text[]::run_state[])");
        }
        if let Some(poster) = self.poster {
            query.push(" AND poster = ").push_bind(Account(poster));
        }
        if let Some(agent) = self.agent {
            push_id(query, "agent_id", agent.0);
        }
        self.push_rewards(query);
        if let Some(claimable) = self.claimable {
            query.push(" AND (state = 'OPEN' AND deadline > ").push_bind(now).push(") = ").push_bind(claimable);
        }
        if let Some(slashable) = self.slashable {
            query.push(" AND (state IN ('CLAIMED', 'IN_PROGRESS') AND due_at <= ").push_bind(now).push(") = ").push_bind(slashable);
        }
        if let Some(finalizable) = self.finalizable {
            query.push(" AND (state = 'SUBMITTED' AND review_by <= ").push_bind(now).push(") = ").push_bind(finalizable);
        }
        self.push_search(query);
        if let Some(words) = self.words() {
            // Asked of each run that has come so far: all that have them may be many.
            query.push(" AND (SELECT words @> ").push_bind(words).push("::text[] FROM run_words WHERE run_words.id = runs.id)");
        }
        Ok(())
    }
}

/// Runs that have all of some words, which follow.
const WITH_WORDS: &str = " FROM run_words WHERE words @> ";

impl RunFilter {
    /// Appends where runs come from that are all, or those in one state, of one poster or of one agent.
    pub(super) fn push_plain(&self, query: &mut QueryBuilder<Postgres>) -> Result<(), StoreError> {
        query.push(" FROM runs WHERE true");
        if let Some(poster) = self.poster {
            query.push(" AND poster = ").push_bind(Account(poster));
        }
        if let Some(agent) = self.agent {
            query.push(" AND agent_id = ").push_bind(bigint(agent.0)?);
        }
        if let [state] = &*self.states {
            query.push(" AND state = ").push_bind(state.as_str()).push("::run_state");
        }
        Ok(())
    }

    /// Appends what must hold of a run that is searched for otherwise than by words.
    fn push_search(&self, query: &mut QueryBuilder<Postgres>) {
        match &self.search {
            None | Some(RunSearch::Words(_)) => {}
            Some(RunSearch::Id(id)) => push_id(query, "id", id.0),
            Some(RunSearch::Account(account)) => {
                query.push(" AND (poster = ").push_bind(Account(*account)).push(" OR wallet = ").push_bind(Account(*account)).push(")");
            }
            Some(RunSearch::ContentPrefix(prefix)) => {
                let indexed: Vec<u8> = prefix.iter().copied().take(INDEXED_PREFIX).collect();
                query.push(" AND substring(content_uri FROM 1 FOR 64) >= ").push_bind(indexed.clone());
                if let Some(end) = successor(indexed) {
                    query.push(" AND substring(content_uri FROM 1 FOR 64) < ").push_bind(end);
                }
                query.push(" AND substring(content_uri FROM 1 FOR octet_length(").push_bind(prefix.clone());
                query.push(")) = ").push_bind(prefix.clone());
            }
        }
    }
}

/// What follows everything that begins with `prefix`; nothing where that is the end.
fn successor(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = prefix.pop() {
        if let Some(next) = last.checked_add(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

impl Snapshot {
    /// How many runs some counters say that there are.
    async fn runs_counted(&mut self, kind: &'static str, keys: &[String]) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT coalesce(sum(count), 0)::bigint AS "count!" FROM run_counts WHERE kind = $1 AND key = ANY($2)"#,
            kind,
            keys
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        unsigned("run_counts", count)
    }
}

/// An id beyond a bigint was never stored, and so selects nothing.
fn push_id(query: &mut QueryBuilder<Postgres>, column: &'static str, id: u64) {
    match bigint(id) {
        Ok(id) => query.push(" AND ").push(column).push(" = ").push_bind(id),
        Err(_) => query.push(" AND false"),
    };
}

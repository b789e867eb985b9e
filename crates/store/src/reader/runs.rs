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
    const fn order(self) -> Order {
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
    pub async fn runs(&mut self, filter: &RunFilter, sort: RunSort, page: Page) -> Result<Listing<RunRecord>, StoreError> {
        let total = self.run_count(filter).await?;
        let Stretch { items, goes_on } = self.page(filter, sort.order(), page).await?;
        Ok(Listing { items, total, goes_on })
    }

    /// The `limit` runs beside `position` that `filter` selects.
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

    /// How many runs `filter` selects: looked up where the writer keeps count, counted otherwise.
    async fn run_count(&mut self, filter: &RunFilter) -> Result<u64, StoreError> {
        if let (true, Some((kind, keys))) = (self.kept.posters, filter.counted_as()) {
            let count = sqlx::query_scalar!(
                r#"SELECT coalesce(sum(count), 0)::bigint AS "count!" FROM run_counts WHERE kind = $1 AND key = ANY($2)"#,
                kind,
                &keys
            )
            .fetch_one(&mut *self.transaction)
            .await?;
            return unsigned("run_counts", count);
        }
        let mut query = QueryBuilder::new("SELECT count(*)");
        filter.push_to(&mut query, None, self)?;
        unsigned("runs", query.build_query_scalar().fetch_one(&mut *self.transaction).await?)
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
    fn counted_as(&self) -> Option<(&'static str, Vec<String>)> {
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

    /// Appends where the runs come from. Those of several states are wanted in the order of their ids from an index that has the ids of each
    /// state in order: the states are read side by side, and merged.
    fn push_source(&self, query: &mut QueryBuilder<Postgres>, order: Option<Order>) {
        let states: Vec<_> = self.states.iter().map(|state| state.as_str()).collect();
        match (&*states, order) {
            ([], _) => {
                query.push(" FROM runs WHERE true");
            }
            ([state], _) => {
                query.push(" FROM runs WHERE state = ").push_bind(*state).push("::run_state");
            }
            (_, Some(Order { by: By::Id, .. })) => {
                for (index, state) in states.into_iter().enumerate() {
                    query.push(if index == 0 { " FROM (" } else { " UNION ALL " });
                    query.push("SELECT * FROM runs WHERE state = ").push_bind(state).push("::run_state");
                }
                query.push(") AS runs WHERE true");
            }
            (_, _) => {
                query.push(" FROM runs WHERE state = ANY(").push_bind(states).push("::text[]::run_state[])");
            }
        }
    }
}

impl Selection for RunFilter {
    type Row = RunRow;
    type Record = RunRecord;
    type Id = RunId;
    const COLUMNS: &'static str = COLUMNS;
    const ID: &'static str = "id";

    /// What time alone decides is compared with the indexed block's, as `Run::is_claimable` and its like do.
    fn push_to(&self, query: &mut QueryBuilder<Postgres>, order: Option<Order>, snapshot: &Snapshot) -> Result<(), StoreError> {
        let now = seconds(snapshot.indexed.timestamp)?;
        self.push_source(query, order);
        if let Some(poster) = self.poster {
            query.push(" AND poster = ").push_bind(Account(poster));
        }
        if let Some(agent) = self.agent {
            push_id(query, "agent_id", agent.0);
        }
        if let Some(minimum) = self.minimum_reward {
            query.push(" AND reward >= ").push_bind(Amount(minimum));
        }
        if let Some(maximum) = self.maximum_reward {
            query.push(" AND reward <= ").push_bind(Amount(maximum));
        }
        if let Some(claimable) = self.claimable {
            query.push(" AND (state = 'OPEN' AND deadline > ").push_bind(now).push(") = ").push_bind(claimable);
        }
        if let Some(slashable) = self.slashable {
            query.push(" AND (state IN ('CLAIMED', 'IN_PROGRESS') AND due_at <= ").push_bind(now).push(") = ").push_bind(slashable);
        }
        if let Some(finalizable) = self.finalizable {
            query.push(" AND (state = 'SUBMITTED' AND review_by <= ").push_bind(now).push(") = ").push_bind(finalizable);
        }
        match &self.search {
            None => {}
            Some(RunSearch::Id(id)) => push_id(query, "id", id.0),
            Some(RunSearch::Account(account)) => {
                query.push(" AND (poster = ").push_bind(Account(*account)).push(" OR wallet = ").push_bind(Account(*account)).push(")");
            }
            Some(RunSearch::ContentPrefix(prefix)) => {
                query.push(" AND substring(content_uri FROM 1 FOR octet_length(").push_bind(prefix.clone());
                query.push(")) = ").push_bind(prefix.clone());
            }
            Some(RunSearch::Words(text)) => push_words(query, content::words(text)),
        }
        if let Some(tag) = &self.tag {
            push_words(query, content::tag(tag));
        }
        Ok(())
    }
}

/// An id beyond a bigint was never stored, and so selects nothing.
fn push_id(query: &mut QueryBuilder<Postgres>, column: &'static str, id: u64) {
    match bigint(id) {
        Ok(id) => query.push(" AND ").push(column).push(" = ").push_bind(id),
        Err(_) => query.push(" AND false"),
    };
}

/// By an index of words, all of which a run must have. None select nothing.
fn push_words(query: &mut QueryBuilder<Postgres>, words: impl IntoIterator<Item = String>) {
    let words = Vec::from_iter(words);
    if words.is_empty() {
        query.push(" AND false");
    } else {
        query.push(" AND id IN (SELECT id FROM run_words WHERE words @> ").push_bind(words).push("::text[])");
    }
}

//! Lists of runs.

use std::ops::RangeInclusive;

use alloy_primitives::Address;
use clawpay_domain::{AgentId, RunId, RunState, Timestamp, Usdc};
use sqlx::{Postgres, QueryBuilder};

use super::{Direction, Listing, Page, RunPosition, Snapshot, Stretch};
use crate::{
    Account, Amount, RunRecord, RunRow, StoreError,
    columns::{bigint, clamp, seconds, unsigned},
    runs::COLUMNS,
};

/// Which runs; every condition that is there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// In this state.
    pub state: Option<RunState>,
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
    const fn ascends(self) -> bool {
        match self {
            Self::Oldest | Self::LowestReward | Self::EarliestDeadline => true,
            Self::Newest | Self::HighestReward | Self::LatestDeadline => false,
        }
    }

    /// The order, turned around if it is read backwards.
    const fn sql(self, ascends: bool) -> &'static str {
        match (self, ascends) {
            (Self::Newest | Self::Oldest, true) => " ORDER BY id",
            (Self::Newest | Self::Oldest, false) => " ORDER BY id DESC",
            (Self::HighestReward | Self::LowestReward, true) => " ORDER BY reward, id",
            (Self::HighestReward | Self::LowestReward, false) => " ORDER BY reward DESC, id DESC",
            (Self::EarliestDeadline | Self::LatestDeadline, true) => " ORDER BY deadline, id",
            (Self::EarliestDeadline | Self::LatestDeadline, false) => " ORDER BY deadline DESC, id DESC",
        }
    }
}

impl Snapshot {
    /// One page of the runs that `filter` selects.
    pub async fn runs(&mut self, filter: &RunFilter, sort: RunSort, page: Page) -> Result<Listing<RunRecord>, StoreError> {
        let total = self.run_count(filter).await?;
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM runs");
        filter.push_to(&mut query, self.indexed.timestamp)?;
        query.push(sort.sql(sort.ascends()));
        query.push(" LIMIT ").push_bind(i64::from(page.limit) + 1).push(" OFFSET ").push_bind(page.offset());
        let Stretch { items, goes_on } = Stretch::of(self.fetch_runs(query).await?, page.limit, Direction::Next);
        Ok(Listing { items, total, goes_on })
    }

    /// The `limit` runs beside `place` that `filter` selects, as fast at the end of the order as at its beginning.
    pub async fn runs_beside(
        &mut self,
        filter: &RunFilter,
        sort: RunSort,
        place: &RunPosition,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<RunRecord>, StoreError> {
        let ascends = sort.ascends() == (direction == Direction::Next);
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM runs");
        filter.push_to(&mut query, self.indexed.timestamp)?;
        place.push_beyond(&mut query, ascends);
        query.push(sort.sql(ascends)).push(" LIMIT ").push_bind(i64::from(limit) + 1);
        Ok(Stretch::of(self.fetch_runs(query).await?, limit, direction))
    }

    async fn fetch_runs(&mut self, mut query: QueryBuilder<Postgres>) -> Result<Vec<RunRecord>, StoreError> {
        let rows: Vec<RunRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// How many runs `filter` selects: looked up where the writer keeps count, counted otherwise.
    async fn run_count(&mut self, filter: &RunFilter) -> Result<u64, StoreError> {
        if let (true, Some((kind, key))) = (self.has_sums, filter.counted_as()) {
            let count = sqlx::query_scalar!("SELECT count FROM run_counts WHERE kind = $1 AND key = $2", kind, key)
                .fetch_optional(&mut *self.transaction)
                .await?;
            return unsigned("run_counts", count.unwrap_or(0));
        }
        let mut query = QueryBuilder::new("SELECT count(*) FROM runs");
        filter.push_to(&mut query, self.indexed.timestamp)?;
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
    /// The count that is kept of what this selects, if one is: of all runs, or of one state, poster or agent alone.
    fn counted_as(&self) -> Option<(&'static str, String)> {
        let (kind, key, alone) = match *self {
            Self { state: Some(state), .. } => ("state", state.as_str().to_owned(), Self { state: self.state, ..Self::default() }),
            Self { poster: Some(poster), .. } => {
                ("poster", alloy_primitives::hex::encode(poster), Self { poster: self.poster, ..Self::default() })
            }
            Self { agent: Some(agent), .. } => ("agent", agent.0.to_string(), Self { agent: self.agent, ..Self::default() }),
            _ => ("all", String::new(), Self::default()),
        };
        (*self == alone).then_some((kind, key))
    }

    /// Appends the conditions. What time alone decides is compared with `now`, as `Run::is_claimable` and its like do.
    fn push_to(&self, query: &mut QueryBuilder<Postgres>, now: Timestamp) -> Result<(), StoreError> {
        let now = seconds(now)?;
        query.push(" WHERE true");
        if let Some(state) = self.state {
            query.push(" AND state = ").push_bind(state.as_str()).push("::run_state");
        }
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

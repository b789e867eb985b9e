//! Lists whose length and order no counter and no index has ready, answered by a bounded amount of work.
//!
//! A part of a list is found in one of three ways. A short walk along its order fills it where many rows have what is asked for. Where it does not,
//! one of the conditions may be had by few rows, which an index finds: all of them are looked at. Where none is, the walk goes on, for so many
//! rows; what lies behind them is the next part.

use sqlx::{Postgres, QueryBuilder};

use super::{
    Page, Snapshot,
    keyset::{Direction, Order, Position, Selection, Stretch, push_beyond},
};
use crate::{StoreError, columns::unsigned};

/// Rows that a short walk looks at, beside those that it passes over.
const SHORT: u32 = 2_000;

/// For the statements of one list: each is planned for its own values, an index is there for each condition that is looked up and for each order
/// that is walked along, what is looked at fits into memory, and no list takes more than one of the database's processors.
const SETTINGS: &str = "SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; \
     SET LOCAL work_mem = '32MB'; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// Some of a list, and how long all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// Items on all pages.
    pub total: u64,
    /// Whether that is extrapolated from as many rows as a list may look at.
    pub is_estimate: bool,
    /// Whether the list goes on after the page.
    pub goes_on: bool,
    /// As [`Stretch::looked_to`].
    pub looked_to: Option<T>,
}

impl<T> Listing<T> {
    /// A page of a list of `total` items.
    pub(super) fn of(Stretch { items, goes_on, looked_to }: Stretch<T>, total: u64) -> Self {
        Self { items, total, is_estimate: false, goes_on, looked_to }
    }
}

/// Where rows are taken from.
#[derive(Clone, Copy)]
enum Source<L> {
    /// All that have one condition.
    Found(L),
    /// As many as are there, or so many, along the order.
    Walk(u32),
}

/// Which part of an order is wanted.
struct Part<'a, I> {
    from: Option<&'a Position<I>>,
    passed_over: i64,
    limit: u32,
    direction: Direction,
}

impl Snapshot {
    /// A page of what `selection` selects.
    ///
    /// # Errors
    /// [`StoreError::PageTooDeep`] for one that more rows come before than a list may look at.
    pub(super) async fn page<S: Selection>(&mut self, selection: &S, order: Order, page: Page) -> Result<Listing<S::Record>, StoreError> {
        let none = Stretch { items: Vec::new(), goes_on: false, looked_to: None };
        if selection.is_empty() {
            return Ok(Listing::of(none, 0));
        }
        self.bound().await?;
        let (total, is_estimate) = self.length(selection).await?;
        let before = page.offset();
        if !is_estimate && i64::try_from(total).unwrap_or(i64::MAX) <= before {
            return Ok(Listing::of(none, total));
        }
        if before > i64::from(self.look) {
            return Err(StoreError::PageTooDeep { deepest: self.look });
        }
        let part = Part { from: None, passed_over: before, limit: page.limit, direction: Direction::Next };
        let stretch = self.part(selection, order, &part).await?;
        // The walk has not come to the page's first item.
        if stretch.looked_to.is_some() && stretch.items.is_empty() && before > 0 {
            return Err(StoreError::PageTooDeep { deepest: self.look });
        }
        Ok(Listing { is_estimate, ..Listing::of(stretch, total) })
    }

    /// The `limit` items beside `position` that `selection` selects.
    pub(super) async fn beside<S: Selection>(
        &mut self,
        selection: &S,
        order: Order,
        position: &Position<S::Id>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<S::Record>, StoreError> {
        if selection.is_empty() {
            return Ok(Stretch { items: Vec::new(), goes_on: false, looked_to: None });
        }
        self.bound().await?;
        self.part(selection, order.read(direction), &Part { from: Some(position), passed_over: 0, limit, direction }).await
    }

    async fn bound(&mut self) -> Result<(), StoreError> {
        sqlx::raw_sql(SETTINGS).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// How many rows `selection` selects, and whether that is an estimate.
    async fn length<S: Selection>(&mut self, selection: &S) -> Result<(u64, bool), StoreError> {
        if let Some(count) = selection.kept_count(self).await? {
            return Ok((count, false));
        }
        let source = self.few(selection).await?.map_or(Source::Walk(self.look), Source::Found);
        let mut query = QueryBuilder::new("SELECT count(*), count(*) FILTER (WHERE fits) FROM (SELECT (true");
        selection.push_conditions(&mut query, self)?;
        query.push(") AS fits");
        self.push_source(selection, source, Order::ID, None, &mut query)?;
        query.push(") AS looked");
        let (looked, fits): (i64, i64) = query.build_query_as().fetch_one(&mut *self.transaction).await?;
        let (looked, fits) = (unsigned(S::TABLE, looked)?, unsigned(S::TABLE, fits)?);
        if matches!(source, Source::Found(_)) || looked < u64::from(self.look) {
            return Ok((fits, false));
        }
        let all = u128::from(selection.length(self).await?.max(looked));
        let estimate = u128::from(fits).saturating_mul(all).checked_div(u128::from(looked)).unwrap_or_default();
        Ok((u64::try_from(estimate).unwrap_or(u64::MAX), true))
    }

    /// A condition of `selection` that no more rows have than may be looked at.
    async fn few<S: Selection>(&mut self, selection: &S) -> Result<Option<S::Lookup>, StoreError> {
        for lookup in selection.lookups() {
            let mut query = QueryBuilder::new("SELECT count(*) FROM (SELECT");
            selection.push_counted(lookup, &mut query, self)?;
            query.push(" LIMIT ").push(i64::from(self.look) + 1).push(") AS found");
            let found: i64 = query.build_query_scalar().fetch_one(&mut *self.transaction).await?;
            if found <= i64::from(self.look) {
                return Ok(Some(lookup));
            }
        }
        Ok(None)
    }

    /// A part of an order, however its rows are best found.
    async fn part<S: Selection>(&mut self, selection: &S, order: Order, part: &Part<'_, S::Id>) -> Result<Stretch<S::Record>, StoreError> {
        let short = self.look.min(SHORT);
        if part.passed_over < i64::from(short) {
            let stretch = self.take(selection, Source::Walk(short), order, part).await?;
            if stretch.goes_on {
                return Ok(stretch);
            }
        }
        if let Some(lookup) = self.few(selection).await? {
            return self.take(selection, Source::Found(lookup), order, part).await;
        }
        let stretch = self.take(selection, Source::Walk(self.look), order, part).await?;
        if stretch.goes_on {
            return Ok(stretch);
        }
        let mut last = QueryBuilder::new("SELECT ");
        last.push(S::COLUMNS);
        self.push_source(selection, Source::Walk(self.look), order, part.from, &mut last)?;
        last.push(" OFFSET ").push(i64::from(self.look) - 1);
        let row: Option<S::Row> = last.build_query_as().fetch_optional(&mut *self.transaction).await?;
        let looked_to = row.map(TryInto::try_into).transpose()?;
        Ok(Stretch { goes_on: looked_to.is_some(), looked_to, ..stretch })
    }

    async fn take<S: Selection>(
        &mut self,
        selection: &S,
        source: Source<S::Lookup>,
        order: Order,
        part: &Part<'_, S::Id>,
    ) -> Result<Stretch<S::Record>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(S::COLUMNS);
        self.push_source(selection, source, order, part.from, &mut query)?;
        query.push(" WHERE true");
        selection.push_conditions(&mut query, self)?;
        if let (Source::Found(_), Some(position)) = (source, part.from) {
            push_beyond(&mut query, order, S::ID, position);
        }
        order.push_to(&mut query, S::ID);
        query.push(" LIMIT ").push(i64::from(part.limit) + 1).push(" OFFSET ").push(part.passed_over);
        let rows: Vec<S::Row> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        let records = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<_>, _>>()?;
        Ok(Stretch::of(records, part.limit, part.direction))
    }

    /// Appends ` FROM` and where rows come from, under the table's name, so that a condition upon them does not change how they are found.
    fn push_source<S: Selection>(
        &self,
        selection: &S,
        source: Source<S::Lookup>,
        order: Order,
        from: Option<&Position<S::Id>>,
        query: &mut QueryBuilder<Postgres>,
    ) -> Result<(), StoreError> {
        match source {
            Source::Found(lookup) => {
                query.push(" FROM (SELECT *");
                selection.push_found(lookup, query, self)?;
                query.push(" OFFSET 0");
            }
            Source::Walk(rows) => {
                let ways = selection.ways(order);
                query.push(if ways == 1 { " FROM (" } else { " FROM (SELECT * FROM (" });
                for way in 0..ways {
                    query.push(if way == 0 { "" } else { " UNION ALL " }).push("(SELECT *");
                    selection.push_way(way, order, query, self)?;
                    if let Some(position) = from {
                        push_beyond(query, order, S::ID, position);
                    }
                    order.push_to(query, S::ID);
                    query.push(" LIMIT ").push(rows).push(")");
                }
                if ways != 1 {
                    query.push(") AS ").push(S::TABLE);
                    order.push_to(query, S::ID);
                    query.push(" LIMIT ").push(rows);
                }
            }
        }
        query.push(") AS ").push(S::TABLE);
        Ok(())
    }
}

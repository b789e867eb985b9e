//! Lists as of one block. Those that a counter measures and an index orders are one statement; others are found in a view.

use alloy_primitives::Address;
use clawpay_domain::{AgentId, RunId};
use sqlx::{Postgres, QueryBuilder, postgres::PgRow};

use super::{
    AgentFilter, AgentSort, Direction, Listing, Page, Position, Poster, PosterSort, Reader, RunFilter, RunSort, Stretch,
    keyset::{By, Order, push_beyond},
    sight::{LIST, Look, MARKET_CELLS, Sight},
};
use crate::{
    AgentRecord, RunRecord, RunRow, StoreError,
    columns::{Cells, unsigned},
    runs::COLUMNS,
};

impl Reader {
    /// One page of the runs that `filter` selects; nothing before an indexer has started on this database.
    ///
    /// # Errors
    /// [`StoreError::PageTooDeep`] for one that more runs come before than a list may look at.
    pub async fn runs(&self, filter: &RunFilter, sort: RunSort, page: Page) -> Result<Option<Sight<Listing<RunRecord>>>, StoreError> {
        if let Some(mut statement) = PlainList::page(filter, sort.order(), page) {
            match self.look(statement.query.build(), Found::read).await? {
                Look::Nothing => return Ok(None),
                // Numbers without a gap say where a page begins; there are others where the index does not hold all runs of its market.
                Look::Seen(sight) if page.offset() == 0 || sight.found.highest == sight.found.total => {
                    let Sight { indexed, chain, found } = *sight;
                    let listing = Listing::of(Stretch::of(found.items, page.limit, Direction::Next), found.total);
                    return Ok(Some(Sight { indexed, chain, found: listing }));
                }
                Look::Seen(_) | Look::Unknown => {}
            }
        }
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let listing = view.runs(filter, sort, page).await?;
        Ok(Some(view.sight(listing)))
    }

    /// The `limit` runs beside `position` that `filter` selects, fewer where they are far apart; nothing before an indexer has started on this
    /// database.
    pub async fn runs_beside(
        &self,
        filter: &RunFilter,
        sort: RunSort,
        position: &Position<RunId>,
        direction: Direction,
        limit: u32,
    ) -> Result<Option<Sight<Stretch<RunRecord>>>, StoreError> {
        if let Some(mut statement) = PlainList::beside(filter, sort.order().read(direction), position, limit) {
            match self.look(statement.query.build(), Found::read).await? {
                Look::Nothing => return Ok(None),
                Look::Seen(sight) => {
                    let Sight { indexed, chain, found } = *sight;
                    return Ok(Some(Sight { indexed, chain, found: Stretch::of(found.items, limit, direction) }));
                }
                Look::Unknown => {}
            }
        }
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let stretch = view.runs_beside(filter, sort, position, direction, limit).await?;
        Ok(Some(view.sight(stretch)))
    }

    /// One page of the agents that `filter` selects; nothing before an indexer has started on this database. Fails as [`Reader::runs`] does.
    pub async fn agents(
        &self,
        filter: &AgentFilter,
        sort: AgentSort,
        page: Page,
    ) -> Result<Option<Sight<Listing<AgentRecord>>>, StoreError> {
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let listing = view.agents(filter, sort, page).await?;
        Ok(Some(view.sight(listing)))
    }

    /// The `limit` agents beside `position` that `filter` selects, fewer where they are far apart; nothing before an indexer has started on this
    /// database.
    pub async fn agents_beside(
        &self,
        filter: &AgentFilter,
        sort: AgentSort,
        position: &Position<AgentId>,
        direction: Direction,
        limit: u32,
    ) -> Result<Option<Sight<Stretch<AgentRecord>>>, StoreError> {
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let stretch = view.agents_beside(filter, sort, position, direction, limit).await?;
        Ok(Some(view.sight(stretch)))
    }

    /// One page of all posters; nothing before an indexer has started on this database. Fails as [`Reader::runs`] does.
    pub async fn posters(&self, sort: PosterSort, page: Page) -> Result<Option<Sight<Listing<Poster>>>, StoreError> {
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let listing = view.posters(sort, page).await?;
        Ok(Some(view.sight(listing)))
    }

    /// The `limit` posters beside `position`; nothing before an indexer has started on this database.
    pub async fn posters_beside(
        &self,
        sort: PosterSort,
        position: &Position<Address>,
        direction: Direction,
        limit: u32,
    ) -> Result<Option<Sight<Stretch<Poster>>>, StoreError> {
        let Some(mut view) = self.snapshot().await? else { return Ok(None) };
        let stretch = view.posters_beside(sort, position, direction, limit).await?;
        Ok(Some(view.sight(stretch)))
    }
}

/// A statement that finds part of a list of runs by one index, and the list's length by its counter.
struct PlainList {
    query: QueryBuilder<Postgres>,
}

/// What such a statement found.
struct Found {
    total: u64,
    highest: u64,
    items: Vec<RunRecord>,
}

impl PlainList {
    /// Of a page, if there is such a statement: a later one is found by the numbers of all runs, from the end that the order begins with.
    fn page(filter: &RunFilter, order: Order, page: Page) -> Option<Self> {
        let is_first = page.offset() == 0;
        if !is_first && (*filter != RunFilter::default() || order.by != By::Id) {
            return None;
        }
        let mut list = Self::begin(filter, order, !is_first)?;
        if !is_first {
            list.query.push(if order.ascends { " AND id > " } else { " AND id <= (SELECT max(id) FROM runs) - " });
            list.query.push_bind(page.offset());
        }
        Some(list.end(order, page.limit))
    }

    /// Of what stands beside a place, if there is such a statement.
    fn beside(filter: &RunFilter, order: Order, position: &Position<RunId>, limit: u32) -> Option<Self> {
        let mut list = Self::begin(filter, order, false)?;
        push_beyond(&mut list.query, order, "id", position);
        Some(list.end(order, limit))
    }

    fn begin(filter: &RunFilter, order: Order, counts_up: bool) -> Option<Self> {
        let (kind, keys) = filter.counted_as()?;
        let is_ordered = order.by == By::Id && filter.states.len() < 2 || *filter == RunFilter::default();
        if !is_ordered {
            return None;
        }
        let mut query = QueryBuilder::new(LIST);
        query.push("coalesce(sum(count), 0)::bigint AS total, ");
        query.push(if counts_up { "(SELECT max(id) FROM runs)" } else { "0::bigint" }).push(" AS highest FROM run_counts WHERE kind = '");
        query.push(kind).push("' AND key = ANY(").push_bind(keys).push(")) AS kept LEFT JOIN (SELECT ").push(COLUMNS);
        filter.push_plain(&mut query).ok()?;
        Some(Self { query })
    }

    fn end(mut self, order: Order, limit: u32) -> Self {
        order.push_to(&mut self.query, "id");
        self.query.push(" LIMIT ").push(i64::from(limit) + 1).push(") AS list ON true");
        order.push_to(&mut self.query, "id");
        self
    }
}

impl Found {
    fn read(rows: &[PgRow]) -> Result<Self, StoreError> {
        let mut found = Self { total: 0, highest: 0, items: Vec::with_capacity(rows.len()) };
        for row in rows {
            let mut cells = Cells::of(row);
            cells.pass(MARKET_CELLS);
            found.total = unsigned("run_counts", cells.take()?)?;
            found.highest = unsigned("runs", cells.take::<Option<i64>>()?.unwrap_or_default())?;
            // A list without items is one row that has none.
            found.items.extend(RunRow::take(&mut cells)?.map(RunRecord::try_from).transpose()?);
        }
        Ok(found)
    }
}

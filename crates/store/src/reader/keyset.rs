//! A place in an order, and the page beside it.

use alloy_primitives::Address;
use clawpay_domain::{AgentId, RunId, Usdc};
use sqlx::{FromRow, Postgres, QueryBuilder, postgres::PgRow};

use super::{Page, Snapshot};
use crate::{Account, Amount, StoreError, columns::clamp};

/// Which way to read from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what comes after it.
    Next,
    /// To what comes before it.
    Previous,
}

/// What an order compares before ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// Nothing.
    Id,
    /// A sum.
    Amount(Usdc),
    /// A count, or a time.
    Number(u64),
}

/// An item's place in an order. The item need not be there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position<I> {
    /// What the order compares first.
    pub key: SortKey,
    /// What sets items apart that tie.
    pub id: I,
}

/// An order: by a column and then by ids, both in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: By,
    pub(super) ascends: bool,
}

/// What an order compares first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// Ids alone.
    Id,
    /// A column of sums.
    Amount(&'static str),
    /// A column of numbers.
    Number(&'static str),
}

impl Order {
    /// Whether a place may be one in this order.
    pub(super) const fn has<I>(self, position: &Position<I>) -> bool {
        matches!((self.by, position.key), (By::Id, SortKey::Id) | (By::Amount(_), SortKey::Amount(_)) | (By::Number(_), SortKey::Number(_)))
    }

    /// The same, read backwards if that is the direction.
    fn read(self, direction: Direction) -> Self {
        Self { ascends: self.ascends == (direction == Direction::Next), ..self }
    }

    fn push_to(self, query: &mut QueryBuilder<Postgres>, id: &'static str) {
        let way = if self.ascends { "" } else { " DESC" };
        query.push(" ORDER BY ");
        if let By::Amount(column) | By::Number(column) = self.by {
            query.push(column).push(way).push(", ");
        }
        query.push(id).push(way);
    }
}

/// What sets the items of a list apart.
pub(super) trait Id: Copy {
    fn bind(self, query: &mut QueryBuilder<Postgres>);
}

impl Id for RunId {
    fn bind(self, query: &mut QueryBuilder<Postgres>) {
        query.push_bind(clamp(self.0));
    }
}

impl Id for AgentId {
    fn bind(self, query: &mut QueryBuilder<Postgres>) {
        query.push_bind(clamp(self.0));
    }
}

impl Id for Address {
    fn bind(self, query: &mut QueryBuilder<Postgres>) {
        query.push_bind(Account(self));
    }
}

/// What can be read part by part: the rows that a filter selects.
pub(super) trait Selection {
    /// A row of it.
    type Row: for<'r> FromRow<'r, PgRow> + Send + Unpin;
    /// What a row says.
    type Record: TryFrom<Self::Row, Error = StoreError>;
    /// What sets rows apart.
    type Id: Id;
    /// The columns of a row, as SQL.
    const COLUMNS: &'static str;
    /// The column of ids.
    const ID: &'static str;

    /// Appends where the rows come from and the conditions, beginning with ` FROM` and open for one more ` AND`. The rows may be wanted in
    /// `order`.
    fn push_to(&self, query: &mut QueryBuilder<Postgres>, order: Option<Order>, snapshot: &Snapshot) -> Result<(), StoreError>;
}

impl Snapshot {
    /// A page of what `selection` selects.
    pub(super) async fn page<S: Selection>(&mut self, selection: &S, order: Order, page: Page) -> Result<Stretch<S::Record>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(S::COLUMNS);
        selection.push_to(&mut query, Some(order), self)?;
        order.push_to(&mut query, S::ID);
        query.push(" LIMIT ").push_bind(i64::from(page.limit) + 1).push(" OFFSET ").push_bind(page.offset());
        Ok(Stretch::of(self.fetch::<S>(query).await?, page.limit, Direction::Next))
    }

    /// The `limit` items beside `position` that `selection` selects, as fast at the end of the order as at its beginning.
    pub(super) async fn beside<S: Selection>(
        &mut self,
        selection: &S,
        order: Order,
        position: &Position<S::Id>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<S::Record>, StoreError> {
        let order = order.read(direction);
        let mut query = QueryBuilder::new("SELECT ");
        query.push(S::COLUMNS);
        selection.push_to(&mut query, Some(order), self)?;
        push_beyond(&mut query, order, S::ID, position);
        order.push_to(&mut query, S::ID);
        query.push(" LIMIT ").push_bind(i64::from(limit) + 1);
        Ok(Stretch::of(self.fetch::<S>(query).await?, limit, direction))
    }

    async fn fetch<S: Selection>(&mut self, mut query: QueryBuilder<Postgres>) -> Result<Vec<S::Record>, StoreError> {
        let rows: Vec<S::Row> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

/// Appends the condition that a row stands beyond a place in an order.
fn push_beyond<I: Id>(query: &mut QueryBuilder<Postgres>, order: Order, id: &'static str, position: &Position<I>) {
    query.push(" AND (");
    if let By::Amount(column) | By::Number(column) = order.by {
        query.push(column).push(", ");
    }
    query.push(id).push(if order.ascends { ") > (" } else { ") < (" });
    match position.key {
        SortKey::Id => {}
        SortKey::Amount(amount) => {
            query.push_bind(Amount(amount)).push(", ");
        }
        SortKey::Number(number) => {
            query.push_bind(clamp(number)).push(", ");
        }
    }
    position.id.bind(query);
    query.push(")");
}

/// Part of an order, and whether there is more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// The items, in the list's order, whichever way they were read.
    pub items: Vec<T>,
    /// Whether the list goes on in the direction it was read in.
    pub goes_on: bool,
}

impl<T> Stretch<T> {
    /// Of one item more than was wanted, if there are so many, in the order in which they were read.
    pub(super) fn of(mut read: Vec<T>, wanted: u32, direction: Direction) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let goes_on = read.len() > wanted;
        read.truncate(wanted);
        if direction == Direction::Previous {
            read.reverse();
        }
        Self { items: read, goes_on }
    }
}

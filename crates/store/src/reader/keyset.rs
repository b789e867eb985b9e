//! A place in an order, and the page beside it.

use alloy_primitives::Address;
use clawpay_domain::{AgentId, RunId, Usdc};
use sqlx::{FromRow, Postgres, QueryBuilder, postgres::PgRow};

use super::Snapshot;
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
    /// The highest id first.
    pub(super) const ID: Self = Self { by: By::Id, ascends: false };

    /// Whether a place may be one in this order.
    pub(super) const fn has<I>(self, position: &Position<I>) -> bool {
        matches!((self.by, position.key), (By::Id, SortKey::Id) | (By::Amount(_), SortKey::Amount(_)) | (By::Number(_), SortKey::Number(_)))
    }

    /// The same, read backwards if that is the direction.
    pub(super) fn read(self, direction: Direction) -> Self {
        Self { ascends: self.ascends == (direction == Direction::Next), ..self }
    }

    pub(super) fn push_to(self, query: &mut QueryBuilder<Postgres>, id: &'static str) {
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
    type Record: TryFrom<Self::Row, Error = StoreError> + Send;
    /// What sets rows apart.
    type Id: Id;
    /// One of its conditions, which an index answers by itself.
    type Lookup: Copy + Send;
    /// The columns of a row, as SQL.
    const COLUMNS: &'static str;
    /// The table.
    const TABLE: &'static str;
    /// The column of ids.
    const ID: &'static str;

    /// Whether its conditions contradict each other, so that no row has them all.
    fn is_empty(&self) -> bool {
        false
    }

    /// How many rows it selects, if a counter says that.
    fn kept_count(&self, snapshot: &mut Snapshot) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// About how many rows a walk along ids would come by.
    fn length(&self, snapshot: &mut Snapshot) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The conditions that an index answers, those first that few rows are likely to have.
    fn lookups(&self) -> Vec<Self::Lookup>;

    /// Appends where the rows that have one condition come from, beginning with ` FROM` and open for one more ` AND`.
    fn push_found(&self, lookup: Self::Lookup, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError>;

    /// The same, where no more is wanted than their number.
    fn push_counted(&self, lookup: Self::Lookup, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        self.push_found(lookup, query, snapshot)
    }

    /// How many rows of indexes have to be merged to walk along an order.
    fn ways(&self, _order: Order) -> usize {
        1
    }

    /// Appends where one of them leads, beginning with ` FROM` and open for one more ` AND`: nothing that its index does not pass over.
    fn push_way(&self, way: usize, order: Order, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError>;

    /// Appends all conditions, each as ` AND` and what must hold of a row.
    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError>;
}

/// Appends the condition that a row stands beyond a place in an order.
pub(super) fn push_beyond<I: Id>(query: &mut QueryBuilder<Postgres>, order: Order, id: &'static str, position: &Position<I>) {
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
    /// The last row that was looked at, where so many were that there are fewer items than were wanted: the list goes on behind it.
    pub looked_to: Option<T>,
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
        Self { items: read, goes_on, looked_to: None }
    }
}

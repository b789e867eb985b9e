//! Posters, and lists of them.

use alloy_primitives::Address;
use clawpay_domain::Usdc;
use sqlx::{Postgres, QueryBuilder};

use super::{
    Direction, Listing, Page, Position, Snapshot, SortKey, Stretch,
    keyset::{By, Order, Selection},
};
use crate::{
    Account, Amount, StoreError,
    columns::{Cells, unsigned},
};

/// What the runs of one poster came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PosterRecord {
    /// Runs written down.
    pub created: u64,
    /// Runs whose reward and fee were escrowed.
    pub funded: u64,
    /// Approved by the poster itself.
    pub approved: u64,
    /// Approved by its silence.
    pub finalized: u64,
    /// Rejected.
    pub rejected: u64,
    /// Slashed after a timeout.
    pub slashed: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Runs for which work was delivered at least once.
    pub delivered: u64,
    /// Revisions requested on those.
    pub revisions: u64,
    /// Rewards paid.
    pub paid: Usdc,
}

/// A poster, and what its runs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poster {
    /// Its account.
    pub account: Address,
    /// What its runs came to.
    pub record: PosterRecord,
}

/// In which order; posters that tie follow their accounts in the same direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PosterSort {
    /// Most paid to agents first.
    #[default]
    LargestVolume,
    /// Most runs funded first.
    MostFunded,
    /// Most runs written down first.
    MostCreated,
}

impl PosterSort {
    const fn order(self) -> Order {
        let by = match self {
            Self::LargestVolume => By::Amount("paid"),
            Self::MostFunded => By::Number("funded"),
            Self::MostCreated => By::Number("created"),
        };
        Order { by, ascends: false }
    }

    /// Where a poster stands in this order.
    pub const fn position(self, poster: &Poster) -> Position<Address> {
        let key = match self {
            Self::LargestVolume => SortKey::Amount(poster.record.paid),
            Self::MostFunded => SortKey::Number(poster.record.funded),
            Self::MostCreated => SortKey::Number(poster.record.created),
        };
        Position { key, id: poster.account }
    }

    /// Whether a place may be one in this order.
    pub const fn has(self, position: &Position<Address>) -> bool {
        self.order().has(position)
    }
}

/// The columns of a [`PosterRow`], as SQL.
macro_rules! columns {
    () => {
        "poster, created, funded, approved, finalized, rejected, slashed, cancelled, delivered, revisions, paid"
    };
}
pub(super) use columns;

/// The records, where the schema has none: one for each poster, summed up.
const SUMMED: &str = " FROM (
    SELECT poster, count(*) AS created, count(funded_at) AS funded,
           count(*) FILTER (WHERE state = 'APPROVED' AND NOT finalized_by_silence) AS approved,
           count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence) AS finalized,
           count(*) FILTER (WHERE state = 'REJECTED') AS rejected, count(*) FILTER (WHERE state = 'SLASHED') AS slashed,
           count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled, count(submitted_at) AS delivered,
           coalesce(sum(revisions) FILTER (WHERE submitted_at IS NOT NULL), 0)::bigint AS revisions,
           coalesce(sum(reward) FILTER (WHERE state = 'APPROVED'), 0) AS paid
    FROM runs GROUP BY poster) AS poster_records WHERE created <> 0";

/// All posters.
struct Posters;

/// Posters are found by no condition.
#[derive(Clone, Copy, Debug)]
enum Never {}

impl Selection for Posters {
    type Row = PosterRow;
    type Record = Poster;
    type Id = Address;
    type Lookup = Never;
    const COLUMNS: &'static str = columns!();
    const TABLE: &'static str = "poster_records";
    const ID: &'static str = "poster";

    async fn kept_count(&self, _: &mut Snapshot) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn length(&self, snapshot: &mut Snapshot) -> Result<u64, StoreError> {
        snapshot.rows_about("poster_records").await
    }

    fn lookups(&self) -> Vec<Never> {
        Vec::new()
    }

    fn push_found(&self, lookup: Never, _: &mut QueryBuilder<Postgres>, _: &Snapshot) -> Result<(), StoreError> {
        match lookup {}
    }

    fn push_way(&self, _: usize, _: Order, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        push_posters(query, snapshot);
        Ok(())
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, _: &Snapshot) -> Result<(), StoreError> {
        query.push(" AND created <> 0");
        Ok(())
    }
}

fn push_posters(query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) {
    query.push(if snapshot.kept.posters { " FROM poster_records WHERE true" } else { SUMMED });
}

impl Snapshot {
    /// A poster's record; all zero for an account that never posted.
    pub async fn poster(&mut self, account: Address) -> Result<PosterRecord, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(columns!());
        push_posters(&mut query, self);
        query.push(" AND poster = ").push_bind(Account(account));
        let row: Option<PosterRow> = query.build_query_as().fetch_optional(&mut *self.transaction).await?;
        row.map_or_else(|| Ok(PosterRecord::default()), |row| Poster::try_from(row).map(|poster| poster.record))
    }

    /// One page of all posters.
    pub async fn posters(&mut self, sort: PosterSort, page: Page) -> Result<Listing<Poster>, StoreError> {
        self.page(&Posters, sort.order(), page).await
    }

    /// The `limit` posters beside `position`.
    pub async fn posters_beside(
        &mut self,
        sort: PosterSort,
        position: &Position<Address>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<Poster>, StoreError> {
        self.beside(&Posters, sort.order(), position, direction, limit).await
    }
}

/// A row, as it is stored.
#[derive(sqlx::FromRow)]
pub(super) struct PosterRow {
    poster: Account,
    created: i64,
    funded: i64,
    approved: i64,
    finalized: i64,
    rejected: i64,
    slashed: i64,
    cancelled: i64,
    delivered: i64,
    revisions: i64,
    paid: Amount,
}

impl PosterRow {
    /// From cells in the order of the columns; nothing where an outer join found no row.
    pub(super) fn take(cells: &mut Cells<'_>) -> Result<Option<Self>, sqlx::Error> {
        let Some(poster) = cells.take()? else {
            cells.pass(10);
            return Ok(None);
        };
        Ok(Some(Self {
            poster,
            created: cells.take()?,
            funded: cells.take()?,
            approved: cells.take()?,
            finalized: cells.take()?,
            rejected: cells.take()?,
            slashed: cells.take()?,
            cancelled: cells.take()?,
            delivered: cells.take()?,
            revisions: cells.take()?,
            paid: cells.take()?,
        }))
    }
}

impl TryFrom<PosterRow> for Poster {
    type Error = StoreError;

    fn try_from(row: PosterRow) -> Result<Self, StoreError> {
        let count = |number| unsigned("poster_records", number);
        let record = PosterRecord {
            created: count(row.created)?,
            funded: count(row.funded)?,
            approved: count(row.approved)?,
            finalized: count(row.finalized)?,
            rejected: count(row.rejected)?,
            slashed: count(row.slashed)?,
            cancelled: count(row.cancelled)?,
            delivered: count(row.delivered)?,
            revisions: count(row.revisions)?,
            paid: row.paid.0,
        };
        Ok(Self { account: row.poster.0, record })
    }
}

//! Posters, and lists of them.

use alloy_primitives::Address;
use clawpay_domain::Usdc;
use sqlx::{Postgres, QueryBuilder};

use super::{
    Direction, Listing, Page, Position, Snapshot, SortKey, Stretch,
    keyset::{By, Order, Selection},
};
use crate::{Account, Amount, StoreError, columns::unsigned};

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

/// All posters, or one.
struct Posters {
    account: Option<Address>,
}

impl Selection for Posters {
    type Row = PosterRow;
    type Record = Poster;
    type Id = Address;
    const COLUMNS: &'static str = "poster, created, funded, approved, finalized, rejected, slashed, cancelled, delivered, revisions, paid";
    const ID: &'static str = "poster";

    fn push_to(&self, query: &mut QueryBuilder<Postgres>, _: Option<Order>, snapshot: &Snapshot) -> Result<(), StoreError> {
        query.push(if snapshot.kept.posters { " FROM poster_records WHERE created <> 0" } else { SUMMED });
        if let Some(account) = self.account {
            query.push(" AND poster = ").push_bind(Account(account));
        }
        Ok(())
    }
}

impl Snapshot {
    /// A poster's record; all zero for an account that never posted.
    pub async fn poster(&mut self, account: Address) -> Result<PosterRecord, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(Posters::COLUMNS);
        Posters { account: Some(account) }.push_to(&mut query, None, self)?;
        let row: Option<PosterRow> = query.build_query_as().fetch_optional(&mut *self.transaction).await?;
        row.map_or_else(|| Ok(PosterRecord::default()), |row| Poster::try_from(row).map(|poster| poster.record))
    }

    /// One page of all posters.
    pub async fn posters(&mut self, sort: PosterSort, page: Page) -> Result<Listing<Poster>, StoreError> {
        let all = Posters { account: None };
        let mut count = QueryBuilder::new("SELECT count(*)");
        all.push_to(&mut count, None, self)?;
        let total: i64 = count.build_query_scalar().fetch_one(&mut *self.transaction).await?;
        let Stretch { items, goes_on } = self.page(&all, sort.order(), page).await?;
        Ok(Listing { items, total: unsigned("poster_records", total)?, goes_on })
    }

    /// The `limit` posters beside `position`.
    pub async fn posters_beside(
        &mut self,
        sort: PosterSort,
        position: &Position<Address>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<Poster>, StoreError> {
        self.beside(&Posters { account: None }, sort.order(), position, direction, limit).await
    }
}

#[derive(sqlx::FromRow)]
struct PosterRow {
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

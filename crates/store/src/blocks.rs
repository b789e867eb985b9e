//! Verified headers, and how far the index has come.

use std::time::{Duration, SystemTime};

use alloy_primitives::B256;
use clawpay_domain::Timestamp;
use sqlx::PgConnection;

use crate::{
    Hash, StateDigest, StoreError,
    columns::{Cells, bigint, seconds, timestamp, unsigned},
};

/// A header the index has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below.
    pub parent_hash: B256,
    /// Chain time.
    pub timestamp: Timestamp,
}

/// The columns of a [`CursorRow`], as SQL, in their order; without an expression for the epoch, one for any schema: there is none in a schema from
/// before it.
macro_rules! cursor_columns {
    () => {
        $crate::blocks::cursor_columns!("coalesce((to_jsonb(cursor) ->> 'epoch')::bigint, 0) AS epoch")
    };
    ($epoch:literal) => {
        concat!(
            "number, hash, timestamp, safe, finalized, head, (extract(epoch FROM head_checked_at) * 1000)::bigint AS head_checked_at, ",
            "greatest((extract(epoch FROM clock_timestamp() - head_checked_at) * 1000)::bigint, 0) AS staleness, ",
            $epoch
        )
    };
}
pub(crate) use cursor_columns;

/// The same, for a query that reads more beside them.
pub(crate) const CURSOR_COLUMNS: &str = cursor_columns!();

/// The block the rows are about, and how that block stands to the node's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedBlock {
    /// Height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Chain time: the "now" of every read.
    pub timestamp: Timestamp,
    /// Highest indexed block that the node calls safe.
    pub safe: Option<u64>,
    /// Highest indexed block that the node calls finalized.
    pub finalized: Option<u64>,
    /// The node's head at the last successful check of it.
    pub head: u64,
    /// When that check was, by the database's clock.
    pub head_checked_at: SystemTime,
    /// How long ago that check was, by the database's clock.
    pub staleness: Duration,
    /// How often the rows have been rewritten without the block changing.
    pub epoch: u64,
}

impl IndexedBlock {
    /// Blocks that the node has and the index has not.
    pub fn lag(&self) -> u64 {
        self.head.saturating_sub(self.number)
    }

    /// The cursor; nothing before an indexer has started on this database.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Option<Self>, StoreError> {
        sqlx::query_as::<_, CursorRow>(concat!("SELECT ", cursor_columns!(), " FROM cursor"))
            .fetch_optional(connection)
            .await?
            .map(TryInto::try_into)
            .transpose()
    }
}

/// The cursor's row, and what the database's clock says of it.
#[derive(sqlx::FromRow)]
pub(crate) struct CursorRow {
    number: i64,
    hash: Hash,
    timestamp: i64,
    safe: Option<i64>,
    finalized: Option<i64>,
    head: i64,
    head_checked_at: i64,
    staleness: i64,
    epoch: i64,
}

impl CursorRow {
    /// From cells in the order of the columns.
    pub(crate) fn take(cells: &mut Cells<'_>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            number: cells.take()?,
            hash: cells.take()?,
            timestamp: cells.take()?,
            safe: cells.take()?,
            finalized: cells.take()?,
            head: cells.take()?,
            head_checked_at: cells.take()?,
            staleness: cells.take()?,
            epoch: cells.take()?,
        })
    }
}

impl TryFrom<CursorRow> for IndexedBlock {
    type Error = StoreError;

    fn try_from(row: CursorRow) -> Result<Self, StoreError> {
        Ok(Self {
            number: unsigned("cursor", row.number)?,
            hash: row.hash.0,
            timestamp: timestamp("cursor", row.timestamp)?,
            safe: row.safe.map(|number| unsigned("cursor", number)).transpose()?,
            finalized: row.finalized.map(|number| unsigned("cursor", number)).transpose()?,
            head: unsigned("cursor", row.head)?,
            head_checked_at: SystemTime::UNIX_EPOCH + Duration::from_millis(unsigned("cursor", row.head_checked_at)?),
            staleness: Duration::from_millis(unsigned("cursor", row.staleness)?),
            epoch: unsigned("cursor", row.epoch)?,
        })
    }
}

/// Where a writer left the cursor, and of which projections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CursorPosition {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) epoch: i64,
}

/// What the node says of its chain: its head, and which blocks it promises to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// Its highest block.
    pub head: u64,
    /// The highest it calls safe, if it knows the word.
    pub safe: Option<u64>,
    /// The highest it calls finalized.
    pub finalized: Option<u64>,
}

/// Headers and the digests after them, column by column.
pub(crate) struct BlockColumns {
    pub(crate) numbers: Vec<i64>,
    pub(crate) hashes: Vec<Hash>,
    pub(crate) parents: Vec<Hash>,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) digests: Vec<Hash>,
}

impl BlockColumns {
    pub(crate) fn of(blocks: &[(Block, StateDigest)]) -> Result<Self, StoreError> {
        Ok(Self {
            numbers: blocks.iter().map(|(block, _)| bigint(block.number)).collect::<Result<_, _>>()?,
            hashes: blocks.iter().map(|(block, _)| Hash(block.hash)).collect(),
            parents: blocks.iter().map(|(block, _)| Hash(block.parent_hash)).collect(),
            timestamps: blocks.iter().map(|(block, _)| seconds(block.timestamp)).collect::<Result<_, _>>()?,
            digests: blocks.iter().map(|(_, digest)| Hash(digest.to_word())).collect(),
        })
    }
}

/// Adds headers of blocks that are not there yet, each with the digest of the state after it.
pub(crate) async fn insert(connection: &mut PgConnection, blocks: &[(Block, StateDigest)]) -> Result<(), StoreError> {
    let BlockColumns { numbers, hashes, parents, timestamps, digests } = BlockColumns::of(blocks)?;
    sqlx::query!(
        "INSERT INTO blocks (number, hash, parent_hash, timestamp, state_digest)
         SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[])",
        &numbers,
        &hashes as &[Hash],
        &parents as &[Hash],
        &timestamps,
        &digests as &[Hash],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The `limit` highest headers at or below `number`, in the order of the chain.
pub(crate) async fn highest(connection: &mut PgConnection, number: u64, limit: u32) -> Result<Vec<Block>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT number, hash AS "hash: Hash", parent_hash AS "parent_hash: Hash", timestamp
           FROM blocks WHERE number <= $1 ORDER BY number DESC LIMIT $2"#,
        bigint(number)?,
        i64::from(limit),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .rev()
        .map(|row| {
            Ok(Block {
                number: unsigned("blocks", row.number)?,
                hash: row.hash.0,
                parent_hash: row.parent_hash.0,
                timestamp: timestamp("blocks", row.timestamp)?,
            })
        })
        .collect()
}

/// Removes every block from `number` up, and with them their events.
pub(crate) async fn delete_from(connection: &mut PgConnection, number: u64) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM blocks WHERE number >= $1", bigint(number)?).execute(connection).await?;
    Ok(())
}

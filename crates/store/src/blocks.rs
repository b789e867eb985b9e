//! Verified headers, and how far the index has come.

use std::time::{Duration, SystemTime};

use alloy_primitives::B256;
use clawpay_domain::Timestamp;
use sqlx::PgConnection;

use crate::{
    Hash, StateDigest, StoreError,
    columns::{bigint, seconds, timestamp, unsigned},
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
        let row = sqlx::query!(
            r#"SELECT number, hash AS "hash: Hash", timestamp, safe, finalized, head,
                      (extract(epoch FROM head_checked_at) * 1000)::bigint AS "head_checked_at!",
                      greatest((extract(epoch FROM clock_timestamp() - head_checked_at) * 1000)::bigint, 0) AS "staleness!",
                      -- Nothing in a schema from before there was such a column.
                      coalesce((to_jsonb(cursor) ->> 'epoch')::bigint, 0) AS "epoch!"
               FROM cursor"#
        )
        .fetch_optional(connection)
        .await?;
        row.map(|row| {
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
        })
        .transpose()
    }
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

/// Adds headers of blocks that are not there yet, each with the digest of the state after it.
pub(crate) async fn insert(connection: &mut PgConnection, blocks: &[(Block, StateDigest)]) -> Result<(), StoreError> {
    let numbers = blocks.iter().map(|(block, _)| bigint(block.number)).collect::<Result<Vec<_>, _>>()?;
    let hashes: Vec<_> = blocks.iter().map(|(block, _)| Hash(block.hash)).collect();
    let parents: Vec<_> = blocks.iter().map(|(block, _)| Hash(block.parent_hash)).collect();
    let timestamps = blocks.iter().map(|(block, _)| seconds(block.timestamp)).collect::<Result<Vec<_>, _>>()?;
    let digests: Vec<_> = blocks.iter().map(|(_, digest)| Hash(digest.to_word())).collect();
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

/// Drops headers from `from` to below `finalized` that no event needs: nothing can replace them any more.
pub(crate) async fn prune(connection: &mut PgConnection, from: u64, finalized: u64) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM blocks b
         WHERE b.number >= $1 AND b.number < $2
           AND NOT EXISTS (SELECT FROM events e WHERE e.block_number = b.number AND e.block_number >= $1 AND e.block_number < $2)",
        bigint(from)?,
        bigint(finalized)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes every block from `number` up, and with them their events.
pub(crate) async fn delete_from(connection: &mut PgConnection, number: u64) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM blocks WHERE number >= $1", bigint(number)?).execute(connection).await?;
    Ok(())
}

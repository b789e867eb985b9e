//! What listeners are told, numbered: events as they are indexed, and retractions of those that a reorg takes back.

use std::ops::RangeInclusive;

use alloy_primitives::Address;
use clawpay_domain::AgentId;
use sqlx::{Connection, PgConnection};

use crate::{
    Account, EventRecord, Hash, StoreError,
    columns::{bigint, unsigned},
    events::EventRow,
    timeouts::LONG_TIMEOUT,
};

/// One thing that listeners are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// Its number, larger than all before it.
    pub seq: u64,
    /// The number of what is taken back; nothing if the event is told for the first time.
    pub retracts: Option<u64>,
    /// The event.
    pub event: EventRecord,
    /// Who posted the run it names.
    pub poster: Option<Address>,
    /// In whose hands that run was.
    pub holder: Option<Holder>,
    /// Who owned the agent that it names, or that held the run.
    pub owner: Option<Address>,
    /// Who acts by now for the agent that it names: its owner and its wallet.
    pub acting: Vec<Address>,
}

/// An agent that holds a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which.
    pub agent: AgentId,
    /// The wallet that claimed the run.
    pub wallet: Address,
}

/// Which numbers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedBounds {
    /// The smallest.
    pub first: u64,
    /// The largest that was ever given; below `first` while there is none.
    pub last: u64,
}

/// Numbers the events of these blocks, which have just been written, after `last`. Answers the last number given.
pub(crate) async fn tell(connection: &mut PgConnection, last: u64, blocks: &RangeInclusive<u64>) -> Result<u64, StoreError> {
    let told = sqlx::query!(
        "INSERT INTO feed (seq, block_number, log_index)
         SELECT $3 + row_number() OVER (ORDER BY block_number, log_index), block_number, log_index
         FROM events WHERE block_number BETWEEN $1 AND $2",
        bigint(*blocks.start())?,
        bigint(*blocks.end())?,
        bigint(last)?,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(last.saturating_add(told))
}

/// Takes back all events of these blocks, the highest, which are still there: the latest first. Answers the last number given.
pub(crate) async fn retract(connection: &mut PgConnection, last: u64, blocks: &RangeInclusive<u64>) -> Result<u64, StoreError> {
    // What was told after the last event of a lower block is all that can be about these: they were written after it, or have been undone
    // since. Each set is read in one piece first; taken for a few rows, they would be looked up one by one.
    let retracted = sqlx::query!(
        "WITH floor AS MATERIALIZED (
             SELECT coalesce((SELECT seq FROM feed WHERE block_number < $1 AND retracts IS NULL ORDER BY seq DESC LIMIT 1), 0) AS seq
         ), told AS MATERIALIZED (
             SELECT seq, block_number, log_index, retracts FROM feed WHERE seq > (SELECT seq FROM floor) AND seq <= $3
         ), gone AS MATERIALIZED (
             SELECT * FROM events WHERE block_number BETWEEN $1 AND $2
         )
         INSERT INTO feed (seq, block_number, log_index, retracts, block_hash, timestamp, tx_hash, tx_index, contract, topics, data, name,
                           run_id, agent_id, refusal, poster)
         SELECT $3 + row_number() OVER (ORDER BY e.block_number DESC, e.log_index DESC), e.block_number, e.log_index, f.seq, e.block_hash,
                b.timestamp, e.tx_hash, e.tx_index, e.contract, e.topics, e.data, e.name, e.run_id, e.agent_id, e.refusal, r.poster
         FROM gone e
         JOIN told f ON f.block_number = e.block_number AND f.log_index = e.log_index AND f.retracts IS NULL
         JOIN blocks b ON b.number = e.block_number
         LEFT JOIN runs r ON r.id = e.run_id
         WHERE f.seq NOT IN (SELECT retracts FROM told WHERE retracts IS NOT NULL)",
        bigint(*blocks.start())?,
        bigint(*blocks.end())?,
        bigint(last)?,
    )
    .execute(connection)
    .await?
    .rows_affected();
    Ok(last.saturating_add(retracted))
}

/// Begins the feed anew with all events there are, unless it is complete up to the cursor. Numbers go on behind a gap, so that whoever remembers
/// one of the old ones, and be it the last, finds that it is gone.
pub(crate) async fn complete(connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    let cursor = sqlx::query!(r#"SELECT feed, feed_hash IS NOT DISTINCT FROM hash AS "is_complete!" FROM cursor FOR UPDATE"#)
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_complete) else { return Ok(()) };
    sqlx::query(LONG_TIMEOUT).execute(&mut *transaction).await?;
    sqlx::query!("DELETE FROM feed").execute(&mut *transaction).await?;
    let last = if cursor.feed == 0 { 0 } else { cursor.feed.saturating_add(1) };
    let told = sqlx::query!(
        "INSERT INTO feed (seq, block_number, log_index)
         SELECT $1 + row_number() OVER (ORDER BY block_number, log_index), block_number, log_index FROM events",
        last,
    )
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    sqlx::query!("UPDATE cursor SET feed = $1, feed_hash = hash", last.saturating_add(bigint(told)?)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Which numbers there are.
pub(crate) async fn bounds(connection: &mut PgConnection) -> Result<FeedBounds, StoreError> {
    let row = sqlx::query!(r#"SELECT feed AS last, (SELECT min(seq) FROM feed) AS first FROM cursor"#).fetch_one(connection).await?;
    let last = unsigned("cursor", row.last)?;
    let first = row.first.map(|seq| unsigned("feed", seq)).transpose()?;
    Ok(FeedBounds { first: first.unwrap_or(last.saturating_add(1)), last })
}

/// The `limit` records that follow number `after`.
pub(crate) async fn following(connection: &mut PgConnection, after: u64, limit: u32) -> Result<Vec<FeedRecord>, StoreError> {
    // A number beyond a bigint is beyond all that were given.
    let Ok(after) = bigint(after) else { return Ok(Vec::new()) };
    // `kept` is a retraction's own row, or the retraction of what was told: either holds the event as it was. The page is cut first.
    let rows = sqlx::query!(
        r#"SELECT f.seq AS "seq!", f.retracts, f.block_number AS "block_number!", f.log_index AS "log_index!",
                  coalesce(kept.block_hash::bytea, e.block_hash::bytea) AS "block_hash!: Hash",
                  coalesce(kept.timestamp, b.timestamp) AS "timestamp!",
                  coalesce(kept.tx_hash::bytea, e.tx_hash::bytea) AS "tx_hash!: Hash",
                  coalesce(kept.tx_index, e.tx_index) AS "tx_index!",
                  coalesce(kept.contract::bytea, e.contract::bytea) AS "contract!: Account",
                  coalesce(kept.topics, e.topics) AS "topics!", coalesce(kept.data, e.data) AS "data!",
                  coalesce(kept.name, e.name) AS name, coalesce(kept.run_id, e.run_id) AS run_id,
                  coalesce(kept.agent_id, e.agent_id) AS agent_id, coalesce(kept.refusal, e.refusal) AS refusal,
                  coalesce(kept.poster::bytea, r.poster::bytea) AS "poster: Account", coalesce(kept.holder, p.holder) AS holder,
                  coalesce(kept.holder_wallet::bytea, p.holder_wallet) AS "holder_wallet: Account",
                  coalesce(kept.owner::bytea, p.owner) AS "owner: Account",
                  a.owner AS "agent_owner: Account", a.wallet AS "agent_wallet: Account"
           FROM (SELECT seq, retracts, block_number, log_index FROM feed WHERE seq > $1 ORDER BY seq LIMIT $2) f
           LEFT JOIN feed kept ON kept.retracts = coalesce(f.retracts, f.seq)
           LEFT JOIN events e ON kept.seq IS NULL AND e.block_number = f.block_number AND e.log_index = f.log_index
           LEFT JOIN blocks b ON b.number = e.block_number
           LEFT JOIN runs r ON r.id = e.run_id
           LEFT JOIN agents a ON a.id = coalesce(kept.agent_id, e.agent_id)
           LEFT JOIN LATERAL event_parties(e.run_id, e.agent_id, e.block_number, e.log_index) p ON true
           ORDER BY f.seq"#,
        after,
        i64::from(limit),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let event = EventRow {
                block_number: row.block_number,
                log_index: row.log_index,
                block_hash: row.block_hash,
                timestamp: row.timestamp,
                tx_hash: row.tx_hash,
                tx_index: row.tx_index,
                contract: row.contract,
                topics: row.topics,
                data: row.data,
                name: row.name,
                run_id: row.run_id,
                agent_id: row.agent_id,
                refusal: row.refusal,
            };
            let holder = match row.holder.zip(row.holder_wallet) {
                Some((agent, wallet)) => Some(Holder { agent: AgentId(unsigned("feed", agent)?), wallet: wallet.0 }),
                None => None,
            };
            Ok(FeedRecord {
                seq: unsigned("feed", row.seq)?,
                retracts: row.retracts.map(|seq| unsigned("feed", seq)).transpose()?,
                event: event.try_into()?,
                poster: row.poster.map(|poster| poster.0),
                holder,
                owner: row.owner.map(|owner| owner.0),
                acting: row.agent_owner.into_iter().chain(row.agent_wallet).map(|account| account.0).collect(),
            })
        })
        .collect()
}

//! Every log of our contracts, raw, beside what was understood of it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use alloy_primitives::{Address, B256, Bytes};
use clawpay_domain::{AgentId, RunId, Timestamp};
use sqlx::PgConnection;

use crate::{
    Account, Block, Hash, StateDigest, StoreError,
    blocks::{BlockColumns, CursorPosition},
    columns::{bigint, timestamp, unsigned},
    copy::{self, Concat},
};

/// Where in the chain an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPosition {
    /// Height of its block.
    pub block: u64,
    /// Its place in the block.
    pub log: u64,
}

/// One log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Height of its block.
    pub block_number: u64,
    /// Its place in the block.
    pub log_index: u64,
    /// Hash of its block.
    pub block_hash: B256,
    /// Chain time of its block.
    pub timestamp: Timestamp,
    /// The transaction that emitted it.
    pub tx_hash: B256,
    /// That transaction's place in the block.
    pub tx_index: u64,
    /// Who emitted it.
    pub contract: Address,
    /// At most four.
    pub topics: Vec<B256>,
    /// As emitted.
    pub data: Bytes,
    /// The event's name; nothing when the log is none of the ABI's events.
    pub name: Option<String>,
    /// The run it names.
    pub run: Option<RunId>,
    /// The agent it names.
    pub agent: Option<AgentId>,
    /// Why it could not be decoded, or how it contradicts the rules; such an event changes no projection.
    pub refusal: Option<String>,
}

impl EventRecord {
    /// Where in the chain it is.
    pub const fn place(&self) -> EventPosition {
        EventPosition { block: self.block_number, log: self.log_index }
    }
}

/// The columns of `events` and their block's timestamp.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct EventRow {
    pub(crate) block_number: i64,
    pub(crate) log_index: i64,
    pub(crate) block_hash: Hash,
    pub(crate) timestamp: i64,
    pub(crate) tx_hash: Hash,
    pub(crate) tx_index: i64,
    pub(crate) contract: Account,
    pub(crate) topics: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) name: Option<String>,
    pub(crate) run_id: Option<i64>,
    pub(crate) agent_id: Option<i64>,
    pub(crate) refusal: Option<String>,
}

/// The columns of an [`EventRow`], of `events e` and their `blocks b`, as SQL.
pub(crate) const COLUMNS: &str = "e.block_number, e.log_index, e.block_hash, b.timestamp, e.tx_hash, e.tx_index, e.contract, e.topics, e.data, e.name, \
     e.run_id, e.agent_id, e.refusal";

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        Ok(Self {
            block_number: unsigned("events", row.block_number)?,
            log_index: unsigned("events", row.log_index)?,
            block_hash: row.block_hash.0,
            timestamp: timestamp("events", row.timestamp)?,
            tx_hash: row.tx_hash.0,
            tx_index: unsigned("events", row.tx_index)?,
            contract: row.contract.0,
            topics: row.topics.chunks_exact(32).map(B256::from_slice).collect(),
            data: row.data.into(),
            name: row.name,
            run: row.run_id.map(|id| unsigned("events", id)).transpose()?.map(RunId),
            agent: row.agent_id.map(|id| unsigned("events", id)).transpose()?.map(AgentId),
            refusal: row.refusal,
        })
    }
}

/// Adds events.
pub(crate) async fn copy<'e>(
    connection: &mut PgConnection,
    events: impl Iterator<Item = &'e EventRecord> + Send,
) -> Result<(), StoreError> {
    const COPY: &str = "COPY events (block_number, log_index, block_hash, tx_hash, tx_index, contract, topics, data, name, run_id, agent_id, \
                        refusal) FROM STDIN (FORMAT binary)";
    copy::insert(connection, COPY, 12, events, |row, event| {
        row.put(bigint(event.block_number)?)?;
        row.put(bigint(event.log_index)?)?;
        row.put(event.block_hash)?;
        row.put(event.tx_hash)?;
        row.put(bigint(event.tx_index)?)?;
        row.put(event.contract)?;
        row.put(Concat(&event.topics))?;
        row.put(event.data.as_ref())?;
        row.put(event.name.as_deref())?;
        row.put(event.run.map(|id| bigint(id.0)).transpose()?)?;
        row.put(event.agent.map(|id| bigint(id.0)).transpose()?)?;
        row.put(event.refusal.as_deref())
    })
    .await
}

/// What the cursor says, now that it is locked.
pub(crate) struct Locked {
    pub(crate) feed: i64,
    pub(crate) finalized: Option<i64>,
}

/// Locks the cursor, adds events, numbers them for listeners, and adds the headers of their blocks: one statement, which is one exchange with
/// the server. Adds nothing and answers nothing if the cursor is not as `expected`, where nothing means that this was seen to. Numbers
/// follow `last`, or else the last one that the cursor knows of.
pub(crate) async fn insert_few(
    connection: &mut PgConnection,
    events: &[&EventRecord],
    blocks: &[(Block, StateDigest)],
    expected: Option<CursorPosition>,
    last: Option<u64>,
) -> Result<Option<Locked>, StoreError> {
    let each = |field: fn(&EventRecord) -> u64| events.iter().map(|event| bigint(field(event))).collect::<Result<Vec<_>, _>>();
    let block_numbers = each(|event| event.block_number)?;
    let log_indexes = each(|event| event.log_index)?;
    let tx_indexes = each(|event| event.tx_index)?;
    let block_hashes: Vec<_> = events.iter().map(|event| Hash(event.block_hash)).collect();
    let tx_hashes: Vec<_> = events.iter().map(|event| Hash(event.tx_hash)).collect();
    let contracts: Vec<_> = events.iter().map(|event| Account(event.contract)).collect();
    let topics: Vec<_> = events.iter().map(|event| event.topics.concat()).collect();
    let data: Vec<&[u8]> = events.iter().map(|event| event.data.as_ref()).collect();
    let names: Vec<_> = events.iter().map(|event| event.name.as_deref()).collect();
    let runs = events.iter().map(|event| event.run.map(|id| bigint(id.0)).transpose()).collect::<Result<Vec<_>, _>>()?;
    let agents = events.iter().map(|event| event.agent.map(|id| bigint(id.0)).transpose()).collect::<Result<Vec<_>, _>>()?;
    let refusals: Vec<_> = events.iter().map(|event| event.refusal.as_deref()).collect();
    let headers = BlockColumns::of(blocks)?;
    sqlx::query_as!(
        Locked,
        "WITH held AS (
             SELECT feed, finalized FROM cursor
             WHERE $19::bigint IS NULL OR (number = $19 AND hash = $20::bytea AND epoch = $21) FOR UPDATE
         ), headers AS (
             INSERT INTO blocks (number, hash, parent_hash, timestamp, state_digest)
             SELECT header.* FROM held, unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[]) AS header
         ), told AS (
             INSERT INTO feed (seq, block_number, log_index)
             SELECT coalesce($6, feed) + place, block_number, log_index
             FROM held, unnest($7::bigint[], $8::bigint[]) WITH ORDINALITY AS event (block_number, log_index, place)
         ), added AS (
             INSERT INTO events (block_number, log_index, block_hash, tx_hash, tx_index, contract, topics, data, name, run_id, agent_id, refusal)
             SELECT event.*
             FROM held, unnest($7::bigint[], $8::bigint[], $9::bytea[], $10::bytea[], $11::bigint[], $12::bytea[], $13::bytea[], $14::bytea[],
                               $15::text[], $16::bigint[], $17::bigint[], $18::text[]) AS event
         )
         SELECT feed, finalized FROM held",
        &headers.numbers,
        &headers.hashes as &[Hash],
        &headers.parents as &[Hash],
        &headers.timestamps,
        &headers.digests as &[Hash],
        last.map(bigint).transpose()?,
        &block_numbers,
        &log_indexes,
        &block_hashes as &[Hash],
        &tx_hashes as &[Hash],
        &tx_indexes,
        &contracts as &[Account],
        &topics,
        &data as &[&[u8]],
        &names as &[Option<&str>],
        &runs as &[Option<i64>],
        &agents as &[Option<i64>],
        &refusals as &[Option<&str>],
        expected.map(|expected| bigint(expected.number)).transpose()?,
        expected.map(|expected| Hash(expected.hash)) as Option<Hash>,
        expected.map(|expected| expected.epoch),
    )
    .fetch_optional(connection)
    .await
    .map_err(Into::into)
}

/// The `limit` events that follow the one at `after`, or the first, in the order of the chain.
pub(crate) async fn following(
    connection: &mut PgConnection,
    after: Option<EventPosition>,
    limit: u32,
) -> Result<Vec<EventRecord>, StoreError> {
    let (block, log) = match after {
        Some(EventPosition { block, log }) => (bigint(block)?, bigint(log)?),
        None => (-1, -1),
    };
    // Joined with their blocks, they would have to be sorted again.
    let mut rows = sqlx::query_as!(
        EventRow,
        r#"SELECT block_number, log_index, block_hash AS "block_hash: Hash", 0::bigint AS "timestamp!", tx_hash AS "tx_hash: Hash", tx_index,
                  contract AS "contract: Account", topics, data, name, run_id, agent_id, refusal
           FROM events WHERE (block_number, log_index) > ($1, $2) ORDER BY block_number, log_index LIMIT $3"#,
        block,
        log,
        i64::from(limit),
    )
    .fetch_all(&mut *connection)
    .await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let blocks = sqlx::query!("SELECT number, timestamp FROM blocks WHERE number BETWEEN $1 AND $2", first.block_number, last.block_number)
        .fetch_all(connection)
        .await?;
    let times: BTreeMap<i64, i64> = blocks.into_iter().map(|block| (block.number, block.timestamp)).collect();
    for row in &mut rows {
        let orphan = || StoreError::Corrupt { table: "events", value: format!("block {}", row.block_number) };
        row.timestamp = *times.get(&row.block_number).ok_or_else(orphan)?;
    }
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Writes down anew what is understood of these events.
pub(crate) async fn correct(connection: &mut PgConnection, events: &[&EventRecord]) -> Result<(), StoreError> {
    let blocks = events.iter().map(|event| bigint(event.block_number)).collect::<Result<Vec<_>, _>>()?;
    let logs = events.iter().map(|event| bigint(event.log_index)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> = events.iter().map(|event| event.name.as_deref()).collect();
    let runs = events.iter().map(|event| event.run.map(|id| bigint(id.0)).transpose()).collect::<Result<Vec<_>, _>>()?;
    let agents = events.iter().map(|event| event.agent.map(|id| bigint(id.0)).transpose()).collect::<Result<Vec<_>, _>>()?;
    let refusals: Vec<_> = events.iter().map(|event| event.refusal.as_deref()).collect();
    sqlx::query!(
        "UPDATE events e SET name = n.name, run_id = n.run_id, agent_id = n.agent_id, refusal = n.refusal
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
              AS n (block_number, log_index, name, run_id, agent_id, refusal)
         WHERE e.block_number = n.block_number AND e.log_index = n.log_index",
        &blocks,
        &logs,
        &names as &[Option<&str>],
        &runs as &[Option<i64>],
        &agents as &[Option<i64>],
        &refusals as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Everything that happened to these runs and agents, or only what did in these blocks, oldest first.
pub(crate) async fn about(
    connection: &mut PgConnection,
    runs: &[i64],
    agents: &[i64],
    blocks: Option<RangeInclusive<u64>>,
) -> Result<Vec<EventRecord>, StoreError> {
    sqlx::query_as!(
        EventRow,
        r#"SELECT e.block_number, e.log_index, e.block_hash AS "block_hash: Hash", b.timestamp, e.tx_hash AS "tx_hash: Hash", e.tx_index,
                  e.contract AS "contract: Account", e.topics, e.data, e.name, e.run_id, e.agent_id, e.refusal
           FROM events e JOIN blocks b ON b.number = e.block_number
           WHERE (e.run_id = ANY($1) OR e.agent_id = ANY($2)) AND ($3::bigint IS NULL OR e.block_number BETWEEN $3 AND $4)
           ORDER BY e.block_number, e.log_index"#,
        runs,
        agents,
        blocks.as_ref().map(|blocks| bigint(*blocks.start())).transpose()?,
        blocks.as_ref().map(|blocks| bigint(*blocks.end())).transpose()?,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

/// The runs and agents that the events of these blocks name.
pub(crate) async fn subjects(connection: &mut PgConnection, blocks: &RangeInclusive<u64>) -> Result<(Vec<i64>, Vec<i64>), StoreError> {
    // With an end to the range, few rows are expected of a table whose statistics are old or missing: its index is read, not all of it.
    let subjects = sqlx::query!(
        r#"SELECT coalesce(array_agg(DISTINCT run_id) FILTER (WHERE run_id IS NOT NULL), '{}') AS "runs!",
                  coalesce(array_agg(DISTINCT agent_id) FILTER (WHERE agent_id IS NOT NULL), '{}') AS "agents!"
           FROM events WHERE block_number BETWEEN $1 AND $2"#,
        bigint(*blocks.start())?,
        bigint(*blocks.end())?,
    )
    .fetch_one(connection)
    .await?;
    Ok((subjects.runs, subjects.agents))
}

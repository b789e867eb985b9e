//! The one author of a database.
//!
//! A [`Session`] is a connection that holds the writer's advisory lock, and everything is written through it: when the connection dies, the
//! lock and the transaction in flight die with it, so that a standby can never meet a writer that lost its lock without noticing. The cursor
//! is locked and compared before a [`Batch`] writes its first row all the same.

use std::{io, time::Duration};

use alloy_primitives::B256;
use clawpay_domain::{AgentId, RunId};
use sqlx::{
    Connection, PgConnection, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    AgentRecord, Block, Chain, EventPosition, EventRecord, INDEXED_CHANNEL, IndexedBlock, RunRecord, StateDigest, StoreError, Tags, agents,
    blocks::{self, CursorPosition},
    columns::{Hash, bigint, seconds, unsigned},
    content, copy, digest, events, feed, migrations, projections, runs,
    timeouts::{CONNECT_TIMEOUT, LONG_TIMEOUT, WRITER_SETTINGS},
};

/// Key of the writer's advisory lock, which is per database: the ASCII of "clawpay!".
const LOCK: i64 = 0x636c_6177_7061_7921;

/// The way to one database, for an indexer that will write to it. Does not connect by itself.
#[derive(Clone, Debug)]
pub struct Writer {
    options: PgConnectOptions,
}

impl Writer {
    /// For the database at `url`, as in `postgres://user@host/name`. Connections must reach the server itself: a pooler that shares them
    /// between transactions would share the lock.
    ///
    /// # Errors
    /// [`StoreError::Address`] for a `url` that is none.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let options = url.parse::<PgConnectOptions>().map_err(|_| StoreError::Address)?;
        Ok(Self { options: options.application_name("clawpay indexer") })
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Migration`] where the schema cannot be brought there; the database may also be away.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // A pool would retry a refused connection until it times out, and then not say why.
        self.connect().await?.close().await?;
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT_TIMEOUT).connect_with(self.options.clone()).await?;
        migrations().run(&pool).await?;
        pool.close().await;
        Ok(())
    }

    /// Becomes the writer; nothing while another indexer is.
    pub async fn try_lock(&self) -> Result<Option<Session>, StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(WRITER_SETTINGS).execute(&mut connection).await?;
        let locked = try_lock(&mut connection).await?;
        Ok(locked.then_some(Session { connection, epoch: None, lacks_indexes: false }))
    }

    /// Becomes the writer once no other process is, asking again after each `pause`, and tells of it while one is. A writer whose connection has said nothing for `patience` is
    /// disconnected: its process may be paused, its host gone. Should it ever wake up, lock and transaction are not its own any more.
    pub async fn lock(&self, pause: Duration, patience: Duration, mut tell: impl FnMut(Standby)) -> Result<Session, StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(WRITER_SETTINGS).execute(&mut connection).await?;
        let mut is_told = false;
        while !try_lock(&mut connection).await? {
            if !is_told {
                tell(Standby::Waiting);
                is_told = true;
            }
            if disconnect_silent(&mut connection, patience).await? {
                tell(Standby::WriterDisconnected);
            }
            tokio::time::sleep(pause).await;
        }
        Ok(Session { connection, epoch: None, lacks_indexes: false })
    }

    /// Empties every table, so that the next indexer starts from the chain. For local stacks, whose chain may be lost.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while an indexer writes.
    pub async fn clear(&self) -> Result<(), StoreError> {
        let mut session = self.try_lock().await?.ok_or(StoreError::Locked)?;
        sqlx::query!("TRUNCATE chain, cursor, blocks, events, runs, agents, run_counts, feed, sent, relayed")
            .execute(&mut session.connection)
            .await?;
        session.close().await
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, StoreError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&self.options)).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()).into()),
        }
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK).fetch_one(connection).await?)
}

/// Ends the connection that holds the writer's lock, if it waits for its client and has for `patience`. Answers whether it did.
async fn disconnect_silent(connection: &mut PgConnection, patience: Duration) -> Result<bool, StoreError> {
    let patience = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    let ended = sqlx::query_scalar!(
        r#"SELECT pg_terminate_backend(a.pid) AS "ended!"
           FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
           WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database()
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND l.objsubid = 1 AND (l.classid::bigint << 32) | l.objid::bigint = $1
             AND a.state LIKE 'idle%' AND extract(epoch FROM clock_timestamp() - a.state_change) * 1000 > $2::bigint"#,
        LOCK,
        patience,
    )
    .fetch_optional(connection)
    .await?;
    Ok(ended.unwrap_or(false))
}

/// What happens to an indexer that waits to become the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standby {
    /// Another process is the writer.
    Waiting,
    /// It was silent for too long, and has lost its connection.
    WriterDisconnected,
}

/// The writer's connection, and its lock. All that is asked of it fails with the connection, which gives the lock back.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    /// Of the projections that this writer goes by; nothing before it has looked.
    epoch: Option<i64>,
    /// Whether indexes were left out to be built later.
    lacks_indexes: bool,
}

impl Session {
    /// Gives up the lock.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }

    /// Which chain the database belongs to, if any yet.
    pub async fn chain(&mut self) -> Result<Option<Chain>, StoreError> {
        Chain::read(&mut self.connection).await
    }

    /// How far the index has come.
    pub async fn indexed(&mut self) -> Result<Option<IndexedBlock>, StoreError> {
        IndexedBlock::read(&mut self.connection).await
    }

    /// The highest verified header at or below `number` that is still kept.
    pub async fn block_at_or_below(&mut self, number: u64) -> Result<Option<Block>, StoreError> {
        Ok(self.highest_blocks(number, 1).await?.pop())
    }

    /// The `limit` highest verified headers at or below `number` that are still kept, in the order of the chain.
    pub async fn highest_blocks(&mut self, number: u64, limit: u32) -> Result<Vec<Block>, StoreError> {
        blocks::highest(&mut self.connection, number, limit).await
    }

    /// The digest of all rows, which stand at the kept block `number`.
    pub async fn state_digest(&mut self, number: u64) -> Result<StateDigest, StoreError> {
        digest::at_cursor(&mut self.connection, number).await
    }

    /// Makes an empty database this chain's, indexed up to `start`, without the indexes that [`Session::build_indexes`] builds; refuses one
    /// that is another's. What is read from here on may be written back, until a rebuild rewrites the projections.
    pub async fn initialise(&mut self, chain: &Chain, start: &Block, tags: &Tags) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        match Chain::read(&mut transaction).await? {
            Some(stored) => chain.require_same(&stored)?,
            None => {
                chain.insert(&mut transaction).await?;
                blocks::insert(&mut transaction, &[(*start, StateDigest::EMPTY)]).await?;
                sqlx::query!(
                    "INSERT INTO cursor (number, hash, timestamp, head, head_checked_at) VALUES ($1, $2::bytea, $3, $4, clock_timestamp())",
                    bigint(start.number)?,
                    Hash(start.hash) as Hash,
                    seconds(start.timestamp)?,
                    bigint(tags.head)?,
                )
                .execute(&mut *transaction)
                .await?;
                sqlx::query!("SELECT leave_out_indexes()").execute(&mut *transaction).await?;
            }
        }
        self.lacks_indexes =
            sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM left_out_indexes) AS "any!""#).fetch_one(&mut *transaction).await?;
        self.epoch = Some(sqlx::query_scalar!("SELECT epoch FROM cursor").fetch_one(&mut *transaction).await?);
        transaction.commit().await?;
        // What an older program has written, it has not read.
        content::read_noted(&mut self.connection).await?;
        feed::complete(&mut self.connection).await
    }

    /// Whether an index of the schema is still to be built, because the past was not all there yet.
    pub const fn lacks_indexes(&self) -> bool {
        self.lacks_indexes
    }

    /// Builds the indexes that were left out. No indexer can write meanwhile, and all servers can read.
    pub async fn build_indexes(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        sqlx::query(LONG_TIMEOUT).execute(&mut *transaction).await?;
        sqlx::query!("SELECT build_left_out_indexes()").execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.lacks_indexes = false;
        Ok(())
    }

    /// Notes that the node's head was checked, although there was nothing to write.
    pub async fn checked_head(&mut self, tags: &Tags) -> Result<(), StoreError> {
        sqlx::query!("UPDATE cursor SET head = $1, head_checked_at = clock_timestamp()", bigint(tags.head)?)
            .execute(&mut self.connection)
            .await?;
        Ok(())
    }

    /// Starts to change the index, which must be where this writer left it. That is seen to before the first row is written.
    ///
    /// # Errors
    /// [`StoreError::Rewritten`] before [`Session::initialise`] has looked at the projections.
    pub async fn begin(&mut self, number: u64, hash: B256) -> Result<Batch<'_>, StoreError> {
        let epoch = self.epoch.ok_or(StoreError::Rewritten)?;
        let transaction = self.connection.begin().await?;
        Ok(Batch {
            transaction,
            expected: Some(CursorPosition { number, hash, epoch }),
            cursor: number,
            finalized: None,
            feed: 0,
            has_inline: false,
        })
    }
}

/// What was removed and must be folded again.
#[derive(Debug)]
pub struct Rewound {
    /// Runs without a row now.
    pub runs: Vec<RunId>,
    /// Agents without a row now.
    pub agents: Vec<AgentId>,
    /// The events that remain of these runs and agents, oldest first. Some name others beside them, whose rows are untouched.
    pub events: Vec<EventRecord>,
}

/// A change of the index that happens whole or not at all. Dropped without [`Batch::commit`], it has not happened.
///
/// What writes fails with [`StoreError::Fenced`] where another indexer has moved the cursor, with [`StoreError::Rewritten`] where the projections
/// were rebuilt, and with [`StoreError::TooLarge`] on a number that the schema has no room for.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(crate) transaction: Transaction<'a, Postgres>,
    /// The highest indexed block before this batch.
    pub(crate) cursor: u64,
    /// Where the cursor must be, until it is locked and has been found there. What is below is not known before.
    pub(crate) expected: Option<CursorPosition>,
    /// Highest indexed block known to be final before this batch.
    pub(crate) finalized: Option<u64>,
    /// The last number that listeners were given.
    pub(crate) feed: u64,
    /// Whether a run was written whose content may have to be read.
    pub(crate) has_inline: bool,
}

impl Batch<'_> {
    /// Locks the cursor, unless that is done, and compares it.
    async fn require_cursor(&mut self) -> Result<(), StoreError> {
        let Some(expected) = self.expected else { return Ok(()) };
        let cursor = sqlx::query!(r#"SELECT number, hash AS "hash: Hash", finalized, epoch, feed FROM cursor FOR UPDATE"#)
            .fetch_optional(&mut *self.transaction)
            .await?
            .ok_or(StoreError::Fenced { expected: expected.number, found: 0 })?;
        let found = unsigned("cursor", cursor.number)?;
        if (found, cursor.hash.0) != (expected.number, expected.hash) {
            return Err(StoreError::Fenced { expected: expected.number, found });
        }
        if cursor.epoch != expected.epoch {
            return Err(StoreError::Rewritten);
        }
        self.locked(cursor.finalized, cursor.feed)
    }

    /// Notes what the locked cursor says.
    fn locked(&mut self, finalized: Option<i64>, feed: i64) -> Result<(), StoreError> {
        self.finalized = finalized.map(|number| unsigned("cursor", number)).transpose()?;
        self.feed = unsigned("cursor", feed)?;
        self.expected = None;
        Ok(())
    }

    /// Adds verified headers, each with the digest of the state after it.
    pub async fn insert_blocks(&mut self, blocks: &[(Block, StateDigest)]) -> Result<(), StoreError> {
        self.require_cursor().await?;
        blocks::insert(&mut self.transaction, blocks).await
    }

    /// Adds `count` events, tells listeners of them, and adds the headers that `blocks` answers once `events` have ended. Many events are asked
    /// for while the server writes those before them.
    pub async fn insert_events<'e, E: Iterator<Item = &'e EventRecord> + Send>(
        &mut self,
        count: usize,
        mut events: E,
        blocks: impl FnOnce(E) -> Vec<(Block, StateDigest)> + Send,
    ) -> Result<(), StoreError> {
        if count <= copy::FEW {
            let few = Vec::from_iter(events.by_ref());
            let last = self.expected.is_none().then_some(self.feed);
            let added = events::insert_few(&mut self.transaction, &few, &blocks(events), self.expected, last).await?;
            let Some(cursor) = added else {
                // Why, or that it was another one a moment ago.
                return Err(self.require_cursor().await.err().unwrap_or(StoreError::Rewritten));
            };
            if self.expected.is_some() {
                self.locked(cursor.finalized, cursor.feed)?;
            }
            self.feed = self.feed.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            return Ok(());
        }
        self.require_cursor().await?;
        events::copy(&mut self.transaction, events.by_ref()).await?;
        let blocks = blocks(events);
        if let (Some((first, _)), Some((last, _))) = (blocks.first(), blocks.last()) {
            self.feed = feed::tell(&mut self.transaction, self.feed, &(first.number..=last.number)).await?;
        }
        blocks::insert(&mut self.transaction, &blocks).await
    }

    /// The runs with these ids; unknown ids are left out.
    pub async fn runs(&mut self, ids: &[RunId]) -> Result<Vec<RunRecord>, StoreError> {
        runs::read(&mut self.transaction, &run_ids(ids)?).await
    }

    /// The agents with these ids; unknown ids are left out.
    pub async fn agents(&mut self, ids: &[AgentId]) -> Result<Vec<AgentRecord>, StoreError> {
        agents::read(&mut self.transaction, &agent_ids(ids)?).await
    }

    /// Makes `runs` and `agents` of this batch those of another schema, where it has such tables; all else stays what it is.
    pub async fn redirect(&mut self, schema: &str) -> Result<(), StoreError> {
        sqlx::query_scalar!("SELECT set_config('search_path', quote_ident($1) || ', ' || current_setting('search_path'), true)", schema)
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(())
    }

    /// The highest ids that a run and an agent have.
    pub async fn highest(&mut self) -> Result<(Option<RunId>, Option<AgentId>), StoreError> {
        Ok((runs::highest(&mut self.transaction).await?, agents::highest(&mut self.transaction).await?))
    }

    /// The `limit` events that follow the one at `after`, or the first ones, in the order of the chain.
    pub async fn events_following(&mut self, after: Option<EventPosition>, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        events::following(&mut self.transaction, after, limit).await
    }

    /// Writes what is understood of these events over what is stored: name, subjects and refusal.
    pub async fn correct_events(&mut self, events: &[&EventRecord]) -> Result<(), StoreError> {
        self.require_cursor().await?;
        events::correct(&mut self.transaction, events).await
    }

    /// Writes runs and agents: the `changed` runs and all `agents` over what is there, and the `new` runs, which are not there yet.
    pub async fn save(&mut self, changed: &[&RunRecord], new: &[&RunRecord], agents: &[&AgentRecord]) -> Result<(), StoreError> {
        self.require_cursor().await?;
        self.has_inline |= changed.iter().chain(new).any(|record| content::is_inline(&record.run.terms.content_uri));
        projections::save(&mut self.transaction, changed, new, agents).await
    }

    /// Removes every block from `number` up with its events, and the runs and agents those events named. Answers what remains of those,
    /// all or from block `since` on.
    pub async fn rewind(&mut self, number: u64, since: Option<u64>) -> Result<Rewound, StoreError> {
        self.require_cursor().await?;
        let gone = number..=self.cursor;
        let (run_ids, agent_ids) = events::subjects(&mut self.transaction, &gone).await?;
        self.feed = feed::retract(&mut self.transaction, self.feed, &gone).await?;
        blocks::delete_from(&mut self.transaction, number).await?;
        runs::delete(&mut self.transaction, &run_ids).await?;
        agents::delete(&mut self.transaction, &agent_ids).await?;
        let events =
            events::about(&mut self.transaction, &run_ids, &agent_ids, since.map(|since| since..=number.saturating_sub(1))).await?;
        let runs = run_ids.into_iter().map(|id| unsigned("events", id).map(RunId)).collect::<Result<_, _>>()?;
        let agents = agent_ids.into_iter().map(|id| unsigned("events", id).map(AgentId)).collect::<Result<_, _>>()?;
        Ok(Rewound { runs, agents, events })
    }

    /// The digest of all rows, which stand at the kept block `number`.
    pub async fn state_digest(&mut self, number: u64) -> Result<StateDigest, StoreError> {
        digest::at_cursor(&mut self.transaction, number).await
    }

    /// Moves the cursor to `block` and the finality of all rows with it, and wakes up the servers that wait for `block` once that is committed. What is
    /// final stays final; nothing above the cursor is.
    pub async fn advance(&mut self, block: &Block, tags: &Tags) -> Result<(), StoreError> {
        self.require_cursor().await?;
        if std::mem::take(&mut self.has_inline) {
            content::read_noted(&mut self.transaction).await?;
        }
        let finalized = self.finalized.max(tags.finalized.map(|number| number.min(block.number)));
        // What is final is safe, whether or not the node knows the word.
        let safe = finalized.max(tags.safe.map(|number| number.min(block.number)));
        // What is between the last final block and this one needs its header only if it has events: nothing can replace it any more.
        let (since, until) = finalized.map_or((0, 0), |finalized| (self.finalized.unwrap_or(0), finalized));
        sqlx::query!(
            "WITH moved AS (
                 UPDATE cursor SET number = $1, hash = $2::bytea, timestamp = $3, safe = $4, finalized = $5, head = $6,
                                   head_checked_at = clock_timestamp(), feed = $7, feed_hash = $2::bytea
             ), pruned AS (
                 DELETE FROM blocks b
                 WHERE b.number >= $8 AND b.number < $9
                   AND NOT EXISTS (SELECT FROM events e WHERE e.block_number = b.number AND e.block_number >= $8 AND e.block_number < $9)
             )
             SELECT pg_notify($10, $1::bigint::text)",
            bigint(block.number)?,
            Hash(block.hash) as Hash,
            seconds(block.timestamp)?,
            safe.map(bigint).transpose()?,
            finalized.map(bigint).transpose()?,
            bigint(tags.head)?,
            bigint(self.feed)?,
            bigint(since)?,
            bigint(until)?,
            INDEXED_CHANNEL,
        )
        .execute(&mut *self.transaction)
        .await?;
        self.finalized = finalized;
        Ok(())
    }

    /// Makes the change visible.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

fn run_ids(ids: &[RunId]) -> Result<Vec<i64>, StoreError> {
    ids.iter().map(|id| bigint(id.0)).collect()
}

fn agent_ids(ids: &[AgentId]) -> Result<Vec<i64>, StoreError> {
    ids.iter().map(|id| bigint(id.0)).collect()
}

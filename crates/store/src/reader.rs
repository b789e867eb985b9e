//! The API's side of a database: reads that all reflect one indexed block.

mod agents;
mod keyset;
mod known_chain;
mod latest;
mod lines;
mod listener;
mod listing;
mod options;
mod plain_lists;
mod posters;
mod runs;
mod sight;
mod totals;
mod waiting;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use clawpay_domain::{AgentId, RunId};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool, Postgres, QueryBuilder, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    AgentRecord, Block, Chain, EventRecord, FeedBounds, FeedRecord, Hash, IndexedBlock, RunRecord, StateDigest, StoreError, begin,
    blocks::{self, CURSOR_COLUMNS, CursorRow},
    chain::{self, ChainRow},
    columns::{bigint, unsigned},
    digest, events, feed,
};

use known_chain::KnownChain;
use lines::{Lines, TRUSTED_FOR};

pub use agents::{AgentFilter, AgentSort};
pub use keyset::{Direction, Position, SortKey, Stretch};
pub use listener::IndexListener;
pub use listing::Listing;
pub use options::ReaderOptions;
pub use posters::{Poster, PosterRecord, PosterSort};
pub use runs::{RunFilter, RunSearch, RunSort};
pub use sight::{PostedRun, Sight};
pub use totals::{Custody, Day, MarketTotals, StateTotals};
pub use waiting::HeldRun;

/// Connections that only read. Cheap to clone. A database that is away, or too slow, is an error of the read that needs it.
#[derive(Clone, Debug)]
pub struct Reader {
    pool: PgPool,
    /// Begins each view.
    begin: Arc<str>,
    lines: Lines,
    look: u32,
    /// Whether the schema is one of this version.
    keeps_all: Arc<AtomicBool>,
    chain: KnownChain,
}

/// Which sums are kept beside the rows they are of. A schema that an older version made lacks those that are newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    /// The lengths of lists, posters' records and the states' totals.
    posters: bool,
    /// What happened on each day.
    days: bool,
    /// What the contracts' books come to.
    custody: bool,
}

impl Kept {
    const ALL: Self = Self { posters: true, days: true, custody: true };
}

/// One page of a list, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Which, from 1.
    pub number: u32,
    /// Items on it.
    pub limit: u32,
}

impl Page {
    /// Items before it.
    fn offset(self) -> i64 {
        i64::from(self.number.saturating_sub(1)) * i64::from(self.limit)
    }
}

impl Reader {
    /// For the database at `url`. Connects when first used, so that a database that is away is an answer and not a failed start.
    ///
    /// # Errors
    /// [`StoreError::Address`] for a `url` that is none.
    pub fn new(url: &str, options: ReaderOptions) -> Result<Self, StoreError> {
        let connect = url
            .parse::<PgConnectOptions>()
            .map_err(|_| StoreError::Address)?
            .application_name("clawpay api")
            // A pooler between here and the database refuses what it does not know; no column here is a float.
            .extra_float_digits(None);
        let is_pooled = connect.to_url_lossy().query_pairs().any(|(name, value)| name == "statement-cache-capacity" && value == "0");
        let begin: Arc<str> = begin(is_pooled, options.statement_timeout).into();
        let lines = Lines::new(connect.clone(), options, is_pooled.then(|| begin.clone()))?;
        let pool = PgPoolOptions::new()
            .max_connections((options.connections.get() / 2).max(1))
            .acquire_timeout(options.acquire_timeout)
            // One that was in use a moment ago is still there.
            .test_before_acquire(false)
            .before_acquire(|connection, metadata| {
                Box::pin(async move {
                    if metadata.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        Ok(Self { pool, begin, lines, look: options.look.max(1), keeps_all: Arc::default(), chain: KnownChain::default() })
    }

    /// Everything as of the last indexed block; nothing before an indexer has started on this database.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, StoreError> {
        // Seen before the view begins, what was there then is in the view.
        let kept_all = self.keeps_all.load(Ordering::Relaxed);
        let mut transaction = begin::begin(&self.pool, AssertSqlSafe(self.begin.to_string())).await?;
        let mut read = QueryBuilder::new("SELECT ");
        read.push(CURSOR_COLUMNS).push(", ").push(chain::COLUMNS).push(" FROM cursor, chain");
        let there: Option<There> = match read.build_query_as().fetch_optional(&mut *transaction).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => return Ok(None),
            there => there?,
        };
        let kept = if kept_all { Kept::ALL } else { self.find_kept(&mut transaction).await? };
        let Some(There { cursor, chain }) = there else { return Ok(None) };
        let chain = chain.try_into()?;
        self.chain.set(chain);
        Ok(Some(Snapshot { transaction, indexed: cursor.try_into()?, chain, kept, look: self.look }))
    }

    /// What this view shows of the schema as an indexer of this version has widened it. That is asked of the catalogue's rows: a name is looked
    /// up as of now, and a table made since the view began would seem to be there, without any of its rows.
    async fn find_kept(&self, transaction: &mut Transaction<'static, Postgres>) -> Result<Kept, StoreError> {
        let tables = sqlx::query_scalar!(
            r#"SELECT tablename::text AS "table!" FROM pg_tables
               WHERE schemaname = current_schema() AND tablename IN ('poster_records', 'days', 'custody')"#
        )
        .fetch_all(&mut **transaction)
        .await?;
        let has = |table: &str| tables.iter().any(|found| found == table);
        let kept = Kept { posters: has("poster_records"), days: has("days"), custody: has("custody") };
        self.keeps_all.fetch_or(kept == Kept::ALL, Ordering::Relaxed);
        Ok(kept)
    }

    /// Hears of each indexed block.
    pub async fn listen(&self) -> Result<IndexListener, StoreError> {
        IndexListener::connect(&self.pool).await
    }
}

/// What every view begins with, in one answer.
#[derive(sqlx::FromRow)]
struct There {
    #[sqlx(flatten)]
    cursor: CursorRow,
    #[sqlx(flatten)]
    chain: ChainRow,
}

/// The statements that begin a view. Limits are set for each of them anew, and not for a session: behind a pooler that hands out a session
/// for one transaction, the next one may be another's. There, statements cannot be prepared for longer than a transaction either: without a
/// cache of them, which is how an address says that there is such a pooler, what others have prepared in this session is done away with.
fn begin(is_pooled: bool, statement_timeout: Duration) -> String {
    let forget = if is_pooled { "; DEALLOCATE ALL" } else { "" };
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {}; \
         SET LOCAL idle_in_transaction_session_timeout = {}{forget}",
        statement_timeout.as_millis(),
        IDLE_TIMEOUT.as_millis(),
    )
}

/// Longest that a view may be held without being read.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// SQLSTATE of a column that a later migration adds.
const UNDEFINED_COLUMN: &str = "42703";

/// SQLSTATE of a schema that no indexer has made yet.
const UNDEFINED_TABLE: &str = "42P01";

/// A view of the database at one indexed block. All its reads agree with each other. Each fails with the connection, and with
/// [`StoreError::Corrupt`] on a row that no writer of this crate wrote.
#[derive(Debug)]
pub struct Snapshot {
    transaction: Transaction<'static, Postgres>,
    /// The block the view reflects; its timestamp is the "now" of what is read.
    pub indexed: IndexedBlock,
    /// The market the database holds.
    pub chain: Chain,
    kept: Kept,
    look: u32,
}

impl Snapshot {
    /// About how many rows a table has, as the database last looked.
    async fn rows_about(&mut self, table: &'static str) -> Result<u64, StoreError> {
        let rows = sqlx::query_scalar("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::text::regclass").bind(table);
        unsigned("pg_class", rows.fetch_one(&mut *self.transaction).await?)
    }

    /// A run.
    pub async fn run(&mut self, id: RunId) -> Result<Option<RunRecord>, StoreError> {
        // An id beyond a bigint names nothing that could have been stored.
        let Ok(id) = bigint(id.0) else { return Ok(None) };
        Ok(crate::runs::read(&mut self.transaction, &[id]).await?.pop())
    }

    /// An agent.
    pub async fn agent(&mut self, id: AgentId) -> Result<Option<AgentRecord>, StoreError> {
        let Ok(id) = bigint(id.0) else { return Ok(None) };
        Ok(crate::agents::read(&mut self.transaction, &[id]).await?.pop())
    }

    /// Everything that happened to a run, oldest first.
    pub async fn run_events(&mut self, id: RunId) -> Result<Vec<EventRecord>, StoreError> {
        let Ok(id) = bigint(id.0) else { return Ok(Vec::new()) };
        events::about(&mut self.transaction, &[id], &[], None).await
    }

    /// Which numbers listeners may have been given.
    pub async fn feed_bounds(&mut self) -> Result<FeedBounds, StoreError> {
        feed::bounds(&mut self.transaction).await
    }

    /// The `limit` things that listeners are told after number `after`.
    pub async fn feed(&mut self, after: u64, limit: u32) -> Result<Vec<FeedRecord>, StoreError> {
        feed::following(&mut self.transaction, after, limit).await
    }

    /// The digest that the writer keeps of the rows; nothing if it did not know of digests.
    pub async fn state_digest(&mut self) -> Result<Option<StateDigest>, StoreError> {
        digest::noted(&mut self.transaction, self.indexed.number).await
    }

    /// The last block the node calls finalized whose header is kept, and the digest of all rows after it; what two indexes of one chain
    /// compare. Nothing while no block is final, or if its writer did not know of digests.
    pub async fn finalized_state(&mut self) -> Result<Option<(Block, StateDigest)>, StoreError> {
        let Some(finalized) = self.indexed.finalized else { return Ok(None) };
        let Some(block) = blocks::highest(&mut self.transaction, finalized, 1).await?.pop() else { return Ok(None) };
        match digest::noted(&mut self.transaction, block.number).await {
            // A schema that no indexer of this version has widened yet.
            Err(StoreError::Database(sqlx::Error::Database(error))) if error.code().as_deref() == Some(UNDEFINED_COLUMN) => Ok(None),
            noted => Ok(noted?.map(|digest| (block, digest))),
        }
    }

    /// The hash of an indexed block, if its header is kept: every block with an event of the market is.
    pub async fn block_hash(&mut self, number: u64) -> Result<Option<B256>, StoreError> {
        let Ok(number) = bigint(number) else { return Ok(None) };
        let hash = sqlx::query_scalar!(r#"SELECT hash AS "hash: Hash" FROM blocks WHERE number = $1"#, number)
            .fetch_optional(&mut *self.transaction)
            .await?;
        Ok(hash.map(|hash| hash.0))
    }
}

//! Projections folded anew beside those that are read, and put in their place.
//!
//! The new rows are built in temporary tables, which hide the real ones from what writes through the same [`Batch`]. Putting them in place
//! is plain SQL on the rows that differ, committed with everything else: a reader sees all of the old rows or all of the new ones, and waits
//! for nothing. An indexer may follow the chain meanwhile; it waits for the cursor once [`Batch::hold`] has it, and finds by the cursor's
//! epoch that the rows it remembers are not those of the database any more.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    Batch, Chain, Hash, INDEXED_CHANNEL, StateDigest, StoreError, Writer,
    columns::{bigint, unsigned},
    content,
    timeouts::REBUILD_SETTINGS,
};

/// Key of the advisory lock that keeps a second rebuild away: the ASCII of "clawpayR".
const LOCK: i64 = 0x636c_6177_7061_7952;

/// The new tables. Without the indexes that only readers need.
const TABLES: &str = "
    CREATE TEMPORARY TABLE new_digests (number bigint PRIMARY KEY, digest bytea NOT NULL) ON COMMIT DROP;
    CREATE TEMPORARY TABLE runs (LIKE runs INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id)) ON COMMIT DROP;
    CREATE TEMPORARY TABLE agents (LIKE agents INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id)) ON COMMIT DROP";

/// A connection on which projections are rebuilt. At most one at a time per database. All that is asked of it fails with the connection.
#[derive(Debug)]
pub struct Rebuild {
    connection: PgConnection,
}

/// What a rebuild changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Runs that were added, removed or written over.
    pub runs: u64,
    /// Agents likewise.
    pub agents: u64,
    /// Blocks whose digest is another one now.
    pub digests: u64,
}

impl Writer {
    /// Prepares to rebuild; nothing while another process does.
    pub async fn rebuild(&self) -> Result<Option<Rebuild>, StoreError> {
        let mut connection = self.connect().await?;
        sqlx::raw_sql(REBUILD_SETTINGS).execute(&mut connection).await?;
        let locked = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "locked!""#, LOCK).fetch_one(&mut connection).await?;
        Ok(locked.then_some(Rebuild { connection }))
    }
}

impl Rebuild {
    /// Which chain the database belongs to, if any yet.
    pub async fn chain(&mut self) -> Result<Option<Chain>, StoreError> {
        Chain::read(&mut self.connection).await
    }

    /// Starts with no runs and no agents. What is read of events and blocks is what is committed at that moment, and what is final of it
    /// stays.
    pub async fn begin(&mut self) -> Result<Batch<'_>, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let finalized = sqlx::query_scalar!("SELECT finalized FROM cursor").fetch_optional(&mut *transaction).await?.flatten();
        let finalized = finalized.map(|number| unsigned("cursor", number)).transpose()?;
        sqlx::raw_sql(TABLES).execute(&mut *transaction).await?;
        // No event is written here, and so no number given.
        Ok(Batch { transaction, expected: None, cursor: 0, finalized, feed: 0, has_inline: false })
    }
}

impl Batch<'_> {
    /// The highest block that was final when this began.
    pub const fn finalized(&self) -> Option<u64> {
        self.finalized
    }

    /// From here on no indexer moves the cursor. Answers where it is.
    pub async fn hold(&mut self) -> Result<u64, StoreError> {
        let number = sqlx::query_scalar!("SELECT number FROM cursor FOR UPDATE").fetch_one(&mut *self.transaction).await?;
        unsigned("cursor", number)
    }

    /// Notes the digests after blocks that hold events.
    pub async fn note_digests(&mut self, digests: &[(u64, StateDigest)]) -> Result<(), StoreError> {
        let numbers = digests.iter().map(|(number, _)| bigint(*number)).collect::<Result<Vec<_>, _>>()?;
        let words: Vec<_> = digests.iter().map(|(_, digest)| Hash(digest.to_word())).collect();
        // The table is this transaction's own, and so unknown when queries are checked.
        sqlx::query(
            "INSERT INTO new_digests SELECT * FROM unnest($1::bigint[], $2::bytea[])
             ON CONFLICT (number) DO UPDATE SET digest = excluded.digest",
        )
        .bind(numbers)
        .bind(words)
        .execute(&mut *self.transaction)
        .await?;
        Ok(())
    }

    /// Puts the new rows in the place of the old ones, whose indexer must have been held back with [`Batch::hold`], and wakes up the servers that wait
    /// for the index to move.
    pub async fn replace(&mut self) -> Result<Replaced, StoreError> {
        let connection = &mut *self.transaction;
        sqlx::raw_sql("ANALYZE runs, agents, new_digests").execute(&mut *connection).await?;
        let schema: String = sqlx::query_scalar(
            "SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = 'cursor'::regclass",
        )
        .fetch_one(&mut *connection)
        .await?;
        let runs = replace(connection, &schema, "runs").await?;
        let agents = replace(connection, &schema, "agents").await?;
        content::read_noted(&mut *connection).await?;
        let digests = sqlx::query(AssertSqlSafe(format!(
            "UPDATE {schema}.blocks b SET state_digest = new.digest
             FROM (SELECT k.number, coalesce((SELECT d.digest FROM new_digests d WHERE d.number <= k.number ORDER BY d.number DESC LIMIT 1),
                                             decode(repeat('00', 32), 'hex')) AS digest
                   FROM {schema}.blocks k) new
             WHERE new.number = b.number AND b.state_digest IS DISTINCT FROM new.digest"
        )))
        .execute(&mut *connection)
        .await?
        .rows_affected();
        sqlx::query!(
            "WITH rewritten AS (UPDATE cursor SET epoch = epoch + 1 RETURNING number) SELECT pg_notify($1, number::text) FROM rewritten",
            INDEXED_CHANNEL,
        )
        .execute(connection)
        .await?;
        Ok(Replaced { runs, agents, digests })
    }
}

/// Makes the rows of one table those of the temporary table of the same name. Rows that are the same are not touched.
async fn replace(connection: &mut PgConnection, schema: &str, table: &'static str) -> Result<u64, StoreError> {
    // Deleted here and inserted there: no list of columns that a later migration could leave behind.
    let removed = sqlx::query(AssertSqlSafe(format!(
        "DELETE FROM {schema}.{table} old
         WHERE NOT EXISTS (SELECT FROM pg_temp.{table} new WHERE new.id = old.id AND new.* IS NOT DISTINCT FROM old.*)"
    )))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let added = sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO {schema}.{table}
         SELECT new.* FROM pg_temp.{table} new WHERE NOT EXISTS (SELECT FROM {schema}.{table} old WHERE old.id = new.id)"
    )))
    .execute(connection)
    .await?
    .rows_affected();
    Ok(removed.max(added))
}

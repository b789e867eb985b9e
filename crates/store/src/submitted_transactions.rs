//! What the API's servers have sent or seen on its way to the chain. Unlike all else here it is not derived from the chain, and it is written
//! by them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::sync::Semaphore;

use crate::{
    Account, Hash, StoreError,
    begin::begin,
    columns::{bigint, unsigned},
};

/// Of advisory locks, those of transactions that did alike things: the ASCII of "like".
const LOCKS: i32 = 0x6c69_6b65;

/// Few are needed, and each is held for one short statement.
const CONNECTIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const STATEMENT_TIMEOUT: &str = "5000";

/// Connections that write what was sent. Cheap to clone. A database that is away, or too slow, is an error of what needs it.
#[derive(Clone, Debug)]
pub struct SubmittedTransactions {
    pub(crate) pool: PgPool,
    /// Whose turn it is to have something relayed, among the requests of this server.
    pub(crate) relay_turns: Arc<Semaphore>,
}

/// A transaction that was sent or seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmittedTransaction {
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Its place among the sender's.
    pub nonce: u64,
}

impl SubmittedTransactions {
    /// For the database at `url`, which must accept writes. Connects when first used.
    ///
    /// # Errors
    /// [`StoreError::Address`] for a `url` that is none.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let connect = url
            .parse::<PgConnectOptions>()
            .map_err(|_| StoreError::Address)?
            .application_name("clawpay api")
            .options([("statement_timeout", STATEMENT_TIMEOUT), ("idle_in_transaction_session_timeout", "30000")]);
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS.get()).acquire_timeout(ACQUIRE_TIMEOUT).connect_lazy_with(connect);
        Ok(Self { pool, relay_turns: Arc::new(Semaphore::new(1)) })
    }

    /// Those of the API's own tables that this role may not write.
    pub async fn tables_not_writable(&self) -> Result<Vec<String>, StoreError> {
        let tables = sqlx::query_scalar(
            "SELECT name FROM unnest(ARRAY['answered', 'idempotency_keys', 'relayed', 'sent']) AS own (name)
             WHERE to_regclass(name) IS NOT NULL
               AND NOT (has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE'))",
        );
        Ok(tables.fetch_all(&self.pool).await?)
    }

    /// Notes a transaction, and forgets some that are a month old. False if it was noted before.
    pub async fn note(&self, sent: &SubmittedTransaction) -> Result<bool, StoreError> {
        let noted = sqlx::query!(
            "WITH old AS (SELECT hash FROM sent WHERE sent_at < clock_timestamp() - interval '30 days' ORDER BY sent_at LIMIT 10),
                  forgotten AS (DELETE FROM sent USING old WHERE sent.hash = old.hash)
             INSERT INTO sent (hash, sender, nonce) VALUES ($1::bytea, $2::bytea, $3) ON CONFLICT (hash) DO NOTHING",
            Hash(sent.hash) as Hash,
            Account(sent.sender) as Account,
            bigint(sent.nonce)?,
        )
        .execute(&self.pool)
        .await?;
        Ok(noted.rows_affected() == 1)
    }

    /// Takes a note back: the transaction was not sent after all.
    pub async fn forget(&self, hash: B256) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM sent WHERE hash = $1::bytea", Hash(hash) as Hash).execute(&self.pool).await?;
        Ok(())
    }

    /// A transaction that was noted.
    pub async fn find(&self, hash: B256) -> Result<Option<SubmittedTransaction>, StoreError> {
        let row = sqlx::query!(r#"SELECT sender AS "sender: Account", nonce FROM sent WHERE hash = $1::bytea"#, Hash(hash) as Hash,)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(SubmittedTransaction { hash, sender: row.sender.0, nonce: unsigned("sent", row.nonce)? })).transpose()
    }

    /// Which of several alike events of one transaction, by their places among its logs, is this request's answer: the one that was given
    /// to the same key before; otherwise the first not given to any yet, or the one that was given longest ago. Beside it, whether another key
    /// was given that one before.
    pub async fn answer(&self, transaction: B256, positions: &[u32], key: Option<B256>) -> Result<Option<(u32, bool)>, StoreError> {
        let positions = positions.iter().map(|position| i32::try_from(*position)).collect::<Result<Vec<_>, _>>();
        let positions = positions.map_err(|_| StoreError::Corrupt { table: "answered", value: "a place among logs".to_owned() })?;
        let mut view = begin(&self.pool, "BEGIN").await?;
        let [a, b, c, d, ..] = transaction.0;
        sqlx::query!("SELECT pg_advisory_xact_lock($1, $2)", LOCKS, i32::from_be_bytes([a, b, c, d])).fetch_one(&mut *view).await?;
        let answer = sqlx::query!(
            r#"WITH old AS (
                 SELECT tx_hash, position FROM answered
                 WHERE answered_at < clock_timestamp() - interval '30 days' ORDER BY answered_at LIMIT 10),
                  forgotten AS (
                 DELETE FROM answered a USING old WHERE a.tx_hash = old.tx_hash AND a.position = old.position AND a.tx_hash <> $1::bytea),
                  chosen AS (
                 SELECT one.position FROM unnest($2::integer[]) AS one (position)
                 LEFT JOIN answered a ON a.tx_hash = $1::bytea AND a.position = one.position
                 ORDER BY coalesce(a.asked_as = $3::bytea, false) DESC, a.asked_as IS NOT NULL, a.answered_at NULLS FIRST, one.position
                 LIMIT 1)
             INSERT INTO answered AS a (tx_hash, position, asked_as) SELECT $1::bytea, position, $3::bytea FROM chosen
             ON CONFLICT (tx_hash, position)
             DO UPDATE SET answered_at = clock_timestamp(), asked_as = coalesce(a.asked_as, excluded.asked_as)
             RETURNING position, coalesce(a.asked_as <> $3::bytea, false) AS "is_of_another!""#,
            Hash(transaction) as Hash,
            &positions,
            key.map(Hash) as Option<Hash>,
        )
        .fetch_optional(&mut *view)
        .await?;
        view.commit().await?;
        Ok(answer.and_then(|answer| Some((u32::try_from(answer.position).ok()?, answer.is_of_another))))
    }
}

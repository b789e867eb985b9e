//! What the API's servers have sent or seen on its way to the chain. Unlike all else here it is not derived from the chain, and it is written
//! by them.

use std::{num::NonZeroU32, time::Duration};

use alloy_primitives::{Address, B256};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    Account, Hash, StoreError,
    columns::{bigint, unsigned},
};

/// Few are needed, and each is held for one short statement.
const CONNECTIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const STATEMENT_TIMEOUT: &str = "5000";

/// Connections that write what was sent. Cheap to clone. A database that is away, or too slow, is an error of what needs it.
#[derive(Clone, Debug)]
pub struct SubmittedTransactions {
    pub(crate) pool: PgPool,
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
        Ok(Self { pool })
    }

    /// Notes a transaction, and forgets some that are a month old.
    pub async fn note(&self, sent: &SubmittedTransaction) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH old AS (SELECT hash FROM sent WHERE sent_at < clock_timestamp() - interval '30 days' ORDER BY sent_at LIMIT 10),
                  forgotten AS (DELETE FROM sent USING old WHERE sent.hash = old.hash)
             INSERT INTO sent (hash, sender, nonce) VALUES ($1::bytea, $2::bytea, $3) ON CONFLICT (hash) DO NOTHING",
            Hash(sent.hash) as Hash,
            Account(sent.sender) as Account,
            bigint(sent.nonce)?,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A transaction that was noted.
    pub async fn find(&self, hash: B256) -> Result<Option<SubmittedTransaction>, StoreError> {
        let row = sqlx::query!(r#"SELECT sender AS "sender: Account", nonce FROM sent WHERE hash = $1::bytea"#, Hash(hash) as Hash,)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(SubmittedTransaction { hash, sender: row.sender.0, nonce: unsigned("sent", row.nonce)? })).transpose()
    }

    /// The other transactions noted in the same place, the latest first; at most ten.
    pub async fn rivals(&self, sent: &SubmittedTransaction) -> Result<Vec<B256>, StoreError> {
        let rows = sqlx::query_scalar!(
            r#"SELECT hash AS "hash: Hash" FROM sent
               WHERE sender = $1::bytea AND nonce = $2 AND hash <> $3::bytea ORDER BY sent_at DESC LIMIT 10"#,
            Account(sent.sender) as Account,
            bigint(sent.nonce)?,
            Hash(sent.hash) as Hash,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|hash| hash.0).collect())
    }
}

//! Transactions that end with those who began them, at whatever moment those give up.

use sqlx::{PgPool, Postgres, SqlSafeStr, Transaction};

/// Begins a transaction with `statement` on one of the pool's connections.
///
/// In a task of its own: a beginning that is not waited for would leave the transaction open on a connection that goes back to the pool, and
/// what the next one writes there by a single statement would never be committed.
pub(crate) async fn begin(pool: &PgPool, statement: impl SqlSafeStr) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (pool, statement) = (pool.clone(), statement.into_sql_str());
    tokio::spawn(async move { pool.begin_with(statement).await }).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

//! Connections for reads of one statement each. Such a statement is a view of its own, so that nothing has to be begun before it or ended after
//! it, and a connection is free again once its rows have been read.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use deadpool::managed::{Manager, Metrics, Pool, RecycleError, RecycleResult};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
};

use super::options::ReaderOptions;
use crate::StoreError;

/// A connection that has been idle for longer is asked whether it still works before it is used.
pub(super) const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// A connection is replaced when it is as old, so that a database that has moved, or a new password, is noticed.
const LIFETIME: Duration = Duration::from_secs(1_800);

/// Connections for single statements. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines {
    pool: Pool<Connector>,
    acquire_timeout: Duration,
    /// Begins a view around each statement, where a session is another's after it and can be told nothing.
    begin: Option<Arc<str>>,
}

impl std::fmt::Debug for Lines {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

/// Makes connections, and tells which can be used again.
struct Connector {
    connect: PgConnectOptions,
    /// What a session is told first.
    settings: Option<String>,
}

/// A connection, and what it is known by to be usable.
struct Line {
    connection: PgConnection,
    /// Whether nothing is under way on it.
    is_free: bool,
    used_at: Instant,
}

impl Manager for Connector {
    type Type = Line;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Line, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.connect).await?;
        if let Some(settings) = &self.settings {
            sqlx::raw_sql(AssertSqlSafe(settings.clone())).execute(&mut connection).await?;
        }
        Ok(Line { connection, is_free: true, used_at: Instant::now() })
    }

    async fn recycle(&self, line: &mut Line, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if !line.is_free || metrics.age() > LIFETIME {
            return Err(RecycleError::message("it is to be replaced"));
        }
        if line.used_at.elapsed() > TRUSTED_FOR {
            line.connection.ping().await?;
        }
        Ok(())
    }
}

impl Lines {
    /// To a database. Connects when first used. `begin` where there is a pooler that hands a session out for one transaction.
    pub(super) fn new(connect: PgConnectOptions, options: ReaderOptions, begin: Option<Arc<str>>) -> Result<Self, StoreError> {
        // Each statement has one sensible plan, by an index and whatever its parameters.
        let timeout = options.statement_timeout.as_millis();
        let settings = begin.is_none().then(|| {
            format!("SET statement_timeout = {timeout}; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off")
        });
        let connections = usize::try_from(options.connections.get().div_ceil(2)).unwrap_or(usize::MAX);
        let pool = Pool::builder(Connector { connect, settings }).max_size(connections).build();
        let pool = pool.map_err(|_| StoreError::Database(sqlx::Error::PoolClosed))?;
        Ok(Self { pool, acquire_timeout: options.acquire_timeout, begin })
    }

    /// The rows of one statement. A connection whose statement failed, or was not waited for, is not used again.
    pub(super) async fn fetch(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut line = match tokio::time::timeout(self.acquire_timeout, self.pool.get()).await {
            Ok(Ok(line)) => line,
            Ok(Err(deadpool::managed::PoolError::Backend(error))) => return Err(error),
            Ok(Err(_)) => return Err(sqlx::Error::PoolClosed),
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
        };
        line.is_free = false;
        let connection = &mut line.connection;
        let rows = match &self.begin {
            None => query.fetch_all(connection).await?,
            Some(begin) => {
                sqlx::raw_sql(AssertSqlSafe(begin.to_string())).execute(&mut *connection).await?;
                let rows = query.fetch_all(&mut *connection).await?;
                sqlx::raw_sql("COMMIT").execute(connection).await?;
                rows
            }
        };
        line.is_free = true;
        line.used_at = Instant::now();
        Ok(rows)
    }
}

//! What can go wrong between this process and its database. An enum, because callers choose between waiting, giving up and starting over.

use thiserror::Error;

/// Why the store could not answer.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The address of the database is not one. Says nothing of it, as it may hold a password.
    #[error("DATABASE_URL is not a Postgres address")]
    Address,
    /// The database failed, or is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("database schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database belongs to another chain or deployment.
    #[error("the database holds another market: its {what} is {stored}, not {found}; give this one its own database")]
    OtherMarket {
        /// Which property differs.
        what: &'static str,
        /// What the database says.
        stored: String,
        /// What was found.
        found: String,
    },
    /// Another indexer moved the cursor.
    #[error("the cursor is at {found}, expected {expected}: another indexer wrote here")]
    Fenced {
        /// Where this writer left it.
        expected: u64,
        /// Where it is.
        found: u64,
    },
    /// The projections are not what this writer has read of them.
    #[error("the projections were rewritten meanwhile and must be read again")]
    Rewritten,
    /// Another process is rebuilding the projections.
    #[error("the projections of this database are being rebuilt already")]
    Rebuilding,
    /// Another indexer holds the writer's lock.
    #[error("another indexer is writing to this database")]
    Locked,
    /// A row says what no writer of this crate wrote.
    #[error("{table} holds a value out of range: {value}")]
    Corrupt {
        /// In which table.
        table: &'static str,
        /// The value.
        value: String,
    },
    /// More rows of a list come before a page than a list may look at.
    #[error("more than {deepest} rows come before the page")]
    PageTooDeep {
        /// How many may.
        deepest: u32,
    },
    /// A number that the schema has no room for.
    #[error("{0} does not fit a bigint")]
    TooLarge(u64),
}

impl StoreError {
    /// What an operator can do about it, where the database's own words do not say that.
    pub fn advice(&self) -> Option<&'static str> {
        let (Self::Database(error)
        | Self::Migration(sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _))) = self
        else {
            return None;
        };
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) => {
                return Some("see that Postgres is running, and that DATABASE_URL has its host and port");
            }
            sqlx::Error::Tls(_) => {
                return Some("this server takes no encrypted connections: end DATABASE_URL with ?sslmode=disable, or let it");
            }
            _ => {}
        }
        Some(match error.as_database_error()?.code()?.as_ref() {
            "28P01" => "check the user and the password in DATABASE_URL; in a URL # is written %23, $ %24, / %2F, : %3A, @ %40 and % %25",
            "28000" => "let this user reach this database from here, in the server's pg_hba.conf, or name another in DATABASE_URL",
            "3D000" => "make that database, as CREATE DATABASE name, or name another in DATABASE_URL",
            "42501" => "give this role its rights, as \"Database roles\" in README.md does",
            _ => return None,
        })
    }

    /// Whether trying again later may succeed without the operator changing anything.
    pub fn is_transient(&self) -> bool {
        // Serialization failure, deadlock, lock not available; connection exceptions; shutting down or starting up; out of connections.
        const CODES: [&str; 3] = ["40001", "40P01", "55P03"];
        const CLASSES: [&str; 3] = ["08", "57", "53"];
        match self {
            Self::Database(error)
            | Self::Migration(sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _)) => {
                match error {
                    sqlx::Error::Io(_)
                    | sqlx::Error::BeginFailed
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed => true,
                    sqlx::Error::Protocol(_) => true,
                    sqlx::Error::Database(database) => database
                        .code()
                        .is_some_and(|code| CODES.contains(&code.as_ref()) || CLASSES.iter().any(|class| code.starts_with(class))),
                    _ => false,
                }
            }
            Self::Fenced { .. } | Self::Rewritten | Self::Rebuilding | Self::Locked => true,
            Self::Migration(_)
            | Self::Address
            | Self::OtherMarket { .. }
            | Self::Corrupt { .. }
            | Self::PageTooDeep { .. }
            | Self::TooLarge(_) => false,
        }
    }
}

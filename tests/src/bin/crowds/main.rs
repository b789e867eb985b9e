//! One address against all others: thousands of connections that listen, lie idle, leave answers unread, or begin what they do not end.
//!
//! The server is a process of its own with the limits that it has for strangers. While a crowd is there, another address goes on asking; what
//! its answers take is compared with what they take when no other client is there. Prints one line of JSON for each crowd, and fails where an answer
//! is missing or takes three times as long.

use std::{
    net::{IpAddr, SocketAddr},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clawpay_cli::output;
use clawpay_domain::Usdc;
use clawpay_tests::{Clawpay, Indexer, Stack, scratch};
use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// What is asked of others' answers.
const MOST_TIMES_IDLE: f64 = 3.0;
/// Below this, a machine's own mood decides.
const SHORTEST: Duration = Duration::from_millis(2);
/// Requests of the other address, of each kind.
const ASKED: usize = 400;
/// Between two of them: below the rate limit.
const PACE: Duration = Duration::from_millis(12);
/// Connections that begin at the same time.
const AT_ONCE: usize = 256;
/// Before one of the crowd that was turned away tries again: hundreds of new connections a second, so that they and not the work of making
/// them, which is this machine's as well, are what is measured.
const AGAIN: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(60);

/// What each of a crowd does.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    name: &'static str,
    size: usize,
    says: fn() -> Vec<u8>,
}

const CROWDS: [Crowd; 6] = [
    Crowd { name: "streams", size: 10_500, says: || b"GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n".to_vec() },
    Crowd { name: "silent", size: 11_000, says: Vec::new },
    Crowd { name: "idle", size: 11_000, says: || b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec() },
    Crowd { name: "unread", size: 11_000, says: || b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40) },
    Crowd { name: "heads", size: 11_000, says: || [b"GET / HTTP/1.1\r\nHost: x\r\nX-Fat: ".as_slice(), &[b'x'; 60_000]].concat() },
    Crowd {
        name: "bodies",
        size: 11_000,
        says: || {
            let head = "POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n";
            [head.as_bytes(), &[b' '; 60_000]].concat()
        },
    },
];

/// How long answers took, shortest first.
struct Took {
    probes: Vec<Duration>,
    reads: Vec<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => output::failure(&error, output::FAILED),
    }
}

async fn run() -> Result<bool> {
    // Each of a crowd is an open file here as well.
    let _as_many_as_there_were = rlimit::increase_nofile_limit(u64::MAX);
    let (stack, database) = Stack::and_database().await?;
    let indexer = Indexer::start(stack.index_config(), &database)?;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    for _ in 0..30 {
        poster.draft(stack.offer(Usdc::whole(10)).await?).await?;
    }
    stack.until_indexed(&database).await?;
    let directory = scratch()?;
    let rpc = stack.rpc_url();
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("RPC_URL", rpc.as_str()),
        ("CLAWPAY_API_ADDR", "127.0.0.1:0"),
        // What holds for strangers if nothing is set; set, it holds for those on this machine.
        ("CLAWPAY_RATE_LIMIT", "100/2000"),
        ("CLAWPAY_LOG", "warn"),
    ];
    let mut server = Clawpay::start(&["serve"], directory.path(), settings)?;
    server.until_it_says("Serving the API on", WITHIN).await?;
    let base = server.printed("Serving the API on")?;
    let address: SocketAddr = base.trim_start_matches("http://").parse()?;
    ask(&base, ASKED / 4).await?;
    let alone = ask(&base, ASKED).await?;
    let before = server.memory_kib("VmRSS")?;
    let mut all_is_well = true;
    for crowd in CROWDS {
        let (held, come) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gathering = AbortOnDropHandle::new(tokio::spawn(gather(crowd, address, Arc::clone(&held), Arc::clone(&come))));
        let started = Instant::now();
        while come.load(Ordering::Relaxed) < crowd.size {
            ensure!(started.elapsed() < 4 * WITHIN, "only {} of {crowd:?} have come", come.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let took = ask(&base, ASKED).await?;
        let (probes, reads) = (times(&took.probes, &alone.probes), times(&took.reads, &alone.reads));
        let memory = server.memory_kib("VmRSS")?;
        all_is_well &= probes <= MOST_TIMES_IDLE && reads <= MOST_TIMES_IDLE;
        output::result(format_args!(
            r#"{{"crowd":"{}","came":{},"held":{},"probeP95Ms":{},"probeTimesIdle":{probes:.2},"readP95Ms":{},"readTimesIdle":{reads:.2},"memoryMb":{},"beforeMb":{}}}"#,
            crowd.name,
            crowd.size,
            held.load(Ordering::Relaxed),
            milliseconds(p95(&took.probes)),
            milliseconds(p95(&took.reads)),
            memory / 1024,
            before / 1024,
        ));
        drop(gathering);
        server.require_running()?;
    }
    indexer.stop().await??;
    Ok(all_is_well)
}

/// Keeps so many of a crowd coming. `come` counts all who have been there once, `held` those who are there.
async fn gather(crowd: Crowd, address: SocketAddr, held: Arc<AtomicUsize>, come: Arc<AtomicUsize>) {
    let at_once = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut all = JoinSet::new();
    for _ in 0..crowd.size {
        let (held, come, at_once) = (Arc::clone(&held), Arc::clone(&come), Arc::clone(&at_once));
        all.spawn(async move {
            let mut is_new = true;
            loop {
                let permit = at_once.acquire().await;
                let stream = begin(crowd, address).await;
                drop(permit);
                come.fetch_add(usize::from(is_new), Ordering::Relaxed);
                is_new = false;
                if let Ok(mut stream) = stream {
                    held.fetch_add(1, Ordering::Relaxed);
                    until_hung_up(crowd, &mut stream).await;
                    held.fetch_sub(1, Ordering::Relaxed);
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    while all.join_next().await.is_some() {}
}

/// Connects as the stranger, and says what it has to say, as far as it is listened to.
async fn begin(crowd: Crowd, address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::from([127, 0, 0, 2]), 0))?;
    let mut stream = socket.connect(address).await?;
    let says = (crowd.says)();
    let _as_far = tokio::time::timeout(Duration::from_secs(1), stream.write_all(&says)).await;
    Ok(stream)
}

/// Reads what comes, but for who leaves it unread: that one looks for an end alone.
async fn until_hung_up(crowd: Crowd, stream: &mut TcpStream) {
    if crowd.name == "unread" {
        while stream.write_all(b"GET").await.is_ok() {
            tokio::time::sleep(AGAIN).await;
        }
        return;
    }
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

/// Asks for what is alive and for runs, one after the other, each on a connection of its own.
async fn ask(base: &str, times: usize) -> Result<Took> {
    let client = Client::builder().pool_max_idle_per_host(0).timeout(WITHIN).build()?;
    let (mut probes, mut reads) = (Vec::new(), Vec::new());
    for _ in 0..times {
        for (path, took) in [("healthz", &mut probes), ("api/runs?limit=20", &mut reads)] {
            tokio::time::sleep(PACE).await;
            let started = Instant::now();
            let answer = client.get(format!("{base}/{path}")).send().await.with_context(|| format!("{path} is not answered"))?;
            ensure!(answer.status() == 200, "{path}: {}", answer.status());
            answer.bytes().await?;
            took.push(started.elapsed());
        }
    }
    probes.sort_unstable();
    reads.sort_unstable();
    Ok(Took { probes, reads })
}

fn p95(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 95 / 100).copied().unwrap_or_default()
}

#[allow(clippy::float_arithmetic, reason = "a ratio for people")]
fn times(crowded: &[Duration], alone: &[Duration]) -> f64 {
    p95(crowded).max(SHORTEST).as_secs_f64() / p95(alone).max(SHORTEST).as_secs_f64()
}

fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{:03}", micros / 1_000, micros % 1_000)
}

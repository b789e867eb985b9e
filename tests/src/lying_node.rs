//! A node that lies: an HTTP proxy before one or two honest ones that changes some of their answers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy::hex;
use anyhow::{Result, ensure};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// More than the longest that an indexer leaves a node alone.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is wrong with the answers. Lies with a number are told that often; the number left is what [`LyingNode::lie`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// There are none: every request is turned away.
    Away,
    /// They never come.
    Silent,
    /// Each is that this was one question too many, with the seconds to wait in `Retry-After`.
    Busy(u64),
    /// The same as a JSON-RPC error, -32005, where the code stands for that.
    BusyInWords,
    /// Answers to `eth_getLogs` and receipts that hold logs lack the last one.
    DropsALog(usize),
    /// Answers to `eth_getLogs` that hold logs are empty, and receipts hold none either.
    HidesLogs(usize),
    /// As before, and the headers' filters are empty too.
    HidesLogsAndFilters(usize),
    /// Of logs asked for by range, those in the second half are missing.
    TruncatesLogs(usize),
    /// `eth_getLogs` answers the logs twice, backwards, and so does each receipt.
    RepeatsLogs(usize),
    /// `eth_getLogs` answers the logs backwards, and so does each receipt.
    ReversesLogs(usize),
    /// Logs name another block's hash.
    MisplacesLogs(usize),
    /// Headers come with another block's timestamp.
    ChangesHeaders(usize),
    /// There is no block where there is one.
    LosesBlocks(usize),
    /// Blocks named by their hash are unknown, as if they had just been replaced.
    ForgetsBlocks(usize),
    /// Each request goes to the other node of the two.
    MixesForks,
    /// Blocks above this height are the second node's, the others the first's.
    SplitsAt(u64),
    /// Everything is the second node's.
    IsOnOtherFork,
    /// The final block is the second node's, everything else the first's.
    NamesAnotherFinal,
    /// The chain ends at this height.
    EndsAt(u64),
    /// It has never heard of safe and final blocks.
    KnowsNoTags,
    /// The last blocks, this many, are replaced by empty ones just before logs are answered; once.
    ReorganisesInBetween(u64),
    /// `eth_getLogs` over more than this many blocks is refused, in words no other node uses.
    RefusesRangesOver(u64),
    /// The same, and the refusal names a range that would do.
    SuggestsRangesOf(u64),
    /// The same as -32005, where the code stands for that.
    RefusesResultsOver(u64),
}

/// A lying node.
#[derive(Debug)]
pub struct LyingNode {
    url: Url,
    lie: Arc<Mutex<Lie>>,
    requests: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Proxy {
    nodes: Vec<Url>,
    lie: Arc<Mutex<Lie>>,
    turn: Arc<Mutex<usize>>,
    requests: Arc<AtomicUsize>,
    looks: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl LyingNode {
    /// Starts to lie before `nodes`, the first of which is asked unless forks are mixed.
    pub async fn start(nodes: Vec<Url>, lie: Lie) -> Result<Self> {
        let lie = Arc::new(Mutex::new(lie));
        let requests = Arc::<AtomicUsize>::default();
        let looks = Arc::<AtomicUsize>::default();
        let client = reqwest::Client::new();
        let proxy = Proxy {
            nodes,
            lie: Arc::clone(&lie),
            turn: Arc::default(),
            requests: Arc::clone(&requests),
            looks: Arc::clone(&looks),
            client,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        // Whatever the path: providers put keys there.
        let router = Router::new().fallback(post(answer)).with_state(proxy);
        let server = tokio::spawn(async move {
            // Ends when the test does.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, lie, requests, looks, server })
    }

    /// Where it listens.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Lies otherwise from now on.
    pub fn tell(&self, lie: Lie) {
        *locked(&self.lie) = lie;
    }

    /// What it would lie next; counted lies run out.
    pub fn lie(&self) -> Lie {
        *locked(&self.lie)
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Relaxed)
    }

    /// How often its head was asked for, as an indexer that follows it does.
    pub fn looks(&self) -> usize {
        self.looks.load(Relaxed)
    }

    /// Waits until its head has been asked for that often again, however slow the machine is.
    pub async fn until_looked_at(&self, times: usize) -> Result<()> {
        let (before, started) = (self.looks(), Instant::now());
        while self.looks() < before + times {
            ensure!(started.elapsed() < PATIENCE, "it is not followed");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for LyingNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Result<Response, StatusCode> {
    proxy.requests.fetch_add(1, Relaxed);
    let lie = *locked(&proxy.lie);
    match lie {
        Lie::Away => return Err(StatusCode::BAD_GATEWAY),
        Lie::Silent => std::future::pending().await,
        Lie::Busy(seconds) => {
            let wait: [(HeaderName, String); 1] = [(RETRY_AFTER, seconds.to_string())];
            return Ok((StatusCode::TOO_MANY_REQUESTS, wait, "slow down").into_response());
        }
        _ => {}
    }
    Ok(Json(match request {
        Value::Array(requests) => {
            let mut answers = Vec::new();
            for request in requests {
                answers.push(proxy.ask(request).await?);
            }
            Value::Array(answers)
        }
        request => proxy.ask(request).await?,
    })
    .into_response())
}

impl Proxy {
    async fn ask(&self, mut request: Value) -> Result<Value, StatusCode> {
        let lie = *locked(&self.lie);
        self.looks.fetch_add(usize::from(request["params"][0] == "latest"), Relaxed);
        if let Some(error) = refusal(lie, &request) {
            locked(&self.lie).is_told_once_more();
            return Ok(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}));
        }
        if let Lie::EndsAt(height) = lie
            && let Some(answer) = shortened(&mut request, height)
        {
            return Ok(answer);
        }
        if let Lie::ReorganisesInBetween(depth) = lie
            && (request["method"] == "eth_getLogs" || request["method"] == "eth_getBlockReceipts")
        {
            *locked(&self.lie) = Lie::None;
            let reorg = json!({"jsonrpc": "2.0", "id": 0, "method": "anvil_reorg", "params": [depth, []]});
            self.client.post(self.node(&request)).json(&reorg).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        }
        let response = self.client.post(self.node(&request)).json(&request).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut answer: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        match request["method"].as_str().unwrap_or_default() {
            "eth_getLogs" => self.lie_about_logs(&request, &mut answer["result"]),
            "eth_getBlockReceipts" => self.lie_about_receipts(&mut answer["result"]),
            // The beginning of the chain is what a node shows itself by.
            "eth_getBlockByNumber" if request["params"][0] != "0x0" => self.lie_about_header(&mut answer["result"]),
            _ => {}
        }
        Ok(answer)
    }

    fn node(&self, request: &Value) -> Url {
        let mut turn = locked(&self.turn);
        *turn = match *locked(&self.lie) {
            Lie::MixesForks => (*turn + 1) % self.nodes.len(),
            Lie::SplitsAt(height) => usize::from(is_above(request, height)),
            Lie::IsOnOtherFork => 1,
            Lie::NamesAnotherFinal => usize::from(request["params"][0] == "finalized"),
            _ => 0,
        };
        self.nodes[*turn].clone()
    }

    fn lie_about_logs(&self, request: &Value, result: &mut Value) {
        let Some(logs) = result.as_array_mut().filter(|logs| !logs.is_empty()) else { return };
        let is_range = request["params"][0].get("fromBlock").is_some();
        let mut lie = locked(&self.lie);
        match *lie {
            Lie::DropsALog(1..) => drop(logs.pop()),
            Lie::HidesLogs(1..) => logs.clear(),
            // Counted by the headers.
            Lie::HidesLogsAndFilters(1..) => return logs.clear(),
            Lie::TruncatesLogs(1..) if is_range => logs.truncate(logs.len() / 2),
            Lie::RepeatsLogs(1..) => {
                let backwards: Vec<_> = logs.iter().rev().cloned().collect();
                logs.extend(backwards);
            }
            Lie::ReversesLogs(1..) => logs.reverse(),
            Lie::MisplacesLogs(1..) => {
                for log in logs {
                    log["blockHash"] = json!(hex::encode_prefixed([7; 32]));
                }
            }
            _ => return,
        }
        lie.is_told_once_more();
    }

    /// A lie about logs that receipts give away is no good one.
    fn lie_about_receipts(&self, result: &mut Value) {
        let mut logs: Vec<_> = result.as_array_mut().into_iter().flatten().filter_map(|receipt| receipt["logs"].as_array_mut()).collect();
        logs.retain(|logs| !logs.is_empty());
        let mut lie = locked(&self.lie);
        match *lie {
            _ if logs.is_empty() => return,
            Lie::HidesLogs(1..) => logs.into_iter().for_each(Vec::clear),
            // Counted by the headers.
            Lie::HidesLogsAndFilters(1..) => return logs.into_iter().for_each(Vec::clear),
            Lie::DropsALog(1..) => drop(logs.pop().and_then(Vec::pop)),
            Lie::RepeatsLogs(1..) => {
                for logs in logs {
                    let backwards: Vec<_> = logs.iter().rev().cloned().collect();
                    logs.extend(backwards);
                }
            }
            Lie::ReversesLogs(1..) => logs.into_iter().for_each(|logs| logs.reverse()),
            Lie::MisplacesLogs(1..) => {
                for log in logs.into_iter().flatten() {
                    log["blockHash"] = json!(hex::encode_prefixed([7; 32]));
                }
            }
            _ => return,
        }
        lie.is_told_once_more();
    }

    fn lie_about_header(&self, result: &mut Value) {
        if result.is_null() {
            return;
        }
        let mut lie = locked(&self.lie);
        match *lie {
            Lie::ChangesHeaders(1..) => result["timestamp"] = json!("0x77359400"),
            Lie::LosesBlocks(1..) => *result = Value::Null,
            Lie::HidesLogsAndFilters(1..) => result["logsBloom"] = json!(hex::encode_prefixed([0; 256])),
            _ => return,
        }
        lie.is_told_once_more();
    }
}

impl Lie {
    /// One less of a counted lie.
    const fn is_told_once_more(&mut self) {
        if let Self::DropsALog(left)
        | Self::HidesLogs(left)
        | Self::HidesLogsAndFilters(left)
        | Self::TruncatesLogs(left)
        | Self::RepeatsLogs(left)
        | Self::ReversesLogs(left)
        | Self::MisplacesLogs(left)
        | Self::ChangesHeaders(left)
        | Self::LosesBlocks(left)
        | Self::ForgetsBlocks(left) = self
        {
            *left = left.saturating_sub(1);
        }
    }
}

/// The error that is answered instead of anything.
fn refusal(lie: Lie, request: &Value) -> Option<Value> {
    let filter = &request["params"][0];
    let is_wide = |limit| request["method"] == "eth_getLogs" && span(filter) > limit;
    match lie {
        Lie::BusyInWords => {
            Some(json!({"code": -32005, "message": "project ID request rate exceeded", "data": {"rate": {"backoff_seconds": 1}}}))
        }
        Lie::ForgetsBlocks(1..) if names_a_block(request) => Some(json!({"code": -32000, "message": "unknown block"})),
        Lie::KnowsNoTags if request["params"][0] == "safe" || request["params"][0] == "finalized" => {
            Some(json!({"code": -32602, "message": "invalid block tag"}))
        }
        Lie::RefusesRangesOver(limit) if is_wide(limit) => {
            Some(json!({"code": -32602, "message": "that is more than anybody wants to search"}))
        }
        Lie::SuggestsRangesOf(blocks) if is_wide(blocks) => {
            let from = number(&filter["fromBlock"]).unwrap_or_default();
            let message = format!("this block range should work: [{from:#x}, {:#x}]", from + blocks - 1);
            Some(json!({"code": -32602, "message": message}))
        }
        Lie::RefusesResultsOver(limit) if is_wide(limit) => {
            Some(json!({"code": -32005, "message": "query returned more than 10000 results"}))
        }
        _ => None,
    }
}

/// Makes a question about the head one about `height`; or the answer, if it is about something higher.
fn shortened(request: &mut Value, height: u64) -> Option<Value> {
    let answer = |result: Value| Some(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    match request["method"].as_str() {
        Some("eth_blockNumber") => answer(json!(format!("{height:#x}"))),
        Some("eth_getBlockByNumber") => match number(&request["params"][0]) {
            Some(number) if number > height => answer(Value::Null),
            None if request["params"][0] == "latest" => {
                request["params"][0] = json!(format!("{height:#x}"));
                None
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether a request is about blocks above a height. Those named by their hash are.
fn is_above(request: &Value, height: u64) -> bool {
    match request["method"].as_str() {
        Some("eth_getBlockByNumber") => number(&request["params"][0]).is_none_or(|number| number > height),
        Some("eth_getLogs" | "eth_getBlockReceipts") => true,
        _ => false,
    }
}

/// Whether a request is about a block's content, by its hash.
fn names_a_block(request: &Value) -> bool {
    request["method"] == "eth_getBlockReceipts" || request["params"][0].get("blockHash").is_some()
}

/// A quantity; nothing for a tag.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// How many blocks a filter covers; one, if it names a block.
fn span(filter: &Value) -> u64 {
    match (number(&filter["fromBlock"]), number(&filter["toBlock"])) {
        (Some(from), Some(to)) => to.saturating_sub(from) + 1,
        _ => 1,
    }
}

/// What a mutex holds, whether or not a test panicked while holding it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

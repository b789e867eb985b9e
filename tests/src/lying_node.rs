//! A node that lies: an HTTP proxy before one or two honest ones that changes some of their answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// What is wrong with the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// There are none: every request is turned away.
    Away,
    /// This many answers to `eth_getLogs` that hold logs lack the last one.
    DropsALog(usize),
    /// This many answers to `eth_getLogs` that hold logs are empty.
    HidesLogs(usize),
    /// Each request goes to the other node of the two.
    MixesForks,
    /// Blocks above this height are the second node's, the others the first's.
    SplitsAt(u64),
    /// `eth_getLogs` over more than this many blocks is refused.
    RefusesRangesOver(u64),
    /// `eth_getLogs` answers the logs twice, backwards.
    RepeatsLogs(usize),
}

/// A lying node.
#[derive(Debug)]
pub struct LyingNode {
    url: Url,
    lie: Arc<Mutex<Lie>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Proxy {
    nodes: Vec<Url>,
    lie: Arc<Mutex<Lie>>,
    turn: Arc<Mutex<usize>>,
    client: reqwest::Client,
}

impl LyingNode {
    /// Starts to lie before `nodes`, the first of which is asked unless forks are mixed.
    pub async fn start(nodes: Vec<Url>, lie: Lie) -> Result<Self> {
        let lie = Arc::new(Mutex::new(lie));
        let proxy = Proxy { nodes, lie: Arc::clone(&lie), turn: Arc::default(), client: reqwest::Client::new() };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        let router = Router::new().route("/", post(answer)).with_state(proxy);
        let server = tokio::spawn(async move {
            // Ends when the test does.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, lie, server })
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
}

impl Drop for LyingNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Result<Json<Value>, StatusCode> {
    if *locked(&proxy.lie) == Lie::Away {
        return Err(StatusCode::BAD_GATEWAY);
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
    }))
}

impl Proxy {
    async fn ask(&self, request: Value) -> Result<Value, StatusCode> {
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        let filter = request["params"][0].clone();
        if let Lie::RefusesRangesOver(limit) = *locked(&self.lie)
            && method == "eth_getLogs"
            && span(&filter) > limit
        {
            let error = json!({"code": -32602, "message": "that is a range nobody wants to search"});
            return Ok(json!({"jsonrpc": "2.0", "id": request["id"], "error": error}));
        }
        let response = self.client.post(self.node(&request)).json(&request).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut answer: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        if method == "eth_getLogs"
            && let Some(logs) = answer["result"].as_array_mut()
            && !logs.is_empty()
        {
            self.lie_about(logs);
        }
        Ok(answer)
    }

    fn node(&self, request: &Value) -> Url {
        let mut turn = locked(&self.turn);
        *turn = match *locked(&self.lie) {
            Lie::MixesForks => (*turn + 1) % self.nodes.len(),
            Lie::SplitsAt(height) => usize::from(is_above(request, height)),
            Lie::None | Lie::Away | Lie::DropsALog(_) | Lie::HidesLogs(_) | Lie::RepeatsLogs(_) | Lie::RefusesRangesOver(_) => 0,
        };
        self.nodes[*turn].clone()
    }

    fn lie_about(&self, logs: &mut Vec<Value>) {
        let mut lie = locked(&self.lie);
        match &mut *lie {
            Lie::DropsALog(left) if *left > 0 => {
                *left -= 1;
                logs.pop();
            }
            Lie::HidesLogs(left) if *left > 0 => {
                *left -= 1;
                logs.clear();
            }
            Lie::RepeatsLogs(left) if *left > 0 => {
                *left -= 1;
                let backwards: Vec<_> = logs.iter().rev().cloned().collect();
                logs.extend(backwards);
            }
            Lie::None
            | Lie::Away
            | Lie::DropsALog(_)
            | Lie::HidesLogs(_)
            | Lie::RepeatsLogs(_)
            | Lie::MixesForks
            | Lie::SplitsAt(_)
            | Lie::RefusesRangesOver(_) => {}
        }
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

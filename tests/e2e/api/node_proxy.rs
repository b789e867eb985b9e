//! A node that is not quite the one behind it, and that counts what it is asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// What a provider puts into the address of a node, and no answer and no log may show.
pub(super) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// In what it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// In nothing.
    None,
    /// It answers HTTP 502.
    Away,
    /// It takes a minute to answer.
    Slow,
    /// It says it is on another chain.
    OtherChain,
    /// It does not have `eth_simulateV1`.
    NoSimulation,
    /// Its blocks have no base fee.
    NoBaseFee,
    /// Its blocks have other hashes.
    OtherFork,
    /// It does not answer when it is to pass a transaction on.
    SendsNothing,
    /// It does not show receipts yet, though it counts what is mined.
    LateReceipts,
    /// Its chain publishes each transaction's bytes elsewhere, for 7 gwei.
    PublishesElsewhere,
    /// It nests revert data as hardhat does.
    NestedRevertData,
    /// It answers batches with HTTP 400.
    NoBatches,
    /// It answers batches with a single error.
    OneErrorForBatches,
    /// Its head is ten blocks behind.
    Behind,
    /// It repeats its address, key and all, in this way, whatever it is asked.
    Leaks(Leak),
}

/// How it repeats its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leak {
    /// In an error.
    Error,
    /// In an error that looks like a revert.
    Revert,
    /// In what comes with an error.
    Data,
    /// With another HTTP status.
    Status,
    /// As an answer that is none.
    Nonsense,
}

/// An HTTP proxy before a node.
pub(super) struct NodeProxy {
    pub(super) url: Url,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    oddity: Mutex<Oddity>,
    asked: Mutex<Asked>,
}

/// What it has been asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// HTTP requests.
    pub(super) requests: usize,
    /// Calls, by their methods.
    pub(super) calls: BTreeMap<String, usize>,
}

#[derive(Clone)]
struct Proxy {
    node: Url,
    shared: Arc<Shared>,
    client: reqwest::Client,
}

impl NodeProxy {
    /// Stands before `node`.
    pub(super) async fn start(node: Url, oddity: Oddity) -> Result<Self> {
        let shared = Arc::new(Shared { oddity: Mutex::new(oddity), asked: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        let proxy = Proxy { node, shared: Arc::clone(&shared), client: reqwest::Client::new() };
        let router = Router::new().fallback(post(answer)).with_state(proxy);
        let server = tokio::spawn(async move {
            // Ends when the test does.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, shared, server })
    }

    /// Its address with a key in it.
    pub(super) fn keyed_url(&self) -> Result<Url> {
        Ok(self.url.join(&format!("v3/{KEY}"))?)
    }

    /// Differs in this from now on.
    pub(super) fn turn(&self, oddity: Oddity) {
        *self.shared.oddity.lock().unwrap() = oddity;
    }

    /// What it has been asked since this was last called.
    pub(super) fn asked(&self) -> Asked {
        std::mem::take(&mut *self.shared.asked.lock().unwrap())
    }
}

impl Asked {
    /// How many calls that is.
    pub(super) fn count(&self) -> usize {
        self.calls.values().sum()
    }
}

impl Drop for NodeProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Result<Response, StatusCode> {
    let oddity = *proxy.shared.oddity.lock().unwrap();
    let questions = request.as_array().cloned().unwrap_or_else(|| vec![request.clone()]);
    proxy.shared.count(&questions);
    let asks = |method: &str| questions.iter().any(|question| question["method"] == method);
    match oddity {
        Oddity::Away => return Err(StatusCode::BAD_GATEWAY),
        Oddity::SendsNothing if asks("eth_sendRawTransaction") => return Err(StatusCode::BAD_GATEWAY),
        Oddity::NoBatches if request.is_array() => return Err(StatusCode::BAD_REQUEST),
        Oddity::OneErrorForBatches if request.is_array() => {
            let error = json!({ "code": -32600, "message": "batches are not supported" });
            return Ok(Json(json!({ "jsonrpc": "2.0", "id": null, "error": error })).into_response());
        }
        Oddity::Slow => tokio::time::sleep(std::time::Duration::from_secs(60)).await,
        Oddity::Leaks(Leak::Status) => return Ok((StatusCode::BAD_REQUEST, format!("no such project: {KEY}")).into_response()),
        _ => {}
    }
    let response = proxy.client.post(proxy.node.clone()).json(&request).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut answer: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    match &mut answer {
        Value::Array(answers) => {
            for answer in answers {
                let question = questions.iter().find(|question| question["id"] == answer["id"]);
                distort(oddity, question.unwrap_or(&Value::Null), answer);
            }
        }
        answer => distort(oddity, &request, answer),
    }
    Ok(Json(answer).into_response())
}

impl Shared {
    fn count(&self, questions: &[Value]) {
        let mut asked = self.asked.lock().unwrap();
        asked.requests += 1;
        for question in questions {
            *asked.calls.entry(question["method"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
    }
}

/// Makes of the node's answer to one call what this proxy answers.
fn distort(oddity: Oddity, question: &Value, answer: &mut Value) {
    let method = question["method"].as_str().unwrap_or_default();
    let error = |error: Value| json!({ "jsonrpc": "2.0", "id": question["id"], "error": error });
    let said = format!("upstream https://node.example/v3/{KEY} failed");
    match oddity {
        Oddity::OtherChain if method == "eth_chainId" => answer["result"] = json!("0x1"),
        Oddity::NoSimulation if method == "eth_simulateV1" => {
            *answer = error(json!({ "code": -32601, "message": "the method eth_simulateV1 does not exist" }));
        }
        Oddity::NoBaseFee if method == "eth_getBlockByNumber" => {
            if let Some(block) = answer["result"].as_object_mut() {
                block.remove("baseFeePerGas");
            }
        }
        Oddity::OtherFork if method == "eth_getBlockByNumber" && answer["result"].is_object() => {
            answer["result"]["hash"] = json!(format!("0x{}", "ab".repeat(32)));
        }
        Oddity::Behind if method == "eth_blockNumber" => {
            let height = answer["result"].as_str().and_then(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok());
            answer["result"] = json!(format!("{:#x}", height.unwrap_or_default().saturating_sub(10)));
        }
        Oddity::LateReceipts if method == "eth_getTransactionReceipt" => answer["result"] = Value::Null,
        Oddity::PublishesElsewhere if method == "eth_getTransactionReceipt" && answer["result"].is_object() => {
            answer["result"]["l1Fee"] = json!("0x1a13b8600");
        }
        Oddity::NestedRevertData if answer["error"]["data"].is_string() => {
            let data = answer["error"]["data"].take();
            let hash = format!("0x{}", "cd".repeat(32));
            answer["error"] = json!({
                "code": -32603,
                "message": "VM Exception while processing transaction",
                "data": { "message": "reverted", "txHash": hash, "data": data },
            });
        }
        Oddity::Leaks(Leak::Error) => *answer = error(json!({ "code": -32000, "message": said })),
        Oddity::Leaks(Leak::Revert) => {
            *answer = error(json!({ "code": 3, "message": format!("execution reverted: {said}"), "data": said }))
        }
        Oddity::Leaks(Leak::Data) => *answer = error(json!({ "code": -32603, "message": "internal error", "data": { "message": said } })),
        Oddity::Leaks(Leak::Nonsense) => *answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": said }),
        _ => {}
    }
}

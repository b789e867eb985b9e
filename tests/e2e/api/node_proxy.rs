//! A node that is not quite the one behind it.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

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
    /// It nests revert data as hardhat does.
    NestedRevertData,
}

/// An HTTP proxy before a node.
pub(super) struct NodeProxy {
    pub(super) url: Url,
    oddity: Arc<Mutex<Oddity>>,
    server: JoinHandle<()>,
}

#[derive(Clone)]
struct Proxy {
    node: Url,
    oddity: Arc<Mutex<Oddity>>,
    client: reqwest::Client,
}

impl NodeProxy {
    /// Stands before `node`.
    pub(super) async fn start(node: Url, oddity: Oddity) -> Result<Self> {
        let oddity = Arc::new(Mutex::new(oddity));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        let proxy = Proxy { node, oddity: Arc::clone(&oddity), client: reqwest::Client::new() };
        let router = Router::new().route("/", post(answer)).with_state(proxy);
        let server = tokio::spawn(async move {
            // Ends when the test does.
            let _ended = axum::serve(listener, router).await;
        });
        Ok(Self { url, oddity, server })
    }

    /// Differs in this from now on.
    pub(super) fn turn(&self, oddity: Oddity) {
        *self.oddity.lock().unwrap() = oddity;
    }
}

impl Drop for NodeProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(proxy): State<Proxy>, Json(request): Json<Value>) -> Result<Json<Value>, StatusCode> {
    let oddity = *proxy.oddity.lock().unwrap();
    let method = request["method"].as_str().unwrap_or_default();
    if oddity == Oddity::Away {
        return Err(StatusCode::BAD_GATEWAY);
    }
    if oddity == Oddity::SendsNothing && method == "eth_sendRawTransaction" {
        return Err(StatusCode::BAD_GATEWAY);
    }
    if oddity == Oddity::Slow {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    if oddity == Oddity::NoSimulation && method == "eth_simulateV1" {
        let error = json!({ "code": -32601, "message": "the method eth_simulateV1 does not exist" });
        return Ok(Json(json!({ "jsonrpc": "2.0", "id": request["id"], "error": error })));
    }
    let response = proxy.client.post(proxy.node.clone()).json(&request).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut answer: Value = response.json().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    match oddity {
        Oddity::OtherChain if method == "eth_chainId" => answer["result"] = json!("0x1"),
        Oddity::NoBaseFee if method == "eth_getBlockByNumber" => {
            if let Some(block) = answer["result"].as_object_mut() {
                block.remove("baseFeePerGas");
            }
        }
        Oddity::OtherFork if method == "eth_getBlockByNumber" && answer["result"].is_object() => {
            answer["result"]["hash"] = json!(format!("0x{}", "ab".repeat(32)));
        }
        Oddity::LateReceipts if method == "eth_getTransactionReceipt" => answer["result"] = Value::Null,
        Oddity::NestedRevertData if answer["error"]["data"].is_string() => {
            let data = answer["error"]["data"].take();
            let hash = format!("0x{}", "cd".repeat(32));
            answer["error"] = json!({
                "code": -32603,
                "message": "VM Exception while processing transaction",
                "data": { "message": "reverted", "txHash": hash, "data": data },
            });
        }
        _ => {}
    }
    Ok(Json(answer))
}

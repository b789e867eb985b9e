//! The fixture: a market of its own, indexed and served.

use std::{collections::BTreeSet, sync::LazyLock};

use alloy::{primitives::Address, providers::Provider};
use anyhow::{Context, Result, ensure};
use clawpay_api::Config;
use clawpay_tests::{Api, Indexer, Stack, key};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use super::strict_wallet;

/// The codes that the API's description knows.
static PROBLEM_CODES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(&clawpay_api::openapi().unwrap()).unwrap();
    let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
});

/// A market, its indexer and its API.
pub(super) struct Served {
    pub(super) stack: Stack,
    pub(super) indexer: Option<Indexer>,
    pub(super) api: Api,
    http: Client,
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Served {
    /// With defaults.
    pub(super) async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    /// With other settings.
    pub(super) async fn start_with(configure: impl FnOnce(&mut Config)) -> Result<Self> {
        let stack = Stack::with_database().await?;
        let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
        let mut served = Self::unindexed(stack, configure).await?;
        served.indexer = Some(indexer);
        served.settle().await?;
        Ok(served)
    }

    /// With nobody writing to the database.
    pub(super) async fn unindexed(stack: Stack, configure: impl FnOnce(&mut Config)) -> Result<Self> {
        let mut config = Config::new(stack.rpc_url(), stack.database_url()?);
        configure(&mut config);
        Ok(Self { stack, indexer: None, api: Api::start(config).await?, http: Client::new() })
    }

    /// The server.
    pub(super) const fn api(&self) -> &Api {
        &self.api
    }

    /// Waits until the index has the node's head.
    pub(super) async fn settle(&self) -> Result<()> {
        self.stack.until_indexed(&self.stack.database_url()?).await
    }

    /// `GET path`.
    pub(super) async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `GET path`, which must answer 200.
    pub(super) async fn read(&self, path: &str) -> Result<Value> {
        let answer = self.get(path).await?;
        ensure!(answer.status == StatusCode::OK, "{path}: {} {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// `POST path` with a JSON body.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// A request to be sent with [`Served::send`].
    pub(super) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{}", self.api.url(), path.trim_start_matches('/')))
    }

    /// Sends a request. Every answer has a JSON body.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).with_context(|| format!("{status} with a body that is not JSON: {text}"))?;
        Ok(Answer { status, headers, body })
    }

    /// Asks for a verb, which must be prepared.
    pub(super) async fn prepare(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.post(path, body).await?;
        ensure!(answer.status == StatusCode::ACCEPTED, "{path}: {} {:#}", answer.status, answer.body);
        let prepared = answer.body;
        ensure!(prepared["success"] == false && prepared["status"] == "signature_required", "{prepared:#}");
        ensure!(prepared.as_object().unwrap().contains_key("typedData"), "{prepared:#}");
        ensure!(prepared["typedData"].is_null() == prepared["relay"].is_null(), "{prepared:#}");
        ensure!(prepared["message"].is_string() && prepared["expiresAt"].is_string() && prepared["indexedBlock"].is_u64(), "{prepared:#}");
        for step in prepared["steps"].as_array().context("steps")? {
            ensure!(step["kind"] == "transaction" && step["id"].is_string() && step["description"].is_string(), "{step:#}");
            strict_wallet::require_signable(&step["transaction"])?;
        }
        strict_wallet::require_same_calls(&prepared)?;
        Ok(prepared)
    }

    /// Asks for a verb as account `index`, signs all its steps, hands them in and waits for the outcome.
    pub(super) async fn act(&self, index: u32, path: &str, body: &Value) -> Result<Value> {
        let prepared = self.prepare(path, body).await?;
        let signed = strict_wallet::sign_steps(&prepared, &key(index))?;
        let answer = self.post(path, &with(body, "signedTransactions", json!(signed))).await?;
        ensure!(answer.status == StatusCode::OK, "{path}: {} {:#}", answer.status, answer.body);
        ensure!(answer.body["success"] == true, "{:#}", answer.body);
        self.require_headroom(&prepared, &answer.body).await?;
        Ok(answer.body)
    }

    /// The last step's gas limit was at least a fifth above what it used.
    async fn require_headroom(&self, prepared: &Value, done: &Value) -> Result<()> {
        let hash = done["transactionHash"].as_str().context("transactionHash")?.parse()?;
        let receipt = self.stack.provider().get_transaction_receipt(hash).await?.context("a receipt")?;
        let limit = prepared["steps"].as_array().and_then(|steps| steps.last()).context("steps")?["transaction"]["gas"].as_str();
        let limit = u64::from_str_radix(limit.context("gas")?.trim_start_matches("0x"), 16)?;
        ensure!(limit * 100 >= receipt.gas_used * 120, "a gas limit of {limit} for {} gas", receipt.gas_used);
        Ok(())
    }
}

impl Answer {
    /// Fails unless this is a problem of that status and code.
    pub(super) fn require(&self, status: u16, code: &str) -> Result<&Self> {
        let Self { status: actual, headers, body } = self;
        ensure!(actual.as_u16() == status && body["code"] == code, "wanted {status} {code}, got {actual} {body:#}");
        ensure!(headers["content-type"] == "application/problem+json", "{headers:?}");
        ensure!(body["status"] == status && body["title"].is_string() && body["type"].is_string(), "{body:#}");
        ensure!(PROBLEM_CODES.contains(code), "the description does not know {code}");
        ensure!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body:#}");
        Ok(self)
    }

    /// As [`Answer::require`], and that field.
    pub(super) fn require_field(&self, status: u16, code: &str, field: &str) -> Result<&Self> {
        self.require(status, code)?;
        ensure!(self.body["field"] == field, "wanted the field {field}, got {:#}", self.body);
        Ok(self)
    }
}

/// `body` with one more member.
pub(super) fn with(body: &Value, name: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[name] = value;
    body
}

/// Account `index`.
pub(super) fn account(index: u32) -> Address {
    key(index).address()
}

/// The body of a verb that says no more than who signs.
pub(super) fn signer(index: u32) -> Value {
    json!({ "walletAddress": account(index) })
}

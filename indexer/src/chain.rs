//! The node, asked in the few ways the index needs. Every call has a time limit, and no error shows the node's address beyond its origin.
//!
//! Answers are taken apart here and believed nowhere: `fetch` compares them with one another.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, Bloom, Bytes, U64},
    pubsub::RawSubscription,
    rpc::{
        client::{ClientBuilder, RpcClient, WsConnect},
        types::Filter,
    },
    transports::{RpcError, TransportError, TransportErrorKind, TransportResult},
};
use clawpay_domain::Timestamp;
use clawpay_store::{Block, Tags};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::broadcast::error::RecvError;
use url::Url;

use crate::{
    config::{Config, origin},
    error::NodeError,
    log::Log,
};

const TIMEOUT: Duration = Duration::from_secs(20);
/// Questions in one JSON-RPC batch, and batches on their way at once.
const BATCH: usize = 100;
const CONCURRENT_BATCHES: usize = 4;
/// Characters of a node's message that are worth keeping.
const MESSAGE_LENGTH: usize = 200;

/// What the index reads of a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    number: U64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    timestamp: U64,
    /// All zero on chains that keep none.
    #[serde(default)]
    pub(crate) logs_bloom: Bloom,
}

impl Header {
    pub(crate) fn number(&self) -> u64 {
        self.number.to()
    }

    pub(crate) fn block(&self) -> Block {
        Block { number: self.number(), hash: self.hash, parent_hash: self.parent_hash, timestamp: Timestamp(self.timestamp.to()) }
    }
}

/// What the index reads of a receipt.
#[derive(Debug, Deserialize)]
struct Receipt {
    logs: Vec<Log>,
}

/// What can be a call's parameters.
trait Question: Serialize + Clone + Debug + Send + Sync + Unpin {}
impl<T: Serialize + Clone + Debug + Send + Sync + Unpin> Question for T {}

/// What can be a call's result.
trait Answer: DeserializeOwned + Debug + Send + Sync + Unpin + 'static {}
impl<T: DeserializeOwned + Debug + Send + Sync + Unpin + 'static> Answer for T {}

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    client: RpcClient,
    origin: String,
    confirmations: u64,
    /// Whether the node has ever named a finalized block. Then its silence means trouble, not that it does not know the word.
    knows_finality: AtomicBool,
    /// Questions in one batch: one, once a batch was refused.
    batch: AtomicUsize,
}

impl Node {
    /// Connects. An HTTP node is first spoken to by the first call.
    pub(crate) async fn connect(config: &Config) -> Result<Self, NodeError> {
        let origin = origin(&config.rpc_url);
        let client = match config.rpc_url.scheme() {
            "http" | "https" => ClientBuilder::default().http(config.rpc_url.clone()),
            // Reconnecting is the follower's business, which starts by proving the chain again.
            "ws" | "wss" => {
                let connect = WsConnect::new(config.rpc_url.as_str()).with_max_retries(1);
                match tokio::time::timeout(TIMEOUT, ClientBuilder::default().ws(connect)).await {
                    Ok(Ok(client)) => client,
                    Ok(Err(error)) => return Err(NodeError::Unreachable { origin, reason: innermost(&error, &config.rpc_url) }),
                    Err(_) => return Err(NodeError::Timeout { method: "the WebSocket handshake", seconds: TIMEOUT.as_secs() }),
                }
            }
            other => return Err(NodeError::Scheme(other.to_owned())),
        };
        let confirmations = config.confirmations;
        Ok(Self { client, origin, confirmations, knows_finality: AtomicBool::new(false), batch: AtomicUsize::new(BATCH) })
    }

    pub(crate) async fn chain_id(&self) -> Result<u64, NodeError> {
        self.ask("eth_chainId", self.client.request_noparams::<U64>("eth_chainId")).await.map(|id| id.to())
    }

    pub(crate) async fn code(&self, address: Address) -> Result<Bytes, NodeError> {
        self.ask("eth_getCode", self.client.request("eth_getCode", (address, "latest"))).await
    }

    /// The result of a view function, by the latest block.
    pub(crate) async fn call(&self, to: Address, data: Vec<u8>) -> Result<Bytes, NodeError> {
        let request = std::collections::BTreeMap::from([("to", to.to_string()), ("data", Bytes::from(data).to_string())]);
        self.ask("eth_call", self.client.request("eth_call", (request, "latest"))).await
    }

    /// The header at a height, if the node has one there.
    pub(crate) async fn header(&self, number: u64) -> Result<Option<Header>, NodeError> {
        let header = self.header_by_tag(&format!("{number:#x}")).await?;
        match &header {
            Some(header) if header.number() != number => Err(NodeError::Contradiction { number, reason: "it answers with another block" }),
            _ => Ok(header),
        }
    }

    /// The node's highest block, and which blocks it promises to keep.
    pub(crate) async fn head(&self) -> Result<(Header, Tags), NodeError> {
        let (head, safe, mut finalized) = futures::try_join!(self.header_by_tag("latest"), self.named("safe"), self.named("finalized"))?;
        let head = head.ok_or(NodeError::MissingBlock(0))?;
        if finalized.is_some() {
            self.knows_finality.store(true, Relaxed);
        } else if !self.knows_finality.load(Relaxed) {
            finalized = head.number().checked_sub(self.confirmations);
        }
        let tags = Tags { head: head.number(), safe, finalized };
        Ok((head, tags))
    }

    async fn header_by_tag(&self, tag: &str) -> Result<Option<Header>, NodeError> {
        const METHOD: &str = "eth_getBlockByNumber";
        self.ask(METHOD, self.client.request::<_, Option<Header>>(METHOD, (tag.to_owned(), false))).await
    }

    /// The height of the block that the node calls `tag`, if it knows the word.
    async fn named(&self, tag: &str) -> Result<Option<u64>, NodeError> {
        match self.header_by_tag(tag).await {
            Ok(header) => Ok(header.map(|header| header.number())),
            Err(NodeError::Refused { .. } | NodeError::NotUnderstood { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The headers at these heights, in the same order.
    pub(crate) async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, NodeError> {
        let params: Vec<_> = numbers.iter().map(|number| (format!("{number:#x}"), false)).collect();
        let headers = self.ask_many::<_, Option<Header>>("eth_getBlockByNumber", &params).await?;
        headers
            .into_iter()
            .zip(numbers)
            .map(|(header, number)| match header {
                Some(header) if header.number() == *number => Ok(header),
                Some(_) => Err(NodeError::Contradiction { number: *number, reason: "it answers with another block" }),
                None => Err(NodeError::MissingBlock(*number)),
            })
            .collect()
    }

    /// The logs of `addresses` from one height to another, both included.
    pub(crate) async fn logs(&self, addresses: &[Address], from: u64, to: u64) -> Result<Vec<Log>, NodeError> {
        let filter = Filter::new().address(addresses.to_vec()).from_block(from).to_block(to);
        self.ask("eth_getLogs", self.client.request("eth_getLogs", (filter,))).await
    }

    /// The logs of `addresses` in each of these blocks, in the same order.
    pub(crate) async fn logs_of(&self, addresses: &[Address], blocks: &[B256]) -> Result<Vec<Vec<Log>>, NodeError> {
        let params: Vec<_> = blocks.iter().map(|hash| (Filter::new().address(addresses.to_vec()).at_block_hash(*hash),)).collect();
        self.ask_many("eth_getLogs", &params).await
    }

    /// Every log of a block, by its receipts; nothing if the node does not serve them.
    pub(crate) async fn receipt_logs(&self, number: u64, block: B256) -> Result<Option<Vec<Log>>, NodeError> {
        const METHOD: &str = "eth_getBlockReceipts";
        match self.ask(METHOD, self.client.request::<_, Option<Vec<Receipt>>>(METHOD, (block,))).await {
            Ok(Some(receipts)) => Ok(Some(receipts.into_iter().flat_map(|receipt| receipt.logs).collect())),
            Ok(None) => Err(NodeError::MissingBlock(number)),
            Err(NodeError::Refused { .. } | NodeError::NotUnderstood { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pushed heads, where the node pushes.
    pub(crate) async fn heads(&self) -> Result<Heads, NodeError> {
        let Some(frontend) = self.client.pubsub_frontend() else { return Ok(Heads(None)) };
        const METHOD: &str = "eth_subscribe";
        let id = self.ask(METHOD, self.client.request::<_, B256>(METHOD, ("newHeads",))).await?;
        let subscription = self.ask(METHOD, frontend.get_subscription(id)).await?;
        Ok(Heads(Some(subscription)))
    }

    /// Asks one method many times, in batches, several at once; the answers come in the order of the questions.
    async fn ask_many<P, R>(&self, method: &'static str, params: &[P]) -> Result<Vec<R>, NodeError>
    where
        P: Question,
        R: Answer,
    {
        let questions: Vec<_> = params.chunks(self.batch.load(Relaxed)).map(|chunk| self.ask_chunk(method, chunk)).collect();
        let answers: Vec<Vec<R>> = stream::iter(questions).buffered(CONCURRENT_BATCHES).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn ask_chunk<P, R>(&self, method: &'static str, params: &[P]) -> Result<Vec<R>, NodeError>
    where
        P: Question,
        R: Answer,
    {
        if params.len() > 1 {
            match self.ask(method, self.ask_batch(method, params)).await {
                Ok(answers) => return Ok(answers),
                Err(error @ NodeError::Unreachable { .. }) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, method, "a batch was refused; asking one by one");
                    self.batch.store(1, Relaxed);
                }
            }
        }
        let questions: Vec<_> = params.iter().map(|params| self.ask(method, self.client.request::<_, R>(method, params.clone()))).collect();
        stream::iter(questions).buffered(CONCURRENT_BATCHES).try_collect().await
    }

    async fn ask_batch<P, R>(&self, method: &'static str, params: &[P]) -> TransportResult<Vec<R>>
    where
        P: Question,
        R: Answer,
    {
        let mut batch = self.client.new_batch();
        let answers = params.iter().map(|params| batch.add_call::<P, R>(method, params)).collect::<TransportResult<Vec<_>>>()?;
        batch.send().await?;
        futures::future::try_join_all(answers).await
    }

    /// Waits for an answer, but not for ever, and tells the failures apart.
    async fn ask<T>(&self, method: &'static str, answer: impl IntoFuture<Output = TransportResult<T>>) -> Result<T, NodeError> {
        match tokio::time::timeout(TIMEOUT, answer.into_future()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(method, &error)),
            Err(_) => Err(NodeError::Timeout { method, seconds: TIMEOUT.as_secs() }),
        }
    }

    fn explain(&self, method: &'static str, error: &TransportError) -> NodeError {
        match error {
            RpcError::ErrorResp(payload) => NodeError::Refused { method, code: payload.code, message: shorten(&payload.message) },
            RpcError::DeserError { err, .. } => NodeError::NotUnderstood { method, reason: shorten(&err.to_string()) },
            RpcError::NullResp => NodeError::NotUnderstood { method, reason: "it is null".to_owned() },
            RpcError::Transport(TransportErrorKind::HttpError(http)) => {
                NodeError::Refused { method, code: http.status.into(), message: format!("HTTP status {}", http.status) }
            }
            RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error: http, .. }) => {
                NodeError::Refused { method, code: http.status.into(), message: format!("HTTP status {}", http.status) }
            }
            other => NodeError::Unreachable { origin: self.origin.clone(), reason: shorten(&root(other).to_string()) },
        }
    }
}

/// Heads that the node pushes: a wake-up, whose content is not looked at.
pub(crate) struct Heads(Option<RawSubscription>);

impl Heads {
    /// Returns when a head was pushed; never, if none ever will be.
    pub(crate) async fn wait(&mut self) {
        if let Some(subscription) = &mut self.0 {
            match subscription.recv().await {
                // Heads that came while one was being indexed need no second look.
                Ok(_) => while subscription.rx.try_recv().is_ok() {},
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => self.0 = None,
            }
        } else {
            std::future::pending().await
        }
    }
}

/// The cause at the bottom: the ones above tend to repeat the address, which may hold a key.
fn root(error: &dyn std::error::Error) -> &dyn std::error::Error {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn innermost(error: &TransportError, url: &Url) -> String {
    shorten(&root(error).to_string().replace(url.as_str(), &origin(url)))
}

fn shorten(message: &str) -> String {
    message.chars().take(MESSAGE_LENGTH).collect()
}

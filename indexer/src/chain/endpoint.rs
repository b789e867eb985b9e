//! One node's JSON-RPC. Every call has a time limit, and no error shows the node's address beyond its origin.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, U64},
    rpc::{
        client::{ClientBuilder, RpcClient, WsConnect},
        types::Filter,
    },
    transports::{RpcError, TransportError, TransportErrorKind, TransportResult, http::reqwest},
};
use clawpay_store::Tags;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{
    header::{Head, Header},
    health::{BENCH_POLLS, Health},
    receipt::{self, Receipt, ReceiptLogs},
    refusal::{self, Meaning},
};
use crate::{
    config::{Config, Hashes, Secrets, origin},
    error::{IndexError, NodeError},
    log::Log,
};

/// Blocks on top of a final one, where neither the node nor the operator says.
const CONFIRMATIONS: u64 = 64;
/// Longest time for a question with a short answer.
const SHORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Questions in one JSON-RPC batch, and batches on their way at once.
const BATCH: usize = 100;
const CONCURRENT_BATCHES: usize = 4;
/// Characters of a node's message that are worth keeping.
const MESSAGE_LENGTH: usize = 200;

/// What can be a call's parameters.
trait Question: Serialize + Clone + Debug + Send + Sync + Unpin {}
impl<T: Serialize + Clone + Debug + Send + Sync + Unpin> Question for T {}

/// What can be a call's result.
trait Answer: DeserializeOwned + Debug + Send + Sync + Unpin + 'static {}
impl<T: DeserializeOwned + Debug + Send + Sync + Unpin + 'static> Answer for T {}

/// One node, what is known of it, and its record.
#[derive(Debug)]
pub(super) struct Endpoint {
    url: Url,
    pub(super) origin: String,
    secrets: Secrets,
    client: Mutex<Option<RpcClient>>,
    timeout: Duration,
    short_timeout: Duration,
    confirmations: Option<u64>,
    chain_id: u64,
    genesis_hash: B256,
    health: Mutex<Health>,
    /// Whether it has shown which chain it is on since it was last put on the bench.
    is_proven: AtomicBool,
    /// Whether hashes are computed again from what they are of.
    recomputes: AtomicBool,
    /// Whether the node has ever named a finalized block. Then its silence means trouble, not that it does not know the word.
    knows_finality: AtomicBool,
    /// Whether its receipts can be proved by their headers, as far as is known.
    proves_receipts: AtomicBool,
    /// Questions in one batch: one, once a batch was refused.
    batch: AtomicUsize,
    /// What was asked for on the strength of a pushed head.
    expected: Mutex<Option<Expected>>,
}

/// A block's receipts on their way.
#[derive(Debug)]
struct Expected {
    block: B256,
    receipts: AbortOnDropHandle<Result<Option<Vec<Receipt>>, NodeError>>,
}

impl Endpoint {
    /// Connects to nothing yet.
    pub(super) fn new(url: &Url, config: &Config) -> Result<Self, NodeError> {
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(NodeError::Scheme(url.scheme().to_owned()));
        }
        Ok(Self {
            origin: origin(url),
            secrets: Secrets::of([url]),
            url: url.clone(),
            client: Mutex::default(),
            timeout: config.scaled(config.node_timeout),
            short_timeout: config.scaled(config.node_timeout.min(SHORT_TIMEOUT)),
            confirmations: config.confirmations,
            chain_id: config.deployment.chain_id,
            genesis_hash: config.deployment.genesis_hash,
            health: Mutex::new(Health::new(config.poll_interval * BENCH_POLLS)),
            is_proven: AtomicBool::new(false),
            recomputes: AtomicBool::new(config.hashes == Hashes::Recomputed),
            knows_finality: AtomicBool::new(false),
            proves_receipts: AtomicBool::new(true),
            batch: AtomicUsize::new(BATCH),
            expected: Mutex::default(),
        })
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it may be asked, and is of the right chain.
    pub(super) fn is_well(&self) -> bool {
        self.is_proven.load(Relaxed) && self.health().is_well()
    }

    /// Whether it has not been looked at yet.
    pub(super) fn is_unknown(&self) -> bool {
        !self.is_proven.load(Relaxed) && self.health().is_well()
    }

    /// Puts it on the bench, for as long as its record or its own wish says. What comes after is a new connection.
    pub(super) fn bench(&self, error: &NodeError) {
        let wish = match error {
            NodeError::Quota { wait, .. } => *wait,
            _ => None,
        };
        self.health().bench(Instant::now(), wish);
        self.is_proven.store(false, Relaxed);
        *self.connection() = None;
    }

    /// Checks that it is on the deployment's chain, and answers its height.
    pub(super) async fn prove(&self) -> Result<u64, IndexError> {
        let (found, genesis, head) = futures::try_join!(self.chain_id(), self.header_by_tag("0x0"), self.height())?;
        if found != self.chain_id {
            return Err(IndexError::WrongChain { expected: self.chain_id, found });
        }
        let genesis = genesis.ok_or(NodeError::MissingBlock(0))?;
        if genesis.hash != self.genesis_hash {
            return Err(IndexError::WrongGenesis { expected: self.genesis_hash, found: genesis.hash });
        }
        // The one header that the deployment vouches for shows whether this chain's headers can be hashed at all.
        if genesis.is_genuine() == Some(false) && self.recomputes.swap(false, Relaxed) {
            tracing::warn!(node = self.origin, "this chain's headers do not hash as Ethereum's do; their hashes are taken as told");
        }
        self.is_proven.store(true, Relaxed);
        Ok(head)
    }

    async fn chain_id(&self) -> Result<u64, NodeError> {
        self.ask::<_, U64>("eth_chainId", [(); 0]).await.map(|id| id.to())
    }

    /// The height of its head.
    pub(super) async fn height(&self) -> Result<u64, NodeError> {
        self.ask::<_, U64>("eth_blockNumber", [(); 0]).await.map(|number| number.to())
    }

    pub(super) async fn code(&self, address: Address) -> Result<Bytes, NodeError> {
        self.ask("eth_getCode", (address, "latest")).await
    }

    pub(super) async fn call(&self, to: Address, data: Vec<u8>) -> Result<Bytes, NodeError> {
        self.ask("eth_call", (request(to, &data), "latest")).await
    }

    pub(super) async fn calls(&self, calls: &[(Address, Vec<u8>)], number: u64) -> Result<Vec<Option<Bytes>>, NodeError> {
        const METHOD: &str = "eth_call";
        let params: Vec<_> = calls.iter().map(|(to, data)| (request(*to, data), tag(number))).collect();
        match self.ask_many::<_, Bytes>(METHOD, &params).await {
            Ok(answers) => return Ok(answers.into_iter().map(Some).collect()),
            Err(error) if error.is_revert() => {}
            Err(error) => return Err(error),
        }
        // One of them reverts, and a batch does not say which.
        let each = params.into_iter().map(async |params| match self.ask::<_, Bytes>(METHOD, params).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_revert() => Ok(None),
            Err(error) => Err(error),
        });
        stream::iter(Vec::from_iter(each)).buffered(CONCURRENT_BATCHES).try_collect().await
    }

    pub(super) async fn header(&self, number: u64) -> Result<Option<Header>, NodeError> {
        let header = self.header_by_tag(&tag(number)).await?;
        header.map(|header| self.genuine(number, header)).transpose()
    }

    pub(super) async fn head(&self) -> Result<Head, NodeError> {
        let (head, safe, promised) = futures::try_join!(self.highest(), self.named("safe"), self.named("finalized"))?;
        // The three were asked one beside the other: the chain may have gone on in between, or a balancer sent them to three nodes.
        let is_below = |head: &Header| promised.as_ref().is_some_and(|promised| head.number() < promised.number());
        let head = if is_below(&head) { self.highest().await? } else { head };
        if is_below(&head) {
            return Err(NodeError::Contradiction { number: head.number(), reason: "it calls final what is above its head" });
        }
        let number = head.number();
        let finalized = self.finalized(number, promised.as_ref().map(Header::number));
        let tags = Tags { head: number, safe: safe.map(|safe| safe.number().min(number)), finalized };
        Ok(Head { header: head, tags, promised: promised.map(|promised| promised.block()) })
    }

    /// The height up to which blocks are final, on a chain of `height` blocks of which the node calls those up to `named` so.
    fn finalized(&self, height: u64, named: Option<u64>) -> Option<u64> {
        if named.is_some() {
            self.knows_finality.store(true, Relaxed);
        } else if self.knows_finality.load(Relaxed) {
            return None;
        }
        match (named, self.confirmations) {
            (None, confirmations) => height.checked_sub(confirmations.unwrap_or(CONFIRMATIONS)),
            (named, None) => named,
            (Some(named), Some(confirmations)) => height.checked_sub(confirmations).map(|deep| deep.min(named)),
        }
    }

    async fn highest(&self) -> Result<Header, NodeError> {
        let head = self.header_by_tag("latest").await?.ok_or(NodeError::MissingBlock(0))?;
        self.genuine(head.number(), head)
    }

    async fn header_by_tag(&self, tag: &str) -> Result<Option<Header>, NodeError> {
        self.ask("eth_getBlockByNumber", (tag, false)).await
    }

    /// The block that the node calls `tag`, if it knows the word.
    async fn named(&self, tag: &str) -> Result<Option<Header>, NodeError> {
        match self.header_by_tag(tag).await {
            Ok(Some(header)) => self.genuine(header.number(), header).map(Some),
            Ok(None) => Ok(None),
            Err(NodeError::Refused { .. } | NodeError::UnknownBlock { .. } | NodeError::NotUnderstood { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, NodeError> {
        let params: Vec<_> = numbers.iter().map(|number| (tag(*number), false)).collect();
        let headers = self.ask_many::<_, Option<Header>>("eth_getBlockByNumber", &params).await?;
        let checked = headers.into_iter().zip(numbers);
        checked.map(|(header, number)| self.genuine(*number, header.ok_or(NodeError::MissingBlock(*number))?)).collect()
    }

    /// A header that is of this height, and the one its hash stands for.
    fn genuine(&self, number: u64, header: Header) -> Result<Header, NodeError> {
        if header.number() != number {
            return Err(NodeError::Contradiction { number, reason: "it answers with another block" });
        }
        if self.recomputes.load(Relaxed) && header.is_genuine() == Some(false) {
            return Err(NodeError::Contradiction { number, reason: "its header does not hash to its hash" });
        }
        Ok(header)
    }

    pub(super) async fn logs(&self, addresses: &[Address], from: u64, to: u64) -> Result<Vec<Log>, NodeError> {
        let filter = Filter::new().address(addresses.to_vec()).from_block(from).to_block(to);
        self.ask_at_length("eth_getLogs", (filter,)).await
    }

    pub(super) async fn logs_of(&self, addresses: &[Address], blocks: &[B256]) -> Result<Vec<Vec<Log>>, NodeError> {
        let params: Vec<_> = blocks.iter().map(|hash| (Filter::new().address(addresses.to_vec()).at_block_hash(*hash),)).collect();
        self.ask_many("eth_getLogs", &params).await
    }

    /// Keeps the receipts of a block, which are on their way, for the question that comes for them.
    pub(super) fn expect_receipts(&self, block: B256, receipts: AbortOnDropHandle<Result<Option<Vec<Receipt>>, NodeError>>) {
        *self.expected() = Some(Expected { block, receipts });
    }

    fn expected(&self) -> MutexGuard<'_, Option<Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receipts(&self, block: B256) -> Result<Option<Vec<Receipt>>, NodeError> {
        let expected = self.expected().take().filter(|expected| expected.block == block);
        match expected {
            Some(expected) => match expected.receipts.await {
                // A node may push a head before it serves it.
                Ok(Ok(None) | Err(NodeError::UnknownBlock { .. })) | Err(_) => self.ask_receipts(block).await,
                Ok(answer) => answer,
            },
            None => self.ask_receipts(block).await,
        }
    }

    pub(super) async fn ask_receipts(&self, block: B256) -> Result<Option<Vec<Receipt>>, NodeError> {
        self.ask_at_length("eth_getBlockReceipts", (block,)).await
    }

    pub(super) async fn receipt_logs(&self, header: &Header) -> Result<Option<ReceiptLogs>, NodeError> {
        let number = header.number();
        let receipts = match self.receipts(header.hash).await {
            Ok(Some(receipts)) => receipts,
            Ok(None) => return Err(NodeError::MissingBlock(number)),
            Err(NodeError::Refused { .. } | NodeError::NotUnderstood { .. }) => {
                self.proves_receipts.store(false, Relaxed);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let root = header.receipts_root().filter(|_| self.recomputes.load(Relaxed));
        let roots = root.and_then(|expected| Some((expected, receipt::root(&receipts)?)));
        if roots.is_some_and(|(expected, found)| expected != found) {
            return Err(NodeError::Contradiction { number, reason: "its receipts do not hash to their root in its header" });
        }
        let are_proved = roots.is_some() && receipt::are_in_place(&receipts);
        self.proves_receipts.store(are_proved, Relaxed);
        Ok(Some(ReceiptLogs { logs: receipts.into_iter().flat_map(|receipt| receipt.logs).collect(), are_proved }))
    }

    pub(super) fn proves_receipts(&self) -> bool {
        self.proves_receipts.load(Relaxed)
    }

    /// Asks one method many times, in batches, several at once; the answers come in the order of the questions.
    async fn ask_many<P: Question, R: Answer>(&self, method: &'static str, params: &[P]) -> Result<Vec<R>, NodeError> {
        let questions: Vec<_> = params.chunks(self.batch.load(Relaxed)).map(|chunk| self.ask_chunk(method, chunk)).collect();
        let answers: Vec<Vec<R>> = stream::iter(questions).buffered(CONCURRENT_BATCHES).try_collect().await?;
        Ok(answers.into_iter().flatten().collect())
    }

    async fn ask_chunk<P: Question, R: Answer>(&self, method: &'static str, params: &[P]) -> Result<Vec<R>, NodeError> {
        if params.len() > 1 {
            let client = self.client().await?;
            match self.within(method, self.timeout, ask_batch(&client, method, params)).await {
                Ok(answers) => return Ok(answers),
                Err(error @ (NodeError::Unreachable { .. } | NodeError::Quota { .. } | NodeError::UnknownBlock { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::debug!(%error, method, "a batch was refused; asking one by one");
                    self.batch.store(1, Relaxed);
                }
            }
        }
        let questions: Vec<_> = params.iter().map(|params| self.ask_at_length(method, params.clone())).collect();
        stream::iter(questions).buffered(CONCURRENT_BATCHES).try_collect().await
    }

    /// A question with a short answer.
    async fn ask<P: Question, R: Answer>(&self, method: &'static str, params: P) -> Result<R, NodeError> {
        let client = self.client().await?;
        self.within(method, self.short_timeout, client.request::<P, R>(method, params)).await
    }

    /// A question whose answer may be long.
    async fn ask_at_length<P: Question, R: Answer>(&self, method: &'static str, params: P) -> Result<R, NodeError> {
        let client = self.client().await?;
        self.within(method, self.timeout, client.request::<P, R>(method, params)).await
    }

    /// The connection there is, or a new one. Over HTTP the first question makes it.
    async fn client(&self) -> Result<RpcClient, NodeError> {
        if let Some(client) = self.connection().clone() {
            return Ok(client);
        }
        let client = if self.is_pushing() { self.open_websocket().await? } else { self.open_http() };
        Ok(self.connection().insert(client).clone())
    }

    fn open_http(&self) -> RpcClient {
        // Where nothing is encrypted, the system's certificates need not be read, which takes longer than everything else.
        let plain = (self.url.scheme() == "http").then(|| reqwest::Client::builder().tls_certs_only([]).build().ok()).flatten();
        ClientBuilder::default().http_with_client(plain.unwrap_or_default(), self.url.clone())
    }

    fn connection(&self) -> MutexGuard<'_, Option<RpcClient>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can push new heads.
    pub(super) fn is_pushing(&self) -> bool {
        matches!(self.url.scheme(), "ws" | "wss")
    }

    /// A WebSocket of its own.
    pub(super) async fn open_websocket(&self) -> Result<RpcClient, NodeError> {
        // Reconnecting is the caller's business, who begins by proving the chain again.
        let connect = WsConnect::new(self.url.as_str()).with_max_retries(1);
        self.within("the WebSocket handshake", self.short_timeout, ClientBuilder::default().ws(connect)).await
    }

    /// Waits for an answer, but not for ever, and tells the failures apart.
    pub(super) async fn within<T>(
        &self,
        method: &'static str,
        limit: Duration,
        answer: impl IntoFuture<Output = TransportResult<T>>,
    ) -> Result<T, NodeError> {
        // On the heap: a call's state is large, and many are held by one look.
        match tokio::time::timeout(limit, Box::pin(answer.into_future())).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(method, &error)),
            Err(_) => Err(NodeError::Timeout { method, limit }),
        }
    }

    fn explain(&self, method: &'static str, error: &TransportError) -> NodeError {
        match error {
            RpcError::ErrorResp(payload) => {
                let data: Option<Value> = payload.data.as_ref().and_then(|data| serde_json::from_str(data.get()).ok());
                self.refused(method, payload.code, &payload.message, data.as_ref())
            }
            RpcError::DeserError { err, .. } => NodeError::NotUnderstood { method, reason: self.redacted(&err.to_string()) },
            RpcError::NullResp => NodeError::NotUnderstood { method, reason: "it is null".to_owned() },
            RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => {
                NodeError::NotUnderstood { method, reason: "a part of the batch is not answered".to_owned() }
            }
            RpcError::Transport(TransportErrorKind::HttpError(http)) => {
                self.refused(method, http.status.into(), &format!("HTTP status {}", http.status), None)
            }
            RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error: http, retry_after }) => {
                // A node that says when to come back means that it is busy, whatever the status.
                let message = format!("HTTP status {}, retry after {} s", http.status, retry_after.as_secs());
                self.refused(method, 429, &message, None)
            }
            other => NodeError::Unreachable { origin: self.origin.clone(), reason: self.redacted(&root(other).to_string()) },
        }
    }

    fn refused(&self, method: &'static str, code: i64, message: &str, data: Option<&Value>) -> NodeError {
        let shown = self.redacted(message);
        match refusal::meaning(code, message, data) {
            Meaning::Quota { wait } => NodeError::Quota { method, code, message: shown, wait },
            Meaning::UnknownBlock => NodeError::UnknownBlock { method },
            Meaning::Other { fits } => NodeError::Refused { method, code, message: shown, fits },
        }
    }

    /// The beginning of a text that is not ours, without what is secret about the address.
    fn redacted(&self, text: &str) -> String {
        self.secrets.hide(text).chars().take(MESSAGE_LENGTH).collect()
    }
}

async fn ask_batch<P: Question, R: Answer>(client: &RpcClient, method: &'static str, params: &[P]) -> TransportResult<Vec<R>> {
    let mut batch = client.new_batch();
    let answers = params.iter().map(|params| batch.add_call::<P, R>(method, params)).collect::<TransportResult<Vec<_>>>()?;
    batch.send().await?;
    futures::future::try_join_all(answers).await
}

/// A call as a parameter.
fn request(to: Address, data: &[u8]) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("to", to.to_string()), ("data", hex::encode_prefixed(data))])
}

/// A height as a parameter.
fn tag(number: u64) -> String {
    format!("{number:#x}")
}

/// The cause at the bottom: the ones above tend to repeat the address.
fn root(error: &dyn std::error::Error) -> &dyn std::error::Error {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

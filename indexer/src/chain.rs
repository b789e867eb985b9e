//! The chain, as one or several nodes tell it, asked in the few ways the index needs.
//!
//! One look at the chain asks one endpoint: the most preferred of those that are well. An endpoint that fails, lags behind the others,
//! contradicts itself or sits on a fork that the others do not follow is put on the bench for a while, then proved anew. Answers are taken
//! apart here and believed nowhere: `fetch` compares them with one another and, where something is odd, with another endpoint's.

mod endpoint;
mod header;
mod heads;
mod health;
mod receipt;
mod refusal;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256, Bytes};
use futures::future::join_all;
use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use self::endpoint::Endpoint;
pub(crate) use self::{
    header::{Head, Header},
    heads::Heads,
    receipt::ReceiptLogs,
};
use crate::{
    config::Config,
    error::{IndexError, NodeError},
    log::Log,
};

/// The time between two comparisons of all endpoints, in poll intervals.
const WATCH_POLLS: u32 = 5;
/// How often in a row an endpoint may contradict itself before another one is asked or, where there is none, before it is connected to anew;
/// and the pause before it is asked again.
const STRIKES: u32 = 3;
const CONTRADICTIONS: u32 = 20;
const CONTRADICTION_PAUSE: Duration = Duration::from_millis(150);
/// How much shorter another endpoint's chain may be and still speak against a reorganisation.
const AS_LONG: u64 = 2;

/// All endpoints, one of which is asked.
#[derive(Debug)]
pub(crate) struct Node {
    /// In order of preference.
    endpoints: Arc<[Endpoint]>,
    current: AtomicUsize,
    contradiction_pause: Duration,
    _watch: Option<AbortOnDropHandle<()>>,
}

impl Node {
    /// Asks no node yet. Endpoints beyond the first are watched in the background from here on.
    pub(crate) fn new(config: &Config) -> Result<Self, NodeError> {
        let urls = [&config.rpc_url].into_iter().chain(&config.fallback_rpc_urls);
        let endpoints: Arc<[Endpoint]> = urls.map(|url| Endpoint::new(url, config)).collect::<Result<Vec<_>, _>>()?.into();
        let watch = (endpoints.len() > 1).then(|| {
            let pace = config.poll_interval * WATCH_POLLS;
            AbortOnDropHandle::new(tokio::spawn(watch(Arc::clone(&endpoints), pace)))
        });
        let contradiction_pause = config.scaled(CONTRADICTION_PAUSE);
        Ok(Self { endpoints, current: AtomicUsize::new(0), contradiction_pause, _watch: watch })
    }

    /// Chooses whom to ask: the most preferred endpoint that is well. If none is, all that do not object are tried in turn.
    pub(crate) async fn settle(&self) -> Result<(), IndexError> {
        if let Some(index) = self.endpoints.iter().position(Endpoint::is_well) {
            self.choose(index);
            return Ok(());
        }
        let mut failure = None;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let wished_pause = endpoint.health().wished_pause(Instant::now());
            let error = match wished_pause {
                Some(wait) => NodeError::Busy { origin: endpoint.origin.clone(), seconds: wait.as_secs() }.into(),
                None => match endpoint.prove().await {
                    Ok(_) => {
                        endpoint.health().restore();
                        self.choose(index);
                        return Ok(());
                    }
                    Err(error) => {
                        bench(endpoint, &error);
                        error
                    }
                },
            };
            // One of them may come back, even if another is on a wrong chain.
            if failure.as_ref().is_none_or(|failure: &IndexError| !failure.is_transient()) {
                failure = Some(error);
            }
        }
        Err(failure.unwrap_or(NodeError::MissingBlock(0).into()))
    }

    /// Whether an endpoint is well that is preferred to the one being asked.
    pub(crate) fn prefers_another(&self) -> bool {
        let index = self.current.load(Relaxed);
        self.endpoints.iter().take(index).any(Endpoint::is_well)
    }

    fn choose(&self, index: usize) {
        if self.current.swap(index, Relaxed) != index {
            tracing::info!(node = self.endpoints[index].origin, "asking another node from now on");
        }
    }

    /// The look is over, and all went well.
    pub(crate) fn succeeded(&self) {
        self.asked().health().praise();
    }

    /// The look failed. Answers how long to wait before the next, or the error if there is no node left to ask.
    pub(crate) fn failed(&self, error: NodeError) -> Result<Duration, NodeError> {
        let endpoint = self.asked();
        let has_other = self.others().next().is_some();
        if matches!(error, NodeError::Contradiction { .. } | NodeError::UnknownBlock { .. } | NodeError::MissingBlock(_)) {
            // Perhaps the chain changed between two questions.
            let strikes = endpoint.health().strike();
            if strikes <= if has_other { STRIKES } else { CONTRADICTIONS } {
                tracing::debug!(%error, node = endpoint.origin, "nothing was written; looking again");
                return Ok(self.contradiction_pause);
            }
        }
        if has_other {
            tracing::warn!(%error, node = endpoint.origin, "leaving this node alone for a while");
        }
        endpoint.bench(&error);
        if has_other { Ok(Duration::ZERO) } else { Err(error) }
    }

    fn asked(&self) -> &Endpoint {
        &self.endpoints[self.current.load(Relaxed)]
    }

    /// Those that could be asked instead.
    fn others(&self) -> impl Iterator<Item = &Endpoint> {
        let current = self.current.load(Relaxed);
        self.endpoints.iter().enumerate().filter(move |(index, endpoint)| *index != current && endpoint.is_well()).map(|(_, other)| other)
    }

    /// Pushed heads, where a node pushes.
    pub(crate) fn heads(&self) -> Heads {
        Heads::listen(Arc::clone(&self.endpoints))
    }

    pub(crate) async fn code(&self, address: Address) -> Result<Bytes, NodeError> {
        self.asked().code(address).await
    }

    /// The result of a view function, by the latest block.
    pub(crate) async fn call(&self, to: Address, data: Vec<u8>) -> Result<Bytes, NodeError> {
        self.asked().call(to, data).await
    }

    /// The results of view functions, all by the block at this height; nothing where a call reverts.
    pub(crate) async fn calls(&self, calls: &[(Address, Vec<u8>)], number: u64) -> Result<Vec<Option<Bytes>>, NodeError> {
        self.asked().calls(calls, number).await
    }

    /// The header at a height, if the node has one there.
    pub(crate) async fn header(&self, number: u64) -> Result<Option<Header>, NodeError> {
        self.asked().header(number).await
    }

    /// The node's highest block, and which blocks it promises to keep.
    pub(crate) async fn head(&self) -> Result<Head, NodeError> {
        self.asked().head().await
    }

    /// The headers at these heights, in the same order.
    pub(crate) async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, NodeError> {
        self.asked().headers(numbers).await
    }

    /// The logs of `addresses` from one height to another, both included.
    pub(crate) async fn logs(&self, addresses: &[Address], from: u64, to: u64) -> Result<Vec<Log>, NodeError> {
        self.asked().logs(addresses, from, to).await
    }

    /// The logs of `addresses` in each of these blocks, in the same order.
    pub(crate) async fn logs_of(&self, addresses: &[Address], blocks: &[B256]) -> Result<Vec<Vec<Log>>, NodeError> {
        self.asked().logs_of(addresses, blocks).await
    }

    /// Asks for a block's receipts ahead of [`Node::receipt_logs`], which then takes these.
    pub(crate) fn expect_receipts(&self, block: B256) {
        let (endpoints, index) = (Arc::clone(&self.endpoints), self.current.load(Relaxed));
        let asking = tokio::spawn(async move { endpoints[index].ask_receipts(block).await });
        self.endpoints[index].expect_receipts(block, AbortOnDropHandle::new(asking));
    }

    /// Every log of a block, by its receipts; nothing if the node does not serve them.
    pub(crate) async fn receipt_logs(&self, header: &Header) -> Result<Option<ReceiptLogs>, NodeError> {
        self.asked().receipt_logs(header).await
    }

    /// Whether receipts are worth more than what the node answers to a filter, as far as is known: they can be proved.
    pub(crate) fn proves_receipts(&self) -> bool {
        self.asked().proves_receipts()
    }

    /// What another endpoint answers to the same question about one block; nothing, if there is none or it does not have the block.
    pub(crate) async fn logs_elsewhere(&self, addresses: &[Address], block: B256) -> Option<Vec<Log>> {
        for other in self.others() {
            match other.logs_of(addresses, &[block]).await {
                Ok(mut answers) => return answers.pop(),
                Err(error) => tracing::debug!(%error, node = other.origin, "no second opinion"),
            }
        }
        None
    }

    /// Whether another endpoint still has this block, on a chain that is as long as `head`. Then the endpoint being asked is on a fork of
    /// its own, for all that can be known.
    pub(crate) async fn is_kept_elsewhere(&self, number: u64, hash: B256, head: u64) -> bool {
        let keeps = self.others().map(async |other| {
            let (height, header) = futures::try_join!(other.height(), other.header(number))?;
            Ok::<_, NodeError>(height + AS_LONG >= head && header.is_some_and(|header| header.hash == hash))
        });
        join_all(keeps).await.into_iter().any(|keeps| keeps.unwrap_or(false))
    }
}

/// Compares the endpoints now and then: tries those whose time on the bench is up, and benches those that lag.
async fn watch(endpoints: Arc<[Endpoint]>, pace: Duration) {
    let mut tick = tokio::time::interval(pace);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let heights = join_all(endpoints.iter().map(height)).await;
        let Some(best) = heights.iter().copied().flatten().max() else { continue };
        for (endpoint, height) in endpoints.iter().zip(heights) {
            let Some(height) = height else { continue };
            let lags = endpoint.health().measure(height, best);
            if lags {
                let error = NodeError::Lagging { origin: endpoint.origin.clone(), height, best };
                bench(endpoint, &error.into());
            } else if endpoint.health().is_due(Instant::now()) {
                endpoint.health().restore();
            }
        }
    }
}

/// How far an endpoint is, if it may be asked; one that comes from the bench proves itself first.
async fn height(endpoint: &Endpoint) -> Option<u64> {
    let is_due = endpoint.is_unknown() || endpoint.health().is_due(Instant::now());
    let height = if is_due {
        endpoint.prove().await
    } else if endpoint.is_well() {
        endpoint.height().await.map_err(Into::into)
    } else {
        return None;
    };
    height.inspect_err(|error| bench(endpoint, error)).ok()
}

/// Puts an endpoint on the bench that was not being asked by anybody.
fn bench(endpoint: &Endpoint, error: &IndexError) {
    match error {
        IndexError::Node(error) => {
            tracing::debug!(%error, node = endpoint.origin, "this node is left alone for a while");
            endpoint.bench(error);
        }
        // The operator has to change something.
        error => {
            tracing::error!(%error, node = endpoint.origin, "this node is no use");
            endpoint.bench(&NodeError::MissingBlock(0));
        }
    }
}

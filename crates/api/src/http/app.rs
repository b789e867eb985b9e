//! What every request handler can reach.

use std::{sync::Arc, time::Instant};

use alloy::sol_types::Eip712Domain;
use clawpay_bindings::{TestUSDC, token_domain};
use clawpay_store::{Chain, IndexedBlock, Reader, Snapshot, StoreError, SubmittedTransactions};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use crate::{
    Config,
    error::ApiError,
    feed::{Hub, ListenerLimiter},
    node::{Node, NodeError},
    replica::Replica,
};

/// The server's state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    reader: Reader,
    submitted_transactions: SubmittedTransactions,
    replica: Option<Replica>,
    node: Node,
    gate: Option<Gate>,
    /// Asked for once: a token does not change its name.
    token_domain: OnceCell<Option<Eip712Domain>>,
    /// Changes whenever the index may have moved.
    index_moved: watch::Sender<()>,
    hub: Hub,
    listeners: ListenerLimiter,
    shutdown: CancellationToken,
    started: Instant,
}

impl App {
    /// Connects to nothing yet: a database or node that is away is something to answer, not a reason to stop.
    pub fn new(config: Config, shutdown: CancellationToken) -> Result<Self, StoreError> {
        let reader = Reader::new(&config.database_url, config.database)?;
        let submitted_transactions = SubmittedTransactions::new(&config.database_url)?;
        let node = Node::new(config.rpc_url.clone(), config.node_timeout);
        let replica = config.read_url.as_deref().map(|url| Replica::new(url, config.database)).transpose()?;
        let gate = Gate::new(config.rate_limit);
        let listeners = ListenerLimiter::new(config.events);
        let inner = Inner {
            config,
            gate,
            replica,
            reader,
            submitted_transactions,
            node,
            token_domain: OnceCell::new(),
            index_moved: watch::Sender::new(()),
            hub: Hub::new(),
            listeners,
            shutdown,
            started: Instant::now(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    pub(crate) fn submitted_transactions(&self) -> &SubmittedTransactions {
        &self.inner.submitted_transactions
    }

    pub(crate) fn node(&self) -> &Node {
        &self.inner.node
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    pub(crate) fn listeners(&self) -> &ListenerLimiter {
        &self.inner.listeners
    }

    /// Nothing where there is no rate limit.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.inner.gate.as_ref()
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.inner.shutdown
    }

    pub(crate) fn started(&self) -> Instant {
        self.inner.started
    }

    pub(crate) fn index_moved(&self) -> &watch::Sender<()> {
        &self.inner.index_moved
    }

    /// The database as of the last indexed block.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, ApiError> {
        self.reader().snapshot().await?.ok_or(ApiError::NothingIndexed)
    }

    /// The domain in which the token's permits and authorizations are signed; nothing if it does not say what it is called.
    pub(crate) async fn token_domain(&self, chain: &Chain) -> Result<Option<Eip712Domain>, NodeError> {
        let ask = async || {
            let (name, version) = tokio::try_join!(
                self.node().view(chain.usdc, &TestUSDC::nameCall {}),
                self.node().view(chain.usdc, &TestUSDC::versionCall {})
            )?;
            Ok(name.zip(version).map(|(name, version)| token_domain(name, version, chain.chain_id, chain.usdc)))
        };
        self.inner.token_domain.get_or_try_init(ask).await.cloned()
    }

    /// The database as of a recently indexed block, for answers that nobody decides by: from a replica where there is one that keeps up, from
    /// the database itself otherwise.
    pub(crate) async fn read_snapshot(&self) -> Result<Snapshot, ApiError> {
        if let Some(replica) = &self.inner.replica
            && let Some(snapshot) = replica.snapshot(|indexed| self.is_stale(indexed)).await
        {
            return Ok(snapshot);
        }
        self.snapshot().await
    }

    /// Whether reads may be a little older than the database.
    pub(crate) fn has_replica(&self) -> bool {
        self.inner.replica.is_some()
    }

    /// Whether the index is too far behind the node to decide anything by, or has not heard of the node for too long.
    pub(crate) fn is_stale(&self, indexed: &IndexedBlock) -> bool {
        indexed.lag() > self.config().max_lag_blocks || indexed.staleness > self.config().max_staleness
    }
}

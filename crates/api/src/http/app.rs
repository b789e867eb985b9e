//! What every request handler can reach.

use std::{num::NonZeroU32, sync::Arc, time::Instant};

use clawpay_store::{IndexedBlock, Reader, ReaderOptions, Snapshot, StoreError, SubmittedTransactions};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{documents::Documents, gate::Gate};
use crate::{
    Config,
    actions::{Preparer, TokenDomain, confirm::Confirmer},
    error::ApiError,
    feed::{Hub, ListenerLimiter},
    hidden::HideList,
    index_watch::IndexWatch,
    market::{self, AsOf, LagLimits},
    node::{BlockWatch, Node, NodeFacts},
    relay::Relayer,
    relay_funds::{RelayFunds, RelayPurse},
    replica::Replica,
    room::Room,
    transactions::{Looks, Tracker},
};

/// Bytes of all bodies that are being read, beyond those that each may have.
const ALL_BODIES_BYTES: usize = 32 * 1024 * 1024;

/// Connections to the database that clients' reads cannot use up, at most.
const APART: NonZeroU32 = NonZeroU32::MIN.saturating_add(11);

/// Connections for those who wait for a transaction, at most: a hash costs nothing to invent, and keeps no other from preparing.
const WAITING: NonZeroU32 = NonZeroU32::MIN.saturating_add(7);

/// The server's state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Answers what clients read.
    reads: Reader,
    /// Answers probes, listeners, and what wallets decide by: however much is read, it has connections of its own.
    reader: Reader,
    /// Answers those who wait for a transaction, or ask after one.
    confirming: Reader,
    submitted_transactions: SubmittedTransactions,
    replica: Option<Replica>,
    node: Node,
    node_facts: NodeFacts,
    gate: Option<Gate>,
    bodies: Room,
    token_domain: TokenDomain,
    relay_funds: RelayFunds,
    /// Changes whenever the index may have moved.
    index_moved: watch::Sender<()>,
    /// Where the index stands.
    index: Arc<IndexWatch>,
    /// New blocks, for those who wait for a transaction.
    blocks: Arc<BlockWatch>,
    looks: Looks,
    /// What looks at the index, at the nodes and at new blocks.
    _watching: [AbortOnDropHandle<()>; 3],
    hub: Arc<Hub>,
    listeners: ListenerLimiter,
    documents: Documents,
    shutdown: CancellationToken,
    started: Instant,
}

/// Looks at the index, at the nodes and, while a request waits, at new blocks, so that nothing has to be asked to know how they are.
fn watch_over(
    index: &Arc<IndexWatch>,
    blocks: &Arc<BlockWatch>,
    reader: &Reader,
    index_moved: &watch::Sender<()>,
    node: &Node,
    shutdown: &CancellationToken,
) -> [AbortOnDropHandle<()>; 3] {
    let (blocks, asked, block_shutdown) = (Arc::clone(blocks), node.clone(), shutdown.clone());
    let (index, reader, moved) = (Arc::clone(index), reader.clone(), index_moved.subscribe());
    let (told, watched) = (node.clone(), node.clone());
    let (index_shutdown, node_shutdown) = (shutdown.clone(), shutdown.clone());
    let looks_at_index = async move { index.run(reader, moved, |chain| told.expect_chain(chain.chain_id), index_shutdown).await };
    let looks_at_nodes = async move { watched.watch(node_shutdown).await };
    let looks_at_blocks = async move { blocks.run(asked, block_shutdown).await };
    [tokio::spawn(looks_at_index), tokio::spawn(looks_at_nodes), tokio::spawn(looks_at_blocks)].map(AbortOnDropHandle::new)
}

impl App {
    /// Begins to look at the index and the nodes, in tasks that end with it. Connects to nothing yet: a database or node that is away is something to answer, not a reason to stop.
    pub fn new(config: Config, shutdown: CancellationToken) -> Result<Self, StoreError> {
        let reads = Reader::new(&config.database_url, config.database)?;
        let apart = ReaderOptions { connections: config.database.connections.min(APART), ..config.database };
        let reader = Reader::new(&config.database_url, apart)?;
        let waiting = ReaderOptions { connections: config.database.connections.min(WAITING), ..config.database };
        let confirming = Reader::new(&config.database_url, waiting)?;
        let submitted_transactions = SubmittedTransactions::new(&config.database_url)?;
        let urls = [&config.rpc_url].into_iter().chain(&config.fallback_rpc_urls).cloned();
        let node = Node::new(urls, config.node_timeout, config.node_check);
        let replica = config.read_url.as_deref().map(|url| Replica::new(url, config.database)).transpose()?;
        let gate = Gate::new(config.rate_limit);
        let listeners = ListenerLimiter::new(config.events);
        let hub = Arc::new(Hub::new(reader.clone(), config.hidden.clone(), shutdown.clone()));
        let index_moved = watch::Sender::new(());
        let index = Arc::new(IndexWatch::default());
        let blocks = Arc::new(BlockWatch::default());
        let watching = watch_over(&index, &blocks, &reader, &index_moved, &node, &shutdown);
        let inner = Inner {
            config,
            gate,
            bodies: Room::new(ALL_BODIES_BYTES),
            replica,
            reads,
            reader,
            confirming,
            submitted_transactions,
            node,
            node_facts: NodeFacts::default(),
            token_domain: TokenDomain::default(),
            relay_funds: RelayFunds::default(),
            index_moved,
            index,
            blocks,
            looks: Looks::default(),
            _watching: watching,
            hub,
            listeners,
            documents: Documents::default(),
            shutdown,
            started: Instant::now(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// For probes, listeners and decisions; clients' reads have [`App::read`].
    pub(crate) fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    /// For those who wait for a transaction, or ask after one that anybody may have invented.
    pub(crate) fn confirming(&self) -> &Reader {
        &self.inner.confirming
    }

    pub(crate) fn submitted_transactions(&self) -> &SubmittedTransactions {
        &self.inner.submitted_transactions
    }

    pub(crate) fn node(&self) -> &Node {
        &self.inner.node
    }

    pub(crate) fn node_facts(&self) -> &NodeFacts {
        &self.inner.node_facts
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.inner.hub
    }

    pub(crate) fn listeners(&self) -> &ListenerLimiter {
        &self.inner.listeners
    }

    /// Nothing where there is no rate limit.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.inner.gate.as_ref()
    }

    /// Documents, compressed.
    pub(super) fn documents(&self) -> &Documents {
        &self.inner.documents
    }

    /// What all bodies that are being read share.
    pub(crate) fn bodies(&self) -> &Room {
        &self.inner.bodies
    }

    /// What is not shown at this moment.
    pub(crate) fn hidden(&self) -> Arc<HideList> {
        self.config().hidden.now()
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

    /// Where the index stands, and its moves.
    pub(crate) fn index(&self) -> &IndexWatch {
        &self.inner.index
    }

    /// The database as of the last indexed block.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, ApiError> {
        market::snapshot(self.reader()).await
    }

    /// What confirming works with.
    pub(crate) fn confirmer(&self) -> Confirmer<'_> {
        Confirmer {
            node: self.node(),
            reader: self.confirming(),
            notes: self.submitted_transactions(),
            blocks: &self.inner.blocks,
            index: self.index(),
            hub: self.hub(),
            looks: &self.inner.looks,
            shutdown: self.shutdown(),
            wait: self.config().confirmation_wait,
        }
    }

    /// What transactions are followed with.
    pub(crate) fn tracker(&self) -> Tracker<'_> {
        Tracker { node: self.node(), notes: self.submitted_transactions() }
    }

    /// What preparing works with.
    pub(crate) fn preparer(&self) -> Preparer<'_> {
        Preparer {
            node: self.node(),
            reader: self.reader(),
            index: self.index(),
            token_domain: &self.inner.token_domain,
            lag: self.lag_limits(),
            relay: self.relay_purse(),
        }
    }

    /// What relaying works with; nothing where nothing is relayed.
    pub(crate) fn relayer(&self) -> Option<Relayer<'_>> {
        Some(Relayer { node: self.node(), reader: self.reader(), purse: self.relay_purse()? })
    }

    /// What the operator pays for; nothing where nothing is relayed.
    pub(crate) fn relay_purse(&self) -> Option<RelayPurse<'_>> {
        let options = self.config().relay.as_ref()?;
        Some(RelayPurse { options, notes: self.submitted_transactions(), funds: &self.inner.relay_funds })
    }

    /// What `read` finds in the index as of a recent block, for answers that no wallet decides by: in a replica where there is one that keeps up, in
    /// the database itself otherwise.
    pub(crate) async fn read<T, F>(&self, read: impl Fn(Reader) -> F) -> Result<T, ApiError>
    where
        T: AsOf,
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        if let Some(replica) = &self.inner.replica
            && let Some(found) = replica.read(&read, |indexed| self.is_stale(indexed)).await
        {
            return Ok(found);
        }
        self.read_newest(read).await
    }

    /// What `read` finds in the database itself.
    pub(crate) async fn read_newest<T, F>(&self, read: impl Fn(Reader) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        read(self.inner.reads.clone()).await?.ok_or(ApiError::NothingIndexed)
    }

    /// Whether reads may be a little older than the database.
    pub(crate) fn has_replica(&self) -> bool {
        self.inner.replica.is_some()
    }

    /// Whether the index is too far behind the node to decide anything by, or has not heard of the node for too long.
    pub(crate) fn is_stale(&self, indexed: &IndexedBlock) -> bool {
        self.lag_limits().are_exceeded(indexed)
    }

    fn lag_limits(&self) -> LagLimits {
        LagLimits { blocks: self.config().max_lag_blocks, staleness: self.config().max_staleness }
    }
}

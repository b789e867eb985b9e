//! What a server needs to be told.

use std::{fmt, time::Duration};

use alloy::{primitives::U256, signers::local::PrivateKeySigner};
use clawpay_store::ReaderOptions;
use metrics_exporter_prometheus::PrometheusHandle;
use url::Url;

use crate::{
    client::{Client, TrustedProxies},
    hidden::Hidden,
    public_url::PublicUrl,
};

/// Largest request body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How one API server runs. Which market it serves is not here: the database says so.
#[derive(Clone)]
pub struct Config {
    /// The preferred node, which simulates, prices and passes on transactions; `http`, `https`, `ws` or `wss`. May hold a key, and is never
    /// shown.
    pub rpc_url: Url,
    /// Nodes to ask when that one is no use, in order of preference. Signed transactions are handed to several. May hold keys, and are never
    /// shown.
    pub fallback_rpc_urls: Vec<Url>,
    /// The indexer's database. May hold a password, and is never shown.
    pub database_url: String,
    /// A copy of that database that reads may be answered from, for as long as it keeps up. May hold a password, and is never shown.
    pub read_url: Option<String>,
    /// `/readyz` answers 503 until the index has come this far.
    pub ready_at_block: u64,
    /// How many blocks the index may lack before reads are marked stale, and prepares and `/readyz` answer 503.
    pub max_lag_blocks: u64,
    /// How long ago the indexer may have last checked the node's head before reads are marked stale, and prepares answer 503. Reads go on.
    pub max_staleness: Duration,
    /// Longest a confirmation waits for inclusion and indexing.
    pub confirmation_wait: Duration,
    /// Longest a single call may take, whichever node answers it in the end.
    pub node_timeout: Duration,
    /// The time between two looks at all nodes, by which it is known which of them is worth asking.
    pub node_check: Duration,
    /// Where clients see this server; links lead there.
    pub public_url: PublicUrl,
    /// Longest for a request's head to arrive, from its first byte on; and for a new connection to send that byte.
    pub head_timeout: Duration,
    /// How long a connection may lie idle after an answer. Clients and proxies that keep connections for less long never find one closed.
    pub keep_alive: Duration,
    /// How long a client may take nothing of what it is told.
    pub write_timeout: Duration,
    /// Longest for a request's body to arrive.
    pub body_timeout: Duration,
    /// How many requests one client may make.
    pub rate_limit: RateLimit,
    /// Who is believed about the clients it speaks for.
    pub trusted_proxies: TrustedProxies,
    /// Connections that are not listening to events.
    pub connections: ConnectionOptions,
    /// Connections to the database, and their limits.
    pub database: ReaderOptions,
    /// How many may listen to events, and for how long.
    pub events: EventOptions,
    /// Who pays for what wallets only sign; without it nothing is relayed.
    pub relay: Option<RelayOptions>,
    /// What is not shown, though it is there.
    pub hidden: Hidden,
    /// What `/metrics` shows, where there is such a path.
    pub metrics: Option<PrometheusHandle>,
}

/// How many requests one address may make. A network of 2^64 IPv6 addresses counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second, on and on; 0 for no limit.
    pub per_second: u32,
    /// Requests at once, after a while without any.
    pub burst: u32,
    /// Whether it holds for clients on this very machine too.
    pub includes_loopback: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { per_second: 100, burst: 2_000, includes_loopback: false }
    }
}

impl RateLimit {
    /// Whether limits by address hold for a client. Who is on this machine may speak for many.
    pub(crate) const fn holds_for(&self, client: Client) -> bool {
        !client.is_local || self.includes_loopback && self.per_second > 0
    }
}

impl Config {
    /// The defaults, for these two addresses.
    pub fn new(rpc_url: Url, database_url: impl Into<String>) -> Self {
        Self {
            rpc_url,
            fallback_rpc_urls: Vec::new(),
            database_url: database_url.into(),
            read_url: None,
            ready_at_block: 0,
            max_lag_blocks: 25,
            max_staleness: Duration::from_secs(30),
            confirmation_wait: Duration::from_secs(30),
            node_timeout: Duration::from_secs(5),
            node_check: Duration::from_secs(5),
            public_url: PublicUrl::default(),
            head_timeout: Duration::from_secs(15),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(10),
            rate_limit: RateLimit::default(),
            trusted_proxies: TrustedProxies::default(),
            connections: ConnectionOptions::default(),
            database: ReaderOptions::default(),
            events: EventOptions::default(),
            relay: None,
            hidden: Hidden::default(),
            metrics: None,
        }
    }
}

/// How many connections there may be, beside those that listen to events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// Altogether. For the next one, those that have waited longest for a request give way.
    pub total: u32,
    /// With one address, or one network of 2^64 IPv6 addresses, that speaks for one client.
    pub per_address: u32,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self { total: 10_000, per_address: 256 }
    }
}

/// How many may listen to events, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventOptions {
    /// Listeners of one address. Not set, 100, and as many as there are places on this machine itself, where proxies are.
    pub per_address: Option<u32>,
    /// Listeners altogether.
    pub total: u32,
    /// How long one of them is kept before it has to come back.
    pub lifetime: Duration,
    /// How often a listener that hears nothing is told that it is still heard.
    pub heartbeat: Duration,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self { per_address: None, total: 10_000, lifetime: Duration::from_secs(3_600), heartbeat: Duration::from_secs(15) }
    }
}

/// Who sends in the place of wallets that hold no ether, and how much that may cost. The key pays gas and is trusted with nothing else.
#[derive(Clone)]
pub struct RelayOptions {
    /// The account that sends. No other program may send from it.
    pub key: PrivateKeySigner,
    /// Most gas of one relayed transaction.
    pub max_gas: u64,
    /// Transactions relayed for one signer in 24 hours.
    pub signer_per_day: u32,
    /// Registrations among them.
    pub signer_registrations_per_day: u32,
    /// Transactions that one signer may make revert in 24 hours before nothing more is relayed for it.
    pub signer_reverts_per_day: u32,
    /// Wei that all transactions of 24 hours may cost together.
    pub budget_per_day: U256,
    /// How long a transaction may wait in the pool before it is offered more for its gas.
    pub patience: Duration,
}

impl RelayOptions {
    /// The defaults, for this account: 1.5 million gas; 50 a day for each signer, two of them registrations, and none after three that it made
    /// revert; a twentieth of an ether a day.
    pub fn new(key: PrivateKeySigner) -> Self {
        Self {
            key,
            max_gas: 1_500_000,
            signer_per_day: 50,
            signer_registrations_per_day: 2,
            signer_reverts_per_day: 3,
            budget_per_day: U256::from(50_000_000_000_000_000_u64),
            patience: Duration::from_secs(45),
        }
    }

    /// Wei that the registrations of 24 hours may cost together: a quarter. They cost their signers nothing, and must leave enough for those who
    /// have something at stake.
    pub(crate) fn registrations_budget_per_day(&self) -> U256 {
        self.budget_per_day / U256::from(4)
    }
}

impl fmt::Debug for RelayOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelayOptions")
            .field("account", &self.key.address())
            .field("max_gas", &self.max_gas)
            .field("signer_per_day", &self.signer_per_day)
            .field("signer_registrations_per_day", &self.signer_registrations_per_day)
            .field("signer_reverts_per_day", &self.signer_reverts_per_day)
            .field("budget_per_day", &self.budget_per_day)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("ready_at_block", &self.ready_at_block)
            .field("max_lag_blocks", &self.max_lag_blocks)
            .field("max_staleness", &self.max_staleness)
            .field("confirmation_wait", &self.confirmation_wait)
            .field("node_timeout", &self.node_timeout)
            .field("node_check", &self.node_check)
            .field("public_url", &self.public_url)
            .field("keep_alive", &self.keep_alive)
            .field("rate_limit", &self.rate_limit)
            .field("trusted_proxies", &self.trusted_proxies)
            .field("connections", &self.connections)
            .field("database", &self.database)
            .field("events", &self.events)
            .field("relay", &self.relay)
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

//! What the indexer is told.

use std::{fmt, time::Duration};

use clawpay_bindings::Deployment;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// One indexer.
#[derive(Clone)]
pub struct Config {
    /// The preferred node's JSON-RPC: `ws`, `wss` (new heads are pushed), `http` or `https` (they are asked for). May hold credentials.
    pub rpc_url: Url,
    /// Nodes to ask when the preferred one is no use, and for a second opinion, in order of preference.
    pub fallback_rpc_urls: Vec<Url>,
    /// Where the market lives.
    pub deployment: Deployment,
    /// Longest time between two looks at the head, pushed heads or not.
    pub poll_interval: Duration,
    /// Blocks that must lie on top of a block before it counts as final, however final the node calls it. If nothing is said: as the node
    /// says, and 64 where it does not know the word. No reorganisation reaches deeper.
    pub confirmations: Option<u64>,
    /// Which headers of finalized blocks are read.
    pub finalized_headers: FinalizedHeaders,
    /// Whether hashes are believed.
    pub hashes: Hashes,
    /// Longest a node may take for an answer that may be long. A short one has five seconds, or this if that is less.
    pub node_timeout: Duration,
    /// What a chain that is shorter than the index means.
    pub shorter_chain: ShorterChain,
    /// How long another indexer of the same database may be silent before this one, standing by, takes its place. One that is well says
    /// something every second, or whenever the node answers.
    pub standby_patience: Duration,
    /// Whether to draw a progress bar, if there is a terminal.
    pub progress: bool,
    /// How many times shorter than usual all pauses, and all time limits on the node, are. 1, except where a test has a simulated node and
    /// thousands of pauses to sit through.
    pub time_scale: u32,
}

/// Which headers of finalized blocks are read while catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalizedHeaders {
    /// All of them: each one names its parent, and its bloom filter tells whether the node kept a log back.
    Every,
    /// Those with events of ours, for chains with very many blocks. A node that hides a whole block's events is believed.
    WithEvents,
}

/// What is done about the hash of a header, and the root hash of receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashes {
    /// They are computed again, which costs one Keccak hash of some 600 bytes for each header that is read, and what hashes to something else is
    /// refused. On a chain whose genesis block does not hash to its own hash they are taken as told.
    Recomputed,
    /// They are taken as told: for a chain that has a way of its own to hash headers or receipts.
    AsTold,
}

/// What it means when the node's head is below the indexed block and nothing conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShorterChain {
    /// The node is syncing, or another one behind a balancer: wait for it.
    NodeIsBehind,
    /// No other node extends this chain, so blocks are lost: stop with [`IndexError::ChainBehindIndex`](crate::IndexError::ChainBehindIndex).
    BlocksAreLost,
}

impl Config {
    /// The defaults for a market on the node at `rpc_url`.
    pub fn new(rpc_url: Url, deployment: Deployment) -> Self {
        let poll_interval = if is_loopback(&rpc_url) { Duration::from_millis(200) } else { Duration::from_secs(1) };
        Self {
            rpc_url,
            fallback_rpc_urls: Vec::new(),
            deployment,
            poll_interval,
            confirmations: None,
            finalized_headers: FinalizedHeaders::Every,
            hashes: Hashes::Recomputed,
            node_timeout: Duration::from_secs(20),
            shorter_chain: ShorterChain::NodeIsBehind,
            standby_patience: Duration::from_secs(30),
            progress: false,
            time_scale: 1,
        }
    }

    /// A pause or time limit, as long as this indexer takes it.
    pub(crate) fn scaled(&self, usual: Duration) -> Duration {
        usual / self.time_scale.max(1)
    }
}

/// Without what may be a credential: user, password, path and query of the address.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("rpc_url", &origin(&self.rpc_url))
            .field("fallback_rpc_urls", &self.fallback_rpc_urls.iter().map(origin).collect::<Vec<_>>())
            .field("deployment", &self.deployment)
            .field("poll_interval", &self.poll_interval)
            .field("confirmations", &self.confirmations)
            .field("finalized_headers", &self.finalized_headers)
            .field("hashes", &self.hashes)
            .field("node_timeout", &self.node_timeout)
            .field("shorter_chain", &self.shorter_chain)
            .field("standby_patience", &self.standby_patience)
            .field("progress", &self.progress)
            .field("time_scale", &self.time_scale)
            .finish()
    }
}

/// The part of an address that can be shown: scheme, host and port.
pub fn origin(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// The parts of addresses that providers put keys into: user, password, path and query.
#[derive(Clone)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Shorter parts are no keys, and may be ordinary words.
    const SHORTEST: usize = 8;

    /// The secrets of these addresses.
    pub fn of<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Self {
        let mut secrets = Vec::new();
        for url in urls {
            let values: Vec<_> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
            let parts = [url.username(), url.password().unwrap_or_default(), url.path(), url.query().unwrap_or_default()];
            let all = parts.into_iter().chain(url.path_segments().into_iter().flatten()).chain(values.iter().map(String::as_str));
            secrets.extend(all.filter(|part| part.len() >= Self::SHORTEST).map(str::to_owned));
        }
        // A part that is hidden before the whole would leave the rest readable.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// These, and the passwords of addresses whose other parts are none: a database's.
    #[must_use]
    pub fn and_passwords<'a>(mut self, urls: impl IntoIterator<Item = &'a Url>) -> Self {
        for url in urls {
            let named = url.query_pairs().filter(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
            let plain = url.password().map(|password| percent_decode_str(password).decode_utf8_lossy().into_owned());
            let all = url.password().map(str::to_owned).into_iter().chain(plain).chain(named);
            self.0.extend(all.filter(|part| part.len() >= Self::SHORTEST));
        }
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self
    }

    /// `text` without them.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(hidden)"))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use clawpay_bindings::Contracts;

    use super::*;

    fn config(url: &str) -> Config {
        let contracts = Contracts {
            usdc: Address::ZERO,
            agent_registry: Address::ZERO,
            agent_stake: Address::ZERO,
            run_escrow: Address::ZERO,
            forwarder: Address::ZERO,
        };
        Config::new(url.parse().unwrap(), Deployment { chain_id: 1, genesis_hash: B256::ZERO, deployment_block: 1, contracts })
    }

    #[test]
    fn a_config_never_shows_the_addresss_secrets() {
        let mut config = config("wss://user:pass@node.example:8546/v3/key?token=t");
        config.fallback_rpc_urls.push("https://user:pass@other.example/key?token=t".parse().unwrap());
        let shown = format!("{config:?}");
        assert!(shown.contains("wss://node.example:8546") && shown.contains("https://other.example"), "{shown}");
        for secret in ["user", "pass", "key", "token"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn what_a_node_repeats_of_its_address_is_hidden() {
        let secrets = Secrets::of([&"https://somebody:password@node.example/v3/0123456789abcdef?apikey=fedcba9876543210".parse().unwrap()]);
        let said = secrets.hide("project 0123456789abcdef of somebody: /v3/0123456789abcdef?apikey=fedcba9876543210, password");
        assert_eq!(said, "project (hidden) of (hidden): (hidden)?(hidden), (hidden)");
        assert_eq!(Secrets::of([&"https://node.example/rpc".parse().unwrap()]).hide("rpc error"), "rpc error");
    }

    #[test]
    fn of_a_databases_address_the_password_is_hidden_in_either_spelling_and_nothing_else() {
        let url = "postgres://operator:top%23secret@db.example/operator?password=and-another".parse().unwrap();
        let secrets = Secrets::of([]).and_passwords([&url]);
        let said = secrets.hide("operator of /operator: top%23secret, top#secret, and-another");
        assert_eq!(said, "operator of /operator: (hidden), (hidden), (hidden)");
    }

    #[test]
    fn a_node_on_this_machine_is_asked_more_often() {
        assert_eq!(config("ws://127.0.0.1:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("http://[::1]:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("http://localhost:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("https://node.example").poll_interval, Duration::from_secs(1));
    }
}

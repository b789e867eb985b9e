//! What the indexer is told.

use std::{fmt, time::Duration};

use clawpay_bindings::Deployment;
use url::{Host, Url};

/// One indexer.
#[derive(Clone)]
pub struct Config {
    /// A node's JSON-RPC: `ws`, `wss` (new heads are pushed), `http` or `https` (they are asked for). May hold credentials.
    pub rpc_url: Url,
    /// Where the market lives.
    pub deployment: Deployment,
    /// Longest time between two looks at the head, pushed heads or not.
    pub poll_interval: Duration,
    /// Blocks that must lie on top of a block before it counts as final, on a node that does not know the word.
    pub confirmations: u64,
    /// Which headers of finalized blocks are read.
    pub finalized_headers: FinalizedHeaders,
    /// What a chain that is shorter than the index means.
    pub shorter_chain: ShorterChain,
    /// Whether to draw a progress bar, if there is a terminal.
    pub progress: bool,
    /// How many times shorter than usual all pauses, and all time limits on the node, are. 1, except where a test has a simulated node and
    /// thousands of pauses to sit through.
    pub hurry: u32,
}

/// Which headers of finalized blocks are read while catching up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalizedHeaders {
    /// All of them: each one names its parent, and its bloom filter tells whether the node kept a log back.
    Every,
    /// Those with events of ours, for chains with very many blocks. A node that hides a whole block's events is believed.
    WithEvents,
}

/// What it means when the node's head is below the indexed block and nothing conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShorterChain {
    /// The node is syncing, or another one behind a balancer: wait for it.
    NodeIsBehind,
    /// Nobody else extends this chain, so blocks are lost: stop with [`IndexError::ChainBehindIndex`](crate::IndexError::ChainBehindIndex).
    BlocksAreLost,
}

impl Config {
    /// The defaults for a market on the node at `rpc_url`.
    pub fn new(rpc_url: Url, deployment: Deployment) -> Self {
        let poll_interval = if is_loopback(&rpc_url) { Duration::from_millis(200) } else { Duration::from_secs(1) };
        Self {
            rpc_url,
            deployment,
            poll_interval,
            confirmations: 64,
            finalized_headers: FinalizedHeaders::Every,
            shorter_chain: ShorterChain::NodeIsBehind,
            progress: false,
            hurry: 1,
        }
    }

    /// A pause or time limit, as long as this indexer takes it.
    pub(crate) fn hurried(&self, usual: Duration) -> Duration {
        usual / self.hurry.max(1)
    }
}

/// Without what may be a credential: user, password, path and query of the address.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("rpc_url", &origin(&self.rpc_url))
            .field("deployment", &self.deployment)
            .field("poll_interval", &self.poll_interval)
            .field("confirmations", &self.confirmations)
            .field("finalized_headers", &self.finalized_headers)
            .field("shorter_chain", &self.shorter_chain)
            .field("progress", &self.progress)
            .field("hurry", &self.hurry)
            .finish()
    }
}

/// The part of an address that can be shown: scheme, host and port.
pub(crate) fn origin(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
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
        let contracts =
            Contracts { usdc: Address::ZERO, agent_registry: Address::ZERO, agent_stake: Address::ZERO, run_escrow: Address::ZERO };
        Config::new(url.parse().unwrap(), Deployment { chain_id: 1, genesis_hash: B256::ZERO, deployment_block: 1, contracts })
    }

    #[test]
    fn a_config_never_shows_the_addresss_secrets() {
        let shown = format!("{:?}", config("wss://user:pass@node.example:8546/v3/key?token=t"));
        assert!(shown.contains("wss://node.example:8546"), "{shown}");
        for secret in ["user", "pass", "key", "token"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn a_node_on_this_machine_is_asked_more_often() {
        assert_eq!(config("ws://127.0.0.1:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("http://[::1]:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("http://localhost:8545").poll_interval, Duration::from_millis(200));
        assert_eq!(config("https://node.example").poll_interval, Duration::from_secs(1));
    }
}

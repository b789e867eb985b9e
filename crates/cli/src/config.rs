//! What the environment and `.env` say. The environment wins; an empty value is as good as none; a `CLAWPAY_` name that means nothing here
//! is refused, because a misspelt setting that does nothing is worse than an error.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, bail};
use clawpay_api::{PublicUrl, RateLimit, RelayOptions, TrustedProxies};
use clawpay_bindings::Deployment;
use clawpay_domain::parse_account;
use clawpay_indexer::{Hashes, Secrets};
use tracing_subscriber::EnvFilter;
use url::Url;

use crate::{database_url, dotenv};

/// Every setting there is.
#[derive(Clone, Debug)]
pub struct Config {
    /// `DATABASE_URL`: a Postgres of yours, as `postgres://user:password@host:port/database`. The embedded one if not set.
    pub database_url: Option<Secret<String>>,
    /// `DATABASE_READ_URL`: a replica of that Postgres, or a pooler before it, that the API may read from.
    pub database_read_url: Option<Secret<String>>,
    /// `RPC_URL`: nodes of yours in order of preference, separated by commas; http, https, ws or wss. An embedded anvil if not set.
    pub rpc_urls: Vec<Secret<Url>>,
    /// `CLAWPAY_CONFIRMATIONS`: blocks that must lie on top of a block before it counts as final, however final the node calls it.
    pub confirmations: Option<u64>,
    /// `CLAWPAY_TRUST_HASHES`: `1` takes the hashes of headers and receipts as told, for a chain that has a way of its own to make them.
    pub trust_hashes: bool,
    /// `CLAWPAY_DATA_DIR`: directory of the embedded parts; `.clawpay` if not set. Made for its owner alone.
    pub data_dir: PathBuf,
    /// `CLAWPAY_API_ADDR`: where the API listens, addresses with ports separated by commas; 127.0.0.1:3000 if not set. `CLAWPAY_API_PORT` is the
    /// short form for a port of 127.0.0.1.
    pub api: ApiAddresses,
    /// `CLAWPAY_PUBLIC_URL`: where clients see the API, such as `https://market.example/market/` behind a proxy; where it listens if not set.
    pub public_url: PublicUrl,
    /// `CLAWPAY_KEEP_ALIVE`: seconds that a connection to the API may lie idle between two requests; 75 if not set.
    pub keep_alive: Option<Duration>,
    /// `CLAWPAY_RATE_LIMIT`: requests a second that one address may make of the API, and after a slash how many at once. Clients on this
    /// machine are limited only if it is set; 0 is no limit.
    pub rate_limit: RateLimit,
    /// `CLAWPAY_TRUSTED_PROXIES`: addresses and networks of proxies, separated by commas, that are believed whom they speak for.
    pub trusted_proxies: TrustedProxies,
    /// `CLAWPAY_HIDE`: path of a file that names the runs, agents and accounts that `clawpay serve` does not show.
    pub hide: Option<PathBuf>,
    /// `CLAWPAY_RPC_PORT`: loopback port of the embedded anvil; 8545 if not set.
    pub rpc_port: Port,
    /// `CLAWPAY_EMPTY`: `1` leaves the demo market out when a local chain is made.
    pub empty: bool,
    /// `CLAWPAY_DEPLOYMENT`: path of the deployment file; see `deployment` for where it is looked for otherwise.
    pub deployment: Option<PathBuf>,
    /// `CLAWPAY_DEPLOYER_KEY`: private key that pays for `clawpay deploy`, 32 bytes of hex.
    pub deployer_key: Option<Secret<PrivateKeySigner>>,
    /// `CLAWPAY_RELAYER_KEY`: private key of the account that sends what wallets only sign. Nothing is relayed if not set.
    pub relayer_key: Option<Secret<PrivateKeySigner>>,
    /// `CLAWPAY_RELAYER_BUDGET`: wei that relaying may cost in 24 hours.
    pub relayer_budget: Option<U256>,
    /// `CLAWPAY_USDC`: address of the token `clawpay deploy` uses on a chain that is not local.
    pub usdc: Option<Address>,
    /// `CLAWPAY_METRICS_ADDR`: where the process serves `/metrics`, and `/healthz` and `/readyz` beside it; nowhere if not set.
    pub metrics_addr: Option<SocketAddr>,
    /// `CLAWPAY_LOG`: what is logged, as a tracing filter such as `info,clawpay_indexer=debug`.
    pub log: Option<String>,
}

/// A port, and whether the operator insists on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number.
    pub number: u16,
    /// Asked for by name: if it is taken, another one will not do.
    pub is_explicit: bool,
}

/// Where the API listens, and which setting insists on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAddresses {
    /// At least one.
    pub addresses: Vec<SocketAddr>,
    /// Asked for by this name: if one of them is taken, another will not do.
    pub setting: Option<&'static str>,
}

/// A value that is never printed.
#[derive(Clone)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

const DEFAULT_DATA_DIR: &str = ".clawpay";
/// Open files beside those of clients.
const OTHER_FILES: u64 = 256;
const DEFAULT_API_PORT: u16 = 3000;
const DEFAULT_RPC_PORT: u16 = 8545;

impl Config {
    /// From `.env` (in the current directory or above) and the environment.
    pub fn load() -> Result<Self> {
        let mut variables = dotenv::read(is_ours)?;
        for (name, value) in std::env::vars_os() {
            let Some(name) = name.to_str() else { continue };
            if is_ours(name) {
                let value = value.to_str().with_context(|| format!("{name} is not valid UTF-8"))?;
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
        Self::from_variables(variables)
    }

    /// From names and values; names that are neither ours nor shared are ignored.
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut ours: BTreeMap<String, String> =
            variables.into_iter().filter(|(name, value)| is_ours(name) && !value.trim().is_empty()).collect();
        let mut take = |name: &str| ours.remove(name).map(|value| value.trim().to_owned());
        let config = Self {
            database_url: take("DATABASE_URL").map(|text| database_url::checked("DATABASE_URL", text)).transpose()?.map(Secret),
            database_read_url: take("DATABASE_READ_URL")
                .map(|text| database_url::checked("DATABASE_READ_URL", text))
                .transpose()?
                .map(Secret),
            rpc_urls: take("RPC_URL").map(|text| rpc_urls(&text)).transpose()?.unwrap_or_default(),
            confirmations: take("CLAWPAY_CONFIRMATIONS").map(|text| confirmations(&text)).transpose()?,
            trust_hashes: switch("CLAWPAY_TRUST_HASHES", take("CLAWPAY_TRUST_HASHES"))?,
            data_dir: take("CLAWPAY_DATA_DIR").unwrap_or_else(|| DEFAULT_DATA_DIR.to_owned()).into(),
            api: api_addresses(take("CLAWPAY_API_ADDR"), take("CLAWPAY_API_PORT"))?,
            public_url: take("CLAWPAY_PUBLIC_URL").map(|text| public_url(&text)).transpose()?.unwrap_or_default(),
            keep_alive: take("CLAWPAY_KEEP_ALIVE").map(|text| keep_alive(&text)).transpose()?,
            rate_limit: take("CLAWPAY_RATE_LIMIT").map(|text| rate_limit(&text)).transpose()?.unwrap_or_default(),
            trusted_proxies: take("CLAWPAY_TRUSTED_PROXIES").map(|text| trusted_proxies(&text)).transpose()?.unwrap_or_default(),
            hide: take("CLAWPAY_HIDE").map(PathBuf::from),
            rpc_port: port("CLAWPAY_RPC_PORT", take("CLAWPAY_RPC_PORT"), DEFAULT_RPC_PORT)?,
            empty: switch("CLAWPAY_EMPTY", take("CLAWPAY_EMPTY"))?,
            deployment: take("CLAWPAY_DEPLOYMENT").map(PathBuf::from),
            deployer_key: take("CLAWPAY_DEPLOYER_KEY").map(|text| key("CLAWPAY_DEPLOYER_KEY", &text)).transpose()?.map(Secret),
            relayer_key: take("CLAWPAY_RELAYER_KEY").map(|text| key("CLAWPAY_RELAYER_KEY", &text)).transpose()?.map(Secret),
            relayer_budget: take("CLAWPAY_RELAYER_BUDGET").map(|text| wei(&text)).transpose()?,
            usdc: take("CLAWPAY_USDC")
                .map(|text| parse_account(&text).with_context(|| format!("CLAWPAY_USDC: {text} is not an address")))
                .transpose()?,
            metrics_addr: take("CLAWPAY_METRICS_ADDR").map(|text| socket_address("CLAWPAY_METRICS_ADDR", &text)).transpose()?,
            log: take("CLAWPAY_LOG").map(filter).transpose()?,
        };
        if let Some(unknown) = ours.keys().next() {
            bail!("{unknown} is not a setting; .env.example lists them all");
        }
        Ok(config)
    }

    /// The database, for commands that cannot do without one.
    pub fn require_database_url(&self) -> Result<&str> {
        self.database_url.as_ref().map(|url| url.0.as_str()).context("set DATABASE_URL, as postgres://user:password@host:port/database")
    }

    /// The preferred node, for commands that cannot do without one.
    pub fn require_rpc_url(&self) -> Result<&Url> {
        self.rpc_urls.first().map(|url| &url.0).context("set RPC_URL, as http://host:port or ws://host:port")
    }

    /// The nodes after the preferred one.
    pub fn fallback_rpc_urls(&self) -> Vec<Url> {
        self.rpc_urls.iter().skip(1).map(|url| url.0.clone()).collect()
    }

    /// What an indexer of `deployment` is told: the nodes, and how far they are believed.
    pub fn indexer(&self, deployment: Deployment) -> Result<clawpay_indexer::Config> {
        let mut indexer = clawpay_indexer::Config::new(self.require_rpc_url()?.clone(), deployment);
        indexer.fallback_rpc_urls = self.fallback_rpc_urls();
        indexer.confirmations = self.confirmations;
        if self.trust_hashes {
            indexer.hashes = Hashes::AsTold;
        }
        Ok(indexer)
    }

    /// What an API server over this database is told, which asks the node at `rpc_url` first.
    pub fn api(&self, rpc_url: Url, database_url: impl Into<String>) -> clawpay_api::Config {
        let mut api = clawpay_api::Config::new(rpc_url, database_url);
        api.fallback_rpc_urls = self.fallback_rpc_urls();
        api.public_url = self.public_url.clone();
        api.keep_alive = self.keep_alive.unwrap_or(api.keep_alive);
        api.rate_limit = self.rate_limit;
        api.trusted_proxies = self.trusted_proxies.clone();
        let most = most_connections(rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX));
        api.connections.total = api.connections.total.min(most);
        api.events.total = api.events.total.min(most);
        api.relay = self.relay();
        api
    }

    /// Who relays, if anybody does.
    pub fn relay(&self) -> Option<RelayOptions> {
        let key = self.relayer_key.as_ref()?.0.clone();
        let options = RelayOptions::new(key);
        Some(RelayOptions { budget_per_day: self.relayer_budget.unwrap_or(options.budget_per_day), ..options })
    }

    /// The keys in the nodes' addresses and the databases' passwords, which libraries and servers repeat in their errors.
    pub fn secrets(&self) -> Secrets {
        let databases = self.database_url.iter().chain(&self.database_read_url).filter_map(|url| Url::parse(&url.0).ok());
        Secrets::of(self.rpc_urls.iter().map(|url| &url.0)).and_passwords(databases.collect::<Vec<_>>().iter())
    }
}

/// Every `CLAWPAY_` name, and those that other programs use as well.
fn is_ours(name: &str) -> bool {
    name.starts_with("CLAWPAY_") || matches!(name, "DATABASE_URL" | "DATABASE_READ_URL" | "RPC_URL")
}

fn rpc_urls(text: &str) -> Result<Vec<Secret<Url>>> {
    let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
    urls.map(|url| rpc_url(url).map(Secret)).collect()
}

/// The value may hold a key, and is not quoted in the error.
fn rpc_url(text: &str) -> Result<Url> {
    let url = Url::parse(text).context("RPC_URL is not a URL, as http://host:port or wss://host/path")?;
    match url.scheme() {
        "http" | "https" | "ws" | "wss" if url.has_host() => Ok(url),
        _ => bail!("RPC_URL must be an http, https, ws or wss URL"),
    }
}

/// The value is a key, and is not quoted in the error.
fn key(name: &str, text: &str) -> Result<PrivateKeySigner> {
    text.parse().ok().with_context(|| format!("{name} is not a private key: 32 bytes of hex"))
}

fn wei(text: &str) -> Result<U256> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    digits.with_context(|| format!("CLAWPAY_RELAYER_BUDGET: {text} is not a number of wei"))
}

fn confirmations(text: &str) -> Result<u64> {
    text.parse().ok().with_context(|| format!("CLAWPAY_CONFIRMATIONS: {text} is not a number of blocks"))
}

fn port(name: &str, value: Option<String>, default: u16) -> Result<Port> {
    match value {
        None => Ok(Port { number: default, is_explicit: false }),
        Some(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(Port { number, is_explicit: true }),
            _ => bail!("{name}: {text} is not a port, 1 to 65535"),
        },
    }
}

/// The long form or the short one.
fn api_addresses(long: Option<String>, short: Option<String>) -> Result<ApiAddresses> {
    match (long, short) {
        (Some(_), Some(_)) => bail!("CLAWPAY_API_ADDR and CLAWPAY_API_PORT both say where the API listens: set one of them"),
        (Some(text), None) => {
            let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
            let addresses: Vec<SocketAddr> = addresses.map(|address| socket_address("CLAWPAY_API_ADDR", address)).collect::<Result<_>>()?;
            if addresses.is_empty() {
                bail!("CLAWPAY_API_ADDR: {text} names no address");
            }
            Ok(ApiAddresses { addresses, setting: Some("CLAWPAY_API_ADDR") })
        }
        (None, short) => {
            let port = port("CLAWPAY_API_PORT", short, DEFAULT_API_PORT)?;
            let addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port.number))];
            Ok(ApiAddresses { addresses, setting: port.is_explicit.then_some("CLAWPAY_API_PORT") })
        }
    }
}

/// `100` or `100/2000`; without a burst, as many as in the default's 20 seconds.
fn rate_limit(text: &str) -> Result<RateLimit> {
    let (per_second, burst) = text.split_once('/').map_or((text, None), |(per_second, burst)| (per_second, Some(burst)));
    let number = |text: &str| {
        text.parse().ok().with_context(|| format!("CLAWPAY_RATE_LIMIT: {text} is not a number of requests; write 100 or 100/2000"))
    };
    let per_second: u32 = number(per_second)?;
    let burst = burst.map_or(Ok(per_second.saturating_mul(20)), number)?;
    Ok(RateLimit { per_second, burst, includes_loopback: true })
}

fn trusted_proxies(text: &str) -> Result<TrustedProxies> {
    text.parse().context("CLAWPAY_TRUSTED_PROXIES")
}

fn public_url(text: &str) -> Result<PublicUrl> {
    PublicUrl::parse(text).with_context(|| format!("CLAWPAY_PUBLIC_URL: {text}"))
}

/// Each connection is an open file, and so is each listener's: half of the files each, but for those that databases and nodes need.
fn most_connections(files: u64) -> u32 {
    u32::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(u32::MAX).max(1)
}

/// An hour is longer than any proxy keeps a connection.
fn keep_alive(text: &str) -> Result<Duration> {
    let seconds = text.parse().ok().filter(|seconds| (1..=3_600).contains(seconds)).map(Duration::from_secs);
    seconds.with_context(|| format!("CLAWPAY_KEEP_ALIVE: {text} is not a number of seconds, 1 to 3600"))
}

fn socket_address(name: &str, text: &str) -> Result<SocketAddr> {
    text.parse().ok().with_context(|| format!("{name}: {text} is not an address and a port such as 127.0.0.1:9464 or [::1]:9464"))
}

fn switch(name: &str, value: Option<String>) -> Result<bool> {
    match value.as_deref() {
        None | Some("0" | "false" | "no") => Ok(false),
        Some("1" | "true" | "yes") => Ok(true),
        Some(other) => bail!("{name}: {other} is neither 1 nor 0"),
    }
}

fn filter(text: String) -> Result<String> {
    EnvFilter::builder().parse(&text).with_context(|| format!("CLAWPAY_LOG: {text} is not a filter such as info,clawpay_indexer=debug"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config> {
        Config::from_variables(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn refusal(variables: &[(&str, &str)]) -> String {
        format!("{:#}", config(variables).unwrap_err())
    }

    #[test]
    fn nothing_set_is_the_local_stack() {
        let config = config(&[("PATH", "/bin"), ("RPC_URL", "")]).unwrap();
        assert!(config.database_url.is_none() && config.rpc_urls.is_empty() && !config.empty);
        assert_eq!(config.api, ApiAddresses { addresses: vec!["127.0.0.1:3000".parse().unwrap()], setting: None });
        assert_eq!(config.rpc_port, Port { number: 8545, is_explicit: false });
    }

    #[test]
    fn several_nodes_are_kept_in_order_of_preference() {
        let config = config(&[("RPC_URL", "wss://a.example/key , https://b.example,")]).unwrap();
        let hosts: Vec<_> = config.rpc_urls.iter().filter_map(|url| url.0.host_str()).collect();
        assert_eq!(hosts, ["a.example", "b.example"]);
        assert_eq!(config.require_rpc_url().unwrap().host_str(), Some("a.example"));
        assert!(refusal(&[("RPC_URL", "https://a.example,ftp://b.example")]).starts_with("RPC_URL"));
    }

    #[test]
    fn a_port_that_is_set_is_insisted_on_even_at_its_default() {
        assert_eq!(config(&[("CLAWPAY_RPC_PORT", "8545")]).unwrap().rpc_port, Port { number: 8545, is_explicit: true });
        assert_eq!(config(&[("CLAWPAY_API_PORT", "3000")]).unwrap().api.setting, Some("CLAWPAY_API_PORT"));
    }

    #[test]
    fn the_api_listens_where_one_setting_says() {
        let addresses = |name, value| {
            let api = config(&[(name, value)]).unwrap().api;
            assert_eq!(api.setting, Some(name));
            api.addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(addresses("CLAWPAY_API_PORT", "4000"), ["127.0.0.1:4000"]);
        assert_eq!(addresses("CLAWPAY_API_ADDR", "0.0.0.0:3000"), ["0.0.0.0:3000"]);
        assert_eq!(addresses("CLAWPAY_API_ADDR", "[::]:3000, 192.0.2.1:80,"), ["[::]:3000", "192.0.2.1:80"]);
        let both = refusal(&[("CLAWPAY_API_ADDR", "0.0.0.0:3000"), ("CLAWPAY_API_PORT", "3000")]);
        assert!(both.contains("CLAWPAY_API_ADDR and CLAWPAY_API_PORT"), "{both}");
    }

    #[test]
    fn a_rate_limit_that_is_set_holds_for_everybody() {
        let rate = |text| config(&[("CLAWPAY_RATE_LIMIT", text)]).unwrap().rate_limit;
        assert_eq!(rate("5/7"), RateLimit { per_second: 5, burst: 7, includes_loopback: true });
        assert_eq!(rate("5"), RateLimit { per_second: 5, burst: 100, includes_loopback: true });
        assert_eq!(rate("0").per_second, 0);
        assert!(!config(&[]).unwrap().rate_limit.includes_loopback);
    }

    #[test]
    fn what_the_api_is_told_reaches_it() {
        let config = config(&[
            ("CLAWPAY_PUBLIC_URL", "https://market.example/market/"),
            ("CLAWPAY_KEEP_ALIVE", "20"),
            ("CLAWPAY_RATE_LIMIT", "5/7"),
            ("CLAWPAY_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ])
        .unwrap();
        let api = config.api("http://127.0.0.1:1".parse().unwrap(), "postgres://h/d");
        assert_eq!(api.public_url.of("/docs/"), "https://market.example/market/docs/");
        assert_eq!(api.trusted_proxies, "10.0.0.0/8,::1/128".parse().unwrap());
        assert_eq!((api.keep_alive, api.rate_limit.burst), (Duration::from_secs(20), 7));
    }

    #[test]
    fn clients_have_no_more_connections_than_there_are_files() {
        assert_eq!((most_connections(1_256), most_connections(100), most_connections(u64::MAX)), (500, 1, u32::MAX));
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert_eq!(refusal(&[("CLAWPAY_PORT", "3000")]), "CLAWPAY_PORT is not a setting; .env.example lists them all");
    }

    #[test]
    fn values_out_of_range_are_refused_by_name() {
        for (name, value) in [
            ("CLAWPAY_API_PORT", "65536"),
            ("CLAWPAY_API_PORT", "0"),
            ("CLAWPAY_API_ADDR", "3000"),
            ("CLAWPAY_API_ADDR", "localhost:3000"),
            ("CLAWPAY_API_ADDR", "127.0.0.1:3000 0.0.0.0:3001"),
            ("CLAWPAY_API_ADDR", ","),
            ("CLAWPAY_RPC_PORT", "x"),
            ("CLAWPAY_TRUSTED_PROXIES", "nginx"),
            ("CLAWPAY_TRUSTED_PROXIES", "10.0.0.0/33"),
            ("CLAWPAY_RATE_LIMIT", "-1"),
            ("CLAWPAY_RATE_LIMIT", "100/"),
            ("CLAWPAY_RATE_LIMIT", "1.5"),
            ("CLAWPAY_PUBLIC_URL", "market.example/market"),
            ("CLAWPAY_PUBLIC_URL", "https://market.example/?a=b"),
            ("CLAWPAY_KEEP_ALIVE", "0"),
            ("CLAWPAY_KEEP_ALIVE", "75s"),
            ("CLAWPAY_KEEP_ALIVE", "3601"),
            ("CLAWPAY_EMPTY", "maybe"),
            ("CLAWPAY_CONFIRMATIONS", "-1"),
            ("CLAWPAY_TRUST_HASHES", "maybe"),
            ("CLAWPAY_USDC", "0x12"),
            ("CLAWPAY_USDC", "0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            ("CLAWPAY_METRICS_ADDR", "9464"),
            ("CLAWPAY_LOG", "a=b=c"),
            ("CLAWPAY_DEPLOYER_KEY", "0x00"),
            ("CLAWPAY_RELAYER_KEY", "0x00"),
            ("CLAWPAY_RELAYER_BUDGET", "0.1"),
            ("RPC_URL", "ipc:///tmp/node"),
        ] {
            assert!(refusal(&[(name, value)]).starts_with(name), "{name}={value}: {}", refusal(&[(name, value)]));
        }
    }

    #[test]
    fn secrets_stay_out_of_debug_output_and_errors() {
        let key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
        let config = config(&[
            ("DATABASE_URL", "postgres://a:s3cret@h/d"),
            ("RPC_URL", "https://h/s3cret"),
            ("CLAWPAY_DEPLOYER_KEY", key),
            ("CLAWPAY_RELAYER_KEY", key),
        ])
        .unwrap();
        let shown = format!("{config:?} {:?}", config.relay());
        assert!(!shown.contains("s3cret") && !shown.contains(&key[2..]), "{shown}");
        assert!(!refusal(&[("CLAWPAY_DEPLOYER_KEY", "s3cret")]).contains("s3cret"));
        assert!(!refusal(&[("CLAWPAY_RELAYER_KEY", "s3cret")]).contains("s3cret"));
        assert!(!refusal(&[("RPC_URL", "ftp://s3cret@h")]).contains("s3cret"));
    }

    #[test]
    fn the_example_file_names_every_setting_and_loads() {
        let example = include_str!("../../../.env.example");
        let assignments: Vec<(String, String)> = example
            .lines()
            .filter_map(|line| line.strip_prefix("# ").unwrap_or(line).split_once('='))
            .filter(|(name, _)| is_ours(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let names: Vec<&str> = assignments.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "DATABASE_URL",
            "DATABASE_READ_URL",
            "RPC_URL",
            "CLAWPAY_CONFIRMATIONS",
            "CLAWPAY_TRUST_HASHES",
            "CLAWPAY_DATA_DIR",
            "CLAWPAY_API_ADDR",
            "CLAWPAY_API_PORT",
            "CLAWPAY_RPC_PORT",
            "CLAWPAY_PUBLIC_URL",
            "CLAWPAY_KEEP_ALIVE",
            "CLAWPAY_RATE_LIMIT",
            "CLAWPAY_TRUSTED_PROXIES",
            "CLAWPAY_HIDE",
            "CLAWPAY_EMPTY",
            "CLAWPAY_DEPLOYMENT",
            "CLAWPAY_DEPLOYER_KEY",
            "CLAWPAY_RELAYER_KEY",
            "CLAWPAY_RELAYER_BUDGET",
            "CLAWPAY_USDC",
            "CLAWPAY_METRICS_ADDR",
            "CLAWPAY_LOG",
        ];
        assert_eq!(names, expected);
        // One of the two ways to say where the API listens.
        Config::from_variables(assignments.into_iter().filter(|(name, _)| name != "CLAWPAY_API_PORT")).unwrap();
        // As it stands, with everything commented out, it changes nothing.
        assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')));
    }
}

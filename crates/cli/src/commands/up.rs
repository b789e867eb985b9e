//! `clawpay up`: a whole market on this machine, in the foreground, until it is told to stop.
//!
//! Order: data directory, ports, Postgres, chain, then indexer and API in this process. It stops in the opposite order, and whatever happens
//! to this process, its children end too. With `DATABASE_URL` or `RPC_URL` the operator runs that part; with `RPC_URL` no transaction is
//! sent.

mod chain;
mod market;

use std::{
    fmt::Write as _,
    fs::{self, DirBuilder, File, TryLockError},
    io::Write as _,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use alloy::providers::Provider;
use anyhow::{Context, Result, bail};
use clawpay_api::Listeners;
use clawpay_bindings::Deployment;
use clawpay_indexer::origin;
use clawpay_store::{Chain, IndexedBlock, StoreError, Writer};
use tokio::{net::TcpListener, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::chain::LocalChain;
use crate::{
    config::{ApiAddresses, Config},
    deploy::is_local,
    deployment_file, listen,
    local::{Durability, Postgres, Toolbox},
    output::{self, progress},
    shutdown, telemetry, wallet,
};

/// How long indexer and API may take to end before they are cut off.
const END_WITHIN: Duration = Duration::from_secs(1);
/// How often the parts are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The file in the data directory that is locked.
const LOCK: &str = "lock";

/// Runs the command. Must be awaited on the main thread, with which the children end.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let place = Place { lock: claim_directory(&config.data_dir)?, data_dir: config.data_dir.clone() };
    let mut stack = Stack { place, postgres: None, chain: None, index: None, api: None, shutdown: shutdown.clone() };
    // Asked first, since the parts end by the same token.
    let outcome = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        outcome = stack.start_and_watch(config) => outcome,
    };
    progress("Stopping");
    stack.stop().await;
    outcome
}

/// Whatever has been started so far.
struct Stack {
    place: Place,
    postgres: Option<Postgres>,
    chain: Option<LocalChain>,
    index: Option<JoinHandle<Result<(), clawpay_indexer::IndexError>>>,
    api: Option<JoinHandle<Result<()>>>,
    shutdown: CancellationToken,
}

/// The data directory, and the lock that keeps a second `up` out of it.
struct Place {
    lock: File,
    data_dir: PathBuf,
}

impl Place {
    /// Fails once the directory is gone, though another may lie there by now: chain and database go on for a while without their files, and
    /// nothing that happens on them is kept.
    fn require_there(&self) -> Result<()> {
        let ours = self.lock.metadata()?.ino();
        if fs::metadata(self.data_dir.join(LOCK)).is_ok_and(|found| found.ino() == ours) {
            return Ok(());
        }
        bail!(
            "the data directory {} was removed while the market ran, and chain and database with it: the next start makes a new market",
            self.data_dir.display()
        )
    }
}

/// What the parts need to know of each other.
struct ServiceAddresses {
    database_url: String,
    is_own_database: bool,
    /// For the API and for people.
    rpc_url: Url,
    /// For the indexer: the embedded node pushes new heads, and no other node extends its chain.
    indexer: clawpay_indexer::Config,
    is_own_chain: bool,
    deployment: Deployment,
    /// The API is ready once this block is indexed.
    ready_at: u64,
}

impl Stack {
    async fn start_and_watch(&mut self, config: &Config) -> Result<()> {
        let api = listen_for_the_api(&config.api)?;
        let listeners = Listeners { api, metrics: listen::for_metrics(config.metrics_addr)? };
        let address = listen::from_here(listeners.api.first().context("no address to listen on")?.local_addr()?);
        let places = self.start_ground(config).await?;

        let writer = Writer::new(&places.database_url)?;
        if places.is_own_chain {
            reconcile(&places, &writer).await?;
        }
        self.index = Some(start_index(&places, writer.clone(), self.shutdown.clone()));
        let mut api = config.api(places.rpc_url.clone(), places.database_url.clone());
        api.ready_at_block = places.ready_at;
        api.metrics = telemetry::count_for(listeners.metrics.as_ref())?;
        let shutdown = self.shutdown.clone();
        self.api = Some(tokio::spawn(async move { Ok(clawpay_api::serve(listeners, api, shutdown).await?) }));
        progress(format_args!("Serving the API on http://{address}; indexing up to block {}", places.ready_at));

        let mut look = tokio::time::interval(LOOK_AGAIN);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ready = Box::pin(until_ready(address));
        let mut is_ready = false;
        loop {
            tokio::select! {
                answer = &mut ready, if !is_ready => {
                    answer?;
                    is_ready = true;
                    output::result(summary(&places, address));
                }
                ended = ended(&mut self.index) => match ended? {
                    Err(error) if error.is_foreign_history() && places.is_own_chain => {
                        rebuild(&places, &writer, &error.to_string()).await?;
                        self.index = Some(start_index(&places, writer.clone(), self.shutdown.clone()));
                    }
                    Err(error) => return Err(error).context("the indexer stopped"),
                    Ok(()) => bail!("the indexer stopped"),
                },
                ended = ended(&mut self.api) => {
                    ended?.context("the API stopped")?;
                    bail!("the API stopped");
                }
                _ = look.tick() => self.look().await?,
            }
        }
    }

    /// Starts or finds the database and the chain.
    async fn start_ground(&mut self, config: &Config) -> Result<ServiceAddresses> {
        let toolbox = if config.database_url.is_none() || config.rpc_urls.is_empty() { Some(Toolbox::find()?) } else { None };
        // A wrong chain is found out before anything is started for it.
        let foreign = match config.rpc_urls.first() {
            Some(url) => Some((url.0.clone(), deployment_file::wait_and_find(config).await?)),
            None => None,
        };
        let database_url = match (&config.database_url, &toolbox) {
            (Some(url), _) => url.0.clone(),
            (None, Some(toolbox)) => {
                progress("Starting Postgres");
                self.postgres.insert(Postgres::start(toolbox, &config.data_dir.join("postgres"), Durability::Kept)?).url()
            }
            (None, None) => bail!("no toolbox"),
        };
        let is_own_database = config.database_url.is_none();
        match (foreign, &toolbox) {
            (Some((rpc_url, deployment)), _) => Ok(ServiceAddresses {
                database_url,
                is_own_database,
                indexer: config.indexer(deployment)?,
                rpc_url,
                is_own_chain: false,
                deployment,
                ready_at: deployment.deployment_block,
            }),
            (None, Some(toolbox)) => {
                let chain = self.chain.insert(LocalChain::start(config, toolbox).await?);
                Ok(ServiceAddresses {
                    database_url,
                    is_own_database,
                    rpc_url: chain.node.http_url(),
                    indexer: clawpay_indexer::Config {
                        shorter_chain: clawpay_indexer::ShorterChain::BlocksAreLost,
                        ..clawpay_indexer::Config::new(chain.node.ws_url(), chain.deployment)
                    },
                    is_own_chain: true,
                    deployment: chain.deployment,
                    ready_at: chain.complete_at,
                })
            }
            (None, None) => bail!("no toolbox"),
        }
    }

    /// Notices children that ended, and keeps the chain's state safe.
    async fn look(&mut self) -> Result<()> {
        self.place.require_there()?;
        if let Some(status) = self.postgres.as_mut().and_then(|postgres| postgres.process().ended()) {
            bail!("Postgres stopped ({status})");
        }
        if let Some(chain) = &mut self.chain {
            if let Some(status) = chain.node.process().ended() {
                bail!("anvil stopped ({status})");
            }
            if let Err(error) = chain.keep().await {
                tracing::warn!("the chain's state is not being kept: {error:#}");
            }
        }
        Ok(())
    }

    /// Ends everything, users before what they use.
    async fn stop(mut self) {
        self.shutdown.cancel();
        let tasks = async {
            if let Some(api) = &mut self.api {
                let _ended = api.await;
            }
            if let Some(index) = &mut self.index {
                let _ended = index.await;
            }
        };
        if tokio::time::timeout(END_WITHIN, tasks).await.is_err() {
            tracing::warn!("indexer or API did not end in time; cutting them off");
        }
        // Both are told before either is waited for.
        if let Some(postgres) = &mut self.postgres {
            postgres.process().interrupt();
        }
        if let Some(chain) = self.chain.take() {
            chain.node.stop();
        }
        if let Some(postgres) = self.postgres.take() {
            postgres.stop();
        }
    }
}

/// How a task ended, told once; never, if there is none.
async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Result<T> {
    let Some(handle) = task else { return std::future::pending().await };
    let outcome = handle.await;
    *task = None;
    // Nothing aborts these tasks: one that did not end has panicked.
    outcome.context("a task panicked")
}

fn start_index(
    places: &ServiceAddresses,
    writer: Writer,
    shutdown: CancellationToken,
) -> JoinHandle<Result<(), clawpay_indexer::IndexError>> {
    let config = clawpay_indexer::Config { progress: true, ..places.indexer.clone() };
    tokio::spawn(clawpay_indexer::run(config, writer, shutdown))
}

/// Compares the index with the embedded chain, which a kill may have set back by some blocks or which may be another one by now, before
/// anybody is told what the index holds.
async fn reconcile(places: &ServiceAddresses, writer: &Writer) -> Result<()> {
    let (chain, indexed) = stored(writer).await?;
    let Some(chain) = chain else { return Ok(()) };
    let deployment = &places.deployment;
    if (chain.genesis_hash, chain.run_escrow) != (deployment.genesis_hash, deployment.contracts.run_escrow) {
        return rebuild(places, writer, "it is of another chain").await;
    }
    let Some(indexed) = indexed else { return Ok(()) };
    let provider = wallet::connect(&places.rpc_url).await?;
    match provider.get_block_by_number(indexed.number.into()).await? {
        Some(block) if block.header.hash == indexed.hash => Ok(()),
        Some(_) => rebuild(places, writer, &format!("its block {} is another one", indexed.number)).await,
        None => {
            let head = provider.get_block_number().await?;
            rebuild(places, writer, &format!("it reaches block {}, the chain block {head}", indexed.number)).await
        }
    }
}

/// What the database belongs to, and how far it reaches. Waits for a database that is away or that another indexer still holds.
async fn stored(writer: &Writer) -> Result<(Option<Chain>, Option<IndexedBlock>)> {
    let mut is_reported = false;
    loop {
        let attempt = async {
            writer.migrate().await?;
            let mut session = writer.try_lock().await?.ok_or(StoreError::Locked)?;
            let stored = (session.chain().await?, session.indexed().await?);
            session.close().await?;
            Ok::<_, StoreError>(stored)
        };
        match attempt.await {
            Err(error) if error.is_transient() => {
                if !is_reported {
                    progress(format_args!("Waiting for the database: {error}"));
                    is_reported = true;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Empties an index that does not match the embedded chain, for the indexer to fill it again. An operator's own database is only emptied
/// if what it holds came from a local chain.
async fn rebuild(places: &ServiceAddresses, writer: &Writer, reason: &str) -> Result<()> {
    if !places.is_own_database {
        let (chain, _) = stored(writer).await?;
        if let Some(chain) = chain.filter(|chain| !is_local(chain.chain_id)) {
            bail!(
                "DATABASE_URL holds the market of chain {}, which is not a local one: give the local stack its own database",
                chain.chain_id
            );
        }
    }
    progress(format_args!("The index does not match the local chain ({reason}): rebuilding it from the chain"));
    writer.clear().await?;
    Ok(())
}

/// Makes the data directory, for its owner alone, and keeps a second `up` out of it. The locked file says which process runs here.
fn claim_directory(data_dir: &Path) -> Result<File> {
    if !data_dir.exists() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
        made.with_context(|| format!("cannot create the data directory {}", data_dir.display()))?;
    }
    // Not truncated before it is locked: the process that holds the lock has written its process id there.
    let path = data_dir.join(LOCK);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut lock = opened.with_context(|| format!("cannot write {}", path.display()))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another `clawpay up` uses {}: stop it, or set CLAWPAY_DATA_DIR", data_dir.display()),
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
    lock.set_len(0)?;
    writeln!(lock, "{}", process::id())?;
    Ok(lock)
}

/// Where it is asked to, or where it may.
fn listen_for_the_api(asked: &ApiAddresses) -> Result<Vec<TcpListener>> {
    match (listen::on_all(asked), asked.setting, &*asked.addresses) {
        (Err(_), None, [address]) => {
            let listener = listen::on(SocketAddr::new(address.ip(), 0), asked).context("no free port for the API")?;
            progress(format_args!("Port {} is taken: the API uses {} instead", address.port(), listener.local_addr()?.port()));
            Ok(vec![listener])
        }
        (outcome, _, _) => outcome,
    }
}

/// Waits until `/readyz` answers 200.
async fn until_ready(api: SocketAddr) -> Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    loop {
        if client.get(format!("http://{api}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What is where.
fn summary(places: &ServiceAddresses, api: SocketAddr) -> String {
    let contracts = places.deployment.contracts;
    let database = if places.is_own_database { places.database_url.as_str() } else { "yours (DATABASE_URL)" };
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _infallible = writeln!(text, "  {name:<14} {value}");
    };
    line("API", &format_args!("http://{api}"));
    line("RPC", &format_args!("{} (chain {})", origin(&places.rpc_url), places.deployment.chain_id));
    line("Database", &database);
    line("USDC", &contracts.usdc);
    line("AgentRegistry", &contracts.agent_registry);
    line("AgentStake", &contracts.agent_stake);
    line("RunEscrow", &contracts.run_escrow);
    line("Forwarder", &contracts.forwarder);
    let note = if places.is_own_chain { "Accounts 7 to 9 of the node hold 10,000 test USDC each and have no history yet.\n" } else { "" };
    format!(
        "\nReady.\n\n{text}\nTry\n  curl 'http://{api}/api/runs?state=OPEN&limit=2'\n\n{note}Ctrl-C stops everything; the next start continues here."
    )
}

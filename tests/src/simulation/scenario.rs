//! One seed, from an empty database to the last comparison.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result, bail, ensure};
use clawpay_bindings::{Contracts, Deployment};
use clawpay_domain::Parameters;
use clawpay_indexer::{Config, IndexError, ShorterChain};
use clawpay_store::{StoreError, Writer};
use sqlx::{Connection, PgConnection};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    GUARDS, endpoint,
    rows::{Cursor, Rows},
    script::{Finality, Script, View},
    tree::Tree,
    world::World,
};

/// Pauses and time limits are this many times shorter than in earnest.
const TIME_SCALE: u32 = 40;
/// Longest that an act, and the way to rest after it, may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(2);

/// A test that connects thousands of times cannot hash a password each time.
const QUICK_LOGIN: &str = "SET scram_iterations = 1;
    DO $$ BEGIN CREATE ROLE simulation SUPERUSER LOGIN PASSWORD 'quick'; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$";

const CONTRACTS: Contracts = Contracts {
    usdc: Address::repeat_byte(0x11),
    agent_registry: Address::repeat_byte(0x22),
    agent_stake: Address::repeat_byte(0x33),
    run_escrow: Address::repeat_byte(0x44),
    forwarder: Address::repeat_byte(0x55),
};

/// A database in which one scenario after the other is played.
#[derive(Debug)]
pub struct Stage {
    database_url: String,
    connection: PgConnection,
}

/// A scenario that has been played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that happened, a line each.
    pub trace: Vec<String>,
    /// Each question that was asked while things went wrong, with how often it had been asked before, and whether the answer was to be wrong.
    pub decisions: BTreeMap<(String, u64), bool>,
    /// Rows that were compared.
    pub rows: usize,
}

/// What a seed stands for.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// All that is random follows from it.
    pub seed: u64,
}

impl Stage {
    /// On an empty database.
    pub async fn new(database_url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(database_url).await?;
        sqlx::raw_sql(QUICK_LOGIN).execute(&mut connection).await?;
        let mut url: url::Url = database_url.parse()?;
        let login = url.set_username("simulation").and_then(|()| url.set_password(Some("quick")));
        ensure!(login.is_ok(), "a database has a host");
        let database_url = url.as_str();
        Writer::new(database_url)?.migrate().await?;
        sqlx::raw_sql(GUARDS).execute(&mut connection).await?;
        Ok(Self { database_url: database_url.to_owned(), connection })
    }

    /// Fails if blocks were undone although nothing else was ever built on the one below them.
    async fn require_rivals(&mut self, tree: &Tree, first_indexed: u64) -> Result<()> {
        let lowest =
            sqlx::query_scalar::<_, Vec<u8>>("SELECT DISTINCT ON (transaction) hash FROM guard_undone ORDER BY transaction, number");
        for hash in lowest.fetch_all(&mut self.connection).await? {
            let hash = B256::try_from(hash.as_slice())?;
            ensure!(tree.has_rival(hash, first_indexed), "block {hash} was undone, and nothing ever took its place");
        }
        Ok(())
    }

    /// Fails if the tables that follow from others do not.
    async fn require_agreement(&mut self) -> Result<()> {
        let differences: Vec<String> =
            sqlx::query_scalar("SELECT difference FROM guard_differences").fetch_all(&mut self.connection).await?;
        ensure!(differences.is_empty(), "{differences:?}");
        Ok(())
    }

    /// Empties the database once no indexer writes to it any more: a killed indexer's connection may outlive it for a moment, and what it was doing
    /// with it.
    async fn clear(&mut self) -> Result<()> {
        let writer = Writer::new(&self.database_url)?;
        let started = Instant::now();
        while let Err(error) = writer.clear().await {
            ensure!(matches!(error, StoreError::Locked) && started.elapsed() < PATIENCE, "the database cannot be emptied: {error}");
            tokio::time::sleep(LOOK).await;
        }
        sqlx::query("TRUNCATE guard_undone").execute(&mut self.connection).await?;
        Ok(())
    }
}

impl Scenario {
    /// All that is written down before it starts, for people.
    pub fn synopsis(self) -> String {
        let script = Script::new(self.seed, CONTRACTS, Parameters::default());
        let chain = chain(&script.tree, &script.first);
        format!("{:?}\n{chain}\n{:?}\n{:?}", script.setting, script.acts, script.ends_in_betrayal)
    }

    /// Plays it. An error says what differs, and everything that had happened before.
    pub async fn play(self, stage: &mut Stage) -> Result<Outcome> {
        stage.clear().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?).parse()?;
        let script = Script::new(self.seed, CONTRACTS, Parameters::default());
        let genesis_hash = script.tree.at(script.tree.genesis()).block.hash;
        let deployment =
            Deployment { chain_id: 31_337, genesis_hash, deployment_block: script.setting.deployment_block, contracts: CONTRACTS };
        let config = Config {
            poll_interval: Duration::from_millis(2),
            confirmations: match script.setting.finality {
                Finality::Tags => None,
                Finality::Confirmations(depth) => Some(depth),
            },
            finalized_headers: script.setting.finalized_headers,
            shorter_chain: script.setting.shorter_chain,
            time_scale: TIME_SCALE,
            ..Config::new(url, deployment)
        };
        let world = Arc::new(World::new(self.seed, script, config));
        let node = Task(tokio::spawn(endpoint::serve(listener, Arc::clone(&world))));
        let cutter = Task(tokio::spawn(cut_connections(stage.database_url.clone(), Arc::clone(&world))));
        let played = play(&world, stage).await;
        drop((node, cutter));
        match played {
            Ok(rows) => Ok(Outcome { trace: world.trace(), decisions: world.decisions(), rows }),
            Err(error) => Err(error.context(Story(&world).to_string())),
        }
    }
}

async fn play(world: &Arc<World>, stage: &mut Stage) -> Result<usize> {
    let store = Writer::new(&stage.database_url)?;
    let indexers = if world.script.setting.standby { 2 } else { 1 };
    let mut indexers: Vec<_> = (0..indexers).map(|_| Immortal::start(world, &store)).collect();
    let mut rows = 0;
    for act in 0..world.script.acts.len() {
        world.begin(act);
        let view = at_rest(world, stage, &mut indexers).await?;
        let read = Rows::read(&mut stage.connection).await?;
        read.compare(&world.script.tree, &world.script.setting, &view)?;
        stage.require_agreement().await?;
        rows += read.count();
    }
    if world.script.setting.shorter_chain == ShorterChain::NodeIsBehind {
        stage.require_rivals(&world.script.tree, world.script.setting.deployment_block - 1).await?;
    }
    if let Some(betrayal) = &world.script.ends_in_betrayal {
        let before = Rows::read(&mut stage.connection).await?;
        world.show(betrayal.clone(), "a finalized block is replaced");
        let error = indexers.pop().context("there is an indexer")?.end().await?;
        ensure!(matches!(error, IndexError::FinalizedBlockReplaced { .. }), "it stopped otherwise: {error}");
        Rows::read(&mut stage.connection).await?.require_unchanged(&before)?;
    }
    Ok(rows)
}

/// Waits until the act is over and the index is where the node is.
async fn at_rest(world: &World, stage: &mut Stage, indexers: &mut [Immortal]) -> Result<View> {
    let started = Instant::now();
    loop {
        for indexer in indexers.iter_mut() {
            indexer.require_alive().await?;
        }
        if world.is_over() {
            let view = world.view();
            let cursor = Cursor::read(&mut stage.connection).await?;
            if cursor.as_ref().is_some_and(|cursor| cursor.has_reached(&world.script.tree, &view)) {
                return Ok(view);
            }
            if started.elapsed() > PATIENCE {
                bail!("stuck: the cursor is {cursor:?}, the node shows {view:?}");
            }
        } else if started.elapsed() > PATIENCE {
            bail!("stuck in the middle of the act");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An indexer that is started again whenever the script kills it.
struct Immortal(JoinHandle<IndexError>);

impl Immortal {
    fn start(world: &Arc<World>, store: &Writer) -> Self {
        let (world, store) = (Arc::clone(world), store.clone());
        Self(tokio::spawn(async move {
            loop {
                if let Some(error) = live(&world, &store).await {
                    return error;
                }
                world.note("an indexer died; the next begins".to_owned());
            }
        }))
    }

    /// Fails if it gave up.
    async fn require_alive(&mut self) -> Result<()> {
        if self.0.is_finished() {
            let error = (&mut self.0).await?;
            bail!("the indexer gave up: {error}");
        }
        Ok(())
    }

    /// Why it gives up.
    async fn end(mut self) -> Result<IndexError> {
        tokio::time::timeout(PATIENCE, &mut self.0).await.context("the indexer does not give up")?.map_err(Into::into)
    }
}

impl Drop for Immortal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One life: nothing if it was killed, by dropping it where it waits.
async fn live(world: &World, store: &Writer) -> Option<IndexError> {
    let mut indexer = pin!(clawpay_indexer::run(world.config.clone(), store.clone(), tokio_util::sync::CancellationToken::new()));
    poll_fn(|context| match indexer.as_mut().poll(context) {
        Poll::Ready(Ok(())) => Poll::Ready(None),
        Poll::Ready(Err(error)) => Poll::Ready(Some(error)),
        Poll::Pending if world.polled() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Ends the writers' connections whenever the script says so.
async fn cut_connections(database_url: String, world: Arc<World>) -> Result<()> {
    let mut connection = PgConnection::connect(&database_url).await?;
    loop {
        world.cut.notified().await;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'clawpay indexer' AND datname = current_database()",
        )
        .fetch_all(&mut connection)
        .await?;
    }
}

/// Ends with its owner.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Everything there is to know about a scenario that failed.
struct Story<'a>(&'a World);

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(world) = self;
        writeln!(f, "seed {}: {:?}", world.seed, world.script.setting)?;
        for line in world.trace() {
            writeln!(f, "  {line}")?;
        }
        write!(f, "  the node's chain: {}", chain(&world.script.tree, &world.view()))
    }
}

/// The tail of a branch, for people.
fn chain(tree: &Tree, view: &View) -> String {
    let shown = tree.branch(view.tip, tree.number(view.tip).saturating_sub(8));
    let hash = |hash: B256| hash.to_string().chars().take(10).collect::<String>();
    shown.iter().map(|&id| format!("{} {}", tree.number(id), hash(tree.at(id).block.hash))).collect::<Vec<_>>().join(", ")
}

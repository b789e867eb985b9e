//! The market on two implementations of a node: played, indexed over HTTP and WebSocket, compared with the contracts, reorganised, served.

use std::time::{Duration, Instant};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, U256},
    providers::{DynProvider, Provider},
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{AgentStake, Deployment};
use clawpay_cli::{
    actor::Actor,
    deploy::{self, Plan},
    local::{Postgres, Toolbox},
    wallet::{self, Wallet, read},
};
use clawpay_domain::{AgentId, NewRun, RunId, RunState, Seconds, Timestamp, Usdc};
use clawpay_indexer::Config;
use clawpay_tests::{Api, Hardhat, IndexDump, Indexer, OPERATOR, Stack, create_database, indexed_block, key, scratch, start_database};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use url::Url;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with a market on it, spoken to in words that every development node knows.
struct Market {
    http: Url,
    ws: Url,
    provider: DynProvider,
    deployment: Deployment,
}

impl Market {
    async fn deploy(http: Url, ws: Url) -> Result<Self> {
        let operator = Wallet::signing(&http, key(OPERATOR)).await?;
        let deployment = deploy::deploy(&operator, &Plan::default(), |_| ()).await?;
        let provider = wallet::connect(&http).await?;
        Ok(Self { http, ws, provider, deployment })
    }

    async fn actor(&self, account: u32) -> Result<Actor> {
        Ok(Actor::new(Wallet::signing(&self.http, key(account)).await?, self.deployment.contracts))
    }

    async fn funded(&self, account: u32, usdc: Usdc) -> Result<Actor> {
        let actor = self.actor(account).await?;
        self.actor(OPERATOR).await?.mint(actor.address(), usdc).await?;
        Ok(actor)
    }

    async fn staked(&self, account: u32) -> Result<(Actor, AgentId)> {
        let actor = self.funded(account, Usdc::whole(20)).await?;
        let agent = actor.register("ipfs://agent").await?;
        actor.stake(agent, Usdc::whole(20)).await?;
        Ok((actor, agent))
    }

    async fn offer(&self) -> Result<NewRun> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("no latest block")?;
        let deadline = Timestamp(block.header.timestamp) + Seconds::days(30);
        Ok(NewRun { reward: Usdc::whole(100), deadline, max_revisions: 3, content_uri: "ipfs://content".into() })
    }

    async fn mine(&self) -> Result<()> {
        self.provider.raw_request::<_, Value>("evm_mine".into(), [(); 0]).await?;
        Ok(())
    }

    async fn warp(&self, by: Seconds) -> Result<()> {
        self.provider.raw_request::<_, Value>("evm_increaseTime".into(), (by.0,)).await?;
        self.mine().await
    }

    async fn snapshot(&self) -> Result<U256> {
        Ok(self.provider.raw_request("evm_snapshot".into(), [(); 0]).await?)
    }

    async fn revert(&self, snapshot: U256) -> Result<()> {
        ensure!(self.provider.raw_request::<_, bool>("evm_revert".into(), (snapshot,)).await?, "the snapshot is gone");
        Ok(())
    }

    async fn head(&self) -> Result<(u64, B256)> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("no latest block")?;
        Ok((block.header.number, block.header.hash))
    }

    /// What an indexer is told. Hardhat calls its head final, and takes it back all the same.
    fn config(&self, rpc_url: &Url) -> Config {
        Config { confirmations: Some(64), ..Config::new(rpc_url.clone(), self.deployment) }
    }

    async fn until_indexed(&self, database: &str) -> Result<()> {
        let started = Instant::now();
        loop {
            let (head, indexed) = (self.head().await?, indexed_block(database).await);
            if matches!(indexed, Ok(Some(indexed)) if indexed == head) {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "the head is {head:?}, the index is at {indexed:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Indexes the chain from the start, and answers the rows.
    async fn fresh_index(&self, server: &str, name: &str) -> Result<IndexDump> {
        let database = create_database(server, name).await?;
        let indexer = Indexer::start(self.config(&self.http), &database)?;
        self.until_indexed(&database).await?;
        indexer.stop().await??;
        IndexDump::read(&database).await
    }

    async fn assert_equals_fresh(&self, server: &str, database: &str, name: &str) -> Result<IndexDump> {
        self.until_indexed(database).await?;
        let dump = IndexDump::read(database).await?;
        dump.assert_same(&self.fresh_index(server, name).await?);
        Ok(dump)
    }
}

/// Plays runs to each of their ends; answers one that is open.
async fn play(market: &Market) -> Result<RunId> {
    let poster = market.funded(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = market.staked(2).await?;
    let (late, sleeper) = market.staked(3).await?;

    let paid = poster.post(market.offer().await?).await?;
    worker.claim(paid, agent).await?;
    worker.submit(paid, "ipfs://first").await?;
    poster.request_revision(paid, "more tests").await?;
    worker.submit(paid, "ipfs://second").await?;
    poster.approve(paid).await?;

    let cancelled = poster.draft(market.offer().await?).await?;
    poster.fund(cancelled).await?;
    poster.cancel(cancelled).await?;

    let slashed = poster.post(market.offer().await?).await?;
    late.claim(slashed, sleeper).await?;
    market.warp(Seconds::days(7)).await?;
    poster.slash(slashed).await?;

    poster.post(market.offer().await?).await
}

/// Compares every run and agent in the database with the contracts' own view.
async fn assert_equals_chain(market: &Market, database: &str) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    let runs: Vec<(i64, String, Option<i64>)> =
        sqlx::query_as("SELECT id, state::text, agent_id FROM runs ORDER BY id").fetch_all(&mut connection).await?;
    ensure!(!runs.is_empty(), "no runs");
    let anybody = market.actor(OPERATOR).await?;
    for (id, state, agent) in runs {
        let on_chain = anybody.run(RunId(u64::try_from(id)?)).await?;
        assert_eq!(RunState::ALL[usize::from(on_chain.state)].as_str(), state, "run {id}");
        if let Some(agent) = agent {
            assert_eq!(on_chain.agentId, U256::from(agent), "run {id}");
        }
    }
    let agents: Vec<(i64, String)> = sqlx::query_as("SELECT id, stake::text FROM agents ORDER BY id").fetch_all(&mut connection).await?;
    ensure!(!agents.is_empty(), "no agents");
    for (id, stake) in agents {
        let call = AgentStake::getAgentCall { agentId: U256::from(id) };
        let on_chain = read(&market.provider, market.deployment.contracts.agent_stake, &call).await?;
        assert_eq!(on_chain.stake.to_string(), stake, "agent {id}");
    }
    Ok(())
}

/// Everything, on one node.
async fn trade_index_and_reorganise(market: &Market) -> Result<()> {
    let directory = scratch()?;
    let postgres: Postgres = start_database(&Toolbox::find()?, directory.path())?;
    let server = postgres.url();
    let open = play(market).await?;
    for _ in 0..80 {
        market.mine().await?;
    }

    // From the start, most of it final; then live, pushed and polled.
    let pushed = create_database(&server, "pushed").await?;
    let polled = create_database(&server, "polled").await?;
    let live = [Indexer::start(market.config(&market.ws), &pushed)?, Indexer::start(market.config(&market.http), &polled)?];
    for database in [&pushed, &polled] {
        market.until_indexed(database).await?;
        assert_equals_chain(market, database).await?;
    }

    // One branch is taken back and another one grows: the run is claimed on the first, and cancelled on the second.
    let fork = market.snapshot().await?;
    market.actor(2).await?.claim(open, AgentId(1)).await?;
    market.mine().await?;
    for database in [&pushed, &polled] {
        market.until_indexed(database).await?;
        assert_equals_chain(market, database).await?;
    }
    market.revert(fork).await?;
    market.actor(1).await?.cancel(open).await?;
    for _ in 0..3 {
        market.mine().await?;
    }
    for (database, name) in [(&pushed, "fresh_pushed"), (&polled, "fresh_polled")] {
        let dump = market.assert_equals_fresh(&server, database, name).await?;
        assert_eq!((dump.count("runs"), dump.count("agents")), (4, 2));
        assert_equals_chain(market, database).await?;
    }

    // The index is held still, so that only the chain knows of the claim: what it answers to a call is read as on any other node.
    let another = market.actor(1).await?.post(market.offer().await?).await?;
    market.until_indexed(&pushed).await?;
    for indexer in live {
        indexer.stop().await??;
    }
    market.actor(2).await?.claim(another, AgentId(1)).await?;
    let api = Api::start(clawpay_api::Config::new(market.http.clone(), pushed.as_str())).await?;
    let claim = json!({ "agentId": 1, "walletAddress": key(2).address().to_checksum(None) });
    let client = reqwest::Client::new();
    let answer = client.post(api.url().join(&format!("api/runs/{another}/claim"))?).json(&claim).send().await?;
    let (status, problem): (_, Value) = (answer.status().as_u16(), answer.json().await?);
    assert_eq!((status, &problem["code"]), (400, &json!("wrong_state")), "{problem:#}");
    Ok(())
}

#[tokio::test]
async fn the_market_works_on_anvil() -> Result<()> {
    let stack = Stack::node().await?;
    let market = Market { http: stack.rpc_url(), ws: stack.ws_url(), provider: stack.provider().clone(), deployment: stack.deployment };
    trade_index_and_reorganise(&market).await
}

#[tokio::test]
async fn the_market_works_on_hardhat() -> Result<()> {
    let node = Hardhat::start().await?;
    let market = Market::deploy(node.url("http")?, node.url("ws")?).await?;
    let receipts = market.provider.raw_request::<_, Value>("eth_getBlockReceipts".into(), ("latest",)).await;
    ensure!(receipts.is_err(), "this node was to be one that serves no receipts of whole blocks");
    trade_index_and_reorganise(&market).await
}

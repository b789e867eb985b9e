//! A market of its own for one test.

use std::{sync::OnceLock, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
    providers::{DynProvider, Provider, ext::AnvilApi},
    rpc::types::anvil::MineOptions,
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use clawpay_bindings::Deployment;
use clawpay_cli::{
    actor::Actor,
    deploy::{self, Plan},
    local::{Anvil, AnvilOptions, Durability, Postgres, Toolbox, on_free_port},
    wallet::{self, Wallet},
};
use clawpay_domain::{AgentId, NewRun, Seconds, Timestamp, Usdc};
use tempfile::TempDir;
use url::Url;

use crate::{Replica, database};

/// The account that deploys, owns the escrow, mints and is the treasury.
pub const OPERATOR: u32 = 0;

/// A node, the contracts on it and, when asked for, a database. Everything has ports and directories of its own and ends with the value.
///
/// Start it in the test's own function, not in a spawned task: its processes end with the thread that started them.
#[derive(Debug)]
pub struct Stack {
    /// The node.
    pub node: Anvil,
    /// The server of [`Stack::database_url`].
    pub postgres: Option<Postgres>,
    /// Where the contracts are.
    pub deployment: Deployment,
    provider: DynProvider,
    toolbox: Toolbox,
    directory: TempDir,
}

impl Stack {
    /// A node with the contracts.
    pub async fn node() -> Result<Self> {
        let toolbox = Toolbox::find()?;
        let directory = database::scratch()?;
        let node = on_free_port(|port| start_node(&toolbox, &directory, port))?;
        let operator = Wallet::signing(&node.http_url(), key(OPERATOR)).await?;
        let deployment = deploy::deploy(&operator, &Plan::default(), |_| ()).await?;
        let provider = wallet::connect(&node.http_url()).await?;
        Ok(Self { node, postgres: None, deployment, provider, toolbox, directory })
    }

    /// A node with the contracts, and an empty database.
    pub async fn with_database() -> Result<Self> {
        let mut stack = Self::node().await?;
        let directory = stack.directory.path().join("postgres");
        std::fs::create_dir(&directory)?;
        stack.postgres = Some(database::start(&stack.toolbox, &directory)?);
        Ok(stack)
    }

    /// The same, and the connection string of that database.
    pub async fn and_database() -> Result<(Self, String)> {
        let stack = Self::with_database().await?;
        let url = stack.database_url()?;
        Ok((stack, url))
    }

    /// A copy of the database that follows it.
    pub async fn replica(&self) -> Result<Replica> {
        let primary = self.postgres.as_ref().context("this stack was started without a database")?;
        Replica::of(&self.toolbox, primary, &self.directory.path().join("postgres")).await
    }

    /// Kills the database server as the kernel does when memory runs out, and starts it again, on another port.
    pub async fn crash_database(&mut self) -> Result<()> {
        let mut server = self.postgres.take().context("this stack was started without a database")?;
        server.process().kill();
        drop(server);
        let directory = self.directory.path().join("postgres");
        let mut started = Postgres::start(&self.toolbox, &directory, Durability::ThrowAway);
        for _ in 0..50 {
            if started.is_ok() {
                break;
            }
            // The server's own processes notice a moment later that it is gone, and until then keep its place.
            tokio::time::sleep(Duration::from_millis(100)).await;
            started = Postgres::start(&self.toolbox, &directory, Durability::ThrowAway);
        }
        self.postgres = Some(started?);
        Ok(())
    }

    /// JSON-RPC over HTTP.
    pub fn rpc_url(&self) -> Url {
        self.node.http_url()
    }

    /// JSON-RPC and subscriptions over WebSocket.
    pub fn ws_url(&self) -> Url {
        self.node.ws_url()
    }

    /// Connection string of the database.
    pub fn database_url(&self) -> Result<String> {
        self.postgres.as_ref().map(Postgres::url).context("this stack was started without a database")
    }

    /// A connection to the node, without an account.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Account `index` of the node's ten, calling the contracts directly. All but [`OPERATOR`] start without USDC.
    pub async fn actor(&self, index: u32) -> Result<Actor> {
        Ok(Actor::new(Wallet::signing(&self.rpc_url(), key(index)).await?, self.deployment.contracts))
    }

    /// Account `index` with `usdc` more than it had.
    pub async fn funded_actor(&self, index: u32, usdc: Usdc) -> Result<Actor> {
        let actor = self.actor(index).await?;
        self.mint(actor.address(), usdc).await?;
        Ok(actor)
    }

    /// Account `index`, with the minimum stake behind a new agent of its.
    pub async fn staked_agent(&self, index: u32) -> Result<(Actor, AgentId)> {
        let stake = Usdc::whole(20);
        let actor = self.funded_actor(index, stake).await?;
        let agent = actor.register("ipfs://agent").await?;
        actor.stake(agent, stake).await?;
        Ok((actor, agent))
    }

    /// Makes USDC.
    pub async fn mint(&self, to: Address, amount: Usdc) -> Result<()> {
        self.actor(OPERATOR).await?.mint(to, amount).await?;
        Ok(())
    }

    /// Timestamp of the latest block.
    pub async fn now(&self) -> Result<Timestamp> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("a chain has a latest block")?;
        Ok(Timestamp(block.header.timestamp))
    }

    /// Terms that any poster could offer: `reward`, claimable for 30 days from now, three revisions.
    pub async fn offer(&self, reward: Usdc) -> Result<NewRun> {
        Ok(NewRun { reward, deadline: self.now().await? + Seconds::days(30), max_revisions: 3, content_uri: "ipfs://content".into() })
    }

    /// Height of the latest block.
    pub async fn head(&self) -> Result<u64> {
        Ok(self.provider.get_block_number().await?)
    }

    /// Height and hash of the latest block.
    pub async fn head_block(&self) -> Result<(u64, B256)> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("a chain has a latest block")?;
        Ok((block.header.number, block.header.hash))
    }

    /// Lets chain time pass, and mines a block there.
    pub async fn warp(&self, by: Seconds) -> Result<()> {
        self.provider.anvil_increase_time(by.0).await?;
        self.mine(1).await
    }

    /// Mines one block at exactly `at`, which must be later than the latest block.
    pub async fn mine_at(&self, at: Timestamp) -> Result<()> {
        self.provider.evm_mine(Some(MineOptions::Timestamp(Some(at.0)))).await?;
        Ok(())
    }

    /// Mines empty blocks.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.provider.anvil_mine(Some(blocks), None).await?;
        Ok(())
    }
}

fn start_node(toolbox: &Toolbox, directory: &TempDir, port: u16) -> Result<Anvil> {
    let options = AnvilOptions { port, directory: directory.path().to_owned(), state: None, genesis_time: None };
    Anvil::start(toolbox, &options)
}

/// The key of account `index`. Derived once each: it takes thousands of hashes.
pub fn key(index: u32) -> PrivateKeySigner {
    static KEYS: [OnceLock<PrivateKeySigner>; 10] = [const { OnceLock::new() }; 10];
    KEYS[index as usize].get_or_init(|| wallet::dev_account(index).expect("a fixed phrase derives")).clone()
}

//! A chain that is not a local one as far as the program can tell: its id is a testnet's, its token is real USDC, and blocks come when
//! they come.

use std::{
    fs::File,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    providers::{DynProvider, Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::{
    local::{ChildProcess, Postgres, Toolbox, free_port},
    wallet::{self, Wallet},
};
use tempfile::TempDir;
use url::Url;

use crate::{OPERATOR, RealUsdc, database, key};

const READY_WITHIN: Duration = Duration::from_secs(20);

/// The chain, its token, and a database beside it. Everything ends with the value.
#[derive(Debug)]
pub struct LiveChain {
    /// The token everything is paid in.
    pub usdc: RealUsdc,
    _node: ChildProcess,
    postgres: Postgres,
    rpc_url: Url,
    provider: DynProvider,
    _directory: TempDir,
}

impl LiveChain {
    /// Base Sepolia's id.
    pub const ID: u64 = 84_532;

    /// Starts one. It mines each transaction at once until told otherwise.
    pub async fn start() -> Result<Self> {
        let toolbox = Toolbox::find()?;
        let directory = database::scratch()?;
        let port = free_port()?;
        let listening = directory.path().join("listening.json");
        let log = File::create(directory.path().join("anvil.log"))?;
        let mut command = Command::new(toolbox.anvil()?);
        command
            .args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string(), "--chain-id", &Self::ID.to_string()])
            .arg("--cache-path")
            .arg(directory.path().join("anvil-cache"))
            .arg("--config-out")
            .arg(&listening)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut node = ChildProcess::spawn("anvil", &mut command, Duration::from_secs(2))?;
        let started = Instant::now();
        while !listening.exists() {
            ensure!(node.ended().is_none() && started.elapsed() < READY_WITHIN, "anvil does not listen on port {port}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let rpc_url: Url = format!("http://127.0.0.1:{port}/").parse()?;
        let usdc = RealUsdc::deploy(&Wallet::signing(&rpc_url, key(OPERATOR)).await?, 6).await?;
        let data = directory.path().join("postgres");
        std::fs::create_dir(&data)?;
        let postgres = database::start(&toolbox, &data)?;
        let provider = wallet::connect(&rpc_url).await?;
        Ok(Self { usdc, _node: node, postgres, rpc_url, provider, _directory: directory })
    }

    /// JSON-RPC over HTTP.
    pub const fn rpc_url(&self) -> &Url {
        &self.rpc_url
    }

    /// A connection without an account.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Connection string of the database.
    pub fn database_url(&self) -> String {
        self.postgres.url()
    }

    /// A key never used before, with `wei` to spend.
    pub async fn new_account(&self, wei: u128) -> Result<PrivateKeySigner> {
        let signer = PrivateKeySigner::random();
        self.provider.anvil_set_balance(signer.address(), U256::from(wei)).await?;
        Ok(signer)
    }

    /// Mines nothing until told to, as between two blocks of a real chain.
    pub async fn hold(&self) -> Result<()> {
        Ok(self.provider.anvil_set_auto_mine(false).await?)
    }

    /// Mines each transaction at once.
    pub async fn release(&self) -> Result<()> {
        self.provider.anvil_set_auto_mine(true).await?;
        self.mine(1).await
    }

    /// Mines blocks.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        Ok(self.provider.anvil_mine(Some(blocks), None).await?)
    }

    /// How many transactions `account` has sent: mined, and mined or waiting.
    pub async fn sent_by(&self, account: Address) -> Result<(u64, u64)> {
        let mined = self.provider.get_transaction_count(account).latest().await?;
        let sent = self.provider.get_transaction_count(account).pending().await?;
        Ok((mined, sent))
    }

    /// Waits until `account` has sent `count` transactions, mined or not.
    pub async fn until_sent(&self, account: Address, count: u64) -> Result<()> {
        let started = Instant::now();
        while self.sent_by(account).await?.1 < count {
            ensure!(started.elapsed() < READY_WITHIN, "{account} has not sent {count} transactions");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// What `account` holds of the chain's own money, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256> {
        self.provider.get_balance(account).await.context("the node does not answer")
    }
}

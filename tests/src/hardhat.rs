//! A local chain that is not anvil: Hardhat's node, with the same ten accounts.

use std::{
    fs::File,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alloy::providers::Provider;
use anyhow::{Context, Result, bail};
use clawpay_cli::{
    local::{ChildProcess, Toolbox, free_port},
    wallet,
};
use tempfile::TempDir;
use url::Url;

use crate::database::scratch;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// A block may hold a deployment of any of the contracts; time is the tests' to move.
const CONFIG: &str = r#"module.exports = { solidity: "0.8.28", networks: { hardhat: { chainId: 31337, allowBlocksWithSameTimestamp: false } } };"#;

/// A running node. Dropped, it stops.
#[derive(Debug)]
pub struct Hardhat {
    _process: ChildProcess,
    port: u16,
    _directory: TempDir,
}

impl Hardhat {
    /// Starts one and waits until it answers. The calling thread must live as long as the node.
    pub async fn start() -> Result<Self> {
        let toolbox = Toolbox::find()?;
        let program = toolbox.root().join("node_modules/.bin/hardhat").canonicalize().context("Hardhat is missing: run `npm ci`")?;
        let directory = scratch()?;
        let config = directory.path().join("hardhat.config.js");
        std::fs::write(&config, CONFIG)?;
        let log_path = directory.path().join("hardhat.log");
        let log = File::create(&log_path)?;
        let port = free_port()?;
        let mut command = Command::new("node");
        command
            .arg(program)
            .arg("--config")
            .arg(config)
            .args(["node", "--hostname", "127.0.0.1", "--port", &port.to_string()])
            // It runs only below the directory that it is installed in, and asks before it reports anything to its makers.
            .current_dir(toolbox.root())
            .env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")
            .env("HOME", directory.path())
            .env("XDG_DATA_HOME", directory.path())
            .env("XDG_CONFIG_HOME", directory.path())
            .env("XDG_CACHE_HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut process = ChildProcess::spawn("hardhat", &mut command, STOP_WITHIN)?;
        let started = Instant::now();
        let url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        while wallet::connect(&url).await?.get_chain_id().await.is_err() {
            if let Some(status) = process.ended() {
                bail!("hardhat ended while starting ({status}): {}", std::fs::read_to_string(log_path)?);
            }
            if started.elapsed() > READY_WITHIN {
                bail!("hardhat is not ready: {}", std::fs::read_to_string(log_path)?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { _process: process, port, _directory: directory })
    }

    /// Its JSON-RPC: `http` or `ws`, on the same port.
    pub fn url(&self, scheme: &str) -> Result<Url> {
        Ok(Url::parse(&format!("{scheme}://127.0.0.1:{}/", self.port))?)
    }
}

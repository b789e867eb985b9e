//! The embedded chain: made once, with the contracts and the demo market, and continued ever after.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider, ext::AnvilApi},
};
use anyhow::{Context, Result, bail};
use clawpay_bindings::Deployment;

use super::market;
use crate::{
    actor::Actor,
    config::Config,
    deploy::{self, Plan, Step},
    deployment_file,
    local::{Anvil, AnvilOptions, ChainFile, PortTaken, Toolbox, on_free_port},
    output::progress,
    wallet::{self, Wallet, dev_account},
};

/// The account that deploys and mints.
const OPERATOR: u32 = 0;
/// anvil saves every second; a state that is not saved by then is not going to be.
const SAVED_WITHIN: Duration = Duration::from_secs(30);
/// Blocks made in one second differ by one each, and so run ahead of the clock for a while.
const TOLERATED_BEHIND: Duration = Duration::from_secs(60);

/// A running chain with the contracts on it.
#[derive(Debug)]
pub(super) struct LocalChain {
    /// The node.
    pub(super) node: Anvil,
    /// Where the contracts are.
    pub(super) deployment: Deployment,
    /// Height at which everything this stack will ever send is mined.
    pub(super) complete_at: u64,
    provider: DynProvider,
    file: ChainFile,
    kept_at: u64,
}

impl LocalChain {
    /// Continues the chain in the data directory, or makes it. What an interrupted making has left is thrown away: only the marker file,
    /// written last, says that a chain is complete.
    pub(super) async fn start(config: &Config, toolbox: &Toolbox) -> Result<Self> {
        let directory = config.data_dir.join("anvil");
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        Anvil::settle_predecessor(&directory)?;
        let file = ChainFile::new(&directory);
        let marker = config.data_dir.join("complete");

        let height = file.restore()?;
        let is_complete = marker.exists() && height.is_some();
        if !is_complete {
            if marker.exists() {
                progress("The local chain's state is lost: starting over with a new one");
            } else if height.is_some() {
                progress("The local chain was not finished last time: starting over with a new one");
            }
            forget(&marker)?;
            file.remove()?;
        }

        match height.filter(|_| is_complete) {
            Some(height) => progress(format_args!("Starting anvil from block {height}")),
            None => progress(format_args!("Starting anvil {} days in the past", market::HISTORY.0 / 86_400)),
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
        let genesis_time = (!is_complete).then(|| clock.saturating_sub(market::HISTORY.0));
        let start = |port| {
            let state = Some(file.live().to_owned());
            Anvil::start(toolbox, &AnvilOptions { port, directory: directory.clone(), state, genesis_time })
        };
        let wanted = config.rpc_port;
        let node = match start(wanted.number) {
            Err(error) if error.is::<PortTaken>() && wanted.is_explicit => return Err(error).context("CLAWPAY_RPC_PORT"),
            Err(error) if error.is::<PortTaken>() => {
                let node = on_free_port(start)?;
                progress(format_args!("Port {} is taken: anvil uses {} instead", wanted.number, node.port()));
                node
            }
            outcome => outcome?,
        };
        let provider = wallet::connect(&node.http_url()).await?;

        let path = deployment_file::of_local_stack(&config.data_dir);
        let deployment = if is_complete {
            deployment_file::read(&path).with_context(|| {
                format!("another version made the local chain in {}: remove that directory to start over", config.data_dir.display())
            })?
        } else {
            make(config, &node, &provider, &path).await?
        };
        go_on_in_time(&provider).await?;
        let complete_at = provider.get_block_number().await?;
        let mut chain = Self { node, deployment, complete_at, provider, file, kept_at: 0 };
        if !is_complete {
            chain.wait_until_kept().await?;
            fs::write(&marker, if config.empty { "empty\n" } else { "market\n" }).context("cannot mark the local chain as complete")?;
        }
        Ok(chain)
    }

    /// Keeps a complete copy of the state anvil has saved, if there are new blocks, and the chain's time from going back. To be called every
    /// second or so.
    pub(super) async fn keep(&mut self) -> Result<()> {
        go_on_in_time(&self.provider).await?;
        let head = self.provider.get_block_number().await?;
        if head != self.kept_at && self.file.keep(head)? {
            self.kept_at = head;
        }
        Ok(())
    }

    async fn wait_until_kept(&mut self) -> Result<()> {
        let until = tokio::time::Instant::now() + SAVED_WITHIN;
        while self.kept_at < self.complete_at {
            if tokio::time::Instant::now() >= until {
                bail!("anvil has not saved its state within {} s", SAVED_WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.keep().await?;
        }
        Ok(())
    }
}

/// Deploys, hands out test money and, unless it is to stay empty, plays the market's history.
async fn make(config: &Config, node: &Anvil, provider: &DynProvider, path: &Path) -> Result<Deployment> {
    let rpc_url = node.http_url();
    progress("Deploying the contracts");
    let wallet = Wallet::signing(&rpc_url, dev_account(OPERATOR)?).await?;
    let deployment = deploy::deploy(&wallet, &Plan::default(), |step| {
        // On this chain nothing costs anything, and the addresses are shown at the end.
        if !matches!(step, Step::Created { .. }) {
            progress(format_args!("  {step}"));
        }
    })
    .await?;
    deployment_file::write(path, &deployment)?;
    progress("Handing out test USDC");
    market::fund(&Actor::new(wallet, deployment.contracts)).await?;
    if !config.empty {
        progress("Playing the demo market's forty days");
        market::play(&rpc_url, deployment.contracts).await.context("the demo market could not be played")?;
    }
    market::catch_up(provider).await?;
    Ok(deployment)
}

/// Lets the chain's time go on from its last block where the machine's clock has fallen behind that: anvil follows the clock wherever it jumps, and
/// would make blocks that are earlier than those before them, on which no deadline passes any more.
async fn go_on_in_time(provider: &DynProvider) -> Result<()> {
    let last = provider.get_block_by_number(BlockNumberOrTag::Latest).await?.context("a chain has a latest block")?.header.timestamp;
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
    let next = clock.saturating_add_signed(provider.anvil_increase_time(0).await?);
    let behind = last.saturating_sub(next);
    if behind > TOLERATED_BEHIND.as_secs() {
        progress(format_args!("The clock is {} behind the local chain's last block: chain time goes on from that block", span(behind)));
        provider.anvil_increase_time(behind).await?;
    }
    Ok(())
}

/// Seconds in words.
fn span(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} minutes"),
        (0, hours, _) => format!("{hours} hours"),
        (days, ..) => format!("{days} days"),
    }
}

fn forget(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

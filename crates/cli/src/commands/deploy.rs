//! `clawpay deploy`: puts the contracts on a chain and writes down where they are.

use alloy::providers::Provider;
use anyhow::{Context, Result, bail};
use clawpay_indexer::origin;

use crate::{
    args,
    config::Config,
    deploy::{self, Journal, Plan, is_local},
    deployment_file, output,
    wallet::{self, Wallet},
};

/// Blocks that must follow a live chain's contracts unless told otherwise.
const LIVE_CONFIRMATIONS: u64 = 3;

/// Runs the command.
pub async fn run(arguments: &args::Deploy, config: &Config) -> Result<()> {
    let rpc_url = config.require_rpc_url()?;
    let provider = wallet::connect(rpc_url).await?;
    let chain_id = provider.get_chain_id().await.with_context(|| format!("no node answers at {}", origin(rpc_url)))?;
    if let Some(wanted) = arguments.chain_id.filter(|wanted| *wanted != chain_id) {
        bail!("the node at {} is on chain {chain_id}, not {wanted}", origin(rpc_url));
    }

    let path = arguments.output.clone().unwrap_or_else(|| deployment_file::of_chain(&config.data_dir, chain_id));
    if path.exists() && !is_local(chain_id) {
        bail!("{} exists: move it away, or say --output, to deploy to chain {chain_id} again", path.display());
    }

    let deployer = match &config.deployer_key {
        Some(key) => Wallet::signing(rpc_url, key.0.clone()).await?,
        None if is_local(chain_id) => {
            let accounts = provider.get_accounts().await?;
            let account = accounts.first().context("the node has no unlocked account: set CLAWPAY_DEPLOYER_KEY")?;
            Wallet::unlocked(rpc_url, *account).await?
        }
        None => bail!("set CLAWPAY_DEPLOYER_KEY: chain {chain_id} is not a local one"),
    };
    let plan = Plan {
        usdc: arguments.usdc.or(config.usdc),
        agent_registry: arguments.agent_registry,
        treasury: arguments.treasury,
        owner: arguments.owner,
        parameters: arguments.parameters(),
        confirmations: arguments.confirmations.unwrap_or(if is_local(chain_id) { 0 } else { LIVE_CONFIRMATIONS }),
    };
    // A local chain is made anew rather than continued.
    let mut journal = if is_local(chain_id) { Journal::in_memory() } else { Journal::beside(&path)? };

    output::progress(format_args!("Deploying to chain {chain_id} from {}", deployer.address()));
    let outcome = deploy::deploy_or_continue(&deployer, &plan, &mut journal, |step| output::progress(format_args!("  {step}"))).await;
    if outcome.is_err() && journal.has_notes_on_disk() {
        output::progress("The deployment is not complete: the same command continues it");
    }
    let deployment = outcome?;
    // The contracts exist now whatever happens to the file: their addresses must not be lost with it.
    output::result(serde_json::to_string_pretty(&deployment)?);
    deployment_file::write(&path, &deployment)?;
    journal.remove()?;
    output::progress(format_args!("Written to {}", path.display()));
    Ok(())
}

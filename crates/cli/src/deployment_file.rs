//! Where deployment files are, and how they are read and written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::B256,
    providers::{DynProvider, Provider},
};
use anyhow::{Context, Result, bail};
use clawpay_bindings::Deployment;
use clawpay_indexer::origin;

use crate::{
    config::{Config, Secret},
    deploy::is_local,
    output::progress,
    wallet,
};

/// The embedded chain's own, inside the data directory.
pub fn of_local_stack(data_dir: &Path) -> PathBuf {
    data_dir.join("deployment.json")
}

/// Where `clawpay deploy` writes unless told otherwise: live chains beside the sources, to be committed; local ones in the data directory.
pub fn of_chain(data_dir: &Path, chain_id: u64) -> PathBuf {
    let directory = if is_local(chain_id) { data_dir.join("deployments") } else { PathBuf::from("deployments") };
    directory.join(format!("{chain_id}.json"))
}

/// Reads one file.
pub fn read(path: &Path) -> Result<Deployment> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read the deployment file {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a deployment file", path.display()))
}

/// Writes one file, completely or not at all.
pub fn write(path: &Path, deployment: &Deployment) -> Result<()> {
    let text = serde_json::to_string_pretty(deployment)? + "\n";
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    let draft = path.with_extension("json.draft");
    fs::write(&draft, text)
        .and_then(|()| fs::rename(&draft, path))
        .with_context(|| format!("cannot write the deployment file {}", path.display()))
}

/// As [`find`], on the first of the configured nodes that is on the deployment's chain. Waits for nodes as long as none answers.
///
/// # Errors
/// Those that answer are all on other chains: what the first of them is refused for.
pub async fn wait_and_find(config: &Config) -> Result<Deployment> {
    config.require_rpc_url()?;
    let mut is_reported = false;
    loop {
        let mut refusal = None;
        for Secret(rpc_url) in &config.rpc_urls {
            let found = match wallet::reach(rpc_url).await {
                Ok(provider) => find(config, &provider).await,
                Err(error) => {
                    if !is_reported {
                        progress(format_args!("Waiting for the node at {}: {error:#}", origin(rpc_url)));
                    }
                    continue;
                }
            };
            match found {
                Ok(deployment) => return Ok(deployment),
                Err(error) => {
                    refusal.get_or_insert(error.context(format!("the node at {} cannot be followed", origin(rpc_url))));
                }
            }
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        is_reported = true;
        tokio::time::sleep(wallet::LAST_WAIT).await;
    }
}

/// The deployment on the chain that `provider` leads to: the configured file, or the first of the usual places that is about this chain.
pub async fn find(config: &Config, provider: &DynProvider) -> Result<Deployment> {
    let chain_id = provider.get_chain_id().await.context("the node at RPC_URL does not answer")?;
    let genesis = provider
        .get_block_by_number(BlockNumberOrTag::Earliest)
        .await
        .context("the node at RPC_URL does not answer")?
        .context("the node at RPC_URL does not know block 0")?
        .header
        .hash;
    if let Some(path) = &config.deployment {
        let deployment = read(path)?;
        if let Some(difference) = difference(&deployment, chain_id, genesis) {
            bail!("{}: {difference}", path.display());
        }
        return Ok(deployment);
    }
    let mut places = vec![of_chain(&config.data_dir, chain_id)];
    if is_local(chain_id) {
        places.push(of_local_stack(&config.data_dir));
    }
    let mut refused = Vec::new();
    for path in places {
        if !path.exists() {
            refused.push(format!("{} does not exist", path.display()));
            continue;
        }
        let deployment = read(&path)?;
        match difference(&deployment, chain_id, genesis) {
            None => return Ok(deployment),
            Some(difference) => refused.push(format!("{}: {difference}", path.display())),
        }
    }
    bail!("no deployment file for chain {chain_id}: run `clawpay deploy`, or set CLAWPAY_DEPLOYMENT ({})", refused.join("; "))
}

fn difference(deployment: &Deployment, chain_id: u64, genesis: B256) -> Option<String> {
    if deployment.chain_id != chain_id {
        Some(format!("it is about chain {}, and the node at RPC_URL is on chain {chain_id}", deployment.chain_id))
    } else if deployment.genesis_hash != genesis {
        Some(format!("it is about another chain {chain_id}: its block 0 is {}, the node's is {genesis}", deployment.genesis_hash))
    } else {
        None
    }
}

//! `clawpay verify`: the index against the contracts.

use anyhow::{Context, Result, bail};
use clawpay_bindings::{Contracts, Deployment};
use clawpay_indexer::{Difference, verify};
use clawpay_store::{Chain, Reader, ReaderOptions};

use crate::{args::Verify, config::Config, output, shutdown};

/// Runs the command. An error if anything differs. Which market it is, the database says.
pub async fn run(arguments: Verify, config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    tokio::select! {
        outcome = compare(arguments, config) => outcome,
        () = shutdown.cancelled() => bail!("interrupted"),
    }
}

async fn compare(arguments: Verify, config: &Config) -> Result<()> {
    let reader = Reader::new(config.require_database_url()?, ReaderOptions::default())?;
    let snapshot = reader.snapshot().await?.context("no indexer has written to the database yet")?;
    let node = config.indexer(deployment(&snapshot.chain))?;
    let verified = verify(&node, snapshot, |difference| {
        if arguments.json {
            print_json(&difference);
        } else {
            let Difference { subject, fact, index, chain } = difference;
            output::result(format_args!("{subject}, {fact}: the index says {index}, the chain {chain}"));
        }
    })
    .await?;
    if arguments.json {
        print_json(&verified);
    } else {
        output::result(format_args!(
            "{} runs and {} agents compared at block {} ({}); {}; state digest {}",
            verified.runs,
            verified.agents,
            verified.block,
            verified.block_hash,
            match verified.differences {
                0 => "no difference".to_owned(),
                1 => "1 difference".to_owned(),
                count => format!("{count} differences"),
            },
            verified.digest,
        ));
    }
    if verified.differences > 0 {
        bail!("the index does not agree with the contracts");
    }
    Ok(())
}

fn print_json(value: &impl serde::Serialize) {
    // Nothing that is printed here can fail to be JSON.
    if let Ok(line) = serde_json::to_string(value) {
        output::result(line);
    }
}

fn deployment(chain: &Chain) -> Deployment {
    Deployment {
        chain_id: chain.chain_id,
        genesis_hash: chain.genesis_hash,
        deployment_block: chain.deployment_block,
        contracts: Contracts {
            usdc: chain.usdc,
            agent_registry: chain.agent_registry,
            agent_stake: chain.agent_stake,
            run_escrow: chain.run_escrow,
        },
    }
}

//! `clawpay index`: follows a chain into a database.

use anyhow::Result;
use clawpay_store::Writer;

use crate::{config::Config, deployment_file, output, shutdown, wallet};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let writer = Writer::new(config.require_database_url()?)?;
    let rpc_url = config.require_rpc_url()?;
    let deployment = tokio::select! {
        deployment = find_deployment(config, rpc_url) => deployment?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let mut indexer = clawpay_indexer::Config::new(rpc_url.clone(), deployment);
    indexer.progress = true;
    clawpay_indexer::run(indexer, writer, shutdown).await?;
    Ok(())
}

/// Waits for a node that is away; a node on the wrong chain is an error.
async fn find_deployment(config: &Config, rpc_url: &url::Url) -> Result<clawpay_bindings::Deployment> {
    let provider = wallet::wait_for_node(rpc_url, |error| {
        output::progress(format_args!("Waiting for the node at {}: {error:#}", wallet::shown(rpc_url)));
    })
    .await;
    deployment_file::find(config, &provider).await
}

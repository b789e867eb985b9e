//! `clawpay index`: follows a chain into a database.

use anyhow::Result;
use clawpay_store::Writer;

use crate::{config::Config, deployment_file, shutdown};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let writer = Writer::new(config.require_database_url()?)?;
    let deployment = tokio::select! {
        deployment = deployment_file::wait_and_find(config) => deployment?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let mut indexer = config.indexer(deployment)?;
    indexer.progress = true;
    clawpay_indexer::run(indexer, writer, shutdown).await?;
    Ok(())
}

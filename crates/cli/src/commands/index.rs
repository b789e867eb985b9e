//! `clawpay index`: follows a chain into a database.

use anyhow::Result;
use clawpay_store::Writer;

use crate::{config::Config, deployment_file, listen, shutdown, telemetry};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let writer = Writer::new(config.require_database_url()?)?;
    let metrics = listen::for_metrics(config.metrics_addr)?;
    let deployment = tokio::select! {
        deployment = deployment_file::wait_and_find(config) => deployment?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let counted = telemetry::count_for(metrics.as_ref())?;
    if let Some(listener) = metrics {
        let mut probes = clawpay_api::Config::new(config.require_rpc_url()?.clone(), config.require_database_url()?);
        probes.fallback_rpc_urls = config.fallback_rpc_urls();
        probes.metrics = counted;
        tokio::spawn(clawpay_api::serve_probes(listener, probes, shutdown.clone()));
    }
    let mut indexer = config.indexer(deployment)?;
    indexer.progress = true;
    clawpay_indexer::run(indexer, writer, shutdown).await?;
    Ok(())
}

//! `clawpay index`: follows a chain into a database.

use anyhow::{Context, Result};
use clawpay_store::Writer;
use tokio::net::TcpListener;

use crate::{config::Config, deployment_file, output, shutdown, telemetry};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let writer = Writer::new(config.require_database_url()?)?;
    let deployment = tokio::select! {
        deployment = deployment_file::wait_and_find(config) => deployment?,
        () = shutdown.cancelled() => return Ok(()),
    };
    if let Some(address) = config.metrics_addr {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}, which CLAWPAY_METRICS_ADDR asks for"))?;
        output::progress(format_args!("Serving metrics on http://{}/metrics", listener.local_addr()?));
        let mut probes = clawpay_api::Config::new(config.require_rpc_url()?.clone(), config.require_database_url()?);
        probes.metrics = Some(telemetry::count()?);
        tokio::spawn(clawpay_api::serve_probes(listener, probes, shutdown.clone()));
    }
    let mut indexer = config.indexer(deployment)?;
    indexer.progress = true;
    clawpay_indexer::run(indexer, writer, shutdown).await?;
    Ok(())
}

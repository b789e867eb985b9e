//! `clawpay serve`: the API over an indexed database. Which market it serves, the database says.

use anyhow::Result;
use clawpay_api::Listeners;

use crate::{config::Config, listen, output, shutdown, telemetry};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let database_url = config.require_database_url()?;
    let rpc_url = config.require_rpc_url()?;
    let listeners = Listeners { api: listen::on_all(&config.api)?, metrics: listen::for_metrics(config.metrics_addr)? };
    for listener in &listeners.api {
        output::progress(format_args!("Serving the API on http://{}", listener.local_addr()?));
    }
    let mut api = config.api(rpc_url.clone(), database_url);
    api.read_url = config.database_read_url.as_ref().map(|url| url.0.clone());
    api.metrics = telemetry::count_for(listeners.metrics.as_ref())?;
    clawpay_api::serve(listeners, api, shutdown).await?;
    Ok(())
}

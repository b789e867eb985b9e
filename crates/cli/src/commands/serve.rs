//! `clawpay serve`: the API over an indexed database. Which market it serves, the database says.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use crate::{config::Config, output, shutdown, telemetry};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let database_url = config.require_database_url()?;
    let rpc_url = config.require_rpc_url()?;
    let port = config.api_port.number;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("cannot listen on port {port}; CLAWPAY_API_PORT chooses another"))?;
    output::progress(format_args!("Serving the API on http://{}", listener.local_addr()?));
    let mut api = config.api(rpc_url.clone(), database_url);
    api.read_url = config.database_read_url.as_ref().map(|url| url.0.clone());
    api.metrics = Some(telemetry::count()?);
    clawpay_api::serve(listener, api, shutdown).await?;
    Ok(())
}

//! `clawpay serve`: the API over an indexed database. Which market it serves, the database says.

use anyhow::{Context, Result};
use clawpay_api::{Hidden, Listeners};
use clawpay_store::{Reader, ReaderOptions};

use crate::{config::Config, listen, output, shutdown, telemetry};

/// Runs the command until it is told to stop.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let database_url = config.require_database_url()?;
    let rpc_url = config.require_rpc_url()?;
    let hidden = config.hide.as_ref().map(Hidden::read).transpose().context("CLAWPAY_HIDE")?.unwrap_or_default();
    let listeners = Listeners { api: listen::on_all(&config.api)?, metrics: listen::for_metrics(config.metrics_addr)? };
    look_at_index(database_url).await?;
    for listener in &listeners.api {
        output::progress(format_args!("Serving the API on http://{}", listener.local_addr()?));
    }
    let mut api = config.api(rpc_url.clone(), database_url);
    api.read_url = config.database_read_url.as_ref().map(|url| url.0.clone());
    api.hidden = hidden;
    api.metrics = telemetry::count_for(listeners.metrics.as_ref())?;
    clawpay_api::serve(listeners, api, shutdown).await?;
    Ok(())
}

/// Tells what is not there yet. A database that is away may come back, and one without an index is waited for; one that will not let this
/// server in is an error.
async fn look_at_index(database_url: &str) -> Result<()> {
    match Reader::new(database_url, ReaderOptions::default())?.snapshot().await {
        Ok(Some(_)) => {}
        Ok(None) => output::progress(
            "Nothing is indexed in this database yet: start `clawpay index` with the same database. Until then reads are answered 503",
        ),
        Err(error) if error.advice().is_some() && !error.is_transient() => return Err(error).context("DATABASE_URL"),
        Err(error) => {
            let advice = error.advice().unwrap_or("it is asked again every second");
            output::progress(format_args!("Waiting for the database: {error}; {advice}"));
        }
    }
    Ok(())
}

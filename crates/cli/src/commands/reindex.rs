//! `clawpay reindex`: runs and agents anew from the stored events.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clawpay_store::Writer;

use crate::{config::Config, output, shutdown};

/// How often it tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Runs the command. Interrupted, it changes nothing.
pub async fn run(config: &Config) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let store = Writer::new(config.require_database_url()?)?;
    let started = Instant::now();
    let mut told = started;
    let reindex = clawpay_indexer::reindex(&store, |events| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            output::progress(format_args!("{events} events folded"));
        }
    });
    let reindexed = tokio::select! {
        reindexed = reindex => reindexed?,
        () = shutdown.cancelled() => bail!("interrupted; nothing was changed"),
    };
    let Some(reindexed) = reindexed else { bail!("no indexer has written to the database yet") };
    let (replayed, replaced) = (reindexed.replayed, reindexed.replaced);
    output::result(format_args!(
        "{} events folded anew up to block {} in {} ms: {} runs and {} agents changed, {} events are understood otherwise, {} digests corrected",
        replayed.events,
        reindexed.block,
        started.elapsed().as_millis(),
        replaced.runs,
        replaced.agents,
        replayed.corrected,
        replaced.digests,
    ));
    Ok(())
}

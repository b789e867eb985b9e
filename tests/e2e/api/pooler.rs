//! Reads through PgBouncer in transaction mode, where two requests in a row may have two sessions of the database, and one that of another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clawpay_domain::RunId;
use clawpay_store::{Page, Reader, ReaderOptions, RunFilter, RunSort};
use clawpay_tests::{Database, Pooler, bulk_runs, empty_index};
use futures::future::try_join_all;

#[tokio::test]
#[ignore = "needs pgbouncer on the PATH"]
async fn many_readers_share_two_sessions() -> Result<()> {
    let database = Database::start()?;
    empty_index(&database.url()).await?;
    bulk_runs(&database.url(), 1..=200).await?;
    let pooler = Pooler::start(&database.url()).await?;
    let options = ReaderOptions { acquire_timeout: Duration::from_secs(20), ..ReaderOptions::default() };
    let reader = Reader::new(pooler.url(), options)?;
    for _ in 0..5 {
        let reads = (1..=40).map(|number| {
            let reader = reader.clone();
            async move {
                let alone = reader.run(RunId(number)).await?.context("an index")?.found.context("a run")?;
                ensure!(alone.record.run.id == RunId(number) && alone.poster.created > 0);
                let page = Page { number: 2, limit: 7 };
                let second = reader.runs(&RunFilter::default(), RunSort::Newest, page).await?.context("an index")?.found;
                ensure!(second.total == 200 && second.items.len() == 7);
                let mut snapshot = reader.snapshot().await?.context("an index")?;
                let run = snapshot.run(RunId(number)).await?.context("a run")?;
                let page = Page { number: 1, limit: 7 };
                let listing = snapshot.runs(&RunFilter::default(), RunSort::HighestReward, page).await?;
                ensure!(run.run.id == RunId(number) && listing.total == 200 && listing.items.len() == 7);
                snapshot.totals().await?;
                anyhow::Ok(())
            }
        });
        try_join_all(reads).await?;
    }
    Ok(())
}

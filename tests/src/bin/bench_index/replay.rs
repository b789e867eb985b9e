//! The projections, folded again from the stored events.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clawpay_store::{Tags, Writer};
use sqlx::{Connection, PgConnection};

/// Replays the index at `database_url` into tables beside its own, and answers how many events there were and how long it took, commit
/// included. Those tables lack the indexes that only readers need, as those of `clawpay reindex` do. What comes out must be what is there.
pub(crate) async fn replay(database_url: &str) -> Result<(u64, Duration)> {
    let mut connection = PgConnection::connect(database_url).await?;
    sqlx::raw_sql(
        "CREATE SCHEMA again;
         CREATE TABLE again.runs (LIKE public.runs INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id));
         CREATE TABLE again.agents (LIKE public.agents INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (id))",
    )
    .execute(&mut connection)
    .await?;
    let mut session = Writer::new(database_url)?.try_lock().await?.context("an indexer is running")?;
    let chain = session.chain().await?.context("nothing is indexed")?;
    let cursor = session.indexed().await?.context("nothing is indexed")?;
    let block = session.block_at_or_below(cursor.number).await?.context("nothing is indexed")?;
    session.initialise(&chain, &block, &Tags { head: cursor.head, safe: None, finalized: None }).await?;

    let started = Instant::now();
    let mut batch = session.begin(cursor.number, cursor.hash).await?;
    batch.redirect("again").await?;
    let replayed = clawpay_indexer::replay(&mut batch, &chain, |_| ()).await?;
    batch.commit().await?;
    let took = started.elapsed();

    let different: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM (TABLE public.runs EXCEPT TABLE again.runs) r) + (SELECT count(*) FROM (TABLE again.runs EXCEPT TABLE public.runs) r)
              + (SELECT count(*) FROM (TABLE public.agents EXCEPT TABLE again.agents) a) + (SELECT count(*) FROM (TABLE again.agents EXCEPT TABLE public.agents) a)",
    )
    .fetch_one(&mut connection)
    .await?;
    ensure!(different == 0 && replayed.corrected == 0, "the replay differs in {different} rows and {} events", replayed.corrected);
    Ok((replayed.events, took))
}

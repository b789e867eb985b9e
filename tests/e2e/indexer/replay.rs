//! Rows folded again from the stored events, without a node.

use clawpay_indexer::Replayed;
use clawpay_store::{Tags, Writer};
use clawpay_tests::{Following, IndexDump};

use super::{execute, number, trade};

/// Rows that differ between the index and the tables beside it.
const DIFFERENT: &str = "SELECT (SELECT count(*) FROM (TABLE public.runs EXCEPT TABLE again.runs) r)
     + (SELECT count(*) FROM (TABLE again.runs EXCEPT TABLE public.runs) r)
     + (SELECT count(*) FROM (TABLE public.agents EXCEPT TABLE again.agents) a)
     + (SELECT count(*) FROM (TABLE again.agents EXCEPT TABLE public.agents) a)";

/// Replays the index at `url` into new tables of the schema `again`.
async fn replay(url: &str) -> anyhow::Result<Replayed> {
    execute(url, "CREATE SCHEMA again").await?;
    execute(url, "CREATE TABLE again.runs (LIKE public.runs INCLUDING ALL)").await?;
    execute(url, "CREATE TABLE again.agents (LIKE public.agents INCLUDING ALL)").await?;
    let mut session = Writer::new(url)?.try_lock().await?.expect("nobody else writes");
    let chain = session.chain().await?.expect("it is indexed");
    let cursor = session.indexed().await?.expect("it is indexed");
    let block = session.block_at_or_below(cursor.number).await?.expect("it is indexed");
    session.initialise(&chain, &block, &Tags { head: cursor.head, safe: None, finalized: None }).await?;
    let mut batch = session.begin(cursor.number, cursor.hash).await?;
    batch.redirect("again").await?;
    let mut heard = 0;
    let replayed = clawpay_indexer::replay(&mut batch, &chain, |events| heard = events).await?;
    batch.commit().await?;
    assert_eq!(heard, replayed.events);
    session.close().await?;
    Ok(replayed)
}

#[tokio::test]
async fn a_replay_gives_the_rows_that_following_gave() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let before = IndexDump::read(&url).await?;

    let replayed = replay(&url).await?;
    assert_eq!(replayed, Replayed { events: before.count("events") as u64, corrected: 0 });
    assert_eq!(number(&url, DIFFERENT).await?, 0);
    assert_eq!(number(&url, "SELECT count(*) FROM again.runs").await?, 10);
    before.assert_same(&IndexDump::read(&url).await?);
    Ok(())
}

#[tokio::test]
async fn a_replay_believes_the_logs_and_not_what_was_understood_of_them() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let before = IndexDump::read(&url).await?;
    let misread =
        execute(&url, "UPDATE events SET name = NULL, run_id = NULL, agent_id = 77, refusal = 'misread' WHERE run_id = 1").await?;
    assert!(misread > 5);
    execute(&url, "DELETE FROM blocks b WHERE NOT EXISTS (SELECT FROM events WHERE block_number = b.number)").await?;

    let replayed = replay(&url).await?;
    assert_eq!(replayed, Replayed { events: before.count("events") as u64, corrected: misread });
    assert_eq!(number(&url, DIFFERENT).await?, 0);
    assert_eq!(number(&url, "SELECT count(*) FROM events WHERE refusal IS NOT NULL OR agent_id = 77").await?, 0);
    Ok(())
}

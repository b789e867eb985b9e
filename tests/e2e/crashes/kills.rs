//! kill -9 of the indexer and of its database, while blocks come and go.

use std::time::Duration;

use anyhow::Result;
use clawpay_tests::{DatabaseProxy, Indexer, Stack, indexed_block, scratch};

use super::{Busy, index_process, pauses};
use crate::indexer::assert_equals_fresh;

/// Variable that says how often the indexer is killed; the deep tests set it.
const KILLS: &str = "INDEXER_KILLS";
const USUAL_KILLS: usize = 20;

#[tokio::test]
async fn an_indexer_killed_at_any_moment_while_the_chain_reorganises_loses_and_repeats_nothing() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let directory = scratch()?;
    let kills = std::env::var(KILLS).ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL_KILLS);
    let mut market = Busy::start(&stack).await?;
    let mut at_work = 0;
    for pause in pauses(60).take(kills) {
        let before = indexed_block(&url).await?;
        let process = index_process(&stack, &stack.rpc_url(), &url, directory.path())?;
        // It is killed while it proves the chain, catches up, undoes or follows, wherever the pause ends.
        for _ in 0..40 {
            if indexed_block(&url).await? != before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(pause / 4)).await;
        }
        for _ in 0..3 {
            market.step().await?;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        at_work += usize::from(indexed_block(&url).await? != before);
        process.signal("KILL")?;
        drop(process);
        market.step().await?;
    }
    assert!(at_work * 2 > kills, "only {at_work} of {kills} kills hit an indexer at work");
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    println!("{kills} kills, {at_work} of them at work");
    Ok(())
}

#[tokio::test]
async fn a_database_server_killed_and_started_again_loses_nothing() -> Result<()> {
    let mut stack = Stack::with_database().await?;
    let proxy = DatabaseProxy::start(&stack.database_url()?).await?;
    let indexer = Indexer::start(stack.index_config(), proxy.url())?;
    for pause in pauses(80).take(4) {
        {
            let mut market = Busy::start(&stack).await?;
            for _ in 0..8 {
                market.step().await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        stack.crash_database().await?;
        proxy.lead_to(&stack.database_url()?)?;
        assert!(!indexer.has_ended());
    }
    let url = stack.database_url()?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

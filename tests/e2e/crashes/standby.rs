//! One writes, the other stands by; and a writer that has lost its place cannot write, however long it slept.

use std::time::{Duration, Instant};

use anyhow::Result;
use clawpay_indexer::Config;
use clawpay_tests::{Clawpay, Indexer, Lie, LyingNode, Stack, indexed_block, scratch};

use super::{Busy, index_process, pauses};
use crate::indexer::{assert_equals_fresh, number};

/// Connections that hold the writer's lock.
const WRITERS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = x'636c6177'::int::oid AND objid = x'70617921'::int::oid";
const PATIENCE: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(30);

/// How long it takes until an indexer writes, from now.
async fn until_written(stack: &Stack, url: &str) -> Result<Duration> {
    let (started, before) = (Instant::now(), indexed_block(url).await?);
    stack.mine(1).await?;
    while indexed_block(url).await? == before {
        anyhow::ensure!(started.elapsed() < WITHIN, "nobody took over");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(started.elapsed())
}

#[tokio::test]
async fn a_standby_takes_over_from_a_killed_writer_and_from_a_paused_one_which_can_never_write_again() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let directory = scratch()?;
    let mut market = Busy::start(&stack).await?;
    let standby = Config { standby_patience: PATIENCE, ..stack.index_config() };

    let leader = index_process(&stack, &stack.rpc_url(), &url, directory.path())?;
    stack.until_indexed(&url).await?;
    let second = Indexer::start(standby.clone(), &url)?;
    tokio::time::sleep(Duration::from_millis(600)).await;
    leader.signal("KILL")?;
    let killed = until_written(&stack, &url).await?;
    assert!(killed < Duration::from_secs(10), "{killed:?}");
    second.stop().await??;
    drop(leader);

    let mut paused = Vec::new();
    // At rest, and wherever in a batch a slow node lets a pause fall.
    for pause in [0].into_iter().chain(pauses(40).take(3)) {
        let node = LyingNode::start(vec![stack.rpc_url()], Lie::RefusesRangesOver(1)).await?;
        let mut leader = index_process(&stack, &node.url(), &url, directory.path())?;
        leader.until_it_says("indexing", WITHIN).await?;
        for _ in 0..8 {
            market.step().await?;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        leader.signal("STOP")?;
        let second = Indexer::start(standby.clone(), &url)?;
        paused.push(until_written(&stack, &url).await?.as_millis());
        market.step().await?;
        let said = times_standing_by(&leader);
        leader.signal("CONT")?;
        for _ in 0..4 {
            market.step().await?;
        }
        let started = Instant::now();
        while times_standing_by(&leader) == said {
            anyhow::ensure!(started.elapsed() < WITHIN, "it does not know that it is not the writer: {}", leader.output());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(number(&url, WRITERS).await?, 1);
        assert!(!second.has_ended());
        stack.until_indexed(&url).await?;
        second.stop().await??;
        // The one that slept takes its turn, from where the other left off.
        until_written(&stack, &url).await?;
        leader.signal("KILL")?;
    }
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    let slowest = paused.iter().max().copied().unwrap_or_default();
    let (killed, patience) = (killed.as_millis(), PATIENCE.as_millis());
    println!(r#"{{"bench":"takeover","killedMs":{killed},"pausedMs":{slowest},"patienceMs":{patience}}}"#);
    Ok(())
}

/// How often the process has noticed that it is not the writer.
fn times_standing_by(process: &Clawpay) -> usize {
    process.output().matches("standing by").count()
}

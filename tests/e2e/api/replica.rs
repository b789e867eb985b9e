//! Reads from a copy of the database: as long as it keeps up, and never where somebody decides by them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clawpay_domain::Usdc;
use clawpay_tests::{Indexer, Replica, Stack, indexed_block};

use super::served::{Served, signer};

/// A served market that is read from a replica, and the replica.
async fn with_replica() -> Result<(Served, Replica)> {
    let stack = Stack::with_database().await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    stack.until_indexed(&stack.database_url()?).await?;
    let replica = stack.replica().await?;
    let url = replica.url();
    let mut served = Served::unindexed(stack, |config| {
        config.read_url = Some(url);
        config.max_staleness = Duration::from_secs(4);
    })
    .await?;
    served.indexer = Some(indexer);
    Ok((served, replica))
}

/// Waits until the replica has what the database has.
async fn caught_up(served: &Served, replica: &Replica) -> Result<()> {
    served.settle().await?;
    let started = Instant::now();
    while indexed_block(&replica.url()).await? != indexed_block(&served.stack.database_url()?).await? {
        ensure!(started.elapsed() < Duration::from_secs(20), "the replica does not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn block_read(served: &Served) -> Result<u64> {
    let answer = served.get("/api/config").await?;
    ensure!(answer.status == 200, "{:#}", answer.body);
    Ok(answer.headers["x-indexed-block"].to_str()?.parse()?)
}

#[tokio::test]
async fn reads_come_from_a_replica_that_keeps_up_and_decisions_do_not() -> Result<()> {
    let (served, replica) = with_replica().await?;
    let draft = served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    caught_up(&served, &replica).await?;
    let before = served.stack.head().await?;
    assert_eq!(block_read(&served).await?, before);

    replica.pause().await?;
    served.stack.mine(2).await?;
    served.settle().await?;
    assert_eq!(block_read(&served).await?, before, "a read comes from the replica");
    // Who has seen a block reads from where it is, and what is signed is prepared by what is newest.
    assert_eq!(served.get(&format!("/api/config?minBlock={}", before + 2)).await?.headers["x-indexed-block"], (before + 2).to_string());
    let prepared = served.prepare(&format!("/api/runs/{draft}/cancel"), &signer(1)).await?;
    assert_eq!(prepared["indexedBlock"], before + 2);
    let done = served.act(1, &format!("/api/runs/{draft}/cancel"), &signer(1)).await?;
    assert_eq!(done["run"]["state"], "CANCELLED");

    // It has not heard of the node for too long: what it says is too old to be read.
    let started = Instant::now();
    while block_read(&served).await? == before {
        ensure!(started.elapsed() < Duration::from_secs(20), "a replica that lags goes unnoticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let fresh = served.read("/api/runs").await?;
    assert_eq!((fresh.get("stale"), &fresh["runs"][0]["state"]), (None, &"CANCELLED".into()));

    replica.resume().await?;
    caught_up(&served, &replica).await?;
    // It is trusted again after a while, as a block shows that only the database has.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = block_read(&served).await?;
    replica.pause().await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    assert_eq!(block_read(&served).await?, before);
    Ok(())
}

#[tokio::test]
async fn without_its_replica_the_api_reads_from_the_database() -> Result<()> {
    let (served, replica) = with_replica().await?;
    caught_up(&served, &replica).await?;
    drop(replica);
    for _ in 0..3 {
        served.stack.mine(1).await?;
        served.settle().await?;
        assert_eq!(block_read(&served).await?, served.stack.head().await?);
    }
    served.read("/readyz").await?;
    Ok(())
}

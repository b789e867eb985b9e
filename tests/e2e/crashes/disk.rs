//! The database's disk is full, and then has room again.

use std::time::Duration;

use anyhow::Result;
use clawpay_domain::Usdc;
use clawpay_tests::{IndexDump, Indexer, SmallDisk, Stack, indexed_block};

use super::Busy;

#[tokio::test]
async fn a_full_disk_stops_the_index_and_spoils_nothing() -> Result<()> {
    if !SmallDisk::is_possible() {
        println!("NOT RUN: this system does not let a test mount a disk of its own");
        return Ok(());
    }
    let stack = Stack::with_database().await?;
    let disk = SmallDisk::start().await?;
    let indexer = Indexer::start(stack.index_config(), disk.url())?;
    let mut market = Busy::start(&stack).await?;
    stack.until_indexed(disk.url()).await?;
    for round in 0..2 {
        disk.fill().await?;
        // What has been allocated is used up first.
        let mut is_stopped = false;
        for _ in 0..20 {
            for _ in 0..5 {
                let mut offer = stack.offer(Usdc::whole(2)).await?;
                offer.content_uri = "x".repeat(2_000).into_bytes().into();
                let poster = stack.actor(1).await?;
                Box::pin(poster.draft(offer)).await?;
                market.step().await?;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            if !matches!(indexed_block(disk.url()).await, Ok(indexed) if indexed == Some(stack.head_block().await?)) {
                is_stopped = true;
                break;
            }
        }
        assert!(is_stopped && disk.log().contains("No space left on device"), "round {round}: {}", disk.log());
        assert!(!indexer.has_ended(), "round {round}");
        disk.free().await?;
        stack.until_indexed(disk.url()).await?;
    }
    IndexDump::read(disk.url()).await?.assert_same(&stack.fresh_index("fresh").await?);
    indexer.stop().await??;
    Ok(())
}

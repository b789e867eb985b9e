//! How soon a new block shows, and how soon a reorg is repaired.

use std::time::{Duration, Instant};

use alloy::{
    primitives::B256,
    providers::{Provider, ext::AnvilApi},
};
use anyhow::{Context, Result, ensure};
use clawpay_store::{IndexListener, Reader, ReaderOptions};
use clawpay_tests::Stack;

use crate::mill::Mill;

const BLOCKS: usize = 300;
/// Between two blocks, so that each finds the indexer waiting.
const PAUSE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);
/// Blocks a second, and for how long, to see whether the index falls behind.
pub(crate) const PACE: u32 = 10;
pub(crate) const PACE_SECONDS: u32 = 300;

/// The index, seen as the API sees it.
pub(crate) struct Watch {
    reader: Reader,
    listener: IndexListener,
}

impl Watch {
    pub(crate) async fn open(database_url: &str) -> Result<Self> {
        let reader = Reader::new(database_url, ReaderOptions::default())?;
        let listener = reader.listen().await?;
        Ok(Self { reader, listener })
    }

    /// Waits until reads are about block `number`, or about the block with this very hash.
    pub(crate) async fn until(&mut self, number: u64, hash: Option<B256>, patience: Duration) -> Result<Instant> {
        let waiting = async {
            loop {
                if let Some(snapshot) = self.reader.snapshot().await?
                    && snapshot.indexed.number >= number
                    && hash.is_none_or(|hash| snapshot.indexed.hash == hash)
                {
                    return Ok(Instant::now());
                }
                self.listener.moved().await?;
            }
        };
        tokio::time::timeout(patience, waiting).await.with_context(|| format!("block {number} never showed"))?
    }
}

/// Mines blocks with events, and answers how long each took to be visible, shortest first, counted from when the node had mined it.
pub(crate) async fn latencies(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch) -> Result<Vec<Duration>> {
    let provider = stack.provider();
    provider.anvil_set_auto_mine(false).await?;
    let latencies = mill
        .acting(async |mill| {
            let mut latencies = Vec::with_capacity(BLOCKS);
            let mut head = stack.head().await?;
            watch.until(head, None, PATIENCE).await?;
            for _ in 0..BLOCKS {
                tokio::time::sleep(PAUSE).await;
                let _pending = provider.send_transaction(mill.next_turn()).await?;
                head += 1;
                provider.evm_mine(None).await?;
                let mined = Instant::now();
                latencies.push(watch.until(head, None, PATIENCE).await?.saturating_duration_since(mined));
            }
            ensure!(stack.head().await? == head, "the node mined by itself");
            Ok(latencies)
        })
        .await;
    provider.anvil_set_auto_mine(true).await?;
    let mut latencies = latencies?;
    latencies.sort_unstable();
    Ok(latencies)
}

/// Mines a block every so often for some time, and answers how many blocks the index was behind at most whenever the next one was due.
pub(crate) async fn pace(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch) -> Result<u64> {
    let provider = stack.provider();
    provider.anvil_set_auto_mine(false).await?;
    let worst = mill
        .acting(async |mill| {
            let mut head = stack.head().await?;
            watch.until(head, None, PATIENCE).await?;
            let mut due = tokio::time::interval(Duration::from_secs(1) / PACE);
            let mut worst = 0;
            for _ in 0..PACE * PACE_SECONDS {
                due.tick().await;
                let snapshot = watch.reader.snapshot().await?.context("nothing is indexed")?;
                worst = worst.max(head.saturating_sub(snapshot.indexed.number));
                drop(snapshot);
                let _pending = provider.send_transaction(mill.next_turn()).await?;
                provider.evm_mine(None).await?;
                head += 1;
            }
            ensure!(stack.head().await? == head, "the node mined by itself");
            Ok(worst)
        })
        .await;
    provider.anvil_set_auto_mine(true).await?;
    worst
}

/// The latency that `percent` of the blocks stayed within.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).saturating_sub(1)]
}

/// Replaces the last `depth` blocks by others full of events, and answers how long the index was wrong, counted from when the node was done.
pub(crate) async fn reorg(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch, depth: u64) -> Result<Duration> {
    watch.until(stack.head().await?, None, PATIENCE).await?;
    let (before, old) = stack.head_block().await?;
    let replaced = mill
        .acting(async |mill| {
            mill.reorganise(depth).await?;
            Ok(Instant::now())
        })
        .await?;
    let (head, hash) = stack.head_block().await?;
    ensure!(head == before && hash != old, "the node did not replace {depth} blocks");
    let repaired = watch.until(head, Some(hash), PATIENCE).await?;
    Ok(repaired.saturating_duration_since(replaced))
}

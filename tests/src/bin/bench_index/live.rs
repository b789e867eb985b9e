//! How soon a new block shows, and how soon a reorg is repaired.

use std::time::{Duration, Instant};

use alloy::{
    providers::{Provider, ProviderBuilder, WsConnect, ext::AnvilApi},
    rpc::types::Filter,
};
use anyhow::{Context, Result, ensure};
use clawpay_tests::Stack;
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::{indexer::Indexer, mill::Mill, watch::Watch};

const BLOCKS: usize = 300;
/// Between two blocks, so that each finds the indexer waiting.
const PAUSE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);
/// One reorg may meet a checkpoint, or a busy host.
const REORGS: usize = 9;
/// Blocks a second, and for how long, to see whether the index falls behind.
pub(crate) const PACE: u32 = 10;
pub(crate) const PACE_SECONDS: u32 = 300;

/// When the node pushes each of its heads.
struct Heads {
    pushed: watch::Receiver<Option<(u64, Instant)>>,
    _listening: AbortOnDropHandle<()>,
}

impl Heads {
    async fn listen(stack: &Stack) -> Result<Self> {
        let node = ProviderBuilder::new().connect_ws(WsConnect::new(stack.ws_url())).await?;
        let mut heads = node.subscribe_blocks().await?.into_stream();
        let (told, pushed) = watch::channel(None);
        let listening = AbortOnDropHandle::new(tokio::spawn(async move {
            let _connected = node;
            while let Some(head) = heads.next().await {
                told.send_replace(Some((head.number, Instant::now())));
            }
        }));
        Ok(Self { pushed, _listening: listening })
    }

    /// When it pushed head `number`, which is the next.
    async fn pushed(&mut self, number: u64) -> Result<Instant> {
        let head = tokio::time::timeout(PATIENCE, self.pushed.wait_for(|head| head.is_some_and(|(height, _)| height == number))).await;
        let head = head.with_context(|| format!("block {number} was never pushed"))?.context("the node ended the subscription")?;
        head.map(|(_, at)| at).context("nothing was pushed")
    }
}

/// Mines blocks with events, and answers how long each took to be visible, shortest first. Counted from when the node had mined it, which is
/// when it said so: to a subscriber, or to a client that had asked for the block.
pub(crate) async fn latencies(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch) -> Result<Vec<Duration>> {
    let provider = stack.provider();
    let mut heads = Heads::listen(stack).await?;
    provider.anvil_set_auto_mine(false).await?;
    let latencies = mill
        .acting(async |mill| {
            let mut latencies = Vec::with_capacity(BLOCKS);
            let mut head = stack.head().await?;
            // The first one also waits for what a start has to do.
            for counted in std::iter::once(false).chain([true; BLOCKS]) {
                watch.until(head, None, PATIENCE).await?;
                tokio::time::sleep(PAUSE).await;
                let _pending = provider.send_transaction(mill.next_turn()).await?;
                head += 1;
                provider.evm_mine(None).await?;
                let answered = Instant::now();
                let pushed = heads.pushed(head).await?;
                let visible = watch.until(head, None, PATIENCE).await?;
                if counted {
                    latencies.push(visible.saturating_duration_since(pushed.min(answered)));
                }
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

/// Replaces the last `depth` blocks several times, and answers how long each repair of the index took, shortest first.
pub(crate) async fn reorgs(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch, indexer: &Indexer, depth: u64) -> Result<Vec<Duration>> {
    let mut repairs = Vec::with_capacity(REORGS);
    for _ in 0..REORGS {
        repairs.push(reorg(stack, mill, watch, indexer, depth).await?);
    }
    repairs.sort_unstable();
    Ok(repairs)
}

/// Replaces the last `depth` blocks by others full of events while the indexer is paused, and answers how long it takes to repair the index,
/// counted from when it may go on.
async fn reorg(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch, indexer: &Indexer, depth: u64) -> Result<Duration> {
    watch.until(stack.head().await?, None, PATIENCE).await?;
    let (before, old) = stack.head_block().await?;
    indexer.signal("STOP")?;
    mill.reorganise(depth).await?;
    let (head, hash) = stack.head_block().await?;
    ensure!(head == before && hash != old, "the node did not replace {depth} blocks");
    let replaced = Filter::new().select(head - depth + 1..=head);
    let events = stack.provider().get_logs(&replaced).await?.len();
    ensure!(u64::try_from(events)? == depth * mill.events(), "the new blocks hold {events} events");
    let resumed = Instant::now();
    indexer.signal("CONT")?;
    let repaired = watch.until(head, Some(hash), PATIENCE).await?;
    Ok(repaired.saturating_duration_since(resumed))
}

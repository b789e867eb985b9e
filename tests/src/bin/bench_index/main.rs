//! `make bench-index`: how fast the indexer is, beside what the same node and the same Postgres allow at most in the same run. One JSON
//! line per figure on standard output.
//!
//! Seconds are wall time. The backfill is counted from the start of the process to the commit of the last block.

mod floors;
mod indexer;
mod live;
mod mill;
mod replay;

use std::{
    fmt::Write,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clawpay_cli::{
    local::{Durability, Postgres, Toolbox},
    output::{self, progress},
};
use clawpay_tests::{Stack, create_database};
use tempfile::TempDir;

use crate::{indexer::Indexer, live::Watch, mill::Mill};

const BLOCKS: u64 = 4_000;
/// New runs a block, of six events each: about 150,000 events, and ten times as many.
const WIDTHS: [u64; 2] = [7, 70];
/// New runs a block while the index follows: what a busy market has, and what a very busy one has.
const LIVE_WIDTHS: [u64; 2] = [1, 7];
/// Blocks before those, so that runs of every age are there.
const LIVE_PAST: u64 = 300;
const EVENTS_PER_RUN: u64 = 6;
const REORG: u64 = 64;

#[tokio::main]
async fn main() -> ExitCode {
    match bench().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("bench-index: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// With numbers as arguments, only markets of those widths.
async fn bench() -> Result<()> {
    let asked = std::env::args().skip(1).map(|width| width.parse().with_context(|| format!("{width} is not a width")));
    let asked = asked.collect::<Result<Vec<u64>>>()?;
    for width in if asked.is_empty() { WIDTHS.to_vec() } else { asked } {
        past(width).await?;
    }
    for width in LIVE_WIDTHS {
        present(width).await?;
    }
    Ok(())
}

/// A node, and a server on a disk that keeps its promises.
struct Scene {
    stack: Stack,
    postgres: Postgres,
    directory: TempDir,
}

impl Scene {
    async fn start() -> Result<Self> {
        let toolbox = Toolbox::find()?;
        let directory = tempfile::Builder::new().prefix("bench-index-").tempdir_in(toolbox.root().join("target"))?;
        let postgres = Postgres::start(&toolbox, &directory.path().join("postgres"), Durability::Kept)?;
        Ok(Self { stack: Stack::node().await?, postgres, directory })
    }
}

/// The figures of reading a chain's past.
async fn past(width: u64) -> Result<()> {
    let Scene { stack, postgres, directory } = Scene::start().await?;
    let started = Instant::now();
    let mut mill = Mill::start(&stack, width).await?;
    mill.grow(BLOCKS).await?;
    let head = stack.head().await?;
    progress(format_args!("{head} blocks of {width} runs each made in {:?}", started.elapsed()));

    let (events, node_floor) = floors::node(stack.provider(), &stack.deployment, head).await?;
    let ours = create_database(&postgres.url(), "ours").await?;
    floors::checkpoint(&ours).await?;
    let mut watch = Watch::open(&ours).await?;
    let started = Instant::now();
    let mut indexer = Indexer::start(&stack, &ours, directory.path())?;
    indexer.until_at(&mut watch, head).await?;
    let backfill = started.elapsed();
    let peak = indexer.peak_mb()?;
    indexer::require_runs(&ours, mill.runs()).await?;
    drop(indexer);

    let empty = create_database(&postgres.url(), "floor").await?;
    floors::checkpoint(&ours).await?;
    let database_floor = floors::database(&ours, &empty).await?;
    line(
        "backfill",
        &[
            ("events", events.to_string()),
            ("seconds", seconds(backfill)),
            ("nodeFloorSeconds", seconds(node_floor)),
            ("databaseFloorSeconds", seconds(database_floor)),
            ("peakMb", peak.to_string()),
        ],
    );
    let (events, replayed) = replay::replay(&ours).await?;
    line("replay", &[("events", events.to_string()), ("seconds", seconds(replayed))]);
    postgres.stop();
    Ok(())
}

/// The figures of following a chain as it grows.
async fn present(width: u64) -> Result<()> {
    let Scene { stack, postgres, directory } = Scene::start().await?;
    let mut mill = Mill::start(&stack, width).await?;
    mill.grow(LIVE_PAST).await?;
    let ours = create_database(&postgres.url(), "ours").await?;
    let mut watch = Watch::open(&ours).await?;
    let mut indexer = Indexer::start(&stack, &ours, directory.path())?;
    indexer.until_at(&mut watch, stack.head().await?).await?;
    let latencies = live::latencies(&stack, &mut mill, &mut watch).await?;
    let percentile = |percent| milliseconds(live::percentile(&latencies, percent));
    let events = (width * EVENTS_PER_RUN).to_string();
    line("live", &[("eventsPerBlock", events), ("p50Ms", percentile(50)), ("p95Ms", percentile(95)), ("p99Ms", percentile(99))]);
    let repaired = live::reorg(&stack, &mut mill, &mut watch, REORG).await?;
    line("reorg64", &[("seconds", seconds(repaired))]);
    let worst = live::pace(&stack, &mut mill, &mut watch).await?;
    line(
        "pace",
        &[("blocksPerSecond", live::PACE.to_string()), ("seconds", live::PACE_SECONDS.to_string()), ("worstLagBlocks", worst.to_string())],
    );
    drop(indexer);
    postgres.stop();
    Ok(())
}

/// Prints one figure, in the order given.
fn line(bench: &str, fields: &[(&str, String)]) {
    let mut line = format!(r#"{{"bench":"{bench}""#);
    for (name, value) in fields {
        // Writing to a string does not fail.
        let _infallible = write!(line, r#","{name}":{value}"#);
    }
    output::result(format_args!("{line}}}"));
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

fn milliseconds(duration: Duration) -> String {
    let micros = duration.as_micros();
    format!("{}.{}", micros / 1_000, micros % 1_000 / 100)
}

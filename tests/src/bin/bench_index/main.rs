//! `make bench-index`: how fast the indexer is, beside what the same node and the same Postgres allow at most in the same run. One JSON
//! line per figure on standard output.
//!
//! Seconds are wall time. The backfill is counted from the start of the process to the commit of the last block.

mod floors;
mod indexer;
mod live;
mod mill;
mod replay;
mod watch;

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

use crate::{indexer::Indexer, mill::Mill, watch::Watch};

const BLOCKS: u64 = 4_000;
/// New runs a block, of six events each: about 150,000 events, and ten times as many.
const WIDTHS: [u64; 2] = [7, 70];
/// What is followed as it grows: the first of these chains, and one with the blocks of a market that is less busy.
const FOLLOWED: u64 = WIDTHS[0];
const QUIET: u64 = 1;
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
    for width in if asked.is_empty() { [WIDTHS.as_slice(), &[QUIET]].concat() } else { asked } {
        market(width).await?;
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

/// The figures of a market whose past is read, and which is followed then unless it is a large one.
async fn market(width: u64) -> Result<()> {
    let scene = Scene::start().await?;
    let started = Instant::now();
    let mut mill = Mill::start(&scene.stack, width).await?;
    mill.grow(BLOCKS).await?;
    progress(format_args!("{} blocks of {width} runs each made in {:?}", scene.stack.head().await?, started.elapsed()));
    let ours = create_database(&scene.postgres.url(), "ours").await?;
    let mut watch = Watch::open(&ours).await?;
    past(&scene, &mill, &ours, &mut watch).await?;
    let (events, replayed) = replay::replay(&ours).await?;
    line("replay", &[("events", events.to_string()), ("seconds", seconds(replayed))]);
    if width <= FOLLOWED {
        let indexer = Indexer::start(&scene.stack, &ours, scene.directory.path())?;
        indexer::until_looking(&ours).await?;
        present(&scene.stack, &mut mill, &mut watch, &indexer).await?;
        drop(indexer);
    }
    scene.postgres.stop();
    Ok(())
}

/// The figures of reading a chain's past.
async fn past(Scene { stack, postgres, directory }: &Scene, mill: &Mill<'_>, ours: &str, watch: &mut Watch) -> Result<()> {
    let head = stack.head().await?;
    let (events, node_floor) = floors::node(stack.provider(), &stack.deployment, head).await?;
    floors::checkpoint(ours).await?;
    let started = Instant::now();
    let mut indexer = Indexer::start(stack, ours, directory.path())?;
    indexer.until_at(watch, head).await?;
    let backfill = started.elapsed();
    let peak = indexer.peak_mb()?;
    indexer::until_built(ours).await?;
    indexer::require_runs(ours, mill.runs()).await?;
    drop(indexer);

    let empty = create_database(&postgres.url(), "floor").await?;
    floors::checkpoint(ours).await?;
    let database_floor = floors::database(ours, &empty).await?;
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
    Ok(())
}

/// The figures of following the same chain as it grows, into the same database.
async fn present(stack: &Stack, mill: &mut Mill<'_>, watch: &mut Watch, indexer: &Indexer) -> Result<()> {
    let latencies = live::latencies(stack, mill, watch).await?;
    let percentile = |percent| milliseconds(live::percentile(&latencies, percent));
    let events = mill.events().to_string();
    line("live", &[("eventsPerBlock", events), ("p50Ms", percentile(50)), ("p95Ms", percentile(95)), ("p99Ms", percentile(99))]);
    let repairs = live::reorgs(stack, mill, watch, indexer, REORG).await?;
    let quantile = |percent| seconds(live::percentile(&repairs, percent));
    line("reorg64", &[("seconds", quantile(50)), ("worstSeconds", quantile(100))]);
    let worst = live::pace(stack, mill, watch).await?;
    line(
        "pace",
        &[("blocksPerSecond", live::PACE.to_string()), ("seconds", live::PACE_SECONDS.to_string()), ("worstLagBlocks", worst.to_string())],
    );
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

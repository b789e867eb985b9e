//! The indexer in a scripted world, from many seeds: see [`clawpay_tests::simulation`].

use std::{
    env,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use clawpay_tests::{
    Database, create_database,
    simulation::{Scenario, Stage},
};

/// Seeds that are played unless `CLAWPAY_SIMULATION_SEEDS` says how many.
const SEEDS: u64 = 200;
/// Unoptimised futures are large.
const STACK: usize = 16 << 20;

#[test]
fn whatever_happens_the_rows_are_those_of_the_nodes_chain() -> Result<()> {
    let seeds = match number("CLAWPAY_SIMULATION_SEED")? {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("CLAWPAY_SIMULATION_FIRST_SEED")?.unwrap_or(1);
            first..first + number("CLAWPAY_SIMULATION_SEEDS")?.unwrap_or(SEEDS)
        }
    };
    let database = Database::start()?;
    let started = Instant::now();
    let failures = play_all(&database, &seeds)?;
    eprintln!("{} scenarios in {:?}", seeds.end - seeds.start, started.elapsed());
    ensure!(failures.is_empty(), "{} of {} seeds failed: {failures:?}", failures.len(), seeds.end - seeds.start);
    Ok(())
}

#[test]
fn a_seed_always_means_the_same() -> Result<()> {
    let database = Database::start()?;
    let url = database.url();
    let worker = thread::Builder::new().stack_size(STACK).spawn(move || one_at_a_time(play_twice(url)))?;
    worker.join().map_err(|_| anyhow!("the worker panicked"))?
}

/// Plays some seeds twice, and compares what was written down before with what was decided on the way.
async fn play_twice(database_url: String) -> Result<()> {
    let mut stage = Stage::new(&database_url).await?;
    let mut shared = 0;
    for seed in [4, 12, 18] {
        let scenario = Scenario { seed };
        ensure!(scenario.synopsis() == scenario.synopsis(), "seed {seed} writes two scripts");
        let one = scenario.play(&mut stage).await?;
        let other = scenario.play(&mut stage).await?;
        for (question, is_wrong) in &one.decisions {
            if let Some(again) = other.decisions.get(question) {
                ensure!(again == is_wrong, "seed {seed} decides twice about {question:?}");
                shared += 1;
            }
        }
    }
    ensure!(shared > 100, "the two plays share {shared} questions, which shows little");
    Ok(())
}

/// Plays the seeds on all processors, each with a database of its own, and answers those that failed.
fn play_all(database: &Database, seeds: &Range<u64>) -> Result<Vec<u64>> {
    let next = AtomicU64::new(seeds.start);
    let workers = thread::available_parallelism()?.get().min(8);
    let mut failures = thread::scope(|scope| -> Result<Vec<u64>> {
        let mut started = Vec::new();
        for worker in 0..workers {
            let (server, next) = (database.url(), &next);
            let work = async move {
                let mut stage = Stage::new(&create_database(&server, &format!("stage_{worker}")).await?).await?;
                play_some(&mut stage, seeds, next).await
            };
            started.push(thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || one_at_a_time(work))?);
        }
        let mut failures = Vec::new();
        for worker in started {
            failures.extend(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(failures)
    })?;
    failures.sort_unstable();
    Ok(failures)
}

/// Plays the next seed until there is none.
async fn play_some(stage: &mut Stage, seeds: &Range<u64>, next: &AtomicU64) -> Result<Vec<u64>> {
    let mut failures = Vec::new();
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if !seeds.contains(&seed) {
            return Ok(failures);
        }
        match (Scenario { seed }).play(stage).await {
            Ok(_) => {}
            Err(failure) => {
                eprintln!("CLAWPAY_SIMULATION_SEED={seed} plays this again:\n{failure:#}\n");
                failures.push(seed);
            }
        }
    }
}

/// Runs on this thread alone, so that what repeats can repeat.
fn one_at_a_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn number(name: &str) -> Result<Option<u64>> {
    env::var(name).ok().map(|value| value.parse().with_context(|| format!("{name} is a whole number"))).transpose()
}

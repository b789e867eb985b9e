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
const SEEDS: u64 = 300;

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
    let failures = play_all(&database, seeds.clone())?;
    eprintln!("{} scenarios in {:?}", seeds.end - seeds.start, started.elapsed());
    for (seed, failure) in &failures {
        eprintln!("CLAWPAY_SIMULATION_SEED={seed} plays this again:\n{failure:#}\n");
    }
    let failed: Vec<_> = failures.iter().map(|(seed, _)| seed).collect();
    ensure!(failed.is_empty(), "{} of {} seeds failed: {failed:?}", failed.len(), seeds.end - seeds.start);
    Ok(())
}

/// Plays the seeds on all processors, each with a database of its own, and answers the failures in the order of the seeds.
fn play_all(database: &Database, seeds: Range<u64>) -> Result<Vec<(u64, anyhow::Error)>> {
    let next = AtomicU64::new(seeds.start);
    let workers = thread::available_parallelism()?.get().min(8);
    let mut failures = thread::scope(|scope| -> Result<Vec<_>> {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                let (next, seeds) = (&next, &seeds);
                let server = database.url();
                scope.spawn(move || {
                    one_at_a_time(async {
                        let mut stage = Stage::new(&create_database(&server, &format!("stage_{worker}")).await?).await?;
                        let mut failures = Vec::new();
                        loop {
                            let seed = next.fetch_add(1, Relaxed);
                            if !seeds.contains(&seed) {
                                return Ok(failures);
                            }
                            if let Err(failure) = (Scenario { seed }).play(&mut stage).await {
                                failures.push((seed, failure));
                            }
                        }
                    })
                })
            })
            .collect();
        let mut failures = Vec::new();
        for worker in workers {
            let found: Result<Vec<_>> = worker.join().map_err(|_| anyhow!("a worker panicked"))?;
            failures.extend(found?);
        }
        Ok(failures)
    })?;
    failures.sort_by_key(|(seed, _)| *seed);
    Ok(failures)
}

/// Runs on this thread alone, so that what repeats can repeat.
fn one_at_a_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn number(name: &str) -> Result<Option<u64>> {
    env::var(name).ok().map(|value| value.parse().with_context(|| format!("{name} is a whole number"))).transpose()
}

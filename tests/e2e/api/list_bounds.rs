//! How much lists look at, whatever they filter and however they are ordered; and that what they show is all there is.

use std::cmp::Ordering;

use alloy::primitives::Address;
use anyhow::{Context, Result, ensure};
use clawpay_domain::{AgentId, RunId, RunState, Timestamp, Usdc};
use clawpay_store::{Direction, Page, Reader, ReaderOptions, RunFilter, RunRecord, RunSearch, RunSort, StoreError};
use clawpay_tests::{Database, bulk_runs, empty_index};
use sqlx::{Connection, PgConnection};

const SORTS: [RunSort; 6] =
    [RunSort::Newest, RunSort::Oldest, RunSort::HighestReward, RunSort::LowestReward, RunSort::EarliestDeadline, RunSort::LatestDeadline];

/// A market of so many runs, every other one of them with words and a tag of its content.
async fn market(runs: u64) -> Result<Database> {
    let database = Database::start()?;
    empty_index(&database.url()).await?;
    bulk_runs(&database.url(), 1..=runs).await?;
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::query("INSERT INTO run_words SELECT id, ARRAY['common', 'w' || id % 500, '#tag'] FROM runs WHERE id % 2 = 0")
        .execute(&mut connection)
        .await?;
    sqlx::query("VACUUM ANALYZE").execute(&mut connection).await?;
    connection.close().await?;
    Ok(database)
}

/// A change of a filter, and whether a run passes what it adds at this time.
struct Condition {
    name: &'static str,
    set: fn(&mut RunFilter),
    holds: fn(&RunRecord, Timestamp) -> bool,
}

const fn condition(name: &'static str, set: fn(&mut RunFilter), holds: fn(&RunRecord, Timestamp) -> bool) -> Condition {
    Condition { name, set, holds }
}

/// The poster and the wallet that bulk runs with the number 7, 1,007 and so on have.
fn poster() -> Address {
    Address::left_padding_from(&[8])
}

fn has_words(record: &RunRecord) -> bool {
    record.run.id.0.is_multiple_of(2)
}

const CONDITIONS: [Condition; 22] = [
    condition("open", |f| f.states = vec![RunState::Open], |r, _| r.run.state == RunState::Open),
    condition("approved", |f| f.states = vec![RunState::Approved], |r, _| r.run.state == RunState::Approved),
    condition(
        "several states",
        |f| f.states = vec![RunState::Open, RunState::Claimed, RunState::Approved],
        |r, _| matches!(r.run.state, RunState::Open | RunState::Claimed | RunState::Approved),
    ),
    condition("poster", |f| f.poster = Some(poster()), |r, _| r.run.terms.poster == poster()),
    condition("agent", |f| f.agent = Some(AgentId(8)), |r, _| r.run.claim.is_some_and(|claim| claim.agent == AgentId(8))),
    condition("a high reward", |f| f.minimum_reward = Some(Usdc::whole(999)), |r, _| r.run.terms.reward >= Usdc::whole(999)),
    condition("hardly a reward", |f| f.minimum_reward = Some(Usdc::whole(5)), |r, _| r.run.terms.reward >= Usdc::whole(5)),
    condition("a low reward", |f| f.maximum_reward = Some(Usdc::whole(2)), |r, _| r.run.terms.reward <= Usdc::whole(2)),
    condition("claimable", |f| f.claimable = Some(true), |r, now| r.run.is_claimable(now)),
    condition("not claimable", |f| f.claimable = Some(false), |r, now| !r.run.is_claimable(now)),
    condition("slashable", |f| f.slashable = Some(true), |r, now| r.run.is_slashable(now)),
    condition("not slashable", |f| f.slashable = Some(false), |r, now| !r.run.is_slashable(now)),
    condition("finalizable", |f| f.finalizable = Some(true), |r, now| r.run.is_finalizable(now)),
    condition("not finalizable", |f| f.finalizable = Some(false), |r, now| !r.run.is_finalizable(now)),
    condition("a number", |f| f.search = Some(RunSearch::Id(RunId(7))), |r, _| r.run.id == RunId(7)),
    condition(
        "an account",
        |f| f.search = Some(RunSearch::Account(poster())),
        |r, _| r.run.terms.poster == poster() || r.run.claim.is_some_and(|claim| claim.wallet == poster()),
    ),
    condition("no content", |f| f.search = Some(RunSearch::ContentPrefix(b"ipfs://nothing".to_vec())), |_, _| false),
    condition(
        "some content",
        |f| f.search = Some(RunSearch::ContentPrefix(b"ipfs://bafy77".to_vec())),
        |r, _| r.run.terms.content_uri.starts_with(b"ipfs://bafy77"),
    ),
    condition("any content", |f| f.search = Some(RunSearch::ContentPrefix(b"ipfs://".to_vec())), |_, _| true),
    condition("a rare word", |f| f.search = Some(RunSearch::Words("w8".into())), |r, _| has_words(r) && r.run.id.0 % 500 == 8),
    condition("a common word", |f| f.search = Some(RunSearch::Words("common".into())), |r, _| has_words(r)),
    condition("a tag", |f| f.tag = Some("tag".into()), |r, _| has_words(r)),
];

/// Every condition alone, and every two of them that a filter can hold at once.
fn filters() -> Vec<(String, RunFilter, Vec<&'static Condition>)> {
    let of = |conditions: Vec<&'static Condition>| {
        let mut filter = RunFilter::default();
        for condition in &conditions {
            (condition.set)(&mut filter);
        }
        let names: Vec<_> = conditions.iter().map(|condition| condition.name).collect();
        (names.join(" and "), filter, conditions)
    };
    let mut filters = vec![of(Vec::new())];
    for (index, first) in CONDITIONS.iter().enumerate() {
        filters.push(of(vec![first]));
        for second in &CONDITIONS[index + 1..] {
            let (alone, both) = (of(vec![second]).1, of(vec![first, second]).1);
            let mut other_way = alone;
            (first.set)(&mut other_way);
            // Those that set the same field replace each other.
            if both == other_way {
                filters.push(of(vec![first, second]));
            }
        }
    }
    filters
}

#[tokio::test]
async fn no_combination_of_filters_orders_and_searches_looks_at_more_than_it_may() -> Result<()> {
    /// Rows that a list may look at here, of sixty times as many.
    const LOOK: u32 = 500;
    /// Pages of the database that each such row may cost: its own, and those of the index that leads to it or to its words.
    const BUFFERS_EACH: u64 = 5;
    let database = market(30_000).await?;
    database
        .set(&[
            ("session_preload_libraries", "'auto_explain'"),
            ("auto_explain.log_min_duration", "0"),
            ("auto_explain.log_analyze", "on"),
            ("auto_explain.log_buffers", "on"),
            ("auto_explain.log_timing", "off"),
        ])
        .await?;
    let reader = Reader::new(&database.url(), ReaderOptions { look: LOOK, ..ReaderOptions::default() })?;
    let mut read = database.logged()?;
    let mut worst = (0, String::new());
    for (name, filter, _) in filters() {
        for (index, sort) in SORTS.into_iter().enumerate() {
            let first = reader.runs(&filter, sort, Page { number: 1, limit: 20 }).await?.context("an index")?.found;
            let deep = Page { number: [20, u32::MAX >> 1][index % 2], limit: 20 };
            match reader.runs(&filter, sort, deep).await {
                Ok(_) | Err(StoreError::PageTooDeep { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(last) = first.looked_to.as_ref().or(first.items.last()) {
                reader.runs_beside(&filter, sort, &sort.position(last), Direction::Next, 20).await?;
            }
            let log = database.log(read)?;
            for (buffers, sql) in explained(&log)? {
                ensure!(buffers <= u64::from(LOOK) * BUFFERS_EACH, "{name} by {sort:?} takes {buffers} buffers: {sql}");
                if buffers > worst.0 {
                    worst = (buffers, format!("{name} by {sort:?}"));
                }
            }
            read += log.len() as u64;
        }
    }
    ensure!(worst.0 > u64::from(LOOK), "nothing was looked at: {worst:?}");
    Ok(())
}

/// The buffers that each statement in a log took, all of its plan together, and the statement.
fn explained(log: &str) -> Result<Vec<(u64, &str)>> {
    let mut explained = Vec::new();
    for plan in log.split("  plan:\n").skip(1) {
        let Some((_, buffers)) = plan.split_once("Buffers: shared ") else { continue };
        let counts = buffers.lines().next().unwrap_or_default().split(' ').filter_map(|count| count.split_once('='));
        let counted =
            counts.filter(|(name, _)| ["hit", "read"].contains(name)).map(|(_, count)| count.trim_end_matches(',').parse::<u64>());
        explained.push((counted.sum::<Result<_, _>>()?, plan.lines().next().unwrap_or_default()));
    }
    Ok(explained)
}

/// All runs, as the order has them.
fn in_order(mut runs: Vec<RunRecord>, sort: RunSort) -> Vec<RunRecord> {
    let by = |a: &RunRecord, b: &RunRecord| -> Ordering {
        let (ids, terms) = (a.run.id.cmp(&b.run.id), (&a.run.terms, &b.run.terms));
        match sort {
            RunSort::Oldest => ids,
            RunSort::Newest => ids.reverse(),
            RunSort::LowestReward => terms.0.reward.cmp(&terms.1.reward).then(ids),
            RunSort::HighestReward => terms.0.reward.cmp(&terms.1.reward).then(ids).reverse(),
            RunSort::EarliestDeadline => terms.0.deadline.cmp(&terms.1.deadline).then(ids),
            RunSort::LatestDeadline => terms.0.deadline.cmp(&terms.1.deadline).then(ids).reverse(),
        }
    };
    runs.sort_unstable_by(by);
    runs
}

#[tokio::test]
async fn parts_of_lists_that_look_at_little_make_the_whole_list_in_both_directions() -> Result<()> {
    let database = market(600).await?;
    let bounded = Reader::new(&database.url(), ReaderOptions { look: 150, ..ReaderOptions::default() })?;
    let unbounded = Reader::new(&database.url(), ReaderOptions::default())?;
    let mut view = unbounded.snapshot().await?.context("an index")?;
    let (all, now) = (view.runs_in(RunId(1)..=RunId(600)).await?, view.indexed.timestamp);
    drop(view);
    for (name, filter, conditions) in filters() {
        let fits = |record: &&RunRecord| conditions.iter().all(|condition| (condition.holds)(record, now));
        let expected: Vec<RunRecord> = all.iter().filter(fits).cloned().collect();
        for (index, sort) in SORTS.into_iter().enumerate() {
            let context = format!("{name} by {sort:?}");
            let expected = in_order(expected.clone(), sort);
            let exact = unbounded.runs(&filter, sort, Page { number: 1, limit: 20 }).await?.context("an index")?.found;
            ensure!(exact.total == expected.len() as u64 && !exact.is_estimate, "{context}: {} of {}", exact.total, expected.len());
            ensure!(exact.items == expected[..expected.len().min(20)], "{context}: the first page is another one");
            let second = unbounded.runs(&filter, sort, Page { number: 2, limit: 20 }).await?.context("an index")?.found;
            ensure!(second.items == expected[expected.len().min(20)..expected.len().min(40)], "{context}: the second page is another one");
            // By cursor, in parts that may be short; every other order backwards.
            let direction = if index % 2 == 0 { Direction::Next } else { Direction::Previous };
            let edge = match direction {
                Direction::Next => in_order(all.clone(), sort).first().cloned(),
                Direction::Previous => in_order(all.clone(), sort).last().cloned(),
            };
            let edge = edge.context("there are runs")?;
            let mut place = sort.position(&edge);
            let mut found: Vec<RunRecord> = expected.iter().filter(|record| record.run.id == edge.run.id).cloned().collect();
            loop {
                let part = bounded.runs_beside(&filter, sort, &place, direction, 100).await?.context("an index")?.found;
                let end = match direction {
                    Direction::Next => part.items.last(),
                    Direction::Previous => part.items.first(),
                };
                let end = part.looked_to.as_ref().or(end).cloned();
                match direction {
                    Direction::Next => found.extend(part.items),
                    Direction::Previous => found = [part.items, found].concat(),
                }
                match end {
                    Some(end) if part.goes_on => place = sort.position(&end),
                    _ => break,
                }
            }
            ensure!(found == expected, "{context}, {direction:?}: {} runs and not {}", found.len(), expected.len());
        }
    }
    Ok(())
}

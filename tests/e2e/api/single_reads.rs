//! Reads of one statement each: how many exchanges they take, whose market they tell of, and whom they keep waiting.

use std::{
    num::NonZeroU32,
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use anyhow::{Context, Result, ensure};
use clawpay_api::Config;
use clawpay_domain::{AgentId, RunId, RunState};
use clawpay_store::{Direction, Listing, Page, Reader, ReaderOptions, RunFilter, RunSort, Sight, StoreError};
use clawpay_tests::{Api, Database, bulk_runs, empty_index};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use reqwest::{Client, StatusCode, header};
use sqlx::{Connection, PgConnection};

/// Longer than anything here takes.
const FOREVER: Duration = Duration::from_secs(20);

async fn market(runs: u64) -> Result<Database> {
    let database = Database::start()?;
    empty_index(&database.url()).await?;
    bulk_runs(&database.url(), 1..=runs).await?;
    Ok(database)
}

/// The statements that the database has logged since it had logged `before`, each from its first word on.
fn statements(database: &Database, before: u64) -> Result<Vec<String>> {
    let log = database.log(before)?;
    let lines = log.lines().filter(|line| line.contains("LOG:"));
    let said = lines.filter_map(|line| line.split_once("execute ").or(line.split_once("statement: ")));
    Ok(said.map(|(_, statement)| statement.split_once(": ").map_or(statement, |(_, sql)| sql).to_owned()).collect())
}

#[tokio::test]
async fn what_is_asked_for_most_is_one_statement() -> Result<()> {
    let database = market(300).await?;
    database.set(&[("log_statement", "'all'")]).await?;
    let reader = Reader::new(&database.url(), ReaderOptions { connections: NonZeroU32::MIN, ..ReaderOptions::default() })?;
    // The market is read in full once.
    reader.glance().await?.context("an index")?;
    let all = RunFilter::default();
    let open = RunFilter { states: vec![RunState::Open], ..all.clone() };
    let page = |number, limit| Page { number, limit };
    let first = reader.runs(&all, RunSort::HighestReward, page(1, 20)).await?.context("an index")?.found;
    let place = RunSort::HighestReward.position(first.items.last().context("a first page")?);
    let reads: [(&str, BoxFuture<'_, Result<bool, StoreError>>); 9] = [
        ("the cursor", reader.glance().map_ok(|sight| sight.is_some()).boxed()),
        ("a run", reader.run(RunId(7)).map_ok(|sight| sight.is_some_and(|sight| sight.found.is_some())).boxed()),
        ("a run and an agent", reader.run_and_agent(RunId(7), AgentId(1)).map_ok(|sight| sight.is_some()).boxed()),
        ("a first page", reader.runs(&all, RunSort::Newest, page(1, 20)).map_ok(|sight| has_items(sight, 20)).boxed()),
        ("a deep page", reader.runs(&all, RunSort::Oldest, page(3, 100)).map_ok(|sight| has_items(sight, 100)).boxed()),
        ("one past the end", reader.runs(&all, RunSort::Newest, page(u32::MAX >> 1, 1)).map_ok(|sight| has_items(sight, 0)).boxed()),
        ("a state", reader.runs(&open, RunSort::Newest, page(1, 20)).map_ok(|sight| has_items(sight, 20)).boxed()),
        ("an order", reader.runs(&all, RunSort::LatestDeadline, page(1, 7)).map_ok(|sight| has_items(sight, 7)).boxed()),
        (
            "a place in it",
            reader.runs_beside(&all, RunSort::HighestReward, &place, Direction::Next, 5).map_ok(|sight| sight.is_some()).boxed(),
        ),
    ];
    for (name, read) in reads {
        let before = database.logged()?;
        ensure!(read.await?, "{name}: nothing is found");
        let said: Vec<_> = statements(&database, before)?.into_iter().filter(|sql| !sql.starts_with("SET ")).collect();
        ensure!(said.len() == 1 && said[0].contains("FROM cursor, chain"), "{name}: {said:#?}");
    }
    Ok(())
}

fn has_items<T>(sight: Option<Sight<Listing<T>>>, count: usize) -> bool {
    sight.is_some_and(|sight| sight.found.items.len() == count)
}

#[tokio::test]
async fn what_a_client_has_costs_a_look_at_the_cursor() -> Result<()> {
    let database = market(300).await?;
    // There is no node: nothing here asks one.
    let api = Api::start(Config::new("http://127.0.0.1:1".parse()?, database.url())).await?;
    let http = Client::new();
    let paths = ["api/runs/7", "api/runs", "api/runs?page=9", "api/runs?claimable=false&sort=deadline_desc", "api/stats"];
    let mut tags = Vec::new();
    for path in paths {
        let answer = http.get(api.url().join(path)?).send().await?;
        ensure!(answer.status() == StatusCode::OK, "{path}: {}", answer.status());
        tags.push(answer.headers()["etag"].clone());
    }
    let mut connection = PgConnection::connect(&database.url()).await?;
    // A read of these waits.
    let lock = "BEGIN; LOCK TABLE runs, run_counts, poster_records, agents IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut connection).await?;
    for (path, tag) in paths.iter().zip(tags) {
        let answer = http.get(api.url().join(path)?).header(header::IF_NONE_MATCH, tag).send().await?;
        ensure!(answer.status() == StatusCode::NOT_MODIFIED, "{path}: {}", answer.status());
    }
    Ok(())
}

#[tokio::test]
async fn another_market_under_the_same_address_is_noticed() -> Result<()> {
    let database = market(30).await?;
    let reader = Reader::new(&database.url(), ReaderOptions::default())?;
    let escrow = async || -> Result<_> { Ok(reader.run(RunId(1)).await?.context("an index")?.chain.run_escrow) };
    let before = escrow().await?;
    assert_eq!(escrow().await?, before);
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::query("UPDATE chain SET run_escrow = decode(repeat('77', 20), 'hex')").execute(&mut connection).await?;
    assert_eq!(escrow().await?, Address::repeat_byte(0x77));
    // A database that nothing has been written to yet, and one that is of an older version.
    sqlx::query("DELETE FROM cursor").execute(&mut connection).await?;
    assert!(reader.run(RunId(1)).await?.is_none() && reader.glance().await?.is_none());
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut connection).await?;
    assert!(reader.run(RunId(1)).await?.is_none() && reader.glance().await?.is_none());
    Ok(())
}

#[tokio::test]
async fn pages_are_found_by_numbers_only_where_none_is_missing() -> Result<()> {
    let database = market(30).await?;
    let reader = Reader::new(&database.url(), ReaderOptions::default())?;
    let ids = async |sort, number| -> Result<Vec<u64>> {
        let listing = reader.runs(&RunFilter::default(), sort, Page { number, limit: 10 }).await?.context("an index")?.found;
        Ok(listing.items.iter().map(|record| record.run.id.0).collect())
    };
    assert_eq!(ids(RunSort::Newest, 3).await?, (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(ids(RunSort::Oldest, 3).await?, (21..=30).collect::<Vec<_>>());
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::query("DELETE FROM runs WHERE id IN (5, 15)").execute(&mut connection).await?;
    assert_eq!(ids(RunSort::Newest, 3).await?, [9, 8, 7, 6, 4, 3, 2, 1]);
    assert_eq!(ids(RunSort::Oldest, 2).await?, [12, 13, 14, 16, 17, 18, 19, 20, 21, 22]);
    assert_eq!(ids(RunSort::Newest, 4).await?, [0; 0]);
    Ok(())
}

/// Waits until so many sessions wait for a lock.
async fn until_waiting(connection: &mut PgConnection, sessions: i64) -> Result<()> {
    let started = Instant::now();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *connection).await? < sessions {
        ensure!(started.elapsed() < FOREVER, "fewer than {sessions} sessions wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_single_statement_ends_in_time_and_its_connection_is_replaced() -> Result<()> {
    let database = market(30).await?;
    let options = ReaderOptions { statement_timeout: Duration::from_millis(200), ..ReaderOptions::default() };
    let reader = Reader::new(&database.url(), options)?;
    reader.run(RunId(1)).await?.context("an index")?;
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE runs IN ACCESS EXCLUSIVE MODE").execute(&mut connection).await?;
    let answer = tokio::time::timeout(FOREVER, reader.run(RunId(1))).await.context("it is waited for without an end")?;
    let error = answer.expect_err("nobody reads what is locked").to_string();
    assert!(error.contains("statement timeout"), "{error}");
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
    reader.run(RunId(1)).await?.context("an index")?.found.context("a run")?;
    Ok(())
}

#[tokio::test]
async fn whatever_is_read_probes_and_decisions_have_connections_of_their_own() -> Result<()> {
    let database = market(30).await?;
    let mut config = Config::new("http://127.0.0.1:1".parse()?, database.url());
    config.database.connections = NonZeroU32::MIN.saturating_add(3);
    let connections = i64::from(config.database.connections.get());
    let api = Api::start(config).await?;
    let http = Client::new();
    http.get(api.url().join("api/runs/1")?).send().await?;
    let mut connection = PgConnection::connect(&database.url()).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE runs IN ACCESS EXCLUSIVE MODE").execute(&mut connection).await?;
    let mut reads = tokio::task::JoinSet::new();
    for path in ["api/runs/1", "api/runs?claimable=false"] {
        for _ in 0..connections {
            let request = http.get(api.url().join(path)?).send();
            reads.spawn(async move { anyhow::Ok(request.await?.status()) });
        }
    }
    until_waiting(&mut PgConnection::connect(&database.url()).await?, connections).await?;
    for path in ["readyz", "api/events?after=0&wait=1"] {
        let answer = http.get(api.url().join(path)?).send().await?;
        ensure!(answer.status() == 200, "{path}: {} {}", answer.status(), answer.text().await?);
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
    while let Some(status) = reads.join_next().await {
        status??;
    }
    Ok(())
}

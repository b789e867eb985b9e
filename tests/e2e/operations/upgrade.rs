//! A schema that an older version left is widened while the API serves it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clawpay_api::Config;
use clawpay_tests::{Api, Following, Indexer, Stack};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

use super::reads::Reads;
use crate::indexer::{assert_equals_fresh, execute, number, trade};

/// Takes the schema back to what the first migration made.
const AS_BEFORE: [&str; 3] = [
    "ALTER TABLE blocks DROP COLUMN state_digest",
    "ALTER TABLE cursor DROP COLUMN epoch",
    "DELETE FROM _sqlx_migrations WHERE version = 2",
];

#[tokio::test]
async fn the_second_migration_needs_no_pause_and_waits_for_nobody() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    for sql in AS_BEFORE {
        execute(&url, sql).await?;
    }

    let api = Api::start(Config::new(stack.rpc_url(), url.as_str())).await?;
    let status = reqwest::get(api.url().join("api/status")?).await?;
    assert_eq!(status.status(), 200, "status is served from the old schema");
    let reads = Reads::start(&api, &["api/runs?limit=100", "api/agents"])?;
    // A client reads for a long time, and would make all others queue behind a migration that insists.
    let mut slow = PgConnection::connect(&url).await?;
    let mut long_read = slow.begin().await?;
    sqlx::query("SELECT * FROM blocks, cursor").fetch_all(&mut *long_read).await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!indexer.has_ended(), "a schema that is in use is waited for");
    assert_eq!(number(&url, "SELECT count(*) FROM _sqlx_migrations WHERE version = 2").await?, 0);
    let started = Instant::now();
    sqlx::query("SELECT * FROM blocks, cursor").fetch_all(&mut *long_read).await?;
    assert!(started.elapsed() < Duration::from_secs(3));
    long_read.rollback().await?;

    trade(&stack).await?;
    assert_equals_fresh_of_what_is_new(&stack, &url).await?;
    assert!(reads.stop().await? > 10);
    indexer.stop().await??;

    // Old blocks have no digest, the cursor has; a rebuild gives it to all of them.
    assert!(number(&url, "SELECT count(*) FROM blocks WHERE state_digest IS NULL").await? > 0);
    clawpay_indexer::reindex(&clawpay_store::Writer::new(&url)?, |_| ()).await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// Waits for the head; the digest there was computed from rows that an older version wrote.
async fn assert_equals_fresh_of_what_is_new(stack: &Stack, url: &str) -> Result<()> {
    stack.until_indexed(url).await?;
    let fresh = clawpay_tests::create_database(url, "newer").await?;
    let indexer = Indexer::start(stack.index_config(), &fresh)?;
    stack.until_indexed(&fresh).await?;
    indexer.stop().await??;
    let digest = "SELECT encode(state_digest, 'hex') FROM blocks WHERE number = (SELECT number FROM cursor)";
    assert_eq!(crate::indexer::text(url, digest).await?, crate::indexer::text(&fresh, digest).await?);
    Ok(())
}

/// Takes the sums away, and with them what keeps them.
const WITHOUT_SUMS: [&str; 10] = [
    "DROP FUNCTION record_posters() CASCADE",
    "DROP FUNCTION record_changed_posters() CASCADE",
    "DROP FUNCTION note_days() CASCADE",
    "DROP FUNCTION forget_days() CASCADE",
    "DROP FUNCTION run_days CASCADE",
    "DROP TABLE days",
    "DROP FUNCTION forget_posters() CASCADE",
    "DROP TABLE poster_records",
    "ALTER TABLE run_counts DROP COLUMN rewards, DROP COLUMN fees",
    "DELETE FROM _sqlx_migrations WHERE version IN (11, 21, 24)",
];

/// Answers without what happened on each day, which cannot be told before it is kept.
fn without_history(answers: &[String]) -> Result<Vec<Value>> {
    let without = |answer: &String| {
        let mut answer: Value = serde_json::from_str(answer)?;
        answer.as_object_mut().context("an object")?.remove("history");
        Ok(answer)
    };
    answers.iter().map(without).collect()
}

#[tokio::test]
async fn sums_that_an_older_version_did_not_keep_are_made_of_what_it_wrote() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let answers = async |api: &Api| -> Result<Vec<String>> {
        let mut answers = Vec::new();
        for path in ["api/stats", "api/runs/1", "api/runs?state=APPROVED"] {
            answers.push(reqwest::get(api.url().join(path)?).await?.error_for_status()?.text().await?);
        }
        Ok(answers)
    };
    let start = || Api::start(Config::new(stack.rpc_url(), url.as_str()));
    let kept = answers(&start().await?).await?;
    for sql in WITHOUT_SUMS {
        execute(&url, sql).await?;
    }
    let api = start().await?;
    assert_eq!(without_history(&answers(&api).await?)?, without_history(&kept)?);

    let indexer = Indexer::start(stack.index_config(), &url)?;
    while number(&url, "SELECT count(*) FROM _sqlx_migrations WHERE version = 11").await? == 0 {
        assert_eq!(without_history(&answers(&api).await?)?, without_history(&kept)?);
    }
    assert_equals_fresh(&stack, &url, "before").await?;
    assert_eq!(answers(&api).await?, kept);
    trade(&stack).await?;
    assert_equals_fresh(&stack, &url, "after").await?;
    assert_ne!(answers(&api).await?, kept);
    indexer.stop().await??;
    Ok(())
}

/// Takes away what says whom an event concerns.
const WITHOUT_PARTIES: [&str; 6] = [
    "DROP TRIGGER feed_keep_parties ON feed",
    "DROP FUNCTION keep_parties()",
    "DROP FUNCTION event_parties(bigint, bigint, bigint, bigint)",
    "ALTER TABLE feed DROP COLUMN holder, DROP COLUMN holder_wallet, DROP COLUMN owner",
    "DROP INDEX events_claims, events_transfers",
    "DELETE FROM _sqlx_migrations WHERE version = 12",
];

#[tokio::test]
async fn an_agent_is_told_all_of_its_runs_also_of_what_an_older_version_wrote() -> Result<()> {
    let stack = Stack::with_database().await?;
    let url = stack.database_url()?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let api = Api::start(Config::new(stack.rpc_url(), url.as_str())).await?;
    let told = async || -> Result<serde_json::Value> {
        let answer = reqwest::get(api.url().join("api/events?after=0&wait=0&agentId=1")?).await?.error_for_status()?;
        Ok(answer.json::<serde_json::Value>().await?["events"].take())
    };
    let before = told().await?;
    assert!(before.as_array().is_some_and(|events| events.iter().any(|event| event["type"] == "RevisionRequested")));
    for sql in WITHOUT_PARTIES {
        execute(&url, sql).await?;
    }
    let indexer = Indexer::start(stack.index_config(), &url)?;
    while number(&url, "SELECT count(*) FROM _sqlx_migrations WHERE version = 12").await? == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told().await?, before);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_schema_that_a_later_version_has_widened_is_as_good() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    indexer.stop().await??;
    execute(&url, "ALTER TABLE blocks ADD COLUMN later text").await?;
    execute(
        &url,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'later', true, '', 0)",
    )
    .await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    assert!(!indexer.has_ended());
    indexer.stop().await??;
    Ok(())
}

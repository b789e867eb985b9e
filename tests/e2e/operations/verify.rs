//! `clawpay verify` agrees with a right index, and names the one fact that is wrong with another.

use std::time::Duration;

use anyhow::{Context, Result};
use clawpay_tests::{Clawpay, Following, Stack, create_database_like, scratch};
use serde_json::{Value, json};

use crate::indexer::{execute, trade};

const WITHIN: Duration = Duration::from_secs(60);

/// Whether it was content, and the lines it printed.
async fn verify(stack: &Stack, database_url: &str) -> Result<(bool, Vec<Value>)> {
    let directory = scratch()?;
    let rpc_url = stack.rpc_url();
    let settings = [("DATABASE_URL", database_url), ("RPC_URL", rpc_url.as_str())];
    let mut process = Clawpay::start(&["verify", "--json"], directory.path(), settings)?;
    let status = process.end(WITHIN).await?;
    let output = process.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>();
    anyhow::ensure!(!lines.is_empty(), "{output}");
    Ok((status.success(), lines))
}

#[tokio::test]
async fn an_index_that_is_right_has_no_difference_while_blocks_come() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let (verified, traded) = tokio::join!(verify(&stack, &url), trade(&stack));
    traded?;
    let (is_right, lines) = verified?;
    assert!(is_right, "{lines:?}");
    let [summary] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&summary["differences"], summary["runs"].as_u64() >= Some(5), &summary["agents"]), (&json!(0), true, &json!(2)));

    // And against a later block, with everything that happened since.
    stack.until_indexed(&url).await?;
    let (is_right, lines) = verify(&stack, &url).await?;
    assert!(is_right, "{lines:?}");
    assert_eq!((&lines[0]["runs"], &lines[0]["agents"]), (&json!(10), &json!(4)));
    assert_eq!(lines[0]["blockHash"], stack.head_block().await?.1.to_string());
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn each_doctored_row_is_named_with_both_values() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let doctored: [(&'static str, &str, &str, Value, Value); 12] = [
        ("UPDATE runs SET reward = reward + 1 WHERE id = 1", "run 1", "reward", json!("100000001"), json!("100000000")),
        ("UPDATE runs SET fee = 0 WHERE id = 1", "run 1", "fee", json!("0"), json!("5000000")),
        ("UPDATE runs SET state = 'OPEN' WHERE id = 2", "run 2", "state", json!("OPEN"), json!("CANCELLED")),
        ("UPDATE runs SET revisions = 2 WHERE id = 1", "run 1", "revisions", json!("2"), json!("1")),
        ("UPDATE runs SET due_at = 7 WHERE id = 5", "run 5", "dueAt", json!("7"), json!("0")),
        ("DELETE FROM runs WHERE id = 3", "run 3", "existence", json!("nothing"), json!("SLASHED")),
        ("UPDATE runs SET id = 99 WHERE id = 5", "run 99", "existence", json!("OPEN"), json!("nothing")),
        ("UPDATE agents SET stake = stake + 1 WHERE id = 1", "agent 1", "stake", json!("19000001"), json!("19000000")),
        ("UPDATE agents SET completions = 9 WHERE id = 1", "agent 1", "completions", json!("9"), json!("2")),
        ("UPDATE agents SET slashes = 3 WHERE id = 2", "agent 2", "slashes", json!("3"), json!("1")),
        ("DELETE FROM agents WHERE id = 2", "agent 2", "existence", json!("nothing"), Value::Null),
        ("UPDATE runs SET inconsistency = 'doubtful' WHERE id = 4", "run 4", "rules", json!("doubtful"), json!("what the rules allow")),
    ];
    for (number, (sql, subject, fact, index, chain)) in doctored.into_iter().enumerate() {
        let copy = create_database_like(&url, &format!("doctored_{number}")).await?;
        assert_eq!(execute(&copy, sql).await?, 1, "{sql}");
        let (is_right, lines) = verify(&stack, &copy).await?;
        assert!(!is_right, "{sql}");
        let named = lines.iter().find(|line| line["subject"] == subject && line["fact"] == fact);
        let named = named.with_context(|| format!("{sql}: {lines:?}"))?;
        assert_eq!(named["index"], index, "{sql}");
        assert!(chain.is_null() || named["chain"] == chain, "{sql}: {named}");
        let summary = lines.last().context("a summary")?;
        assert_eq!(summary["differences"].as_u64(), Some(lines.len() as u64 - 1), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn what_no_view_shows_is_missed_by_the_views_and_found_by_the_digest() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    execute(&url, "UPDATE runs SET content_uri = 'ipfs://other' WHERE id = 1").await?;
    let (is_right, lines) = verify(&stack, &url).await?;
    assert!(!is_right);
    assert_eq!((lines.len(), &lines[0]["subject"]), (2, &json!("state digest")));
    Ok(())
}

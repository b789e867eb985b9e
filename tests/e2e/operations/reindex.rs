//! `clawpay reindex` puts every row right while the API serves and the indexer follows.

use std::time::Duration;

use anyhow::Result;
use clawpay_api::Config;
use clawpay_store::Writer;
use clawpay_tests::{Api, Clawpay, Following, Indexer, Stack, scratch};

use super::reads::Reads;
use crate::indexer::{assert_equals_fresh, execute, number, trade};

const WITHIN: Duration = Duration::from_secs(60);

/// Runs the command, and answers what it printed.
async fn reindex(database_url: &str) -> Result<String> {
    let directory = scratch()?;
    let mut process = Clawpay::start(&["reindex"], directory.path(), [("DATABASE_URL", database_url)])?;
    let status = process.end(WITHIN).await?;
    let output = process.output();
    anyhow::ensure!(status.success(), "{status}: {output}");
    Ok(output)
}

/// Everything that only a rebuild can put right.
const DAMAGE: [&str; 7] = [
    "UPDATE runs SET reward = 1, content_uri = 'wrong' WHERE id = 1",
    "DELETE FROM runs WHERE id = 2",
    "UPDATE agents SET stake = 1, slash_history = '[]' WHERE id = 2",
    "INSERT INTO agents SELECT (jsonb_populate_record(a, '{\"id\": 77}')).* FROM agents a WHERE id = 1",
    "UPDATE events SET name = NULL, run_id = NULL, refusal = 'misread' WHERE run_id = 3",
    "UPDATE blocks SET state_digest = decode(repeat('ab', 32), 'hex')",
    "UPDATE agents SET inconsistency = 'not so' WHERE id = 1",
];

#[tokio::test]
async fn a_damaged_index_is_a_fresh_one_afterwards() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    for is_final in [false, true] {
        let indexer = Indexer::start(stack.index_config(), &url)?;
        trade(&stack).await?;
        if is_final {
            stack.mine(100).await?;
        }
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        for damage in DAMAGE {
            assert!(execute(&url, damage).await? > 0, "{damage}");
        }
        let said = reindex(&url).await?;
        assert!(said.contains("2 runs and 3 agents changed"), "{said}");
        assert_eq!(number(&url, "SELECT count(*) FROM events WHERE refusal IS NOT NULL").await?, 0);
        assert!(reindex(&url).await?.contains("0 runs and 0 agents changed, 0 events are understood otherwise, 0 digests corrected"));
        let indexer = Indexer::start(stack.index_config(), &url)?;
        assert_equals_fresh(&stack, &url, if is_final { "fresh_final" } else { "fresh" }).await?;
        indexer.stop().await??;
    }
    Ok(())
}

#[tokio::test]
async fn reads_are_answered_and_no_count_goes_down_while_it_rebuilds_again_and_again() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    let api = Api::start(Config::new(stack.rpc_url(), url.as_str())).await?;
    trade(&stack).await?;
    stack.mine(70).await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;

    let writer = Writer::new(&url)?;
    let reads = Reads::start(&api, &["api/runs?limit=100", "api/agents?limit=100", "api/runs?state=APPROVED"])?;
    let rebuilding = async {
        for round in 0..15 {
            // Every other time there is a row to be written over while it is read.
            if round % 2 == 0 {
                execute(&url, "UPDATE runs SET reward = reward + 1 WHERE id = 1").await?;
            }
            let reindexed = clawpay_indexer::reindex(&writer, |_| ()).await?.expect("it is indexed");
            assert_eq!(reindexed.replaced.runs, u64::from(round % 2 == 0), "round {round}");
        }
        anyhow::Ok(())
    };
    let (rebuilt, traded) = tokio::join!(rebuilding, trade(&stack));
    rebuilt?;
    traded?;
    assert!(reads.stop().await? > 30);
    // The indexer noticed each time that its rows were not its own any more, and went on.
    stack.mine(1).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(number(&url, "SELECT epoch FROM cursor").await?, 15);
    assert!(!indexer.has_ended());
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_second_rebuild_is_refused_and_one_that_is_cut_short_has_not_happened() -> Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    execute(&url, "UPDATE runs SET reward = 1 WHERE id = 1").await?;
    let writer = Writer::new(&url)?;
    let mut rebuild = writer.rebuild().await?.expect("nobody rebuilds");
    let mut batch = rebuild.begin().await?;
    let refused = clawpay_indexer::reindex(&writer, |_| ()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the projections of this database are being rebuilt already");
    batch.hold().await?;
    batch.replace().await?;
    drop(batch);
    drop(rebuild);
    assert_eq!(number(&url, "SELECT count(*) FROM runs").await?, 5);
    assert_eq!(number(&url, "SELECT reward::bigint FROM runs WHERE id = 1").await?, 1);
    assert_eq!(number(&url, "SELECT epoch FROM cursor").await?, 0);
    indexer.stop().await??;
    Ok(())
}

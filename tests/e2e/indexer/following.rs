//! Backfill and live are one path, and leave one set of rows.

use std::time::{Duration, Instant};

use clawpay_indexer::{Config, FinalizedHeaders, IndexError};
use clawpay_store::Writer;
use clawpay_tests::{Following, IndexDump, Indexer, Stack, create_database, indexed_block};
use sqlx::{Connection, PgConnection};

use super::{assert_equals_fresh, number, trade};

#[tokio::test]
async fn live_equals_backfill_while_every_block_may_still_be_replaced() -> anyhow::Result<()> {
    let Following { stack, url, indexer: live } = Following::start().await?;
    trade(&stack).await?;

    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    // Five runs, one per ending and one open; two agents; every block is kept.
    assert_eq!((dump.count("runs"), dump.count("agents")), (5, 2));
    assert_eq!(number(&url, "SELECT count(DISTINCT state) FROM runs").await?, 4);
    assert_eq!(number(&url, "SELECT count(*) FROM events WHERE refusal IS NOT NULL OR name IS NULL").await?, 0);
    assert_eq!(number(&url, "SELECT count(*) FROM runs WHERE inconsistency IS NOT NULL").await?, 0);
    assert_eq!(dump.count("blocks") as u64, stack.head().await? - stack.deployment.deployment_block + 2);
    live.stop().await??;
    Ok(())
}

#[tokio::test]
async fn live_equals_backfill_when_most_blocks_are_final() -> anyhow::Result<()> {
    let Following { stack, url, indexer: live } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    stack.mine(120).await?;
    stack.until_indexed(&url).await?;
    trade(&stack).await?;

    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    let finalized = number(&url, "SELECT finalized FROM cursor").await?;
    assert_eq!(finalized, i64::try_from(stack.head().await?)? - 64);
    // Of the final blocks, only those with events are kept, and the last.
    assert_eq!(number(&url, "SELECT count(*) FROM blocks b WHERE number < (SELECT finalized FROM cursor) AND NOT EXISTS (SELECT FROM events WHERE block_number = b.number)").await?, 0);
    assert_eq!(dump.count("runs"), 10);
    live.stop().await??;

    // A chain with very many blocks is read by its logs alone.
    let sparse = create_database(&url, "sparse").await?;
    let config = Config { finalized_headers: FinalizedHeaders::WithEvents, ..stack.index_config() };
    let indexer = Indexer::start(config, &sparse)?;
    stack.until_indexed(&sparse).await?;
    IndexDump::read(&sparse).await?.assert_same(&dump);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn indexes_left_out_of_the_first_reading_are_built_after_it() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    Writer::new(&url)?.migrate().await?;
    let (all, first) = (indexes(&url).await?, number(&url, "SELECT 'runs_state'::regclass::oid::bigint").await?);
    trade(&stack).await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    until_indexes_are(&url, &all).await?;
    assert_ne!(number(&url, "SELECT 'runs_state'::regclass::oid::bigint").await?, first, "it was never left out");
    indexer.stop().await??;

    // As an indexer leaves it that is killed before it is done.
    number(&url, "SELECT 1::bigint FROM leave_out_indexes()").await?;
    assert_eq!(all.len() - indexes(&url).await?.len(), 14);
    let indexer = Indexer::start(stack.index_config(), &url)?;
    until_indexes_are(&url, &all).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// Every index, and how it is made.
async fn indexes(url: &str) -> anyhow::Result<Vec<String>> {
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef")
        .fetch_all(&mut connection)
        .await?)
}

async fn until_indexes_are(url: &str, expected: &[String]) -> anyhow::Result<()> {
    let started = Instant::now();
    while indexes(url).await? != expected || number(url, "SELECT count(*) FROM left_out_indexes").await? > 0 {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(20), "there are {:?}", indexes(url).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_block_without_our_events_shows_within_a_second_and_an_idle_head_is_checked() -> anyhow::Result<()> {
    let stack = Stack::with_database().await?;
    for (name, rpc_url) in [("pushed", stack.ws_url()), ("polled", stack.rpc_url())] {
        let url = create_database(&stack.database_url()?, name).await?;
        let indexer = Indexer::start(Config::new(rpc_url, stack.deployment), &url)?;
        stack.until_indexed(&url).await?;

        let mined = Instant::now();
        stack.mine(1).await?;
        stack.until_indexed(&url).await?;
        assert!(mined.elapsed() < Duration::from_secs(1), "{name}: {:?}", mined.elapsed());

        let checked = "SELECT (extract(epoch FROM head_checked_at) * 1000)::bigint FROM cursor";
        let before = number(&url, checked).await?;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert!(number(&url, checked).await? - before >= 1_000, "{name}");
        indexer.stop().await??;
    }
    Ok(())
}

#[tokio::test]
async fn an_indexer_that_was_stopped_goes_on_where_it_was() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    for _ in 0..3 {
        let indexer = Indexer::start(stack.index_config(), &url)?;
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        trade(&stack).await?;
    }
    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_second_indexer_stands_by_and_takes_over() -> anyhow::Result<()> {
    let Following { stack, url, indexer: first } = Following::start().await?;
    let second = Indexer::start(stack.index_config(), &url)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let writers = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = x'636c6177'::int::oid";
    assert_eq!(number(&url, writers).await?, 1);
    first.stop().await??;
    let before = indexed_block(&url).await?;
    trade(&stack).await?;

    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_ne!(indexed_block(&url).await?, before);
    assert!(!second.has_ended());
    second.stop().await??;
    Ok(())
}

#[tokio::test]
async fn another_chain_or_deployment_is_refused_by_name() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let refused = async |change: fn(&mut Config)| -> anyhow::Result<IndexError> {
        let mut config = stack.index_config();
        change(&mut config);
        match Indexer::start(config, &url)?.end().await? {
            Err(error) => Ok(error),
            Ok(()) => anyhow::bail!("it started"),
        }
    };
    let chain = refused(|config| config.deployment.chain_id = 1).await?;
    assert_eq!(chain.to_string(), "the node is on chain 31337, the deployment is on chain 1");
    let genesis = refused(|config| config.deployment.genesis_hash.0[0] ^= 1).await?;
    assert!(matches!(genesis, IndexError::WrongGenesis { .. }), "{genesis}");
    let nothing = refused(|config| config.deployment.contracts.run_escrow.0[0] ^= 1).await?;
    assert!(matches!(nothing, IndexError::NoCode { contract: "RunEscrow", .. }), "{nothing}");
    let other = refused(|config| {
        let contracts = &mut config.deployment.contracts;
        std::mem::swap(&mut contracts.agent_registry, &mut contracts.usdc);
    });
    let other = other.await?;
    assert!(matches!(other, IndexError::WrongContract { contract: "RunEscrow", .. }), "{other}");

    // A database that another market was indexed into.
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let foreign = refused(|config| config.deployment.deployment_block += 1).await?;
    assert!(foreign.is_foreign_history(), "{foreign}");
    assert!(foreign.to_string().contains("deployment block"), "{foreign}");
    clawpay_store::Writer::new(&url)?.clear().await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    Ok(())
}

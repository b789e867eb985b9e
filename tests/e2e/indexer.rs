//! The indexer on a real node and a real database: whatever happens on the way, the rows end up as those of a fresh index.

mod digest;
mod faults;
mod following;
mod nodes;
mod reorgs;
mod replay;
mod websocket;

use std::path::Path;

use alloy::primitives::B256;
use clawpay_domain::{RunId, Seconds, Usdc};
use clawpay_tests::{Clawpay, IndexDump, Stack};
use futures::future::BoxFuture;

/// A little market in which every event occurs that the index folds. Poster 1, agents of accounts 2 and 3.
///
/// Boxed: the futures of all these calls together would fill the stack of a test that plays several.
pub(crate) fn trade(stack: &Stack) -> BoxFuture<'_, anyhow::Result<()>> {
    Box::pin(play(stack))
}

async fn play(stack: &Stack) -> anyhow::Result<()> {
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let (late, sleeper) = stack.staked_agent(3).await?;
    let offer = stack.offer(Usdc::whole(100)).await?;

    let paid = poster.post(offer.clone()).await?;
    worker.claim(paid, agent).await?;
    worker.start(paid).await?;
    worker.submit(paid, "ipfs://first").await?;
    poster.request_revision(paid, "more tests").await?;
    worker.submit(paid, "ipfs://second").await?;
    poster.approve(paid).await?;

    let draft = poster.draft(offer.clone()).await?;
    poster.fund(draft).await?;
    poster.cancel(draft).await?;

    let slashed = poster.post(offer.clone()).await?;
    late.claim(slashed, sleeper).await?;
    let finalized = poster.post(offer.clone()).await?;
    worker.claim(finalized, agent).await?;
    worker.submit(finalized, "ipfs://third").await?;
    stack.warp(Seconds::days(7)).await?;
    poster.slash(slashed).await?;
    worker.finalize(finalized).await?;

    poster.post(stack.offer(Usdc::whole(2)).await?).await?;
    worker.unstake(agent, Usdc::whole(1)).await?;
    Ok(())
}

/// Waits for the head to be indexed, and compares every row with a fresh index's.
pub(crate) async fn assert_equals_fresh(stack: &Stack, database_url: &str, name: &str) -> anyhow::Result<IndexDump> {
    stack.until_indexed(database_url).await?;
    let dump = IndexDump::read(database_url).await?;
    dump.assert_same(&Box::pin(stack.fresh_index(name)).await?);
    assert_eq!(feed_differs(database_url).await?, 0, "listeners were told something else than what is there");
    Ok(dump)
}

/// How many events are told and not there, there and not told, or told in another order.
pub(crate) async fn feed_differs(database_url: &str) -> anyhow::Result<i64> {
    let told = "WITH told AS (SELECT block_number, log_index, row_number() OVER (ORDER BY seq) AS place FROM feed f
                              WHERE retracts IS NULL AND NOT EXISTS (SELECT FROM feed t WHERE t.retracts = f.seq)),
                     there AS (SELECT block_number, log_index, row_number() OVER (ORDER BY block_number, log_index) AS place FROM events)
                SELECT count(*) FROM told FULL JOIN there USING (block_number, log_index, place)
                WHERE told.place IS NULL OR there.place IS NULL";
    let told: i64 = number(database_url, told).await?;
    let numbers = "SELECT count(*) FROM cursor WHERE feed <> (SELECT coalesce(max(seq), 0) FROM feed) OR feed_hash IS DISTINCT FROM hash";
    Ok(told + number(database_url, numbers).await?)
}

/// `clawpay index` as a process of its own, with what it needs in `directory`.
pub(crate) fn index_process(stack: &Stack, rpc_url: &str, database_url: &str, directory: &Path, log: &str) -> anyhow::Result<Clawpay> {
    let deployment = directory.join("deployment.json");
    std::fs::write(&deployment, serde_json::to_vec(&stack.deployment)?)?;
    let deployment = deployment.to_string_lossy();
    let settings =
        [("DATABASE_URL", database_url), ("RPC_URL", rpc_url), ("CLAWPAY_DEPLOYMENT", deployment.as_ref()), ("CLAWPAY_LOG", log)];
    Clawpay::start(&["index"], directory, settings)
}

/// One column of one run, as text.
async fn run_column(database_url: &str, run: RunId, column: &str) -> anyhow::Result<Option<String>> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    let query = sqlx::AssertSqlSafe(format!("SELECT {column}::text FROM runs WHERE id = {run}"));
    Ok(sqlx::query_scalar::<_, Option<String>>(query).fetch_optional(&mut connection).await?.flatten())
}

/// Runs SQL that the test wrote.
pub(crate) async fn execute(database_url: &str, sql: &'static str) -> anyhow::Result<u64> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    Ok(sqlx::query(sql).execute(&mut connection).await?.rows_affected())
}

/// The one number that a query answers.
pub(crate) async fn number(database_url: &str, sql: &'static str) -> anyhow::Result<i64> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
}

/// The one text that a query answers.
pub(crate) async fn text(database_url: &str, sql: &'static str) -> anyhow::Result<String> {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(database_url).await?;
    Ok(sqlx::query_scalar(sql).fetch_one(&mut connection).await?)
}

/// The hash at a height.
async fn hash_at(stack: &Stack, number: u64) -> anyhow::Result<B256> {
    use alloy::providers::Provider;
    let block = stack.provider().get_block_by_number(number.into()).await?;
    Ok(block.ok_or_else(|| anyhow::anyhow!("no block {number}"))?.header.hash)
}

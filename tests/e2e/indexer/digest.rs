//! The state digest: the same number whichever way the rows came about, and another one as soon as a row differs.

use clawpay_api::Config;
use clawpay_domain::Seconds;
use clawpay_tests::{Api, Following, Indexer, Stack, create_database};
use serde_json::Value;

use super::{assert_equals_fresh, execute, text, trade};

/// Blocks on top of a block that make it final where the node does not say.
const CONFIRMATIONS: u64 = 64;

/// Of the rows as they are, as the index keeps it beside its last block.
const AT_CURSOR: &str = "SELECT encode(state_digest, 'hex') FROM blocks WHERE number = (SELECT number FROM cursor)";

async fn finalized_state(api: &Api) -> anyhow::Result<Value> {
    let answer: Value = reqwest::get(api.url().join("api/status")?).await?.json().await?;
    Ok(answer["finalizedState"].clone())
}

#[tokio::test]
async fn adjusted_batch_by_batch_it_equals_a_full_pass_over_the_rows() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    for _ in 0..2 {
        let indexer = Indexer::start(stack.index_config(), &url)?;
        trade(&stack).await?;
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        let adjusted = text(&url, AT_CURSOR).await?;
        // As a writer leaves it that knows nothing of digests: the next one computes it from the rows.
        execute(&url, "UPDATE blocks SET state_digest = NULL").await?;
        let indexer = Indexer::start(stack.index_config(), &url)?;
        stack.mine(1).await?;
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        assert_eq!(text(&url, AT_CURSOR).await?, adjusted);
        assert_eq!(adjusted.len(), 64);
        assert_ne!(adjusted, "0".repeat(64));
    }
    Ok(())
}

#[tokio::test]
async fn at_the_finalized_block_the_api_shows_the_state_as_it_was_there() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    let api = Api::start(Config::new(stack.rpc_url(), url.as_str())).await?;
    stack.until_indexed(&url).await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let (then, there) = (format!("0x{}", text(&url, AT_CURSOR).await?), stack.head_block().await?);

    // More happens to the same runs and agents, none of it final once that block is.
    stack.warp(Seconds::days(1)).await?;
    trade(&stack).await?;
    stack.mine(there.0 + CONFIRMATIONS - stack.head().await?).await?;
    stack.until_indexed(&url).await?;
    let shown = finalized_state(&api).await?;
    assert_eq!(shown["block"], there.0);
    assert_eq!(shown["blockHash"], there.1.to_string());
    assert_eq!(shown["digest"], then);
    assert_ne!(format!("0x{}", text(&url, AT_CURSOR).await?), then);

    // A second operator, who starts from nothing.
    assert_equals_fresh(&stack, &url, "rows").await?;
    let other = create_database(&url, "other").await?;
    let second = Indexer::start(stack.index_config(), &other)?;
    stack.until_indexed(&other).await?;
    let api = Api::start(Config::new(stack.rpc_url(), other.as_str())).await?;
    assert_eq!(finalized_state(&api).await?, shown);
    second.stop().await??;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_row_that_differs_by_one_unit_has_another_digest() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let mut digests = Vec::new();
    trade(&stack).await?;
    for change in [
        "SELECT 1",
        "UPDATE runs SET reward = reward + 1 WHERE id = 1",
        "UPDATE agents SET stake = stake + 1 WHERE id = 1",
        "UPDATE runs SET inconsistency = 'x' WHERE id = 2",
        "DELETE FROM runs WHERE id = 5",
    ] {
        let indexer = Indexer::start(stack.index_config(), &url)?;
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        execute(&url, change).await?;
        execute(&url, "UPDATE blocks SET state_digest = NULL").await?;
        let indexer = Indexer::start(stack.index_config(), &url)?;
        stack.mine(1).await?;
        stack.until_indexed(&url).await?;
        indexer.stop().await??;
        digests.push(text(&url, AT_CURSOR).await?);
    }
    let all = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), all);
    Ok(())
}

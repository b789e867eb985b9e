//! Blocks that were indexed and are not on the chain any more.

use std::time::Duration;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::U256,
    providers::{Provider, ext::AnvilApi},
    rpc::types::anvil::ReorgOptions,
};
use anyhow::Context;
use clawpay_domain::{AgentId, RunId, Seconds, Usdc};
use clawpay_indexer::{Config, IndexError, ShorterChain};
use clawpay_tests::{Following, IndexDump, Indexer, Lie, LyingNode, Stack, create_database, indexed_block};

use super::{assert_equals_fresh, faults::fork, hash_at, run_column, trade};

/// Replaces the last `depth` blocks by empty ones.
pub(super) async fn reorg(stack: &Stack, depth: u64) -> anyhow::Result<()> {
    stack.provider().anvil_reorg(ReorgOptions { depth, tx_block_pairs: Vec::new() }).await?;
    Ok(())
}

async fn snapshot(stack: &Stack) -> anyhow::Result<U256> {
    Ok(stack.provider().anvil_snapshot().await?)
}

async fn revert(stack: &Stack, snapshot: U256) -> anyhow::Result<()> {
    anyhow::ensure!(stack.provider().anvil_revert(snapshot).await?, "the snapshot is gone");
    Ok(())
}

#[tokio::test]
async fn events_of_replaced_blocks_are_gone_at_depth_1_3_and_20() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    for (depth, name) in [(1, "depth_1"), (3, "depth_3"), (20, "depth_20")] {
        stack.until_indexed(&url).await?;
        let before = IndexDump::read(&url).await?;
        reorg(&stack, depth).await?;
        let after = assert_equals_fresh(&stack, &url, name).await?;
        assert!(after.count("events") < before.count("events"), "{name}");
        trade(&stack).await?;
    }
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_batch_is_undone_from_its_middle() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    trade(&stack).await?;
    for (depth, name) in [(2, "depth_2"), (9, "depth_9"), (30, "depth_30")] {
        // An indexer that starts takes all of it at once, or all that is missing.
        let indexer = Indexer::start(stack.index_config(), &url)?;
        stack.until_indexed(&url).await?;
        reorg(&stack, depth).await?;
        assert_equals_fresh(&stack, &url, name).await?;
        reorg(&stack, 1).await?;
        assert_equals_fresh(&stack, &url, &format!("{name}_and_1")).await?;
        indexer.stop().await??;
        trade(&stack).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_branch_with_other_events_replaces_the_first() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    let (poster, worker, open) = (stack.actor(1).await?, stack.actor(2).await?, RunId(5));
    worker.stake(AgentId(1), Usdc::whole(1)).await?;
    let fork = snapshot(&stack).await?;
    // On the first branch, agent 1 claims and is left with the run; on the second, the poster cancels it and agent 2's owner stakes more.
    worker.claim(open, AgentId(1)).await?;
    stack.until_indexed(&url).await?;
    assert_eq!(run_column(&url, open, "state").await?.as_deref(), Some("CLAIMED"));
    revert(&stack, fork).await?;
    poster.cancel(open).await?;
    stack.mint(stack.actor(3).await?.address(), Usdc::whole(10)).await?;
    stack.actor(3).await?.stake(AgentId(2), Usdc::whole(10)).await?;

    assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(run_column(&url, open, "state").await?.as_deref(), Some("CANCELLED"));
    assert_eq!(run_column(&url, open, "agent_id").await?, None);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_reorg_while_the_indexer_is_down_is_found_when_it_comes_back() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    reorg(&stack, 7).await?;
    trade(&stack).await?;

    let indexer = Indexer::start(stack.index_config(), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn two_reorgs_in_a_second_leave_the_last_branch() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    reorg(&stack, 4).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    reorg(&stack, 9).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_reorg_of_everything_back_to_the_deployment_leaves_no_row() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let deployed = stack.head().await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    let (_, agent) = stack.staked_agent(2).await?;
    assert_eq!(agent, AgentId(1));
    stack.until_indexed(&url).await?;
    reorg(&stack, stack.head().await? - deployed).await?;
    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!((dump.count("runs"), dump.count("agents")), (0, 0));
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_shorter_chain_is_waited_for_unless_its_blocks_are_known_to_be_lost() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    trade(&stack).await?;
    let shorter = snapshot(&stack).await?;
    stack.actor(1).await?.cancel(RunId(5)).await?;
    stack.mine(3).await?;
    stack.until_indexed(&url).await?;
    let longer = indexed_block(&url).await?;
    revert(&stack, shorter).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(indexed_block(&url).await?, longer);
    indexer.stop().await??;

    let indexer = Indexer::start(Config { shorter_chain: ShorterChain::BlocksAreLost, ..stack.index_config() }, &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    // The same, met while it follows.
    let shorter = snapshot(&stack).await?;
    stack.mine(3).await?;
    stack.until_indexed(&url).await?;
    revert(&stack, shorter).await?;
    assert_equals_fresh(&stack, &url, "again").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_final_block_that_is_replaced_stops_the_indexer_and_changes_nothing() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    stack.mine(100).await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let before = IndexDump::read(&url).await?;
    let finalized = stack.head().await? - 64;
    let stored = hash_at(&stack, finalized).await?;
    stack.warp(Seconds(1)).await?;
    reorg(&stack, 80).await?;

    let error = Indexer::start(stack.index_config(), &url)?.end().await?.unwrap_err();
    assert!(
        matches!(error, IndexError::FinalizedBlockReplaced { number, stored: is, .. } if number == finalized && is == stored),
        "{error}"
    );
    assert!(error.is_foreign_history());
    before.assert_same(&IndexDump::read(&url).await?);
    Ok(())
}

#[tokio::test]
async fn a_chain_that_ends_below_what_was_final_is_told_apart() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let older = snapshot(&stack).await?;
    trade(&stack).await?;
    stack.mine(150).await?;
    let lost = Config { shorter_chain: ShorterChain::BlocksAreLost, ..stack.index_config() };
    let indexer = Indexer::start(lost.clone(), &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    let indexed = stack.head().await?;
    revert(&stack, older).await?;
    let head = stack.head().await?;

    let error = Indexer::start(lost, &url)?.end().await?.unwrap_err();
    assert!(matches!(error, IndexError::ChainBehindIndex { head: found, indexed: was } if (found, was) == (head, indexed)), "{error}");
    let waiting = Indexer::start(stack.index_config(), &url)?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.has_ended());
    waiting.stop().await??;
    Ok(())
}

#[tokio::test]
async fn the_deepest_reorganisation_above_final_blocks_is_undone() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    stack.mine(60).await?;
    trade(&stack).await?;
    let indexer = Indexer::start(stack.index_config(), &url)?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    // Of the last 64 blocks each may be replaced, and none below.
    reorg(&stack, 63).await?;
    let after = assert_equals_fresh(&stack, &url, "fresh").await?;
    assert!(after.count("events") < before.count("events"));
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn the_same_transactions_in_another_order_are_other_rows() -> anyhow::Result<()> {
    let Following { stack, url, indexer } = Following::start().await?;
    let (one, two) = (stack.funded_actor(1, Usdc::whole(10)).await?, stack.funded_actor(2, Usdc::whole(10)).await?);
    let offer = stack.offer(Usdc::whole(2)).await?;
    // The market's first draft pays for a word of storage that the others find there; each must have gas enough in either place.
    one.draft(offer.clone()).await?;
    let fork = snapshot(&stack).await?;
    let mut transactions = Vec::new();
    for poster in [&one, &two] {
        poster.draft(offer.clone()).await?;
        let block = stack.provider().get_block_by_number(BlockNumberOrTag::Latest).await?.context("no block")?;
        let hash = block.transactions.hashes().next().context("no transaction")?;
        transactions.push(stack.provider().get_raw_transaction_by_hash(hash).await?.context("no transaction")?);
    }
    stack.until_indexed(&url).await?;
    let first = run_column(&url, RunId(2), "poster").await?;
    revert(&stack, fork).await?;
    for transaction in transactions.iter().rev() {
        let receipt = stack.provider().send_raw_transaction(transaction).await?.get_receipt().await?;
        anyhow::ensure!(receipt.status(), "a draft was reverted in the other order");
    }
    stack.mine(1).await?;

    let dump = assert_equals_fresh(&stack, &url, "fresh").await?;
    assert_eq!(dump.count("runs"), 3);
    assert_eq!(run_column(&url, RunId(3), "poster").await?, first);
    assert_ne!(run_column(&url, RunId(2), "poster").await?, first);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_chain_that_goes_to_another_branch_and_back_is_followed_each_time() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    let node = LyingNode::start(vec![stack.rpc_url(), other.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    stack.until_indexed(&url).await?;
    let (here, run) = (IndexDump::read(&url).await?, RunId(5));
    assert_eq!(run_column(&url, run, "state").await?.as_deref(), Some("CANCELLED"));
    node.tell(Lie::IsOnOtherFork);
    other.until_indexed(&url).await?;
    let there = IndexDump::read(&url).await?;
    assert_eq!(run_column(&url, run, "state").await?.as_deref(), Some("OPEN"));
    for _ in 0..3 {
        node.tell(Lie::None);
        stack.until_indexed(&url).await?;
        here.assert_same(&IndexDump::read(&url).await?);
        node.tell(Lie::IsOnOtherFork);
        other.until_indexed(&url).await?;
        there.assert_same(&IndexDump::read(&url).await?);
    }
    node.tell(Lie::None);
    assert_equals_fresh(&stack, &url, "fresh").await?.assert_same(&here);
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_reorganisation_during_the_backfill_is_found() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    stack.mine(10).await?;
    trade(&stack).await?;
    // So many questions that there is time to change the chain between two of them.
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::RefusesRangesOver(1)).await?;
    let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
    for depth in [5, 25, 40] {
        tokio::time::sleep(Duration::from_millis(60)).await;
        reorg(&stack, depth).await?;
    }
    trade(&stack).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_reorganisation_between_headers_and_logs_leaves_no_half_of_either() -> anyhow::Result<()> {
    let (stack, server) = Stack::and_database().await?;
    for depth in [1, 2, 7] {
        let url = create_database(&server, &format!("depth_{depth}")).await?;
        trade(&stack).await?;
        let node = LyingNode::start(vec![stack.rpc_url()], Lie::ReorganisesInBetween(depth)).await?;
        let indexer = Indexer::start(Config::new(node.url(), stack.deployment), &url)?;
        assert_equals_fresh(&stack, &url, &format!("fresh_{depth}")).await?;
        // The same, one block at a time.
        trade(&stack).await?;
        node.tell(Lie::ReorganisesInBetween(depth));
        stack.actor(1).await?.register("ipfs://agent").await?;
        assert_equals_fresh(&stack, &url, &format!("again_{depth}")).await?;
        assert_eq!(node.lie(), Lie::None);
        indexer.stop().await??;
    }
    Ok(())
}

#[tokio::test]
async fn without_the_tag_blocks_are_final_as_deep_as_is_said() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let node = LyingNode::start(vec![stack.rpc_url()], Lie::KnowsNoTags).await?;
    trade(&stack).await?;
    let config = Config { confirmations: Some(6), ..Config::new(node.url(), stack.deployment) };
    let indexer = Indexer::start(config, &url)?;
    stack.until_indexed(&url).await?;
    reorg(&stack, 6).await?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    before.assert_same(&fresh_with(&stack, node.url(), "fresh").await?);

    stack.warp(Seconds(1)).await?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    reorg(&stack, 8).await?;
    let error = indexer.end().await?.unwrap_err();
    assert!(matches!(error, IndexError::FinalizedBlockReplaced { .. }), "{error}");
    before.assert_same(&IndexDump::read(&url).await?);
    Ok(())
}

/// A fresh index with the same idea of final blocks.
async fn fresh_with(stack: &Stack, rpc_url: url::Url, name: &str) -> anyhow::Result<IndexDump> {
    let url = create_database(&stack.database_url()?, name).await?;
    let indexer = Indexer::start(Config { confirmations: Some(6), ..Config::new(rpc_url, stack.deployment) }, &url)?;
    stack.until_indexed(&url).await?;
    indexer.stop().await??;
    IndexDump::read(&url).await
}

//! Pushed heads that are lost, late or never come: the timer finds the blocks, and the subscription is made anew.

use std::time::{Duration, Instant};

use clawpay_indexer::Config;
use clawpay_tests::{Indexer, Lie, Line, LyingNode, Stack, WebSocketProxy};

use super::{assert_equals_fresh, trade};

/// How long a block takes to be indexed.
async fn latency(stack: &Stack, database_url: &str) -> anyhow::Result<Duration> {
    let mined = Instant::now();
    stack.mine(1).await?;
    stack.until_indexed(database_url).await?;
    Ok(mined.elapsed())
}

/// A timer so slow that what is indexed sooner was pushed.
const SLOW: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_mute_subscription_is_noticed_and_made_anew() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    let indexer = Indexer::start(Config { poll_interval: Duration::from_millis(300), ..Config::new(proxy.url(), stack.deployment) }, &url)?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::LosesHeads);
    let connections = proxy.connections();
    trade(&stack).await?;
    for _ in 0..8 {
        assert!(latency(&stack, &url).await? < SOON);
    }
    assert!(proxy.connections() > connections, "nobody noticed");

    proxy.set(Line::Open);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn heads_are_pushed_again_after_the_socket_was_cut() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    // Questions go over HTTP, so that only the pushing stops.
    let mut config = Config { poll_interval: SLOW, ..Config::new(stack.rpc_url(), stack.deployment) };
    config.fallback_rpc_urls.push(proxy.url());
    let indexer = Indexer::start(config, &url)?;
    stack.until_indexed(&url).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(latency(&stack, &url).await? < SOON, "not pushed");

    proxy.set(Line::Cut);
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::Open);
    let cut = Instant::now();
    while latency(&stack, &url).await? >= SOON {
        assert!(cut.elapsed() < 4 * SLOW, "not pushed again");
    }
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn losing_every_third_head_costs_nothing_but_time() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    let indexer = Indexer::start(Config::new(proxy.url(), stack.deployment), &url)?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::LosesEveryThirdHead);
    trade(&stack).await?;
    for _ in 0..12 {
        assert!(latency(&stack, &url).await? < SOON);
    }
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// A pushed head says when to look and what to ask for. What it says is not believed.
#[tokio::test]
async fn lies_about_pushed_heads_are_noticed_by_nobody() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    let indexer = Indexer::start(Config { poll_interval: SLOW, ..Config::new(proxy.url(), stack.deployment) }, &url)?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::LiesAboutHeads);
    let connections = proxy.connections();
    for _ in 0..4 {
        trade(&stack).await?;
        assert!(latency(&stack, &url).await? < SOON, "not pushed, or not looked at");
    }
    assert_eq!(proxy.connections(), connections, "the socket was given up");
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// The connection stays open and nothing comes any more, answers included.
#[tokio::test]
async fn a_socket_that_goes_mute_is_given_up() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    let config = Config { node_timeout: Duration::from_millis(700), ..Config::new(proxy.url(), stack.deployment) };
    let indexer = Indexer::start(config, &url)?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::Mute);
    trade(&stack).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!indexer.has_ended());
    proxy.set(Line::Open);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_killed_socket_fails_over_to_http() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let proxy = WebSocketProxy::start(&stack.ws_url()).await?;
    let fallback = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let mut config = Config::new(proxy.url(), stack.deployment);
    config.fallback_rpc_urls.push(fallback.url());
    let indexer = Indexer::start(config, &url)?;
    stack.until_indexed(&url).await?;
    proxy.set(Line::Cut);
    trade(&stack).await?;
    stack.until_indexed(&url).await?;
    let asked = fallback.requests();
    assert!(latency(&stack, &url).await? < SOON);
    assert!(fallback.requests() > asked);
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

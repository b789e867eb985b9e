//! Several nodes: who is asked, who is left alone, and who is believed.

use std::time::Duration;

use clawpay_domain::{RunId, Usdc};
use clawpay_indexer::{Config, Hashes, IndexError};
use clawpay_tests::{IndexDump, Indexer, Lie, LyingNode, Stack, WebSocketProxy, create_database, scratch};
use url::Url;

use super::{assert_equals_fresh, faults::fork, index_process, trade};

/// An indexer of these nodes, in this order, that loses patience sooner than usual.
fn config(stack: &Stack, urls: &[Url]) -> Config {
    let mut config = Config::new(urls[0].clone(), stack.deployment);
    config.fallback_rpc_urls = urls[1..].to_vec();
    config.poll_interval = Duration::from_millis(100);
    config.node_timeout = Duration::from_secs(3);
    config
}

/// As often as only a node that is followed is asked for its head.
const LOOKS: usize = 3;

/// The preferred node fails in each of these ways, then recovers.
async fn fail_over_and_back(failures: &[(&'static str, Lie)]) -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let preferred = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let next = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(config(&stack, &[preferred.url(), next.url()]), &url)?;
    stack.until_indexed(&url).await?;
    for (name, failure) in failures {
        preferred.until_looked_at(LOOKS).await.map_err(|error| error.context(*name))?;
        let asked = next.looks();
        preferred.tell(match failure {
            Lie::EndsAt(_) => Lie::EndsAt(stack.head().await?),
            failure => *failure,
        });
        trade(&stack).await?;
        stack.until_indexed(&url).await.map_err(|error| error.context(*name))?;
        // No other node tells what happened. Once that is indexed, a node that only lies about news may be asked again at any time.
        assert!(next.looks() > asked, "{name}");
        preferred.tell(Lie::None);
    }
    preferred.until_looked_at(LOOKS).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn the_next_node_is_followed_while_the_preferred_one_does_not_answer() -> anyhow::Result<()> {
    fail_over_and_back(&[("away", Lie::Away), ("silent", Lie::Silent), ("busy", Lie::Busy(1)), ("busy in words", Lie::BusyInWords)]).await
}

#[tokio::test]
async fn the_next_node_is_followed_while_the_preferred_one_lags_or_contradicts_itself() -> anyhow::Result<()> {
    fail_over_and_back(&[
        ("lags", Lie::EndsAt(0)),
        ("drops logs", Lie::DropsALog(usize::MAX)),
        ("changes headers", Lie::ChangesHeaders(usize::MAX)),
        ("loses blocks", Lie::LosesBlocks(usize::MAX)),
    ])
    .await
}

#[tokio::test]
async fn a_dead_preferred_node_does_not_keep_an_indexer_from_starting() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    trade(&stack).await?;
    let dead = LyingNode::start(vec![stack.rpc_url()], Lie::Silent).await?;
    let refusing: Url = "http://127.0.0.1:1/".parse()?;
    let indexer = Indexer::start(config(&stack, &[refusing, dead.url(), stack.ws_url()]), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_node_of_another_chain_is_passed_over_and_alone_it_is_an_error() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    // Chains that begin in the same second begin with the same block.
    let mut other = Stack::node().await?;
    while other.deployment.genesis_hash == stack.deployment.genesis_hash {
        other = Stack::node().await?;
    }
    trade(&stack).await?;
    let indexer = Indexer::start(config(&stack, &[other.rpc_url(), stack.rpc_url()]), &url)?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;

    let error = Indexer::start(config(&stack, &[other.rpc_url(), other.ws_url()]), &url)?.end().await?.unwrap_err();
    assert!(matches!(error, IndexError::WrongGenesis { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_node_that_moves_to_a_fork_nobody_else_is_on_is_not_followed() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    stack.mine(2).await?;
    let astray = LyingNode::start(vec![stack.rpc_url(), other.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(config(&stack, &[astray.url(), stack.rpc_url()]), &url)?;
    stack.until_indexed(&url).await?;
    let before = IndexDump::read(&url).await?;
    astray.tell(Lie::IsOnOtherFork);
    tokio::time::sleep(Duration::from_secs(2)).await;
    before.assert_same(&IndexDump::read(&url).await?);

    // The chain goes on where the other node is.
    stack.mine(1).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

#[tokio::test]
async fn a_fork_that_the_only_healthy_node_is_on_is_followed() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let other = fork(&stack).await?;
    let astray = LyingNode::start(vec![other.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(config(&stack, &[astray.url(), stack.rpc_url()]), &url)?;
    other.until_indexed(&url).await?;
    astray.tell(Lie::Away);
    stack.mine(5).await?;
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

/// The bloom filter of a block says that there is something, the preferred node and its receipts say that there is nothing.
#[tokio::test]
async fn a_suspicious_block_is_asked_of_another_node() -> anyhow::Result<()> {
    let (stack, server) = Stack::and_database().await?;
    trade(&stack).await?;
    let honest = stack.fresh_index("honest").await?;

    // Alone, the liar is believed only where nothing is hashed: a filter may be mistaken.
    let liar = LyingNode::start(vec![stack.rpc_url()], Lie::HidesLogs(usize::MAX)).await?;
    let alone = create_database(&server, "alone").await?;
    let indexer = Indexer::start(Config { hashes: Hashes::AsTold, ..config(&stack, &[liar.url()]) }, &alone)?;
    stack.until_indexed(&alone).await?;
    assert_eq!(IndexDump::read(&alone).await?.count("events"), 0);
    indexer.stop().await??;

    let together = create_database(&server, "together").await?;
    let indexer = Indexer::start(Config { hashes: Hashes::AsTold, ..config(&stack, &[liar.url(), stack.rpc_url()]) }, &together)?;
    stack.until_indexed(&together).await?;
    IndexDump::read(&together).await?.assert_same(&honest);
    indexer.stop().await??;
    Ok(())
}

/// Runs `clawpay index` at the loudest, and answers everything it wrote.
async fn talk(stack: &Stack, database_url: &str, rpc_url: &str) -> anyhow::Result<String> {
    let directory = scratch()?;
    let mut process = index_process(stack, rpc_url, database_url, directory.path(), "trace")?;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    process.require_running()?;
    Ok(process.output())
}

#[tokio::test]
async fn no_key_of_a_node_is_in_any_log() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    stack.actor(1).await?.register("ipfs://agent").await?;
    let http = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let lying = LyingNode::start(vec![stack.rpc_url()], Lie::BusyInWords).await?;
    let socket = WebSocketProxy::start(&stack.ws_url()).await?;
    const KEYS: [&str; 4] = ["k3y-in-the-path", "k3y-in-the-query", "k3y-of-somebody", "k3y-as-password"];
    let with_key = |url: Url| -> anyhow::Result<String> {
        let mut url = url.join(&format!("/v3/{}?apikey={}", KEYS[0], KEYS[1]))?;
        url.set_username(KEYS[2]).ok();
        url.set_password(Some(KEYS[3])).ok();
        Ok(url.into())
    };
    let nowhere = with_key("http://127.0.0.1:1/".parse()?)?;
    let no_socket = with_key("ws://127.0.0.1:1/".parse()?)?;
    let (http, lying, socket) = (with_key(http.url())?, with_key(lying.url())?, with_key(socket.url())?);
    for (name, urls) in [
        ("healthy", vec![&http]),
        ("pushing", vec![&socket]),
        ("failing over", vec![&nowhere, &lying, &no_socket, &http, &socket]),
        ("failing", vec![&nowhere, &no_socket]),
        ("busy", vec![&lying]),
    ] {
        let list = urls.into_iter().map(String::as_str).collect::<Vec<_>>().join(",");
        let said = talk(&stack, &url, &list).await?;
        assert!(!said.is_empty(), "{name} said nothing");
        for key in KEYS {
            assert!(!said.contains(key), "{key} while {name}: {said}");
        }
    }
    let config = Config::new(http.parse()?, stack.deployment);
    assert!(KEYS.iter().all(|key| !format!("{config:?}").contains(key)));
    Ok(())
}

/// Two nodes that take turns failing, while runs are played and blocks are replaced.
#[tokio::test]
async fn nodes_that_take_turns_failing_leave_the_rows_of_a_fresh_index() -> anyhow::Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let one = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let two = LyingNode::start(vec![stack.rpc_url()], Lie::None).await?;
    let indexer = Indexer::start(config(&stack, &[one.url(), two.url()]), &url)?;
    for (first, second) in [
        (Lie::Away, Lie::None),
        (Lie::None, Lie::Away),
        (Lie::MisplacesLogs(9), Lie::Away),
        (Lie::Away, Lie::DropsALog(5)),
        (Lie::Busy(1), Lie::LosesBlocks(5)),
        (Lie::RepeatsLogs(9), Lie::RepeatsLogs(9)),
    ] {
        one.tell(first);
        two.tell(second);
        trade(&stack).await?;
        tokio::time::sleep(Duration::from_millis(400)).await;
        super::reorgs::reorg(&stack, 3).await?;
    }
    one.tell(Lie::None);
    two.tell(Lie::None);
    let poster = stack.funded_actor(1, Usdc::whole(10)).await?;
    let run = poster.draft(stack.offer(Usdc::whole(2)).await?).await?;
    assert!(run > RunId(0));
    assert_equals_fresh(&stack, &url, "fresh").await?;
    indexer.stop().await??;
    Ok(())
}

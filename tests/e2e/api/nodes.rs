//! Several nodes: the first that works is asked, and what is signed is handed to more than one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clawpay_cli::local::free_port;
use clawpay_domain::{RunId, Usdc};
use clawpay_tests::{Indexer, Stack, key, scratch};
use serde_json::{Value, json};
use url::Url;

use super::{
    node_proxy::{Asked, NodeProxy, Oddity},
    served::{Served, account, signer, with},
    strict_wallet::sign_steps,
};
use crate::indexer::index_process;

/// Often enough that no test waits long for what a look finds.
const OFTEN: Duration = Duration::from_millis(50);

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

/// A market served by way of two proxies before the same node.
struct TwoNodes {
    served: Served,
    first: NodeProxy,
    second: NodeProxy,
}

impl TwoNodes {
    async fn start(oddity: Oddity, check: Duration) -> Result<Self> {
        let stack = Stack::with_database().await?;
        let first = NodeProxy::start(stack.rpc_url(), oddity).await?;
        let second = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
        let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
        let mut served = Served::unindexed(stack, |config| {
            config.rpc_url = first.url.clone();
            config.fallback_rpc_urls = vec![second.url.clone()];
            config.node_timeout = Duration::from_secs(2);
            config.node_check = check;
        })
        .await?;
        served.indexer = Some(indexer);
        served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
        let nodes = Self { served, first, second };
        nodes.until_looked_at().await?;
        Ok(nodes)
    }

    /// Waits until both have been looked at.
    async fn until_looked_at(&self) -> Result<()> {
        for node in [&self.first, &self.second] {
            while !node.asked().calls.contains_key("eth_blockNumber") {
                tokio::time::sleep(OFTEN).await;
            }
        }
        self.served.settle().await
    }

    /// A new draft of account 1, which it can cancel.
    async fn draft(&self) -> Result<RunId> {
        let stack = &self.served.stack;
        let run = stack.actor(1).await?.draft(stack.offer(Usdc::whole(10)).await?).await?;
        self.served.settle().await?;
        Ok(run)
    }

    /// Prepares, signs, hands in and waits.
    async fn cancel(&self) -> Result<()> {
        let run = self.draft().await?;
        self.served.act(1, &format!("/api/runs/{run}/cancel"), &signer(1)).await?;
        Ok(())
    }

    /// Waits until it is said of the nodes that they are so.
    async fn until_nodes_are(&self, wanted: [&str; 2]) -> Result<()> {
        for _ in 0..400 {
            if self.served.read("/readyz").await?["prepares"]["nodes"] == json!(wanted) {
                return Ok(());
            }
            tokio::time::sleep(OFTEN).await;
        }
        anyhow::bail!("never {wanted:?}: {:#}", self.served.read("/readyz").await?)
    }
}

/// Whether it was asked for more than looks in the background do.
fn is_asked(asked: &Asked) -> bool {
    asked.calls.keys().any(|method| !["eth_chainId", "eth_blockNumber"].contains(&method.as_str()))
}

#[tokio::test]
async fn a_first_node_that_is_no_use_costs_nothing_after_the_first_request() -> Result<()> {
    for (oddity, word) in [
        (Oddity::Away, "unreachable"),
        (Oddity::Slow, "timed_out"),
        (Oddity::OtherChain, "wrong_chain"),
        (Oddity::OtherFork, "forked"),
        (Oddity::Leaks(super::node_proxy::Leak::Nonsense), "unusable_answer"),
    ] {
        let nodes = TwoNodes::start(Oddity::None, NEVER).await?;
        nodes.cancel().await?;
        nodes.until_nodes_are(["ok", "ok"]).await?;
        nodes.first.turn(oddity);
        let run = nodes.draft().await?;
        let cancel = format!("/api/runs/{run}/cancel");
        nodes.served.prepare(&cancel, &signer(1)).await?;
        nodes.until_nodes_are([word, "ok"]).await?;
        nodes.first.asked();
        for _ in 0..3 {
            nodes.served.prepare(&cancel, &signer(1)).await?;
        }
        nodes.cancel().await?;
        nodes.served.read(&format!("/api/wallets/{}", account(1))).await?;
        let asked = nodes.first.asked();
        ensure!(asked.count() == 0, "{oddity:?}: {asked:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_first_node_that_is_not_there_keeps_nothing_from_being_prepared_or_confirmed() -> Result<()> {
    let stack = Stack::with_database().await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let nowhere: Url = format!("http://127.0.0.1:{}/", free_port()?).parse()?;
    let mut served = Served::unindexed(stack, |config| {
        config.fallback_rpc_urls = vec![std::mem::replace(&mut config.rpc_url, nowhere)];
    })
    .await?;
    served.indexer = Some(indexer);
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let run = poster.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    served.act(1, &format!("/api/runs/{run}/cancel"), &signer(1)).await?;
    Ok(())
}

#[tokio::test]
async fn a_first_node_that_is_behind_is_asked_again_once_it_has_caught_up() -> Result<()> {
    let nodes = TwoNodes::start(Oddity::Behind, OFTEN).await?;
    let run = nodes.draft().await?;
    let cancel = format!("/api/runs/{run}/cancel");
    nodes.until_nodes_are(["behind", "ok"]).await?;
    nodes.first.asked();
    nodes.served.prepare(&cancel, &signer(1)).await?;
    let asked = nodes.first.asked();
    ensure!(!is_asked(&asked), "{asked:?}");

    nodes.first.turn(Oddity::None);
    nodes.until_nodes_are(["ok", "ok"]).await?;
    nodes.first.asked();
    nodes.second.asked();
    nodes.served.prepare(&cancel, &signer(1)).await?;
    let (first, second) = (nodes.first.asked(), nodes.second.asked());
    ensure!(is_asked(&first) && !is_asked(&second), "{first:?} {second:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_that_fails_in_the_middle_is_replaced_by_the_next() -> Result<()> {
    let nodes = TwoNodes::start(Oddity::None, NEVER).await?;
    let run = nodes.draft().await?;
    nodes.until_nodes_are(["ok", "ok"]).await?;
    let path = format!("/api/runs/{run}/cancel");
    let signed = sign_steps(&nodes.served.prepare(&path, &signer(1)).await?, &key(1))?;
    nodes.first.turn(Oddity::Away);
    let answer = nodes.served.post(&path, &with(&signer(1), "signedTransactions", json!(signed))).await?;
    ensure!(answer.status.as_u16() == 200 && answer.body["run"]["state"] == "CANCELLED", "{:#}", answer.body);
    Ok(())
}

#[tokio::test]
async fn what_is_signed_is_handed_to_every_node() -> Result<()> {
    let nodes = TwoNodes::start(Oddity::None, NEVER).await?;
    let run = nodes.draft().await?;
    nodes.until_nodes_are(["ok", "ok"]).await?;
    let path = format!("/api/runs/{run}/cancel");
    let signed = sign_steps(&nodes.served.prepare(&path, &signer(1)).await?, &key(1))?;
    nodes.first.asked();
    nodes.second.asked();
    let answer = nodes.served.post(&path, &with(&signer(1), "signedTransactions", json!(signed))).await?;
    ensure!(answer.status.as_u16() == 200, "{:#}", answer.body);
    for node in [&nodes.first, &nodes.second] {
        let mut sent = 0;
        // The second of them may hear of it a moment after the answer.
        for _ in 0..100 {
            sent += node.asked().calls.get("eth_sendRawTransaction").copied().unwrap_or_default();
            if sent > 0 {
                break;
            }
            tokio::time::sleep(OFTEN).await;
        }
        ensure!(sent == 1, "a node was not told, or twice");
    }

    // One that takes nothing keeps no other from taking it.
    nodes.first.turn(Oddity::SendsNothing);
    nodes.cancel().await
}

#[tokio::test]
async fn a_probe_asks_no_node_and_tells_reads_from_prepares() -> Result<()> {
    let nodes = TwoNodes::start(Oddity::None, NEVER).await?;
    nodes.served.settle().await?;
    nodes.until_nodes_are(["ok", "ok"]).await?;
    nodes.first.asked();
    nodes.second.asked();
    for _ in 0..50 {
        nodes.served.read("/readyz").await?;
    }
    ensure!(nodes.first.asked().requests + nodes.second.asked().requests == 0, "a probe asks a node");
    Ok(())
}

#[tokio::test]
async fn reads_are_ready_without_any_node_and_prepares_are_not() -> Result<()> {
    let nodes = TwoNodes::start(Oddity::None, OFTEN).await?;
    nodes.served.settle().await?;
    nodes.until_nodes_are(["ok", "ok"]).await?;
    let ready = nodes.served.read("/readyz").await?;
    ensure!(ready["status"] == "ready" && ready["prepares"]["ready"] == true, "{ready:#}");
    nodes.first.turn(Oddity::Away);
    nodes.second.turn(Oddity::OtherChain);
    nodes.until_nodes_are(["unreachable", "wrong_chain"]).await?;
    let ready = nodes.served.read("/readyz").await?;
    ensure!(ready["status"] == "ready" && ready["prepares"]["ready"] == false, "{ready:#}");
    nodes.served.read("/api/runs").await?;
    nodes.second.turn(Oddity::None);
    nodes.until_nodes_are(["unreachable", "ok"]).await?;
    let ready: Value = nodes.served.read("/readyz").await?;
    ensure!(ready["prepares"]["ready"] == true, "{ready:#}");
    Ok(())
}

#[tokio::test]
async fn prepares_are_not_ready_while_the_chain_goes_on_without_the_indexer() -> Result<()> {
    let mut nodes = TwoNodes::start(Oddity::None, OFTEN).await?;
    nodes.served.settle().await?;
    nodes.until_nodes_are(["ok", "ok"]).await?;
    nodes.served.indexer.take().context("an indexer")?.stop().await??;
    nodes.served.stack.mine(40).await?;
    for _ in 0..400 {
        let ready = nodes.served.read("/readyz").await?;
        if ready["prepares"]["ready"] == false {
            let staleness = ready["stalenessSeconds"].as_u64().context("stalenessSeconds")?;
            ensure!(staleness < 30 && ready["status"] == "ready" && ready["prepares"]["nodes"] == json!(["ok", "ok"]), "{ready:#}");
            return Ok(());
        }
        tokio::time::sleep(OFTEN).await;
    }
    anyhow::bail!("an indexer that has stopped goes unnoticed: {:#}", nodes.served.read("/readyz").await?)
}

#[tokio::test]
async fn an_indexer_whose_first_node_is_on_another_chain_follows_the_second() -> Result<()> {
    let stack = Stack::with_database().await?;
    let other = NodeProxy::start(stack.rpc_url(), Oddity::OtherChain).await?;
    let (database, directory) = (stack.database_url()?, scratch()?);
    let both = format!("{},{}", other.url, stack.rpc_url());
    let indexing = index_process(&stack, &both, &database, directory.path(), "warn")?;
    stack.until_indexed(&database).await?;
    drop(indexing);
    let mut alone = index_process(&stack, other.url.as_str(), &database, directory.path(), "warn")?;
    ensure!(!alone.end(Duration::from_secs(60)).await?.success());
    let (said, node) = (alone.output(), other.url.origin().ascii_serialization());
    ensure!(said.contains(&node) && said.contains("on chain 1"), "{said}");
    Ok(())
}

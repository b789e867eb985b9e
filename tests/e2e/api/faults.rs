//! What is behind the API fails: reads go on for as long as there is anything to read, and nothing is prepared blindly.

use std::time::Duration;

use anyhow::Result;
use clawpay_domain::{RunId, Usdc};
use clawpay_tests::{Indexer, Stack};
use serde_json::json;

use super::{
    node_proxy::{NodeProxy, Oddity},
    served::{Answer, Served, account, signer, with},
};

/// A served market whose API reaches its node through a proxy, with a draft of account 1 that it can cancel.
async fn behind_a_proxy(configure: impl FnOnce(&mut clawpay_api::Config)) -> Result<(Served, NodeProxy, RunId)> {
    let stack = Stack::with_database().await?;
    let proxy = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |config| {
        config.rpc_url = proxy.url.clone();
        configure(config);
    })
    .await?;
    served.indexer = Some(indexer);
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let run = poster.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    Ok((served, proxy, run))
}

#[tokio::test]
async fn without_its_node_the_api_reads_and_prepares_nothing() -> Result<()> {
    let (served, proxy, run) = behind_a_proxy(|config| {
        config.node_timeout = Duration::from_millis(300);
        config.node_check = Duration::from_millis(100);
    })
    .await?;
    let cancel = format!("/api/runs/{run}/cancel");
    for (oddity, code) in [
        (Oddity::Away, "node_unavailable"),
        (Oddity::Slow, "node_unavailable"),
        (Oddity::OtherChain, "wrong_chain"),
        (Oddity::OtherFork, "index_forked"),
    ] {
        served.prepare(&cancel, &signer(1)).await?;
        proxy.turn(oddity);
        let refused = served.post(&cancel, &signer(1)).await?;
        refused.require(503, code)?;
        assert!(refused.headers.contains_key("retry-after"));
        if oddity != Oddity::OtherFork {
            let signed = with(&signer(1), "transactionHash", json!(format!("0x{}", "ab".repeat(32))));
            served.post(&cancel, &signed).await?.require(503, code)?;
            until_prepares_are(&served, false).await?;
        }
        served.read("/api/runs").await?;
        served.read("/healthz").await?;
        proxy.turn(Oddity::None);
    }
    until_prepares_are(&served, true).await
}

/// Waits until reads are said to be ready, and prepares to be so or not.
async fn until_prepares_are(served: &Served, ready: bool) -> Result<()> {
    until(served, |answer| answer.status.as_u16() == 200 && answer.body["prepares"]["ready"] == ready).await?;
    Ok(())
}

/// Waits until a probe answers so: it tells what was last looked at.
async fn until(served: &Served, is_so: impl Fn(&Answer) -> bool) -> Result<Answer> {
    for _ in 0..400 {
        let answer = served.get("/readyz").await?;
        if is_so(&answer) {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the probe never says so: {:#}", served.get("/readyz").await?.body)
}

#[tokio::test]
async fn a_node_that_lacks_something_is_worked_with() -> Result<()> {
    let (served, proxy, run) = behind_a_proxy(|_| ()).await?;
    let fund = format!("/api/runs/{run}/fund");

    proxy.turn(Oddity::NoSimulation);
    let prepared = served.prepare(&fund, &signer(1)).await?;
    assert_eq!(prepared["steps"].as_array().unwrap().len(), 2);

    proxy.turn(Oddity::NoBaseFee);
    let prepared = served.prepare(&fund, &signer(1)).await?;
    assert_eq!(prepared["steps"][0]["transaction"]["type"], "0x0");
    let funded = served.act(1, &fund, &signer(1)).await?;
    assert_eq!(funded["run"]["state"], "OPEN");

    proxy.turn(Oddity::NestedRevertData);
    let mut served = served;
    served.indexer.take().unwrap().stop().await??;
    served.stack.actor(1).await?.cancel(run).await?;
    served.post(&format!("/api/runs/{run}/cancel"), &signer(1)).await?.require(409, "wrong_state")?;
    Ok(())
}

#[tokio::test]
async fn an_index_that_has_not_heard_of_the_node_is_stale() -> Result<()> {
    let mut served = Served::start_with(|config| config.max_staleness = Duration::from_secs(2)).await?;
    let draft = served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    assert_eq!(served.read("/api/runs").await?.get("stale"), None);
    served.indexer.take().unwrap().stop().await??;
    tokio::time::sleep(Duration::from_millis(2_500)).await;

    for path in ["/api/runs", "/api/runs/1", "/api/agents", "/api/status", "/api/stats"] {
        assert_eq!(served.read(path).await?["stale"], true, "{path}");
    }
    served.post(&format!("/api/runs/{draft}/cancel"), &signer(1)).await?.require(503, "index_behind")?;
    // Reads are what they were; nothing is decided by them.
    let answer = served.get("/readyz").await?;
    assert_eq!((answer.status.as_u16(), &answer.body["prepares"]["ready"]), (200, &json!(false)), "{:#}", answer.body);
    assert_eq!(answer.body["maxStalenessSeconds"], 2);
    assert!(answer.body["stalenessSeconds"].as_u64() >= Some(2), "{:#}", answer.body);

    let url = served.stack.database_url()?;
    served.indexer = Some(Indexer::start(served.stack.index_config(), &url)?);
    served.stack.mine(1).await?;
    served.settle().await?;
    assert_eq!(served.read("/api/runs").await?.get("stale"), None);
    until_prepares_are(&served, true).await
}

#[tokio::test]
async fn an_index_too_many_blocks_behind_prepares_nothing() -> Result<()> {
    let mut served = Served::start_with(|config| config.max_lag_blocks = 3).await?;
    let draft = served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let indexed = served.stack.head().await?;
    served.indexer.take().unwrap().stop().await??;
    served.stack.mine(3).await?;
    served.prepare(&format!("/api/runs/{draft}/cancel"), &signer(1)).await?;
    served.stack.mine(1).await?;
    let refused = served.post(&format!("/api/runs/{draft}/cancel"), &signer(1)).await?;
    refused.require(503, "index_behind")?;
    assert_eq!((&refused.body["indexedBlock"], &refused.body["lag"]), (&json!(indexed), &json!(4)));
    Ok(())
}

#[tokio::test]
async fn without_its_database_the_api_says_so_and_lives_on() -> Result<()> {
    let mut served = Served::start_with(|config| config.database.acquire_timeout = Duration::from_millis(300)).await?;
    served.indexer.take().unwrap().stop().await??;
    drop(served.stack.postgres.take());
    for path in ["/api/runs", "/api/config"] {
        served.get(path).await?.require(503, "database_unavailable")?;
    }
    until(&served, |answer| answer.require(503, "database_unavailable").is_ok()).await?;
    served.post("/api/runs/1/cancel", &signer(1)).await?.require(503, "database_unavailable")?;
    served.read("/healthz").await?;
    Ok(())
}

#[tokio::test]
async fn before_an_indexer_has_written_nothing_is_served_but_liveness() -> Result<()> {
    let mut served = Served::unindexed(Stack::with_database().await?, |_| ()).await?;
    served.read("/healthz").await?;
    for path in ["/api/runs", "/api/config", "/readyz"] {
        served.get(path).await?.require(503, "nothing_indexed")?;
    }
    let url = served.stack.database_url()?;
    served.indexer = Some(Indexer::start(served.stack.index_config(), &url)?);
    served.settle().await?;
    served.read("/api/config").await?;
    until_prepares_are(&served, true).await?;
    served.read(&format!("/api/posters/{}", account(1))).await?;
    Ok(())
}

#[tokio::test]
async fn readiness_waits_for_the_block_it_was_told() -> Result<()> {
    let served = Served::start_with(|config| config.ready_at_block = 1_000).await?;
    let answer = served.get("/readyz").await?;
    answer.require(503, "not_ready")?;
    assert_eq!(answer.body["readyAtBlock"], 1_000);
    served.stack.mine(1_000).await?;
    served.settle().await?;
    until_prepares_are(&served, true).await
}

//! The numbers that watch over an indexer and an API.

use std::time::Duration;

use anyhow::{Context, Result};
use clawpay_tests::{Clawpay, Stack, scratch};
use serde_json::Value;

use crate::indexer::trade;

const WITHIN: Duration = Duration::from_secs(30);

/// The value of the first series that begins like this.
fn value(text: &str, series: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.starts_with(series)).with_context(|| format!("no {series} in {text}"))?;
    let value = line.rsplit(' ').next().unwrap_or_default();
    Ok(value.split('.').next().unwrap_or_default().parse()?)
}

#[tokio::test]
async fn an_indexer_shows_its_numbers_on_a_port_of_its_own() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let directory = scratch()?;
    let deployment = directory.path().join("deployment.json");
    std::fs::write(&deployment, serde_json::to_vec(&stack.deployment)?)?;
    let (rpc, deployment) = (stack.rpc_url(), deployment.to_string_lossy().into_owned());
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("RPC_URL", rpc.as_str()),
        ("CLAWPAY_DEPLOYMENT", &deployment),
        ("CLAWPAY_METRICS_ADDR", "127.0.0.1:0"),
    ];
    let mut indexer = Clawpay::start(&["index"], directory.path(), settings)?;
    indexer.until_it_says("/metrics", WITHIN).await?;
    let address = indexer.printed("Serving metrics on")?;
    trade(&stack).await?;
    stack.until_indexed(&url).await?;

    let text = reqwest::get(&address).await?.text().await?;
    let head = stack.head().await?;
    for (series, expected) in [
        ("clawpay_index_head_block", head),
        ("clawpay_index_indexed_block", head),
        ("clawpay_index_lag_blocks", 0),
        ("clawpay_index_writing", 1),
        ("clawpay_api_indexed_block", head),
        ("clawpay_api_database_up", 1),
        ("clawpay_index_blocks_total", head - stack.deployment.deployment_block + 1),
    ] {
        assert_eq!(value(&text, series)?, expected, "{series}");
    }
    assert!(value(&text, "clawpay_index_events_total")? > 30);
    assert!(value(&text, "clawpay_index_batch_seconds_count")? > 0);
    assert!(text.contains("# HELP clawpay_index_lag_blocks"), "{text}");
    // What has never happened is not there, or is zero.
    assert_eq!(value(&text, "clawpay_index_reorgs_total").unwrap_or_default(), 0);

    let probe = async |name: &str| -> Result<Value> { Ok(reqwest::get(address.replace("metrics", name)).await?.json().await?) };
    let (health, ready) = (probe("healthz").await?, probe("readyz").await?);
    assert_eq!((&health["status"], health["uptimeSeconds"].is_u64()), (&"ok".into(), true));
    assert_eq!((&ready["status"], &ready["lag"], ready["stalenessSeconds"].as_u64() < Some(5)), (&"ready".into(), &0.into(), true));
    assert_eq!(reqwest::get(address.replace("metrics", "api/runs")).await?.status(), 404);
    indexer.signal("INT")?;
    assert!(indexer.end(WITHIN).await?.success());
    Ok(())
}

#[tokio::test]
async fn an_api_counts_its_requests_by_route() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let directory = scratch()?;
    let rpc = stack.rpc_url();
    let port = clawpay_cli::local::free_port()?.to_string();
    let settings = [("DATABASE_URL", url.as_str()), ("RPC_URL", rpc.as_str()), ("CLAWPAY_API_PORT", &port)];
    let mut api = Clawpay::start(&["serve"], directory.path(), settings)?;
    api.until_it_says("Serving the API", WITHIN).await?;
    let base = format!("http://127.0.0.1:{port}");
    for id in 1..4 {
        reqwest::get(format!("{base}/api/runs/{id}")).await?;
    }
    let text = reqwest::get(format!("{base}/metrics")).await?.text().await?;
    assert_eq!(value(&text, "clawpay_http_requests_total{method=\"GET\",path=\"/api/runs/{id}\"")?, 3, "{text}");
    assert_eq!(value(&text, "clawpay_api_database_up")?, 0, "nothing is indexed");
    Ok(())
}

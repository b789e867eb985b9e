//! The numbers that watch over an indexer and an API.

use std::time::Duration;

use anyhow::{Context, Result};
use clawpay_tests::{Clawpay, Stack, scratch};
use serde_json::Value;
use tempfile::TempDir;

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
    let (health, mut ready) = (probe("healthz").await?, probe("readyz").await?);
    // A probe tells what was last looked at.
    while ready["lag"] != 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ready = probe("readyz").await?;
    }
    assert_eq!((&health["status"], health["uptimeSeconds"].is_u64()), (&"ok".into(), true));
    assert_eq!((&ready["status"], &ready["lag"], ready["stalenessSeconds"].as_u64() < Some(5)), (&"ready".into(), &0.into(), true));
    assert_eq!(reqwest::get(address.replace("metrics", "api/runs")).await?.status(), 404);
    indexer.signal("INT")?;
    assert!(indexer.end(WITHIN).await?.success());
    Ok(())
}

/// An API over an empty database, with its numbers at an address of their own.
struct Counted {
    stack: Stack,
    database: String,
    directory: TempDir,
    process: Clawpay,
    base: String,
    metrics: String,
}

impl Counted {
    async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let (stack, database) = Stack::and_database().await?;
        let directory = scratch()?;
        let rpc = stack.rpc_url();
        let all = [("DATABASE_URL", database.as_str()), ("RPC_URL", rpc.as_str()), ("CLAWPAY_API_ADDR", "127.0.0.1:0")];
        let all = all.into_iter().chain([("CLAWPAY_METRICS_ADDR", "127.0.0.1:0")]).chain(settings.iter().copied());
        let mut process = Clawpay::start(&["serve"], directory.path(), all)?;
        process.until_it_says("Serving metrics on", WITHIN).await?;
        let (base, metrics) = (process.printed("Serving the API on")?, process.printed("Serving metrics on")?);
        Ok(Self { stack, database, directory, process, base, metrics })
    }

    async fn numbers(&self) -> Result<String> {
        Ok(reqwest::get(&self.metrics).await?.text().await?)
    }
}

#[tokio::test]
async fn numbers_are_shown_at_the_operators_address_alone() -> Result<()> {
    let mut counted = Counted::start(&[]).await?;
    let (base, metrics) = (counted.base.clone(), counted.metrics.clone());
    assert_eq!(reqwest::get(format!("{base}/metrics")).await?.status(), 404);
    assert_eq!(reqwest::get(&metrics).await?.status(), 200);
    assert_eq!(reqwest::get(metrics.replace("metrics", "healthz")).await?.status(), 200);
    assert_eq!(reqwest::get(metrics.replace("metrics", "api/runs")).await?.status(), 404);
    // An address that is taken is named, whichever process asks for it.
    let (rpc, taken) = (counted.stack.rpc_url(), metrics.trim_start_matches("http://").trim_end_matches("/metrics"));
    let settings = [("DATABASE_URL", counted.database.as_str()), ("RPC_URL", rpc.as_str()), ("CLAWPAY_METRICS_ADDR", taken)];
    for command in ["serve", "index"] {
        let settings = settings.into_iter().chain([("CLAWPAY_API_ADDR", "127.0.0.1:0")]);
        let mut second = Clawpay::start(&[command], counted.directory.path(), settings)?;
        assert_eq!(second.end(WITHIN).await?.code(), Some(1), "{command}");
        let output = second.output();
        assert!(output.contains(taken) && output.contains("CLAWPAY_METRICS_ADDR"), "{command}: {output}");
    }
    counted.process.signal("INT")?;
    assert!(counted.process.end(WITHIN).await?.success());
    Ok(())
}

#[tokio::test]
async fn the_api_listens_on_every_address_that_it_is_told() -> Result<()> {
    let (v4, v6) = (clawpay_cli::local::free_port()?, clawpay_cli::local::free_port()?);
    let addresses = format!("0.0.0.0:{v4},[::]:{v4},127.0.0.1:{v6}");
    let counted = Counted::start(&[("CLAWPAY_API_ADDR", &addresses)]).await?;
    for base in
        [format!("http://127.0.0.1:{v4}"), format!("http://127.0.0.2:{v4}"), format!("http://[::1]:{v4}"), format!("http://127.0.0.1:{v6}")]
    {
        assert_eq!(reqwest::get(format!("{base}/healthz")).await?.status(), 200, "{base}");
    }
    let rpc = counted.stack.rpc_url();
    let taken = format!("127.0.0.1:0,127.0.0.1:{v6}");
    let settings = [("DATABASE_URL", counted.database.as_str()), ("RPC_URL", rpc.as_str()), ("CLAWPAY_API_ADDR", &taken)];
    let mut second = Clawpay::start(&["serve"], counted.directory.path(), settings)?;
    assert_eq!(second.end(WITHIN).await?.code(), Some(1));
    let output = second.output();
    assert!(output.contains(&format!("127.0.0.1:{v6}, which CLAWPAY_API_ADDR asks for")), "{output}");
    Ok(())
}

#[tokio::test]
async fn what_clients_invent_adds_no_series_and_what_is_refused_is_counted() -> Result<()> {
    let counted = Counted::start(&[("CLAWPAY_RATE_LIMIT", "1/5")]).await?;
    let client = reqwest::Client::new();
    for number in 0..40 {
        let method = reqwest::Method::from_bytes(format!("BREW{number}").as_bytes())?;
        let path = if number % 2 == 0 { "healthz" } else { "nothing" };
        client.request(method, format!("{}/{path}", counted.base)).send().await?;
    }
    let text = counted.numbers().await?;
    let series: Vec<&str> = text.lines().filter(|line| line.starts_with("clawpay_http_requests_total{")).collect();
    assert!(series.len() <= 6 && series.iter().all(|line| line.contains("method=\"other\"")), "{series:#?}");
    let refused = value(&text, "clawpay_http_requests_total{method=\"other\",path=\"-\",status=\"429\"")?;
    assert!((10..=15).contains(&refused), "{series:#?}");
    // Neither has a line each.
    let output = counted.process.output();
    assert!(!output.contains("BREW"), "{output}");
    let lines = output.lines().filter(|line| line.contains("\"status\":429") || line.contains("beyond the rate limit")).count();
    assert_eq!(lines, 1, "{output}");
    Ok(())
}

#[tokio::test]
async fn every_line_that_a_request_causes_has_its_id() -> Result<()> {
    let mut counted = Counted::start(&[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")]).await?;
    let asked = reqwest::Client::new().get(format!("{}/api/runs", counted.base)).header("x-request-id", "order-66").send().await?;
    assert_eq!(asked.status(), 503);
    counted.process.until_it_says("\"path\":\"/api/runs\"", WITHIN).await?;
    let output = counted.process.output();
    let lines: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |text: &str| lines.iter().find(|line| line["fields"]["message"] == text && line["span"]["id"] == "order-66");
    for text in ["the database did not answer", "request"] {
        assert!(said(text).is_some(), "{text}: {output}");
    }
    Ok(())
}

#[tokio::test]
async fn an_api_counts_its_requests_by_route() -> Result<()> {
    let counted = Counted::start(&[]).await?;
    for id in 1..4 {
        reqwest::get(format!("{}/api/runs/{id}", counted.base)).await?;
    }
    let text = counted.numbers().await?;
    assert_eq!(value(&text, "clawpay_http_requests_total{method=\"GET\",path=\"/api/runs/{id}\"")?, 3, "{text}");
    assert_eq!(value(&text, "clawpay_api_database_up")?, 0, "nothing is indexed");
    Ok(())
}

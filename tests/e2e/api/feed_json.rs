//! Claimable runs as readers of feeds take them.

use anyhow::{Context, Result};
use clawpay_domain::Usdc;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::served::{Served, account};

#[tokio::test]
async fn a_reader_of_feeds_finds_the_runs_that_can_be_claimed() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(400)).await?;
    let (worker, agent) = served.stack.staked_agent(2).await?;
    let mut offer = served.stack.offer(Usdc::whole(100)).await?;
    poster.draft(offer.clone()).await?;
    let claimed = poster.post(offer.clone()).await?;
    worker.claim(claimed, agent).await?;
    let plain = poster.post(offer.clone()).await?;
    let content = r#"{"title":"Translate","description":"A page.","acceptance":"It reads well.","tags":["text","german"]}"#;
    offer.content_uri = format!("data:application/json,{}", content.replace('"', "%22").replace(' ', "%20")).into_bytes().into();
    let inline = poster.post(offer).await?;
    served.settle().await?;

    let answer = served.get("/feed.json").await?;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/feed+json");
    assert!(answer.headers.contains_key("x-indexed-block"));
    let feed = answer.body;
    assert_eq!(feed["version"], "https://jsonfeed.org/version/1.1");
    let items = feed["items"].as_array().context("items")?;
    let ids: Vec<&Value> = items.iter().map(|item| &item["_clawpay"]["bountyId"]).collect();
    assert_eq!(ids, [&json!(inline), &json!(plain)], "newest first, and none but what can be claimed");
    let (newest, other) = (&items[0], &items[1]);
    let run = served.read(&format!("/api/runs/{inline}")).await?;
    assert_eq!(
        (&newest["title"], &newest["content_text"], &newest["tags"]),
        (&json!("Translate"), &json!("A page.\n\nIt reads well."), &json!(["text", "german"]))
    );
    assert_eq!(newest["url"], json!(format!("/api/runs/{inline}")));
    assert_eq!(newest["date_published"], run["fundedAt"]);
    for name in ["reward", "deadline", "posterAddress", "ipfsHash"] {
        assert_eq!(newest["_clawpay"][name], run[name], "{name}");
    }
    assert_eq!(newest["_clawpay"]["posterAddress"], json!(account(1).to_checksum(None)));
    assert_eq!((&other["title"], &other["content_text"]), (&json!(format!("Run {plain}")), &json!("ipfs://content")));
    let contract = served.stack.deployment.contracts.run_escrow.to_checksum(None);
    assert!(other["id"].as_str().context("id")?.ends_with(&format!(":{contract}/{plain}")), "{other:#}");

    let known = served.request(Method::GET, "/feed.json").header(header::IF_NONE_MATCH, &answer.headers["etag"]).send().await?;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
    Ok(())
}

#[tokio::test]
async fn a_feed_holds_no_more_than_the_latest_runs() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let offer = served.stack.offer(Usdc::whole(1)).await?;
    let mut last = None;
    for _ in 0..52 {
        last = Some(poster.post(offer.clone()).await?);
    }
    served.settle().await?;
    let feed = served.read("/feed.json").await?;
    let items = feed["items"].as_array().context("items")?;
    assert_eq!((items.len(), &items[0]["_clawpay"]["bountyId"]), (50, &json!(last)));
    Ok(())
}

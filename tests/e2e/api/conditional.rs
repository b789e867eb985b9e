//! Reads that are asked for again, and reads that wait for a block.

use std::time::{Duration, Instant};

use alloy::providers::{Provider, ext::AnvilApi};
use anyhow::Result;
use clawpay_domain::Usdc;
use reqwest::{Method, StatusCode, header};

use super::served::{Served, account};

#[tokio::test]
async fn what_a_client_has_is_not_sent_again_until_something_changes() -> Result<()> {
    let served = Served::start().await?;
    let actor = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    actor.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let poster = format!("/api/posters/{}", account(1));
    let paths =
        ["/api/runs", "/api/runs?state=OPEN", "/api/runs/1", "/api/runs/1/events", "/api/agents", "/api/config", "/api/stats", &poster];
    let ask = async |path: &str, tag: &str| served.request(Method::GET, path).header(header::IF_NONE_MATCH, tag).send().await;

    let mut tags = Vec::new();
    for path in paths {
        let answer = served.get(path).await?;
        assert_eq!(answer.headers["cache-control"], "no-cache", "{path}");
        tags.push(answer.headers["etag"].to_str()?.to_owned());
    }
    for (path, tag) in paths.iter().zip(&tags) {
        for known in [tag.clone(), format!("\"other\", {tag}"), tag.trim_start_matches("W/").to_owned()] {
            let answer = ask(path, &known).await?;
            assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{path} {known}");
            assert_eq!(answer.headers()["etag"], **tag, "{path}");
            assert!(answer.headers().contains_key("x-indexed-block"), "{path}");
            assert_eq!(answer.text().await?, "", "{path}");
        }
        for unknown in ["\"other\"", "*", "", tags[0].trim_matches('"')] {
            assert_eq!(ask(path, unknown).await?.status(), StatusCode::OK, "{path} {unknown}");
        }
    }
    // A tag is of one request, and of what is well formed.
    assert_eq!(ask("/api/runs?limit=1", &tags[0]).await?.status(), StatusCode::OK);
    assert_eq!(ask("/api/runs?limit=0", &tags[0]).await?.status(), StatusCode::BAD_REQUEST);
    assert!(!served.get("/api/status").await?.headers.contains_key("etag"));

    served.stack.mine(1).await?;
    served.settle().await?;
    for (path, tag) in paths.iter().zip(&tags) {
        assert_eq!(ask(path, tag).await?.status(), StatusCode::OK, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn another_block_at_the_same_height_and_rows_written_anew_are_a_change() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mine(3).await?;
    served.settle().await?;
    let tag = async || -> Result<_> { Ok(served.get("/api/runs").await?.headers["etag"].clone()) };
    let (before, head) = (tag().await?, served.stack.head().await?);
    served.stack.provider().anvil_rollback(Some(1)).await?;
    served.stack.warp(clawpay_domain::Seconds(5)).await?;
    served.settle().await?;
    assert_eq!(served.stack.provider().get_block_number().await?, head);
    let replaced = tag().await?;
    assert_ne!(before, replaced);

    let url = served.stack.database_url()?;
    clawpay_indexer::reindex(&clawpay_store::Writer::new(&url)?, |_| ()).await?;
    assert_eq!(served.stack.head().await?, head);
    assert_ne!(tag().await?, replaced);
    Ok(())
}

#[tokio::test]
async fn a_read_waits_for_the_block_its_client_has_seen() -> Result<()> {
    let served = Served::start().await?;
    let head = served.stack.head().await?;
    assert_eq!(served.get(&format!("/api/runs?minBlock={head}")).await?.headers["x-indexed-block"], head.to_string());

    let path = format!("/api/runs?state=DRAFT&minBlock={}", head + 1);
    let (answer, posted) = tokio::join!(served.get(&path), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(10)).await?).await
    });
    posted?;
    let answer = answer?;
    assert_eq!(answer.status, StatusCode::OK, "{:#}", answer.body);
    assert_eq!(answer.body["pagination"]["total"], 1);

    // A block that the chain is not near to is not waited for.
    let started = Instant::now();
    for block in ["1000000", "18446744073709551615"] {
        let answer = served.get(&format!("/api/config?minBlock={block}")).await?;
        answer.require(412, "not_indexed_yet")?;
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(answer.body["indexedBlock"].is_u64(), "{:#}", answer.body);
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let near = served.stack.head().await? + 2;
    served.get(&format!("/api/status?minBlock={near}")).await?.require(412, "not_indexed_yet")?;

    for (query, code) in [("minBlock=-1", "invalid_value"), ("minBlock=x", "invalid_value"), ("minBlock=1&minBlock=1", "duplicate_field")] {
        served.get(&format!("/api/runs/1?{query}")).await?.require_field(400, code, "minBlock")?;
    }
    served.post("/api/runs/1/slash?minBlock=1", &super::served::signer(1)).await?.require_field(400, "unknown_field", "minBlock")?;
    Ok(())
}

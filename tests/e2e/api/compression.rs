//! Answers in fewer bytes: as asked for, where it pays, and the same words.

use std::io::Read;

use anyhow::{Context, Result, bail};
use clawpay_domain::Usdc;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use super::served::{Served, signer};

/// What an answer's bytes say, and how they were sent.
pub(super) async fn unpack(response: reqwest::Response) -> Result<(String, String)> {
    let coding = response.headers().get(header::CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).to_owned();
    let bytes = response.bytes().await?;
    let mut text = String::new();
    match coding.as_str() {
        "" => text = String::from_utf8(bytes.to_vec())?,
        "gzip" => {
            flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text)?;
        }
        "br" => {
            brotli::Decompressor::new(&*bytes, 4096).read_to_string(&mut text)?;
        }
        other => bail!("an answer came as {other:?}"),
    }
    Ok((coding, text))
}

/// A market whose list of runs is worth compressing.
async fn with_drafts() -> Result<Served> {
    let served = Served::start().await?;
    let actor = served.stack.actor(1).await?;
    for _ in 0..3 {
        actor.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    }
    served.settle().await?;
    Ok(served)
}

#[tokio::test]
async fn answers_above_a_kilobyte_come_as_gzip_or_br_and_say_the_same() -> Result<()> {
    let served = with_drafts().await?;
    let ask = async |path: &str, coding: &str| served.request(Method::GET, path).header(header::ACCEPT_ENCODING, coding).send().await;
    let (_, plain) = unpack(served.request(Method::GET, "/api/runs").send().await?).await?;
    assert!(plain.len() > 1024, "{plain}");
    for (asked, coding) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("zstd", ""),
        ("gzip;q=0", ""),
        ("identity", ""),
        ("*", ""),
    ] {
        let answer = ask("/api/runs", asked).await?;
        assert_eq!(answer.status(), StatusCode::OK, "{asked}");
        let vary = answer.headers().get_all(header::VARY).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        assert!(vary.to_lowercase().contains("accept-encoding"), "{asked}: {vary}");
        let length = answer.content_length();
        let (sent, text) = unpack(answer).await?;
        assert_eq!(sent, coding, "{asked}");
        assert_eq!(text, plain, "{asked}");
        assert_eq!(length.is_some(), coding.is_empty(), "{asked}");
    }
    // What is small is not worth it.
    let (sent, _) = unpack(ask("/healthz", "gzip, br").await?).await?;
    assert_eq!(sent, "");
    let (sent, document) = unpack(ask("/openapi.json", "br").await?).await?;
    assert_eq!((sent.as_str(), serde_json::from_str::<Value>(&document)?["openapi"].as_str()), ("br", Some("3.1.0")));
    Ok(())
}

#[tokio::test]
async fn documents_have_a_length_however_they_are_compressed() -> Result<()> {
    let served = Served::start().await?;
    for path in ["/openapi.json", "/llms.txt", "/skill.md", "/docs/openapi.json", "/docs/swagger-ui.css"] {
        let (_, plain) = unpack(served.request(Method::GET, path).send().await?).await?;
        for coding in ["br", "gzip"] {
            let head = served.request(Method::HEAD, path).header(header::ACCEPT_ENCODING, coding).send().await?;
            assert_eq!(head.status(), StatusCode::OK, "{path}");
            for _ in 0..2 {
                let answer = served.request(Method::GET, path).header(header::ACCEPT_ENCODING, coding).send().await?;
                // What is being compressed while it is sent has no length that could be told before.
                assert!(answer.content_length().is_some(), "{path} as {coding}");
                let (sent, text) = unpack(answer).await?;
                assert_eq!((sent.as_str(), text == plain), (coding, true), "{path}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_refuses_what_is_plain_is_answered_all_the_same() -> Result<()> {
    let served = Served::start().await?;
    for refusal in ["identity;q=0", "*;q=0", "zstd, identity;q=0, *;q=0"] {
        let answer = served.request(Method::GET, "/api/config").header(header::ACCEPT_ENCODING, refusal).send().await?;
        assert_eq!(answer.status(), StatusCode::OK, "{refusal}");
        let answer = served.request(Method::POST, "/api/runs/1/claim").header(header::ACCEPT_ENCODING, refusal).json(&signer(1));
        served.send(answer).await?.require(400, "missing_field").with_context(|| refusal.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_client_has_compressed_is_not_sent_again() -> Result<()> {
    let served = with_drafts().await?;
    let ask = async |tag: &str, coding: &str| {
        let request = served.request(Method::GET, "/api/runs").header(header::ACCEPT_ENCODING, coding);
        request.header(header::IF_NONE_MATCH, tag).send().await
    };
    let first = ask("", "gzip").await?;
    let tag = first.headers()["etag"].to_str()?.to_owned();
    assert!(tag.starts_with("W/"), "the bytes differ with the coding: {tag}");
    assert_eq!(unpack(first).await?.0, "gzip");
    for coding in ["gzip", "br", "identity"] {
        let again = ask(&tag, coding).await?;
        assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &tag.parse()?), "{coding}");
        assert_eq!(again.text().await?, "", "{coding}");
    }
    Ok(())
}

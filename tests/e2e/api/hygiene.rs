//! Headers around answers: what protects browsers, what other origins may do, and ids of requests.

use anyhow::Result;
use reqwest::{Method, StatusCode, header};

use super::served::{Served, signer};

#[tokio::test]
async fn every_answer_has_the_headers_that_protect() -> Result<()> {
    let served = Served::start().await?;
    let policy = "default-src 'none'; frame-ancestors 'none'";
    let answers = [
        served.get("/api/runs").await?,
        served.get("/api/runs/1").await?,
        served.get("/nothing").await?,
        served.post("/api/config", &signer(1)).await?,
        served.get("/readyz").await?,
    ];
    for answer in &answers {
        assert_eq!(answer.headers["content-security-policy"], policy, "{:?}", answer.headers);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(answer.headers.contains_key("x-request-id"));
    }
    let docs = served.request(Method::GET, "/docs/").send().await?;
    assert!(docs.headers()["content-security-policy"].to_str()?.starts_with("default-src 'self';"));
    Ok(())
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_and_read_what_they_need() -> Result<()> {
    let served = Served::start().await?;
    let plain = served.request(Method::GET, "/api/runs").header(header::ORIGIN, "https://wallet.example").send().await?;
    assert_eq!(plain.headers()["access-control-allow-origin"], "*");
    assert!(!plain.headers().contains_key("access-control-allow-credentials"));
    let exposed = plain.headers()["access-control-expose-headers"].to_str()?.to_lowercase();
    for name in ["x-indexed-block", "etag", "link", "retry-after", "ratelimit", "x-request-id"] {
        assert!(exposed.contains(name), "{name} in {exposed}");
    }
    let preflight = served
        .request(Method::OPTIONS, "/api/runs/1/claim")
        .header(header::ORIGIN, "https://wallet.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type")
        .send()
        .await?;
    assert_eq!(preflight.status(), StatusCode::OK);
    assert!(preflight.headers()["access-control-allow-methods"].to_str()?.contains("POST"));
    assert!(preflight.headers()["access-control-allow-headers"].to_str()?.contains("content-type"));
    Ok(())
}

#[tokio::test]
async fn a_plain_request_id_is_kept_and_an_odd_one_replaced() -> Result<()> {
    let served = Served::start().await?;
    let answered = async |id: &str| -> Result<String> {
        let answer = served.send(served.request(Method::GET, "/healthz").header("x-request-id", id)).await?;
        Ok(answer.headers["x-request-id"].to_str()?.to_owned())
    };
    assert_eq!(answered("order-7_a.B").await?, "order-7_a.B");
    for odd in ["", "two words", "semi;colon", &"x".repeat(65)] {
        let id = answered(odd).await?;
        assert!(id != odd && id.len() == 36, "{id}");
    }
    Ok(())
}

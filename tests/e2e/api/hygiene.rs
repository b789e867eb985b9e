//! Headers around answers: what protects browsers, what other origins may do, and ids of requests.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode, header};

use super::served::{Served, signer};

/// What browsers ask leave for, when pages are watched by OpenTelemetry or Sentry and their clients are generated.
const WITH: &str = "authorization, baggage, cache-control, content-type, idempotency-key, if-none-match, last-event-id, sentry-trace, \
                    traceparent, tracestate, x-request-id";

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
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, WITH)
        .send()
        .await?;
    assert_eq!(preflight.status(), StatusCode::OK);
    assert!(preflight.headers()["access-control-allow-methods"].to_str()?.contains("POST"));
    let allowed = preflight.headers()["access-control-allow-headers"].to_str()?.to_lowercase();
    for name in WITH.split(", ") {
        assert!(allowed.split(',').any(|allowed| allowed.trim() == name), "{name} in {allowed}");
    }
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

#[tokio::test]
async fn a_slash_too_many_at_the_end_changes_nothing() -> Result<()> {
    let served = Served::start().await?;
    for path in ["/api/runs", "/api/agents", "/api/config", "/healthz", "/llms.txt"] {
        let plain = served.request(Method::GET, path).send().await?;
        let slashed = served.request(Method::GET, &format!("{path}/")).send().await?;
        assert_eq!((slashed.status(), slashed.headers().get("etag")), (StatusCode::OK, plain.headers().get("etag")), "{path}");
        assert!(path == "/healthz" || slashed.text().await? == plain.text().await?, "{path}");
    }
    served.get("/api/runs/1/").await?.require(404, "run_not_found")?;
    served.get("/api/runs/?limit=0").await?.require_field(400, "invalid_value", "limit")?;
    served.post("/api/runs/1/claim/", &signer(1)).await?.require_field(400, "missing_field", "agentId")?;
    served.get("/nothing/").await?.require(404, "unknown_path")?;
    // The page's files are beside it: it keeps its slash, and a browser that leaves it out is led there once.
    for path in ["/docs/", "/docs", "/docs//"] {
        let page = served.request(Method::GET, path).send().await?;
        assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/docs/"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn what_breaks_caches_is_no_parameter() -> Result<()> {
    let served = Served::start().await?;
    for path in ["/api/runs?_=1", "/api/runs?state=OPEN&_=2&_=3", "/api/config?_", "/healthz?_=4", "/api/events?wait=0&_=5"] {
        served.read(path).await.with_context(|| path.to_owned())?;
    }
    served.post("/api/runs/1/claim?_=6", &signer(1)).await?.require_field(400, "missing_field", "agentId")?;
    served.get("/api/runs?__=7").await?.require_field(400, "unknown_field", "__")?;
    // A cursor neither carries it nor minds it.
    let actor = served.stack.actor(1).await?;
    for _ in 0..2 {
        actor.draft(served.stack.offer(clawpay_domain::Usdc::whole(10)).await?).await?;
    }
    served.settle().await?;
    let with = served.read("/api/runs?limit=1&_=8").await?;
    assert_eq!(with["pagination"]["next"], served.read("/api/runs?limit=1").await?["pagination"]["next"]);
    let next = with["pagination"]["next"].as_str().context("a cursor")?;
    assert_eq!(served.read(&format!("/api/runs?cursor={next}&_=9")).await?["runs"][0]["bountyId"], 1);
    Ok(())
}

#[tokio::test]
async fn reads_are_answered_without_their_body() -> Result<()> {
    let served = Served::start().await?;
    for path in ["/api/runs", "/api/config", "/api/status", "/healthz", "/openapi.json", "/docs/", "/llms.txt"] {
        let whole = served.request(Method::GET, path).send().await?;
        let head = served.request(Method::HEAD, path).send().await?;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        for name in ["etag", "content-type", "x-indexed-block"] {
            assert_eq!(head.headers().get(name), whole.headers().get(name), "{path} {name}");
        }
        assert_eq!(head.text().await?, "", "{path}");
    }
    assert_eq!(served.request(Method::HEAD, "/api/runs/1").send().await?.status(), StatusCode::NOT_FOUND);
    assert_eq!(served.request(Method::HEAD, "/api/runs/1/claim").send().await?.status(), StatusCode::METHOD_NOT_ALLOWED);
    Ok(())
}

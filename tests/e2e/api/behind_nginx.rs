//! The API under a path of a proxy's, as clients see it there. nginx has no setting that suits it, but the path.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clawpay_api::{Config, PublicUrl, RateLimit};
use clawpay_domain::Usdc;
use clawpay_tests::{Nginx, key};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, header, redirect::Policy};
use serde_json::{Value, json};

use super::{
    compression::unpack,
    served::{Served, signer, with},
    strict_wallet,
};

/// Longer than anything here takes.
const FOREVER: Duration = Duration::from_secs(20);

/// A market that the world sees under `/market/`.
struct Seen {
    served: Served,
    address: Url,
    http: Client,
    _nginx: Nginx,
}

impl Seen {
    async fn start() -> Result<Self> {
        Self::start_with(|_| ()).await
    }

    async fn start_with(configure: impl FnOnce(&mut Config)) -> Result<Self> {
        let address = Nginx::address()?;
        let public = PublicUrl::parse(address.as_str())?;
        let served = Served::start_with(|config| {
            config.public_url = public;
            configure(config);
        })
        .await?;
        let nginx = Nginx::start(&address, served.api.url()).await?;
        Ok(Self { served, address, http: Client::builder().redirect(Policy::none()).build()?, _nginx: nginx })
    }

    /// A request of a path below `/market/`.
    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        Ok(self.http.request(method, self.address.join(path)?))
    }

    /// What is at an address, which must answer 200.
    async fn text(&self, url: &str) -> Result<String> {
        let answer = self.http.get(url).send().await?;
        ensure!(answer.status() == StatusCode::OK && url.starts_with(self.address.as_str()), "{url}: {}", answer.status());
        Ok(answer.text().await?)
    }

    async fn json(&self, url: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(url).await?)?)
    }
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn links_of_lists_lead_on_under_the_path() -> Result<()> {
    let seen = Seen::start().await?;
    let poster = seen.served.stack.funded_actor(1, Usdc::whole(100)).await?;
    for _ in 0..3 {
        poster.draft(seen.served.stack.offer(Usdc::whole(10)).await?).await?;
    }
    seen.served.settle().await?;
    let mut url = seen.address.join("api/runs?limit=1")?.to_string();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let answer = seen.http.get(&url).send().await?;
        let link = answer.headers().get(header::LINK).map(|link| link.to_str().map(str::to_owned)).transpose()?;
        let runs: Value = answer.json().await?;
        ids.push(runs["runs"][0]["bountyId"].as_u64());
        let next = link.as_deref().and_then(|link| link.split(", ").find(|link| link.ends_with("rel=\"next\"")));
        match next.and_then(|next| next.split_once('>')) {
            Some((next, _)) => url = next.trim_start_matches('<').to_owned(),
            None => break,
        }
        assert!(url.starts_with(seen.address.as_str()), "{url}");
    }
    assert_eq!(ids, [Some(3), Some(2), Some(1)]);

    // A query that is as long as any may be has cursors that are longer than what the proxy takes of headers.
    let many = format!("{}&q={}", "state=DRAFT&".repeat(200), "x".repeat(2_000));
    for query in [&many, "state=DRAFT&".repeat(200).trim_end_matches('&')] {
        let answer = seen.http.get(seen.address.join(&format!("api/runs?limit=1&{query}"))?).send().await?;
        assert_eq!(answer.status(), 200, "{}", answer.text().await?);
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn the_description_leads_to_the_server_under_the_path_and_the_page_shows_it() -> Result<()> {
    let seen = Seen::start().await?;
    let document = seen.json(seen.address.join("openapi.json")?.as_str()).await?;
    let server = document["servers"][0]["url"].as_str().context("a server")?;
    // A generated client puts a path behind it.
    assert!(seen.json(&format!("{server}/api/config")).await?["chainId"].is_u64());

    let redirect = seen.request(Method::GET, "docs")?.send().await?;
    assert_eq!(redirect.status(), StatusCode::PERMANENT_REDIRECT);
    let page = seen.address.join("docs")?.join(redirect.headers()[header::LOCATION].to_str()?)?;
    assert_eq!(page, seen.address.join("docs/")?);
    let html = seen.text(page.as_str()).await?;
    let files: Vec<&str> = html.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(files.len() >= 3, "{html}");
    for file in files {
        seen.text(page.join(file)?.as_str()).await?;
    }
    let program = seen.text(page.join("swagger-initializer.js")?.as_str()).await?;
    let shown = program.split("\"url\": \"").nth(1).and_then(|rest| rest.split('"').next()).context("a URL")?;
    assert_eq!(seen.json(page.join(shown)?.as_str()).await?["openapi"], "3.1.0");

    let guide = seen.text(seen.address.join("llms.txt")?.as_str()).await?;
    assert!(guide.contains(&format!("This server is {server}:")), "{guide}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn a_slash_too_many_and_a_cache_breaker_change_nothing_under_the_path() -> Result<()> {
    let seen = Seen::start().await?;
    let plain = seen.text(seen.address.join("api/agents")?.as_str()).await?;
    for path in ["api/agents/", "api/agents?_=1732838400000", "api/agents/?_=1"] {
        assert_eq!(seen.text(seen.address.join(path)?.as_str()).await?, plain, "{path}");
    }
    let head = seen.request(Method::HEAD, "api/agents")?.send().await?;
    assert!(head.status() == StatusCode::OK && head.headers().contains_key("x-indexed-block"));
    assert_eq!(head.text().await?, "");
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn events_come_through_as_they_happen() -> Result<()> {
    let seen = Seen::start().await?;
    let request = seen.request(Method::GET, "api/events?after=0")?.header(header::ACCEPT_ENCODING, "gzip, br");
    let mut stream = tokio::time::timeout(FOREVER, request.send()).await.context("the stream does not begin")??;
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(!stream.headers().contains_key(header::CONTENT_ENCODING));
    let mut heard = String::new();
    while !heard.contains("\n\n") {
        let bytes = tokio::time::timeout(FOREVER, stream.chunk()).await.context("the first frame is kept back")??;
        heard.push_str(std::str::from_utf8(&bytes.context("the stream has ended")?)?);
    }
    seen.served.stack.actor(1).await?.draft(seen.served.stack.offer(Usdc::whole(10)).await?).await?;
    while !heard.contains("RunCreated") {
        let bytes = tokio::time::timeout(FOREVER, stream.chunk()).await.context("an event is kept back")??;
        heard.push_str(std::str::from_utf8(&bytes.context("the stream has ended")?)?);
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn a_verb_is_prepared_and_confirmed_through_it() -> Result<()> {
    let seen = Seen::start().await?;
    let post = async |body: &Value| -> Result<(StatusCode, Value)> {
        let answer = seen.request(Method::POST, "api/agents/register")?.json(body).send().await?;
        Ok((answer.status(), answer.json().await?))
    };
    let body = with(&signer(1), "agentURI", "https://agent.example/card.json".into());
    let (status, prepared) = post(&body).await?;
    assert_eq!((status, &prepared["status"]), (StatusCode::ACCEPTED, &"signature_required".into()), "{prepared:#}");
    let signed = strict_wallet::sign_steps(&prepared, &key(1))?;
    let (status, done) = post(&with(&body, "signedTransactions", json!(signed))).await?;
    assert_eq!((status, &done["success"]), (StatusCode::OK, &true.into()), "{done:#}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn compressed_answers_come_through_it() -> Result<()> {
    let seen = Seen::start().await?;
    let (_, plain) = unpack(seen.request(Method::GET, "openapi.json")?.send().await?).await?;
    for coding in ["gzip", "br"] {
        let answer = seen.request(Method::GET, "openapi.json")?.header(header::ACCEPT_ENCODING, coding).send().await?;
        assert_eq!(unpack(answer).await?, (coding.to_owned(), plain.clone()));
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn one_greedy_client_is_limited_and_another_is_not_behind_it_and_behind_two() -> Result<()> {
    let seen = Seen::start_with(|config| {
        config.rate_limit = RateLimit { per_second: 1, burst: 5, includes_loopback: false };
        config.trusted_proxies = "127.0.0.1".parse().unwrap();
    })
    .await?;
    let outer = Nginx::address()?;
    let _outer = Nginx::start(&outer, &seen.address).await?;
    let behind_two = outer.join("market/")?;
    for (last, address) in [(2, &seen.address), (4, &behind_two)] {
        let client = |last| Client::builder().local_address(std::net::IpAddr::from([127, 0, 0, last])).build();
        let (greedy, other) = (client(last)?, client(last + 1)?);
        let mut answers = Vec::new();
        for claimed in 0..20 {
            // What it says of itself stands before what the proxies say.
            let request = greedy.get(address.join("api/config")?).header("x-forwarded-for", format!("203.0.113.{claimed}"));
            answers.push(request.header("forwarded", format!("for=203.0.113.{claimed}")).send().await?.status().as_u16());
        }
        assert!(answers.iter().filter(|status| **status == 429).count() > 5 && answers[0] == 200, "{address}: {answers:?}");
        assert_eq!(other.get(address.join("api/config")?).send().await?.status(), StatusCode::OK, "{address}");
    }
    Ok(())
}

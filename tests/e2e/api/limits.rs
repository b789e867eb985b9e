//! What one client may use up: requests, patience, connections.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clawpay_api::{Config, RateLimit};
use clawpay_tests::{Api, Database, DatabaseProxy, bulk_runs, empty_index};
use reqwest::{Client, Method, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::served::Served;

/// Longer than anything here takes.
const FOREVER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn beyond_its_burst_an_address_is_told_to_wait_and_how_long() -> Result<()> {
    let rate_limit = RateLimit { per_second: 1, burst: 4, includes_loopback: true };
    let served = Served::start_with(|config| config.rate_limit = rate_limit).await?;
    for left in [3, 2, 1, 0] {
        let answer = served.get("/api/config").await?;
        assert_eq!(answer.headers["ratelimit-policy"], "\"address\";q=4;w=4");
        let limit = answer.headers["ratelimit"].to_str()?;
        // A second may pass on the way.
        assert!(limit.starts_with(&format!("\"address\";r={left};t=")) || left < 3, "{limit}");
    }
    let mut refused = served.get("/api/config").await?;
    for _ in 0..3 {
        if refused.status == 429 {
            break;
        }
        refused = served.get("/nothing").await?;
    }
    refused.require(429, "rate_limited")?;
    let wait: u64 = refused.headers["retry-after"].to_str()?.parse()?;
    assert!((1..=4).contains(&wait), "{wait}");
    assert!(refused.headers["ratelimit"].to_str()?.starts_with("\"address\";r=0;t="));
    // The probes that watch the process are let through.
    for _ in 0..10 {
        served.read("/healthz").await?;
    }
    tokio::time::sleep(Duration::from_secs(wait)).await;
    served.read("/api/config").await?;
    Ok(())
}

#[tokio::test]
async fn clients_on_this_machine_are_not_limited_unless_asked_for() -> Result<()> {
    let served = Served::start_with(|config| config.rate_limit = RateLimit { per_second: 1, burst: 1, includes_loopback: false }).await?;
    for _ in 0..5 {
        let answer = served.get("/api/config").await?;
        assert!(answer.status == 200 && !answer.headers.contains_key("ratelimit"), "{:?}", answer.headers);
    }
    Ok(())
}

/// Asks until it is told to wait, a few times at most. Whether it was.
async fn is_limited(served: &Served, client: &Client, headers: &[(&str, &str)]) -> Result<bool> {
    for _ in 0..6 {
        let request = client.get(served.api.url().join("api/config")?);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if request.send().await?.status() == 429 {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test]
async fn a_trusted_proxy_names_its_clients_and_each_has_a_limit_of_its_own() -> Result<()> {
    let served = Served::start_with(|config| {
        config.rate_limit = RateLimit { per_second: 1, burst: 3, includes_loopback: false };
        config.trusted_proxies = "127.0.0.1, 10.0.0.0/8".parse().unwrap();
    })
    .await?;
    let proxy = Client::new();
    let greedy = [("x-forwarded-for", "198.51.100.1, 203.0.113.1, 10.1.1.1")];
    assert!(is_limited(&served, &proxy, &greedy).await?);
    // What it says of itself moves it nowhere.
    for claimed in ["203.0.113.1", "203.0.113.9, 203.0.113.1", "127.0.0.1,203.0.113.1"] {
        let refused = served.request(Method::GET, "/api/config").header("x-forwarded-for", claimed);
        let mut answer = served.send(refused.try_clone().context("no body")?).await?;
        if answer.status != 429 {
            answer = served.send(refused).await?;
        }
        answer.require(429, "rate_limited")?;
    }
    let others: [&[(&str, &str)]; 3] = [
        &[("x-forwarded-for", "203.0.113.2")],
        &[("forwarded", "for=203.0.113.3;proto=https")],
        &[("forwarded", "for=\"[2001:db8::1]:4711\"")],
    ];
    for other in others {
        let request = proxy.get(served.api.url().join("api/config")?).header(other[0].0, other[0].1);
        assert_eq!(request.send().await?.status(), 200, "{other:?}");
    }
    // Without a name that can be read a client is the proxy, which is on this machine and limited all the same.
    assert!(is_limited(&served, &proxy, &[("x-forwarded-for", "unknown")]).await?);
    assert!(is_limited(&served, &proxy, &[("x-forwarded-for", "203.0.113.4"), ("forwarded", "for=203.0.113.5")]).await?);
    assert!(!is_limited(&served, &proxy, &[]).await?, "the operator is on this machine too");
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_cannot_choose_its_address() -> Result<()> {
    let served = Served::start_with(|config| {
        config.rate_limit = RateLimit { per_second: 1, burst: 3, includes_loopback: true };
        config.trusted_proxies = "127.0.0.9".parse().unwrap();
    })
    .await?;
    let stranger = Client::builder().local_address(IpAddr::from([127, 0, 0, 2])).build()?;
    let mut answers = Vec::new();
    for last in 1..6 {
        let claimed = format!("203.0.113.{last}");
        let request = stranger.get(served.api.url().join("api/config")?).header("x-forwarded-for", &claimed);
        answers.push(request.header("forwarded", format!("for={claimed}")).send().await?.status().as_u16());
    }
    assert!(answers.contains(&429), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_hung_up_on() -> Result<()> {
    let served = Served::start_with(|config| config.head_timeout = Duration::from_millis(300)).await?;
    let address = served.api.url().socket_addrs(|| None)?[0];
    for beginning in ["", "GET /api/runs HTTP/1.1\r\nHost: x\r\nX-Slow: ", "G"] {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(beginning.as_bytes()).await?;
        let mut rest = Vec::new();
        let read = tokio::time::timeout(FOREVER, stream.read_to_end(&mut rest)).await;
        read.with_context(|| format!("{beginning:?} is still waited for"))??;
    }
    served.read("/api/config").await?;
    Ok(())
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take_and_not_for_ever() -> Result<()> {
    const KEEP: Duration = Duration::from_secs(3);
    let served = Served::start_with(|config| {
        config.head_timeout = Duration::from_millis(400);
        config.keep_alive = KEEP;
    })
    .await?;
    let mut stream = TcpStream::connect(served.api.url().socket_addrs(|| None)?[0]).await?;
    for _ in 0..2 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await?;
        assert!(one_answer(&mut stream).await?.starts_with("HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(1_200)).await;
    }
    // The next head has as long as the first one, however long the connection could have lain idle.
    let started = Instant::now();
    stream.write_all(b"GET /healthz HT").await?;
    assert_eq!(tokio::time::timeout(FOREVER, stream.read(&mut [0; 1])).await.context("a slow head is waited for")??, 0);
    assert!(started.elapsed() < KEEP, "{:?}", started.elapsed());

    let mut idle = TcpStream::connect(served.api.url().socket_addrs(|| None)?[0]).await?;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    one_answer(&mut idle).await?;
    let answered = Instant::now();
    assert_eq!(tokio::time::timeout(FOREVER, idle.read(&mut [0; 1])).await.context("an idle connection is kept for ever")??, 0);
    assert!(answered.elapsed() > KEEP / 2, "{:?}", answered.elapsed());
    Ok(())
}

/// Reads the head and body of an answer that says its length.
async fn one_answer(stream: &mut TcpStream) -> Result<String> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = tokio::time::timeout(FOREVER, stream.read(&mut bytes)).await.context("no answer comes")??;
        anyhow::ensure!(read > 0, "the connection has ended: {text}");
        text.push_str(std::str::from_utf8(&bytes[..read])?);
        if text.split_once("\r\n\r\n").is_some_and(|(_, body)| body.ends_with('}')) {
            return Ok(text);
        }
    }
}

#[tokio::test]
async fn heads_and_bodies_have_an_end() -> Result<()> {
    let served = Served::start().await?;
    let fat = served.request(Method::GET, "/api/runs").header("x-fat", "x".repeat(300_000)).send().await?;
    assert_eq!((fat.status().as_u16(), &fat.headers()["content-type"]), (431, &"application/problem+json".parse()?));
    let body = served.request(Method::POST, "/api/runs").header(header::CONTENT_TYPE, "application/json").body(" ".repeat(70_000));
    served.send(body).await?.require(413, "body_too_large")?;
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() -> Result<()> {
    let served = Served::start_with(|config| config.body_timeout = Duration::from_millis(300)).await?;
    let address = served.api.url().socket_addrs(|| None)?[0];
    let mut stream = TcpStream::connect(address).await?;
    let head = "POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(FOREVER, stream.read_to_string(&mut answer)).await.context("still waiting for a body")??;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains(&format!("\"code\":\"{}\"", "body_timeout")), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_says_that_it_is_too_large_is_not_waited_for() -> Result<()> {
    let served = Served::start_with(|config| config.body_timeout = FOREVER * 2).await?;
    let mut stream = TcpStream::connect(served.api.url().socket_addrs(|| None)?[0]).await?;
    let head = "POST /api/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let answer = one_answer(&mut stream).await?;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_database_that_says_nothing_is_not_waited_for() -> Result<()> {
    let database = Database::start()?;
    empty_index(&database.url()).await?;
    bulk_runs(&database.url(), 1..=5).await?;
    let proxy = DatabaseProxy::start(&database.url()).await?;
    let api = Api::start(Config::new("http://127.0.0.1:1".parse()?, proxy.url())).await?;
    let http = reqwest::Client::new();
    let ask = async || -> Result<_> { Ok(http.get(api.url().join("api/runs")?).send().await?) };
    assert_eq!(ask().await?.status(), 200);
    proxy.hold();
    let started = Instant::now();
    let answer = ask().await?;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: serde_json::Value = answer.json().await?;
    assert!(["overdue", "database_unavailable"].iter().any(|code| problem["code"] == *code), "{problem}");
    assert!(started.elapsed() < FOREVER, "{:?}", started.elapsed());
    proxy.release();
    let started = Instant::now();
    while ask().await?.status() != 200 {
        assert!(started.elapsed() < FOREVER, "the database is back, and nobody asks it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_stopped_ends_what_is_open() -> Result<()> {
    let served = Served::start().await?;
    let address = served.api.url().socket_addrs(|| None)?[0];
    // One connection that is idle, one in the middle of a head, and a request that waits for a block.
    let idle = TcpStream::connect(address).await?;
    let mut halfway = TcpStream::connect(address).await?;
    halfway.write_all(b"GET /api/runs HT").await?;
    let head = served.stack.head().await?;
    let waiting = tokio::spawn(served.request(Method::GET, &format!("/api/runs?minBlock={}", head + 5)).send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let Served { api, stack, indexer, .. } = served;
    tokio::time::timeout(FOREVER, api.stop()).await.context("the server does not stop")??;
    assert_eq!(waiting.await??.status(), 412);
    assert!(TcpStream::connect(address).await.is_err(), "it still listens");
    drop((idle, halfway, stack, indexer));
    Ok(())
}

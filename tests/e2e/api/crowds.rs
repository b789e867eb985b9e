//! Connections of one client beside those of all others: how many, how they wait, and what is said before there is a request.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clawpay_api::{Config, RateLimit};
use reqwest::Client;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::served::Served;

/// Longer than anything here takes.
const FOREVER: Duration = Duration::from_secs(20);

/// An address that is not the one from which tests usually ask.
const STRANGER: [u8; 4] = [127, 0, 0, 2];

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const LISTEN: &str = "GET /api/events HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server that limits addresses of this machine as it does others.
async fn limiting(configure: impl FnOnce(&mut Config)) -> Result<Served> {
    Served::start_with(|config| {
        config.rate_limit = RateLimit { per_second: 1_000, burst: 10_000, includes_loopback: true };
        configure(config);
    })
    .await
}

async fn connect(served: &Served, from: [u8; 4], says: &str) -> Result<TcpStream> {
    let address: SocketAddr = served.api.url().socket_addrs(|| None)?[0];
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::from(from), 0))?;
    let mut stream = socket.connect(address).await?;
    stream.write_all(says.as_bytes()).await?;
    Ok(stream)
}

/// What comes until there is `text`.
async fn until(stream: &mut TcpStream, text: &str) -> Result<String> {
    let mut heard = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&heard).contains(text) {
            ensure!(stream.read_buf(&mut heard).await? > 0, "hung up after {}", String::from_utf8_lossy(&heard));
        }
        Ok(())
    };
    tokio::time::timeout(FOREVER, reading).await.with_context(|| format!("no {text}"))??;
    Ok(String::from_utf8(heard)?)
}

/// The status and the problem of an answer after which the connection ends.
async fn last_words(stream: &mut TcpStream) -> Result<(u16, Value)> {
    let mut heard = String::new();
    tokio::time::timeout(FOREVER, stream.read_to_string(&mut heard)).await.context("the connection does not end")??;
    let (head, body) = heard.split_once("\r\n\r\n").with_context(|| format!("no answer: {heard:?}"))?;
    ensure!(head.contains("content-type: application/problem+json"), "{head}");
    let status = head.split(' ').nth(1).context("a status")?.parse()?;
    Ok((status, serde_json::from_str(body).with_context(|| heard.clone())?))
}

/// The same of a request.
async fn answer(served: &Served, says: &str) -> Result<(u16, Value)> {
    last_words(&mut connect(served, STRANGER, says).await?).await
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_others_have_theirs() -> Result<()> {
    let served = limiting(|config| config.connections.per_address = 3).await?;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&served, STRANGER, HEALTH).await?;
        until(&mut stream, "uptimeSeconds").await?;
        held.push(stream);
    }
    let (status, problem) = last_words(&mut connect(&served, STRANGER, "").await?).await?;
    assert_eq!((status, &problem["code"], &problem["limit"]), (429, &"too_many_connections".into(), &3.into()), "{problem}");
    served.read("/healthz").await?;
    drop(held);
    let again = async {
        while connect(&served, STRANGER, HEALTH).await?.read(&mut [0; 12]).await? < 12 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(FOREVER, again).await.context("places are not free again")??;
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_is_trusted_has_as_many_connections_as_it_needs() -> Result<()> {
    let served = limiting(|config| {
        config.connections.per_address = 1;
        config.trusted_proxies = "127.0.0.2".parse().unwrap();
    })
    .await?;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(&served, STRANGER, HEALTH).await?;
        until(&mut stream, "uptimeSeconds").await?;
        held.push(stream);
    }
    Ok(())
}

#[tokio::test]
async fn who_listens_takes_no_place_from_those_who_ask() -> Result<()> {
    let served = limiting(|config| {
        config.connections.per_address = 1;
        config.connections.total = 2;
        config.events.per_address = Some(5);
    })
    .await?;
    let mut listeners = Vec::new();
    for _ in 0..5 {
        let mut stream = connect(&served, STRANGER, LISTEN).await?;
        assert!(until(&mut stream, "event: position").await?.contains("connection: close"));
        listeners.push(stream);
    }
    let mut stream = connect(&served, STRANGER, &LISTEN.replace("Host", "Connection: close\r\nHost")).await?;
    assert_eq!(last_words(&mut stream).await?.1["code"], "too_many_listeners");
    until(&mut connect(&served, STRANGER, HEALTH).await?, "uptimeSeconds").await?;
    served.read("/api/runs").await?;
    Ok(())
}

#[tokio::test]
async fn where_all_places_are_taken_those_that_only_wait_give_way() -> Result<()> {
    let served = Served::start_with(|config| config.connections.total = 2).await?;
    let mut silent = connect(&served, STRANGER, "").await?;
    let mut idle = connect(&served, STRANGER, HEALTH).await?;
    until(&mut idle, "uptimeSeconds").await?;
    let other = Client::new();
    assert_eq!(other.get(served.api.url().join("healthz")?).send().await?.status(), 200);
    let ended = tokio::time::timeout(FOREVER, silent.read(&mut [0; 1])).await.context("who has waited longest is kept")??;
    assert_eq!(ended, 0);
    // Those that are being answered are not ended for another.
    let wait = format!("/api/runs?minBlock={}", served.stack.head().await? + 5);
    let waiting = format!("GET {wait} HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut busy = [connect(&served, STRANGER, &waiting).await?, connect(&served, STRANGER, &waiting).await?];
    let refused = async {
        loop {
            let mut stream = connect(&served, STRANGER, "").await?;
            if let Ok(words) = tokio::time::timeout(Duration::from_millis(200), last_words(&mut stream)).await {
                return words;
            }
        }
    };
    let (status, problem) = tokio::time::timeout(FOREVER, refused).await.context("there is always a place")??;
    assert_eq!((status, &problem["code"]), (503, &"busy".into()), "{problem}");
    for stream in &mut busy {
        until(stream, "not_indexed_yet").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_read_is_hung_up_on() -> Result<()> {
    let served = Served::start_with(|config| config.write_timeout = Duration::from_millis(300)).await?;
    let mut stream = connect(&served, STRANGER, "").await?;
    let asking = async { while stream.write_all(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n").await.is_ok() {} };
    tokio::time::timeout(FOREVER, asking).await.context("what is never read is kept for ever")?;
    Ok(())
}

#[tokio::test]
async fn what_is_no_request_is_told_so_in_words() -> Result<()> {
    let served = limiting(|config| config.rate_limit = RateLimit { per_second: 1, burst: 7, includes_loopback: true }).await?;
    for nonsense in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n", "GET  HTTP/1.1\r\n\r\n"] {
        let (status, problem) = answer(&served, nonsense).await?;
        assert_eq!(
            (status, &problem["status"], &problem["code"]),
            (400, &400.into(), &"malformed_request".into()),
            "{nonsense:?}: {problem}"
        );
    }
    let (status, problem) = answer(&served, &format!("GET / HTTP/1.1\r\nHost: x\r\nX-Fat: {}", "x".repeat(64 * 1024))).await?;
    assert_eq!((status, &problem["code"]), (431, &"head_too_large".into()), "{problem}");
    // One that is whole, and came in one piece.
    let whole = format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Fat: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert_eq!(answer(&served, &whole).await?.0, 431);
    // Each counts like a request.
    let mut limited = false;
    for _ in 0..5 {
        let says = "GET /api/config HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut stream = connect(&served, STRANGER, says).await?;
        let head = until(&mut stream, "\r\n\r\n").await?;
        limited |= head.starts_with("HTTP/1.1 429");
        if limited {
            break;
        }
    }
    assert!(limited, "nonsense is free");
    Ok(())
}

#[tokio::test]
async fn a_request_names_one_host() -> Result<()> {
    let served = Served::start().await?;
    let ask =
        async |version: &str, hosts: &str| answer(&served, &format!("GET /nothing {version}\r\n{hosts}Connection: close\r\n\r\n")).await;
    for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n"] {
        let (status, problem) = ask("HTTP/1.1", hosts).await?;
        assert_eq!((status, &problem["code"], &problem["field"]), (400, &"invalid_value".into(), &"Host".into()), "{hosts:?}: {problem}");
    }
    assert_eq!(ask("HTTP/1.0", "Host: a\r\nHost: b\r\n").await?.0, 400);
    assert_eq!(ask("HTTP/1.1", "Host: a\r\n").await?.1["code"], "unknown_path");
    assert_eq!(ask("HTTP/1.0", "").await?.1["code"], "unknown_path");
    Ok(())
}

//! Clients that ask as fast as they are answered, each over a connection of its own.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Shortest first.
    pub(crate) latencies: Vec<Duration>,
    took: Duration,
}

/// The latency that so many in a hundred stayed within; `sorted` has the shortest first.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let position = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(position).copied().unwrap_or_default()
}

impl Measured {
    /// Answers a second.
    pub(crate) fn per_second(&self) -> u128 {
        let count = self.latencies.len() as u128;
        count * 1_000_000 / self.took.as_micros().max(1)
    }

    /// As many of the answers in a hundred came within this.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}

/// Numbers that look random and are the same each time.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// One of `count` numbers from 0.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count.max(1)
    }
}

/// Asks `address` over so many connections, for so long. `request` makes each request as it goes over the wire.
pub(crate) async fn load(
    address: SocketAddr,
    connections: u64,
    duration: Duration,
    request: impl Fn(&mut Dice) -> Vec<u8> + Clone + Send + 'static,
) -> Result<Measured> {
    let mut clients = tokio::task::JoinSet::new();
    let started = Instant::now();
    for number in 0..connections {
        let request = request.clone();
        clients.spawn(async move {
            let mut dice = Dice(number + 1);
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (mut buffer, mut latencies) = (Vec::with_capacity(1 << 16), Vec::new());
            while started.elapsed() < duration {
                let asked = Instant::now();
                stream.write_all(&request(&mut dice)).await?;
                answer(&mut stream, &mut buffer).await?;
                latencies.push(asked.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies.extend(client??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    Ok(Measured { latencies, took })
}

/// Reads one answer to its end. It must be one of success.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let head = loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server hung up");
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status = text.get(9..12).unwrap_or_default();
    ensure!(matches!(status, "200" | "202"), "{}", String::from_utf8_lossy(buffer));
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer without a length")?;
    let end = head + length.parse::<usize>()?;
    while buffer.len() < end {
        ensure!(stream.read_buf(buffer).await? > 0, "the server hung up");
    }
    Ok(())
}

/// `GET path`, as it goes over the wire.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n").into_bytes()
}

/// `POST path` with this body.
pub(crate) fn post(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

//! Listeners as they are out there: libraries that nobody here wrote, over connections that break.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use clawpay_cli::local::Toolbox;
use clawpay_domain::Usdc;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command},
    sync::{oneshot, watch},
};
use tokio_util::task::AbortOnDropHandle;

use super::served::Served;

const PATIENCE: Duration = Duration::from_secs(30);

/// A proxy that hangs up on its first client once the first block of the stream has gone through, and lets all others through from when it is
/// told to.
struct Interruption {
    address: SocketAddr,
    cut: oneshot::Receiver<()>,
    mended: watch::Sender<bool>,
    _server: AbortOnDropHandle<Result<()>>,
}

impl Interruption {
    async fn before(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (tell, cut) = oneshot::channel();
        let (mended, mut is_mended) = watch::channel(false);
        let serve = async move {
            let (client, _) = listener.accept().await?;
            pass_one_block(client, server).await?;
            let _test = tell.send(());
            loop {
                let (mut client, _) = listener.accept().await?;
                is_mended.wait_for(|is_mended| *is_mended).await?;
                let mut server = TcpStream::connect(server).await?;
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            }
        };
        Ok(Self { address, cut, mended, _server: AbortOnDropHandle::new(tokio::spawn(serve)) })
    }
}

async fn pass_one_block(mut client: TcpStream, server: SocketAddr) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut request, mut answer) = (vec![0; 4096], Vec::new());
    let length = client.read(&mut request).await?;
    server.write_all(&request[..length]).await?;
    // The head ends with an empty line of another kind.
    while !answer.windows(2).any(|window| window == b"\n\n") {
        let before = answer.len();
        ensure!(server.read_buf(&mut answer).await? > 0, "the server hung up");
        client.write_all(&answer[before..]).await?;
    }
    // What has been sent arrives before the end of the connection.
    client.shutdown().await?;
    Ok(())
}

/// A process that listens, and what it prints.
struct Listener {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Listener {
    fn start(arguments: &[&str], url: &str) -> Result<Self> {
        let script = Toolbox::find()?.root().join("tests/watchers/listen.mjs");
        let mut command = Command::new("node");
        command.args(arguments).arg(script).arg(url).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn()?;
        let lines = BufReader::new(process.stdout.take().context("stdout")?).lines();
        Ok(Self { lines, _process: process })
    }

    async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.context("nothing was told")??;
        Ok(serde_json::from_str(&line.context("the listener ended")?)?)
    }
}

/// What a browser does, too: its runtime's EventSource, and the library for runtimes without one.
const EVENT_SOURCES: [&[&str]; 2] = [&[], &["--experimental-eventsource", "--no-warnings"]];

#[tokio::test]
async fn an_event_source_that_is_cut_before_its_first_event_misses_nothing() -> Result<()> {
    let served = Served::start_with(|config| config.events.heartbeat = Duration::from_millis(100)).await?;
    let poster = served.stack.actor(1).await?;
    let offer = served.stack.offer(Usdc::whole(1)).await?;
    // What was before is not asked for.
    poster.draft(offer.clone()).await?;
    served.settle().await?;
    let last = served.read("/api/events?wait=0").await?["lastEventId"].as_u64().context("lastEventId")?;
    let server = SocketAddr::from(([127, 0, 0, 1], served.api().url().port().context("a port")?));
    for (round, arguments) in (1_u64..).zip(EVENT_SOURCES) {
        let proxy = Interruption::before(server).await?;
        let mut listener = Listener::start(arguments, &format!("http://{}/api/events", proxy.address))?;
        let position = last + round - 1;
        assert_eq!(listener.next().await?, json!({ "open": true }));
        assert_eq!(listener.next().await?, json!({ "position": { "kind": "position", "id": position } }));
        proxy.cut.await?;
        // It happens while no client listens.
        poster.draft(offer.clone()).await?;
        served.settle().await?;
        proxy.mended.send_replace(true);
        assert_eq!(listener.next().await?, json!({ "open": true }));
        assert_eq!(listener.next().await?, json!({ "position": { "kind": "position", "id": position } }));
        let told = listener.next().await?;
        assert_eq!(
            (&told["message"]["type"], &told["message"]["id"], &told["lastEventId"]),
            (&json!("RunCreated"), &json!(position + 1), &json!((position + 1).to_string())),
            "{told:#}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_event_source_hears_why_its_stream_ends_and_comes_back() -> Result<()> {
    let served = Served::start_with(|config| {
        config.events.heartbeat = Duration::from_millis(100);
        config.events.lifetime = Duration::from_secs(1);
    })
    .await?;
    let last = served.read("/api/events?wait=0").await?["lastEventId"].as_u64().context("lastEventId")?;
    let mut listener = Listener::start(EVENT_SOURCES[0], served.api().url().join("api/events")?.as_str())?;
    for _ in 0..2 {
        assert_eq!(listener.next().await?, json!({ "open": true }));
        assert_eq!(listener.next().await?, json!({ "position": { "kind": "position", "id": last } }));
        assert_eq!(listener.next().await?, json!({ "end": { "kind": "end", "id": last, "reason": "lifetime" } }));
    }
    Ok(())
}

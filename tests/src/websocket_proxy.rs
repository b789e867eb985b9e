//! A proxy before a node's WebSocket that loses pushed heads or lies about them, keeps silent, or hangs up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use url::Url;

/// What becomes of the node's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// They arrive.
    Open,
    /// Pushed heads are lost; answers arrive.
    LosesHeads,
    /// Every third pushed head is lost.
    LosesEveryThirdHead,
    /// Pushed heads have the hash of the block below, or of none, or none that can be read, in turn; answers are as they are.
    LiesAboutHeads,
    /// Nothing arrives, and nothing says so.
    Mute,
    /// Connections are cut, and new ones too.
    Cut,
}

/// A proxy before one WebSocket.
#[derive(Debug)]
pub struct WebSocketProxy {
    url: Url,
    line: watch::Sender<Line>,
    connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl WebSocketProxy {
    /// Starts one before the node at `url`.
    pub async fn start(url: &Url) -> Result<Self> {
        let node = (url.host_str().context("no host")?.to_owned(), url.port().context("no port")?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("ws://{}/", listener.local_addr()?).parse()?;
        let (line, _) = watch::channel(Line::Open);
        let connections = Arc::<AtomicUsize>::default();
        let server = tokio::spawn(serve(listener, node, line.subscribe(), Arc::clone(&connections)));
        Ok(Self { url, line, connections, server })
    }

    /// Where it listens.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// Behaves like this from now on.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}

impl Drop for WebSocketProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, node: (String, u16), line: watch::Receiver<Line>, connections: Arc<AtomicUsize>) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.fetch_add(1, Relaxed);
        let (node, line) = (node.clone(), line.clone());
        // A connection that ends is the client's to notice.
        open.spawn(async move { connect(client, &node, line).await.ok() });
    }
}

async fn connect(client: TcpStream, node: &(String, u16), mut line: watch::Receiver<Line>) -> Result<()> {
    ensure!(*line.borrow() != Line::Cut, "cut");
    let (mut from_client, to_client) = client.into_split();
    let (from_node, mut to_node) = TcpStream::connect((node.0.as_str(), node.1)).await?.into_split();
    let frames = line.clone();
    tokio::select! {
        ended = copy(&mut from_client, &mut to_node) => ended.map(drop)?,
        ended = pass_on(from_node, to_client, frames) => ended?,
        _ = line.wait_for(|line| *line == Line::Cut) => {}
    }
    Ok(())
}

/// Passes on what the node sends: the answer to the handshake as it is, then frame by frame.
async fn pass_on(mut node: OwnedReadHalf, mut client: OwnedWriteHalf, line: watch::Receiver<Line>) -> Result<()> {
    let mut handshake = Vec::new();
    while !handshake.ends_with(b"\r\n\r\n") {
        handshake.push(node.read_u8().await?);
    }
    client.write_all(&handshake).await?;
    let mut heads = 0;
    loop {
        let mut frame = frame(&mut node).await?;
        let is_head = frame.windows(HEAD.len()).any(|part| part == HEAD);
        heads += usize::from(is_head);
        let arrives = match *line.borrow() {
            Line::Open => true,
            Line::LiesAboutHeads => {
                if is_head {
                    lie(&mut frame, heads)?;
                }
                true
            }
            Line::LosesHeads => !is_head,
            Line::LosesEveryThirdHead => !is_head || heads % 3 != 0,
            Line::Mute | Line::Cut => false,
        };
        if arrives {
            client.write_all(&frame).await?;
        }
    }
}

const HEAD: &[u8] = b"eth_subscription";

/// Changes the hash of the header in a frame, which stays as long as it is.
fn lie(frame: &mut [u8], which: usize) -> Result<()> {
    const HASH: &[u8] = b"\"hash\":\"0x";
    const PARENT: &[u8] = b"\"parentHash\":\"0x";
    let place = |name: &[u8]| frame.windows(name.len()).position(|part| part == name).map(|at| at + name.len()).context("no such field");
    let (hash, parent) = (place(HASH)?, place(PARENT)?);
    match which % 3 {
        0 => frame.copy_within(parent..parent + 64, hash),
        1 => frame[hash..hash + 64].fill(b'7'),
        _ => frame[hash..hash + 64].fill(b'?'),
    }
    Ok(())
}

/// One frame of a server, which masks nothing.
async fn frame(node: &mut OwnedReadHalf) -> Result<Vec<u8>> {
    let mut frame = vec![node.read_u8().await?, node.read_u8().await?];
    let length = match frame[1] {
        126 => {
            let length = node.read_u16().await?;
            frame.extend(length.to_be_bytes());
            u64::from(length)
        }
        127 => {
            let length = node.read_u64().await?;
            frame.extend(length.to_be_bytes());
            length
        }
        length => u64::from(length),
    };
    let start = frame.len();
    ensure!(length < 64 << 20, "a frame of {length} bytes");
    frame.resize(start + usize::try_from(length)?, 0);
    node.read_exact(&mut frame[start..]).await?;
    Ok(frame)
}

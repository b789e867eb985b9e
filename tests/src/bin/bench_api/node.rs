//! What a node is asked for, counted on the line to it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// How each call of JSON-RPC names what it asks for.
const METHOD: &[u8] = b"\"method\"";

/// What was carried.
#[derive(Debug, Default)]
struct Carried {
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// A line to a node. Dropped, it takes no more connections.
pub(crate) struct NodeLine {
    pub(crate) url: Url,
    carried: Arc<Carried>,
    server: JoinHandle<()>,
}

impl NodeLine {
    /// Stands before the node at `url`, which is asked by plain HTTP.
    pub(crate) async fn start(url: &Url) -> Result<Self> {
        let node = url.socket_addrs(|| None)?.first().copied().context("a node")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?).parse()?;
        let carried = Arc::<Carried>::default();
        let counted = Arc::clone(&carried);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let carried = Arc::clone(&counted);
                tokio::spawn(async move {
                    let Ok(node) = TcpStream::connect(node).await else { return };
                    let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
                    // A connection that ends in an error has ended.
                    let _ended = tokio::join!(carry(from_client, to_node, &carried), carry(from_node, to_client, &carried));
                });
            }
        });
        Ok(Self { url, carried, server })
    }

    /// Calls, and bytes of both directions, since this was last asked.
    pub(crate) fn carried(&self) -> (u64, u64) {
        (self.carried.calls.swap(0, Relaxed), self.carried.bytes.swap(0, Relaxed))
    }
}

impl Drop for NodeLine {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, carried: &Carried) -> std::io::Result<()> {
    let mut heard = Vec::with_capacity(64 * 1024);
    let mut last = Vec::new();
    while from.read_buf(&mut heard).await? > 0 {
        carried.bytes.fetch_add(heard.len() as u64, Relaxed);
        // A name may come in two pieces.
        let both = [last.as_slice(), &heard].concat();
        let calls = both.windows(METHOD.len()).filter(|window| *window == METHOD).count();
        carried.calls.fetch_add(calls as u64, Relaxed);
        last = both[both.len().saturating_sub(METHOD.len() - 1)..].to_vec();
        to.write_all(&heard).await?;
        heard.clear();
    }
    to.shutdown().await
}

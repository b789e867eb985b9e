//! How soon listeners hear of a block, and what thousands of them cost.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::AgentRegistry;
use clawpay_domain::AgentId;
use clawpay_tests::Stack;
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Between two blocks, so that each finds everybody waiting.
const PAUSE: Duration = Duration::from_millis(25);
const PATIENCE: Duration = Duration::from_secs(20);
/// Listeners that connect at the same time.
const AT_ONCE: usize = 64;
const GAS: u64 = 300_000;
const REQUEST: &[u8] = b"GET /api/events HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n";

/// A client that listens to everything.
#[derive(Debug)]
pub(crate) struct Listener {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Listener {
    /// Connects, and waits until the server says that it is heard.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(REQUEST).await?;
        let mut listener = Self { stream, heard: Vec::new() };
        listener.until("event: position").await?;
        Ok(listener)
    }

    /// As many of them.
    pub(crate) async fn open_all(address: SocketAddr, count: usize) -> Result<Vec<Self>> {
        stream::iter(0..count).map(|_| Self::open(address)).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Waits for an event of this block, and answers when it came.
    async fn until_told(&mut self, block: u64) -> Result<Instant> {
        self.until(&format!("\"blockNumber\":{block},")).await?;
        let came = Instant::now();
        self.heard.clear();
        Ok(came)
    }

    async fn until(&mut self, text: &str) -> Result<()> {
        let reading = async {
            while !self.heard.windows(text.len()).any(|window| window == text.as_bytes()) {
                ensure!(self.stream.read_buf(&mut self.heard).await? > 0, "the server hung up: {}", String::from_utf8_lossy(&self.heard));
            }
            Ok(())
        };
        timeout(PATIENCE, reading).await.with_context(|| format!("{text} never came"))?
    }
}

/// Makes a block with one event at a time: an agent that changes its address, over and over.
pub(crate) struct Miner<'a> {
    stack: &'a Stack,
    agent: AgentId,
    owner: Address,
}

impl<'a> Miner<'a> {
    /// From here on the node mines only when it is told to.
    pub(crate) async fn start(stack: &'a Stack, agent: AgentId, owner: Address) -> Result<Self> {
        stack.provider().anvil_set_auto_mine(false).await?;
        Ok(Self { stack, agent, owner })
    }

    /// Mines a block. Answers its height, and when the node was told to.
    async fn mine(&self) -> Result<(u64, Instant)> {
        let provider = self.stack.provider();
        let block = self.stack.head().await? + 1;
        let call = AgentRegistry::setAgentURICall { agentId: U256::from(self.agent.0), newURI: format!("ipfs://{block}") };
        let registry = self.stack.deployment.contracts.agent_registry;
        let request = TransactionRequest::default().from(self.owner).to(registry).input(call.abi_encode().into());
        let _pending = provider.send_transaction(request.gas_limit(GAS)).await?;
        let mined = Instant::now();
        provider.evm_mine(None).await?;
        Ok((block, mined))
    }

    /// How long each of so many blocks took to reach a listener, shortest first, counted from when the node was told to mine it.
    pub(crate) async fn latencies(&self, address: SocketAddr, blocks: u32) -> Result<Vec<Duration>> {
        let mut listener = Listener::open(address).await?;
        let mut latencies = Vec::new();
        for _ in 0..blocks {
            tokio::time::sleep(PAUSE).await;
            let (block, mined) = self.mine().await?;
            latencies.push(listener.until_told(block).await?.saturating_duration_since(mined));
        }
        latencies.sort_unstable();
        Ok(latencies)
    }

    /// How long it takes until all of them have heard of one block.
    pub(crate) async fn tell_all(&self, listeners: &mut [Listener]) -> Result<Duration> {
        let (block, mined) = self.mine().await?;
        let told = listeners.iter_mut().map(|listener| listener.until_told(block));
        let last = try_join_all(told).await?.into_iter().max().context("nobody listens")?;
        Ok(last.saturating_duration_since(mined))
    }
}

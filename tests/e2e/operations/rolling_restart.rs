//! An update as operators make it: one server after the other, behind the proxy that they are given, while clients go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clawpay_domain::Usdc;
use clawpay_tests::{Clawpay, Indexer, Nginx, Stack, key, scratch};
use serde_json::json;
use tempfile::TempDir;
use url::Url;

/// Starting and stopping takes less.
const WITHIN: Duration = Duration::from_secs(60);
/// How many ask at once.
const CLIENTS: usize = 4;
/// How many answers each state of the update has to see.
const ENOUGH: u64 = 100;

/// One `clawpay serve`.
struct Server {
    process: Clawpay,
    port: String,
    directory: TempDir,
    settings: [(&'static str, String); 2],
}

impl Server {
    async fn start(stack: &Stack) -> Result<Self> {
        let settings = [("DATABASE_URL", stack.database_url()?), ("RPC_URL", stack.rpc_url().to_string())];
        let (directory, port) = (scratch()?, clawpay_cli::local::free_port()?.to_string());
        let process = launch(&directory, &port, &settings)?;
        let mut server = Self { process, port, directory, settings };
        server.until_ready().await?;
        Ok(server)
    }

    fn url(&self) -> Result<Url> {
        Ok(Url::parse(&format!("http://127.0.0.1:{}/", self.port))?)
    }

    async fn until_ready(&mut self) -> Result<()> {
        self.process.until_it_says("Serving the API", WITHIN).await?;
        let ready = self.url()?.join("readyz")?;
        loop {
            self.process.require_running()?;
            if reqwest::get(ready.clone()).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As systemd restarts it.
    async fn restart(&mut self) -> Result<()> {
        self.process.signal("TERM")?;
        let status = self.process.end(WITHIN).await?;
        ensure!(status.success(), "{status}: {}", self.process.output());
        self.process = launch(&self.directory, &self.port, &self.settings)?;
        self.until_ready().await
    }
}

fn launch(directory: &TempDir, port: &str, settings: &[(&'static str, String)]) -> Result<Clawpay> {
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str())).chain([("CLAWPAY_API_PORT", port)]);
    Clawpay::start(&["serve"], directory.path(), settings)
}

/// Waits until so many more requests have been answered.
async fn until_answered(answered: &AtomicU64, more: u64) -> Result<()> {
    let goal = answered.load(Ordering::Relaxed) + more;
    let waiting = async {
        while answered.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WITHIN, waiting).await.context("the clients are not answered")
}

#[tokio::test]
#[ignore = "needs nginx on the PATH"]
async fn no_request_fails_while_servers_are_restarted_one_after_the_other() -> Result<()> {
    let stack = Stack::with_database().await?;
    let _indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let poster = stack.funded_actor(1, Usdc::whole(100)).await?;
    poster.post(stack.offer(Usdc::whole(10)).await?).await?;
    stack.until_indexed(&stack.database_url()?).await?;
    let mut servers = [Server::start(&stack).await?, Server::start(&stack).await?];
    let (_nginx, proxy) = Nginx::before(&[servers[0].url()?, servers[1].url()?]).await?;

    let (answered, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let registration = json!({ "walletAddress": key(3).address(), "agentURI": "ipfs://agent" });
    let clients = (0..CLIENTS).map(|index| {
        let (answered, is_over, proxy) = (Arc::clone(&answered), Arc::clone(&is_over), proxy.clone());
        let registration = registration.clone();
        tokio::spawn(async move {
            let http = reqwest::Client::new();
            while !is_over.load(Ordering::Relaxed) {
                // Some read, some prepare.
                let request = if index % 4 == 0 {
                    http.post(proxy.join("api/agents/register")?).json(&registration)
                } else {
                    http.get(proxy.join("api/runs/1")?)
                };
                let answer = request.send().await?;
                let status = answer.status();
                let text = answer.text().await?;
                ensure!(status.is_success(), "{status} {text}");
                answered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        })
    });
    let clients: Vec<_> = clients.collect();
    until_answered(&answered, ENOUGH).await?;
    for server in &mut servers {
        server.restart().await?;
        until_answered(&answered, ENOUGH).await?;
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }
    Ok(())
}

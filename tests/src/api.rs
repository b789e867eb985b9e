//! An API server in the test's own process.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use clawpay_api::Config;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

/// A running server, on a loopback port of its own. Dropped, it stops soon after.
#[derive(Debug)]
pub struct Api {
    url: Url,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Api {
    /// Starts one. It listens already; what it can answer depends on its database and node.
    pub async fn start(config: Config) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port for the API")?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let shutdown = CancellationToken::new();
        let serving = clawpay_api::serve(listener, config, shutdown.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the API ended");
            }
        });
        Ok(Self { url, shutdown, server })
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        Ok((&mut self.server).await?)
    }

    /// Where it listens, without the `/api` of most paths.
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl Api {
    /// Tells it to stop, and waits for nothing.
    pub fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

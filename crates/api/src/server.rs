//! Running the API until it is told to stop.

mod connections;
mod idle;
mod places;
mod refusal;

use std::{io, time::Duration};

use axum::Router;
use clawpay_store::StoreError;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{App, Config, error::ApiError, http, http::layers};

/// Pause before the database is asked again for what it did not have.
const RETRY: Duration = Duration::from_secs(1);

/// Why the server cannot run.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The database's address cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The listener failed.
    #[error("serving HTTP: {0}")]
    Io(#[from] io::Error),
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub api: Vec<TcpListener>,
    /// For its operator: `/metrics`, beside the probes. Not set, there is no `/metrics`.
    pub metrics: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self { api: vec![listener], metrics: None }
    }
}

/// Serves on `listeners` until `shutdown`. Database and node need not be there yet: requests are answered 503 until they are.
pub async fn serve(listeners: impl Into<Listeners>, config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let Listeners { api, metrics } = listeners.into();
    let app = App::new(config, shutdown.clone())?;
    let _announcing = AbortOnDropHandle::new(tokio::spawn(hear_of_the_index(app.clone())));
    let _forgetting = AbortOnDropHandle::new(tokio::spawn(forget_addresses(app.clone())));
    let _telling = AbortOnDropHandle::new(tokio::spawn(tell(app.clone())));
    let _relaying = AbortOnDropHandle::new(tokio::spawn(look_after_relayed(app.clone())));
    let _hiding = AbortOnDropHandle::new(tokio::spawn(follow_what_is_hidden(app.clone())));
    let probes = async {
        if let Some(listener) = metrics {
            connections::serve(vec![listener], layers::around(http::probes(), app.clone()), app.clone()).await;
        }
    };
    tokio::join!(connections::serve(api, router(app.clone()), app.clone()), probes);
    Ok(())
}

/// Serves `/healthz`, `/readyz` and `/metrics` alone, for a process whose business is another one.
pub async fn serve_probes(listener: TcpListener, config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let app = App::new(config, shutdown)?;
    connections::serve(vec![listener], layers::around(http::probes(), app.clone()), app).await;
    Ok(())
}

/// Every path with its layers, for one state.
pub fn router(app: App) -> Router {
    layers::around(http::paths(), app)
}

/// Looks after what is relayed, until the server stops.
async fn look_after_relayed(app: App) {
    if let Some(relayer) = app.relayer() {
        relayer.look_after(app.shutdown()).await;
    }
}

/// Tells listeners what happens, until the server stops.
async fn tell(app: App) {
    app.hub().run(http::dto::feed::render, app.index_moved().subscribe()).await;
}

/// Hears of what is to be hidden, until the server stops.
async fn follow_what_is_hidden(app: App) {
    app.config().hidden.follow(app.shutdown()).await;
}

/// Keeps the rate limit's memory small, until the server stops.
async fn forget_addresses(app: App) {
    if let Some(gate) = app.gate() {
        gate.forget().await;
    }
}

/// Says what this server's role may not write, before a request fails for it.
async fn warn_of_missing_rights(app: &App) {
    match app.submitted_transactions().tables_not_writable().await {
        Ok(tables) if tables.is_empty() => {}
        Ok(tables) => {
            let tables = tables.join(", ");
            tracing::error!(tables, "this role may not write these tables: grant it what \"Database roles\" in README.md says");
        }
        Err(error) => ApiError::from(error).log(),
    }
}

/// Says when the database holds a market, and wakes those who wait for the index, until the server stops. Nothing depends on it: who waits
/// also looks for himself.
async fn hear_of_the_index(app: App) {
    let mut told = false;
    loop {
        match app.snapshot().await {
            Ok(snapshot) => {
                tracing::info!(chain = snapshot.chain.chain_id, block = snapshot.indexed.number, "serving the market");
                drop(snapshot);
                warn_of_missing_rights(&app).await;
                break;
            }
            Err(ApiError::NothingIndexed) if told => {}
            Err(ApiError::NothingIndexed) => tracing::info!("waiting for an indexer to write to the database"),
            Err(_) if told => {}
            Err(_) => tracing::warn!("waiting for the database"),
        }
        told = true;
        tokio::time::sleep(RETRY).await;
    }
    loop {
        if let Ok(mut listener) = app.reader().listen().await {
            while listener.moved().await.is_ok() {
                app.index_moved().send_replace(());
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

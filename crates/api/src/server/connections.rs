//! Taking connections, within limits that a single client cannot use up for all others, and ending them.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    response::Response,
};
use futures::future::join_all;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::idle::{Held, Patience, Pulse, Watched};
use crate::App;

/// How long open requests may take to end once the server has been told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Connections at once. The next one waits in the system's queue.
const MOST_CONNECTIONS: usize = 10_000;

/// Largest head of a request: the longest cursor fits twice.
const HEAD_BYTES: usize = 64 * 1024;

/// Pause after the system could not give a connection, for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// Serves `router` on `listeners` until the application is told to stop; then ends what is open, in time.
pub(super) async fn serve(listeners: Vec<TcpListener>, router: Router, app: App) {
    let patience = Patience::of(app.config());
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let taking = listeners.into_iter().map(|listener| take(listener, &router, patience, &places, &open, app.shutdown()));
    join_all(taking).await;
    if tokio::time::timeout(LAST_REQUESTS, open.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off");
    }
}

/// Takes connections until `shutdown`, and then listens no more.
async fn take(
    listener: TcpListener,
    router: &Router,
    patience: Patience,
    places: &Arc<Semaphore>,
    open: &GracefulShutdown,
    shutdown: &CancellationToken,
) {
    while let Some(next) = shutdown.run_until_cancelled(next(&listener, places)).await {
        match next {
            Ok(taken) => open_connection(taken, router, patience, open),
            // One that was gone before it was taken is no fault.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot take connections");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Taken> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

/// A connection, whom it is with, and its place among all.
type Taken = (TcpStream, SocketAddr, OwnedSemaphorePermit);

fn open_connection((stream, peer, place): Taken, router: &Router, patience: Patience, open: &GracefulShutdown) {
    // Answers are small and whole: nothing is gained by waiting for more of them.
    let _as_it_is = stream.set_nodelay(true);
    let pulse = Pulse::new(patience);
    let (router, beating) = (router.clone(), pulse.clone());
    let service = service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, beating.clone(), request));
    let connection = http1::Builder::new()
        // How long a client may say nothing is for the pulse to tell.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Watched::new(stream, pulse.clone())), service);
    let connection = open.watch(connection);
    tokio::spawn(async move {
        tokio::select! {
            // A client that goes away in the middle is no fault of this server.
            _ended = connection => {}
            () = pulse.stops() => {}
        }
        drop(place);
    });
}

async fn answer(router: Router, peer: SocketAddr, pulse: Pulse, request: Request<Incoming>) -> Result<Response<Held<Body>>, Infallible> {
    let answering = pulse.answering();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Held::new(body, answering)))
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

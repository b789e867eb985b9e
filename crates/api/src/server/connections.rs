//! Taking connections, within limits that a single client cannot use up for all others, and ending them.

use std::{convert::Infallible, io, io::Write as _, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use futures::future::join_all;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use super::{
    idle::{Held, Patience, Pulse, Watched},
    places::{Full, Place, Places},
    refusal::{self, Worded},
};
use crate::{
    App,
    client::Client,
    error::ApiError,
    http::{Listens, layers::HEAD_BYTES},
    metrics,
    room::Room,
    tally::Tally,
};

/// How long open requests may take to end once the server has been told to stop.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Bytes of all incomplete heads, beyond those that every connection may have.
const ALL_HEADS_BYTES: usize = 16 * 1024 * 1024;

/// Pause after the system could not give a connection, for want of descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// What connections are served with.
struct Hall {
    app: App,
    router: Router,
    patience: Patience,
    places: Arc<Places>,
    heads: Room,
    open: GracefulShutdown,
    turned_away: Tally,
}

/// Serves `router` on `listeners` until the application is told to stop; then ends what is open, in time.
pub(super) async fn serve(listeners: Vec<TcpListener>, router: Router, app: App) {
    let (patience, places) = (Patience::of(app.config()), Places::of(app.config()));
    let heads = Room::new(ALL_HEADS_BYTES);
    let hall = Hall { app, router, patience, places, heads, open: GracefulShutdown::new(), turned_away: Tally::default() };
    join_all(listeners.into_iter().map(|listener| hall.take_from(listener))).await;
    if tokio::time::timeout(LAST_REQUESTS, hall.open.shutdown()).await.is_err() {
        tracing::warn!("requests that did not end in time were cut off");
    }
}

impl Hall {
    /// Takes connections until the server is to stop, and then listens no more.
    async fn take_from(&self, listener: TcpListener) {
        while let Some(next) = self.app.shutdown().run_until_cancelled(listener.accept()).await {
            match next {
                Ok((stream, peer)) => self.take(stream, peer),
                // One that was gone before it was taken is no fault.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot take connections");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let client = Client::of(peer.ip());
        let config = self.app.config();
        // A proxy that is trusted speaks for many, and so does one on this machine, unless its operator says otherwise.
        let is_limited = config.rate_limit.holds_for(client) && !config.trusted_proxies.include(peer.ip());
        let pulse = Pulse::new(self.patience, &self.heads);
        match self.places.take(client, is_limited, &pulse) {
            Ok(place) => self.open(stream, peer, pulse, Arc::new(place)),
            Err(full) => self.turn_away(stream, full),
        }
    }

    /// Says why there is no place, as far as that can be said without waiting.
    fn turn_away(&self, stream: TcpStream, full: Full) {
        metrics::turned_away(matches!(full, Full::Address { .. }));
        self.turned_away.count(|connections| tracing::info!(connections, "connections beyond the limits"));
        let refused = match full {
            Full::Address { limit } => ApiError::TooManyConnections { limit },
            Full::All => ApiError::Busy,
        };
        // The buffer of a new connection is empty: this fits, or the client is gone.
        let _told = stream.into_std().and_then(|mut stream| stream.write_all(&refusal::answer(refused)));
    }

    fn open(&self, stream: TcpStream, peer: SocketAddr, pulse: Pulse, place: Arc<Place>) {
        // Answers are small and whole: nothing is gained by waiting for more of them.
        let _as_it_is = stream.set_nodelay(true);
        let app = self.app.clone();
        let stream = Worded::new(Watched::new(stream, pulse.clone()), move |status| refused_by_the_parser(&app, peer, status));
        let (router, beating, seat) = (self.router.clone(), pulse.clone(), Arc::clone(&place));
        let service =
            service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, beating.clone(), Arc::clone(&seat), request));
        let connection = http1::Builder::new()
            // How long a client may say nothing is for the pulse to tell.
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.open.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                // A client that goes away in the middle is no fault of this server.
                _ended = connection => {}
                () = pulse.stops() => {}
            }
            drop(place);
        });
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    pulse: Pulse,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Result<Response<Held<Body>>, Infallible> {
    let answering = pulse.answering();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.oneshot(request).await?;
    let listens = response.extensions().get::<Listens>().is_some();
    if listens {
        // From here on it counts among the listeners.
        place.leave();
    }
    if listens || pulse.has_brought_much() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Held::new(body, answering)))
}

/// A head that is none counts like a request: a client may send as many of them.
fn refused_by_the_parser(app: &App, peer: SocketAddr, status: StatusCode) {
    metrics::refused(status.as_u16());
    let client = Client::of(peer.ip());
    if let Some(gate) = app.gate()
        && app.config().rate_limit.holds_for(client)
    {
        // The connection ends either way.
        let _what_is_left = gate.pass(client);
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

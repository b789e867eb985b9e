//! Notes whom a request is from.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};

use crate::App;

/// Notes the client that limits count, as trusted proxies name it.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let client = app.config().trusted_proxies.client_of(peer.ip(), request.headers());
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

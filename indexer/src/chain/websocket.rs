//! A WebSocket on which several small questions can be on their way at once.

use std::time::Duration;

use alloy::{
    pubsub::{ConnectionHandle, PubSubConnect},
    rpc::client::WsConnect,
    transports::{TransportErrorKind, TransportResult, ws::WsBackend},
};
use tokio_tungstenite::{connect_async_with_config, tungstenite::client::IntoClientRequest};

/// A node that has said nothing for so long is asked for a sign of life.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Connects as [`WsConnect`] does, but sends each question at once. Held back until the one before it is acknowledged, as is usual,
/// questions wait for each other longer than a node on the same machine takes to answer them.
#[derive(Clone, Debug)]
pub(super) struct Prompt(pub(super) WsConnect);

impl PubSubConnect for Prompt {
    fn is_local(&self) -> bool {
        self.0.is_local()
    }

    async fn connect(&self) -> TransportResult<ConnectionHandle> {
        let request = self.0.clone().into_client_request().map_err(TransportErrorKind::custom)?;
        let (socket, _) = connect_async_with_config(request, None, true).await.map_err(TransportErrorKind::custom)?;
        let (handle, interface) = ConnectionHandle::new();
        WsBackend::from_socket(socket, interface, KEEPALIVE).spawn();
        // Reconnecting is the caller's business, who begins by proving the chain again.
        Ok(handle.with_max_retries(1))
    }
}

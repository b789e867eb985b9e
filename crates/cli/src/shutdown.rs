//! Being told to stop.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGINT, SIGTERM or SIGHUP. More of them change nothing: the stop under way is bounded.
pub fn on_signal() -> Result<CancellationToken> {
    let token = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut stream = signal(kind).context("cannot listen for signals")?;
        let token = token.clone();
        tokio::spawn(async move {
            stream.recv().await;
            token.cancel();
            // Goes on swallowing the signal, whose default is to end the process at once.
            while stream.recv().await.is_some() {}
        });
    }
    Ok(token)
}

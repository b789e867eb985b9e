//! Logs: lines for people on a terminal, JSON for machines, always on standard error. And the numbers behind `/metrics`.

use std::{io::IsTerminal, time::Duration};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing_subscriber::{EnvFilter, fmt};

use crate::{output, redact::Redacting};

/// Libraries that write whole addresses into their details, and whole answers. They are held at warnings, whatever is asked for.
const TALKATIVE: [&str; 6] = ["alloy_transport_http", "hyper", "hyper_util", "reqwest", "tokio_tungstenite", "tungstenite"];

/// Starts logging what `filter` lets through. `json` where no terminal shows it; a second call changes nothing.
pub fn start(filter: &str, json: bool) {
    let layer =
        fmt().with_env_filter(redacted(filter)).with_writer(|| Redacting(std::io::stderr())).with_ansi(std::io::stderr().is_terminal());
    // Another caller, such as a test, may have installed a subscriber already.
    let _already = if json { layer.json().try_init() } else { layer.with_target(false).try_init() };
}

/// Upper bounds of what a batch or a request may take, seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Upper bounds of what a reorganisation may undo, blocks.
const BLOCKS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// How often samples are moved into their buckets, asked for or not.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts counting where `/metrics` is served, and says where that is.
pub fn count_for(listener: Option<&TcpListener>) -> Result<Option<PrometheusHandle>> {
    let Some(listener) = listener else { return Ok(None) };
    output::progress(format_args!("Serving metrics on http://{}/metrics", listener.local_addr()?));
    count().map(Some)
}

/// Starts counting what indexer and API report, for as long as the process lives. Answers what `/metrics` shows.
fn count() -> Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_blocks".to_owned()), &BLOCKS))
        .context("the metrics' buckets")?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok().context("something else counts already")?;
    clawpay_indexer::metrics::describe();
    clawpay_api::metrics::describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// `filter`, without what could hold a key.
fn redacted(filter: &str) -> EnvFilter {
    let held = TALKATIVE.map(|library| format!("{library}=warn")).join(",");
    EnvFilter::new(format!("{filter},{held}"))
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_filter_makes_a_library_show_the_nodes_address() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = fmt().with_env_filter(redacted("trace,alloy_transport_http=trace")).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::debug_span!(target: "alloy_transport_http", "ReqwestTransport", url = "https://node.example/v3/secret");
            let _entered = span.enter();
            tracing::debug!(target: "alloy_transport_http::reqwest_transport", "posting to https://node.example/v3/secret");
            tracing::trace!(target: "tungstenite::handshake", "GET /v3/secret");
            tracing::trace!("a line of our own");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("a line of our own"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

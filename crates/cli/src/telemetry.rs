//! Logs: lines for people on a terminal, JSON for machines, always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// Starts logging what `filter` lets through. `json` where nobody watches; a second call changes nothing.
pub fn start(filter: &str, json: bool) {
    let layer = fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // Somebody else, such as a test, may have installed a subscriber already.
    let _already = if json { layer.json().try_init() } else { layer.with_target(false).try_init() };
}

//! The HTTP API: what the index knows, who may do what, and transactions that wallets can sign.
//!
//! Reads come from one snapshot of the database each and say which block they reflect. A verb is asked for twice: first without a signature,
//! to get the transactions to sign, then with them, to have them sent and to wait until the index shows the outcome. The server holds no
//! key, and nothing it refuses is out of reach of a wallet that calls the contracts directly.
//!
//! Used by `clawpay serve` and `clawpay up`, and by tests, through [`serve`].

mod actions;
mod chains;
mod client;
mod config;
mod error;
mod feed;
mod hidden;
mod http;
mod index_watch;
mod market;
pub mod metrics;
mod node;
mod public_url;
mod relay;
mod relay_funds;
mod replica;
mod room;
mod server;
mod tally;
mod text;
mod transactions;

pub use client::{NotANetwork, TrustedProxies};
pub use config::{Config, ConnectionOptions, EventOptions, MAX_BODY_BYTES, RateLimit, RelayOptions};
pub use hidden::{BadLine, Hidden, HideError, HideFault};
pub use http::App;
pub use public_url::{NotPublic, PublicUrl};
pub use server::{Listeners, ServeError, router, serve, serve_probes};

/// The description of this API, as it is committed in `openapi.json`.
pub fn openapi() -> Result<String, serde_json::Error> {
    http::print(&http::document())
}

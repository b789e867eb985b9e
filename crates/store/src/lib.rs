//! Postgres in the words of `clawpay_domain`: what the indexer writes and the API reads, as rows that cannot be mistaken for one another.
//!
//! The indexer holds the one [`Writer`] of a database and is its only author. Every table is derived from the chain: `events` hold what
//! happened, `runs` and `agents` are folds of them. Queries are checked against the migrations at build time.

mod agents;
mod begin;
mod blocks;
mod chain;
mod columns;
mod content;
mod copy;
mod digest;
mod error;
mod events;
mod feed;
mod idempotency;
mod projections;
mod reader;
mod rebuild;
mod relayed;
mod runs;
mod submitted_transactions;
mod timeouts;
mod writer;

pub use agents::{AgentRecord, AgentRow};
pub use blocks::{Block, IndexedBlock, Tags};
pub use chain::Chain;
pub use columns::{Account, Amount, Hash, State};
pub use content::Content;
pub use digest::StateDigest;
pub use error::StoreError;
pub use events::{EventPosition, EventRecord};
pub use feed::{FeedBounds, FeedRecord, Holder};
pub use idempotency::{PinnedRequest, RelayedCall};
pub use reader::{
    AgentFilter, AgentSort, Custody, Day, Direction, HeldRun, IndexListener, Listing, MarketTotals, Page, Position, PostedRun, Poster,
    PosterRecord, PosterSort, Reader, ReaderOptions, RunFilter, RunSearch, RunSort, Sight, Snapshot, SortKey, StateTotals, Stretch,
};
pub use rebuild::{Rebuild, Replaced};
pub use relayed::{GasOffer, NonceLock, RelayAttempt, RelayCharge, RelayJob, RelayTurn, Relayed, Spent, SpentOnSigner};
pub use runs::{RunRecord, RunRow};
pub use submitted_transactions::{SubmittedTransaction, SubmittedTransactions};
pub use writer::{Batch, Rewound, Session, Standby, Writer};

/// Channel on which a writer announces each committed block number. A wake-up, not the data: read the cursor.
pub const INDEXED_CHANNEL: &str = "clawpay_indexed";

/// The schema as this version knows it. A database that a later version has widened is as good.
fn migrations() -> sqlx::migrate::Migrator {
    let mut migrations = sqlx::migrate!();
    migrations.set_ignore_missing(true);
    migrations
}

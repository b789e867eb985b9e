//! The index as readers see it.

use std::time::{Duration, Instant};

use alloy::primitives::B256;
use anyhow::{Context, Result};
use clawpay_store::{IndexListener, Reader, ReaderOptions, StoreError};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The index, seen as the API sees it: by tasks, which the thread that waits for sockets goes on with by itself.
pub(crate) struct Watch {
    pub(crate) reader: Reader,
    seen: watch::Receiver<Option<Seen>>,
    _looking: AbortOnDropHandle<Result<(), StoreError>>,
}

/// The block that reads are about, and when they were first.
#[derive(Clone, Copy)]
struct Seen {
    number: u64,
    hash: B256,
    at: Instant,
}

impl Watch {
    pub(crate) async fn open(database_url: &str) -> Result<Self> {
        let reader = Reader::new(database_url, ReaderOptions::default())?;
        let listener = reader.listen().await?;
        let (told, seen) = watch::channel(None);
        let looking = AbortOnDropHandle::new(tokio::spawn(look(reader.clone(), listener, told)));
        Ok(Self { reader, seen, _looking: looking })
    }

    /// Waits until reads are about block `number`, or about the block with this very hash.
    pub(crate) async fn until(&mut self, number: u64, hash: Option<B256>, patience: Duration) -> Result<Instant> {
        let is_it = |seen: &Option<Seen>| seen.is_some_and(|seen| seen.number >= number && hash.is_none_or(|hash| seen.hash == hash));
        let seen = tokio::time::timeout(patience, self.seen.wait_for(is_it)).await;
        let seen = seen.with_context(|| format!("block {number} never showed"))?.context("the database went away")?;
        seen.map(|seen| seen.at).context("nothing is indexed")
    }
}

async fn look(reader: Reader, mut listener: IndexListener, told: watch::Sender<Option<Seen>>) -> Result<(), StoreError> {
    loop {
        if let Some(snapshot) = reader.snapshot().await? {
            let at = Instant::now();
            told.send_replace(Some(Seen { number: snapshot.indexed.number, hash: snapshot.indexed.hash, at }));
        }
        listener.moved().await?;
    }
}

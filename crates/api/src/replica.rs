//! A copy of the database to read from. Nothing depends on it: when it is away or behind, reads go to the database itself.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use clawpay_store::{IndexedBlock, Reader, ReaderOptions, StoreError};
use tokio::time::Instant;

use crate::{market::AsOf, metrics};

/// Longest wait for a connection to it: a request that waits could be answered elsewhere.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long it is left alone after it was found away or behind.
const REST: Duration = Duration::from_secs(2);

/// A replica, and whether it is worth asking.
#[derive(Debug)]
pub(crate) struct Replica {
    reader: Reader,
    rests_until: Mutex<Option<Instant>>,
}

impl Replica {
    /// The one at `url`. Connects when first used.
    pub(crate) fn new(url: &str, options: ReaderOptions) -> Result<Self, StoreError> {
        let options = ReaderOptions { acquire_timeout: options.acquire_timeout.min(ACQUIRE_TIMEOUT), ..options };
        Ok(Self { reader: Reader::new(url, options)?, rests_until: Mutex::new(None) })
    }

    /// What `read` finds there, if it has anything that is not too old.
    pub(crate) async fn read<T, F>(&self, read: impl Fn(Reader) -> F, is_stale: impl Fn(&IndexedBlock) -> bool) -> Option<T>
    where
        T: AsOf,
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        if self.rests() {
            return None;
        }
        let behind = match read(self.reader.clone()).await {
            Ok(Some(found)) if !is_stale(found.indexed()) => {
                metrics::replica(true);
                return Some(found);
            }
            Ok(Some(found)) => Some(found.indexed().number),
            Ok(None) => None,
            Err(error) => {
                tracing::warn!(%error, "the replica did not answer");
                None
            }
        };
        tracing::warn!(block = behind, "reads go to the database itself: the replica is away or too far behind");
        metrics::replica(false);
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        None
    }

    fn rests(&self) -> bool {
        let until = *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

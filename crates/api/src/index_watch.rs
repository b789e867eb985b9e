//! Where the index stands, looked at by one task for all who want to know and all who wait: how many they are, the database does not notice.

use std::time::Duration;

use clawpay_store::{Chain, IndexedBlock, Reader};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// The time between two looks when nothing says that the index has moved.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The same while a request waits: a pooler before the database may keep the index's announcements back.
const LOOK_SOON: Duration = Duration::from_millis(100);

/// Longest that a look waits for the database.
const LOOK_LIMIT: Duration = Duration::from_secs(4);

/// What the last look found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Seen {
    /// There was none yet.
    #[default]
    NotYet,
    /// The database did not answer.
    Unavailable,
    /// No indexer has written to the database yet.
    Nothing,
    /// The index is here.
    At(IndexPosition),
}

/// Where the index was at a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexPosition {
    /// Its block.
    pub indexed: IndexedBlock,
    looked_at: Instant,
}

impl IndexPosition {
    /// Since the indexer last checked the node's head, as of now.
    pub(crate) fn staleness(&self) -> Duration {
        self.indexed.staleness.saturating_add(self.looked_at.elapsed())
    }
}

impl Seen {
    /// The block it is at, if it is at one.
    fn number(&self) -> Option<u64> {
        match self {
            Self::At(position) => Some(position.indexed.number),
            Self::NotYet | Self::Unavailable | Self::Nothing => None,
        }
    }

    /// Whether waiting for the other told the same.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::At(one), Self::At(other)) => {
                let place = |at: &IndexPosition| (at.indexed.number, at.indexed.hash, at.indexed.epoch);
                place(one) == place(other)
            }
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// Looks at the index for all.
#[derive(Debug, Default)]
pub(crate) struct IndexWatch {
    seen: watch::Sender<Seen>,
    /// How often it was looked at.
    looks: watch::Sender<u64>,
    wanted: Notify,
}

impl IndexWatch {
    /// Looks whenever the index has `moved`, and now and then, until `shutdown`. `known` hears of the chain each time.
    pub(crate) async fn run(
        &self,
        reader: Reader,
        mut moved: watch::Receiver<()>,
        known: impl Fn(&Chain) + Send + Sync,
        shutdown: CancellationToken,
    ) {
        loop {
            let seen = match timeout(LOOK_LIMIT, reader.snapshot()).await {
                Ok(Ok(Some(snapshot))) => {
                    known(&snapshot.chain);
                    Seen::At(IndexPosition { indexed: snapshot.indexed, looked_at: Instant::now() })
                }
                Ok(Ok(None)) => Seen::Nothing,
                Ok(Err(error)) => {
                    if !matches!(*self.seen.borrow(), Seen::Unavailable) {
                        tracing::warn!(%error, "the database did not answer");
                    }
                    Seen::Unavailable
                }
                Err(_) => Seen::Unavailable,
            };
            self.seen.send_if_modified(|last| !std::mem::replace(last, seen).is_same(&seen));
            self.looks.send_modify(|looks| *looks = looks.wrapping_add(1));
            let pause = if self.seen.receiver_count() > 0 { LOOK_SOON } else { LOOK_AGAIN };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.wanted.notified() => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// What the last look found. Where that was nothing, another look is waited for, which is one for all who ask.
    pub(crate) async fn seen(&self) -> Seen {
        let seen = *self.seen.borrow();
        if matches!(seen, Seen::At(_)) {
            return seen;
        }
        let mut looks = self.looks.subscribe();
        self.wanted.notify_one();
        // Ends by itself: a look has an end.
        let _looked = timeout(LOOK_LIMIT, looks.changed()).await.is_ok();
        *self.seen.borrow()
    }

    /// The index's moves from here on.
    pub(crate) fn moves(&self) -> IndexMoves {
        let moves = IndexMoves(self.seen.subscribe());
        self.wanted.notify_one();
        moves
    }
}

/// The moves of the index after one moment. Who waits for them asks the database for nothing.
#[derive(Debug)]
pub(crate) struct IndexMoves(watch::Receiver<Seen>);

impl IndexMoves {
    /// Waits until the index has moved and is at `block` or beyond.
    pub(crate) async fn reach(&mut self, block: u64) {
        loop {
            if self.0.changed().await.is_err() {
                // Nothing looks any more: the server stops, which who waits hears by itself.
                return std::future::pending().await;
            }
            if self.0.borrow_and_update().number().is_some_and(|number| number >= block) {
                return;
            }
        }
    }
}

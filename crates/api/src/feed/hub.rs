//! The one reader of the feed in this process.

use std::{sync::Arc, time::Duration};

use clawpay_store::{FeedBounds, IndexedBlock};
use tokio::sync::{Semaphore, broadcast, watch};

use super::Item;
use crate::{App, error::ApiError};

/// Items read at once.
pub(super) const PAGE: u32 = 256;
/// Pages that a listener may be behind before it is let go.
const ROOM: usize = 64;
/// How often the feed is looked at when nobody says that it has moved.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Listeners that read from the database at once. When thousands come back together they wait for each other, and nobody else waits for them.
const READERS: usize = 4;

/// What listeners are handed.
#[derive(Clone, Debug)]
pub(super) enum FeedMessage {
    /// What follows what was handed before.
    Page(Arc<[Item]>),
    /// There may be something in the database that is handed to nobody.
    Look,
    /// The feed was begun anew: numbers remembered mean nothing any more.
    Restarted,
}

/// How far the feed is being handed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedPosition {
    /// The block it is as of.
    pub indexed: IndexedBlock,
    /// The numbers there are.
    pub bounds: FeedBounds,
}

/// Hands the feed to all listeners.
#[derive(Debug)]
pub(crate) struct Hub {
    pages: broadcast::Sender<FeedMessage>,
    /// Nothing while the database cannot be read.
    position: watch::Sender<Option<FeedPosition>>,
    pub(super) readers: Semaphore,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { pages: broadcast::Sender::new(ROOM), position: watch::Sender::new(None), readers: Semaphore::new(READERS) }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<FeedMessage> {
        self.pages.subscribe()
    }

    /// How far the feed has been handed on, if the database could be read when it was last looked at.
    pub(crate) fn position(&self) -> Option<FeedPosition> {
        *self.position.borrow()
    }

    /// Reads the feed until the server stops.
    pub(crate) async fn run(app: App) {
        let mut moved = app.index_moved().subscribe();
        let mut last = None;
        loop {
            if app.hub().hand_on(&app, &mut last).await.is_err() {
                // Whoever wants to listen now is told why it cannot.
                app.hub().position.send_replace(None);
            }
            tokio::select! {
                () = app.shutdown().cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// Hands on what follows number `last`.
    async fn hand_on(&self, app: &App, last: &mut Option<u64>) -> Result<(), ApiError> {
        loop {
            let mut snapshot = app.snapshot().await?;
            let indexed = snapshot.indexed;
            let bounds = snapshot.feed_bounds().await?;
            let after = *last.get_or_insert_with(|| {
                // Whoever has begun to listen before this did so by an older look at the database.
                let _listeners = self.pages.send(FeedMessage::Look);
                bounds.last
            });
            let is_restarted = after > bounds.last || (after > 0 && after.saturating_add(1) < bounds.first);
            let records = if is_restarted || after == bounds.last { Vec::new() } else { snapshot.feed(after, PAGE).await? };
            let Some(newest) = records.last() else {
                if is_restarted {
                    *last = Some(bounds.last);
                    // Nobody may be listening.
                    let _listeners = self.pages.send(FeedMessage::Restarted);
                }
                self.position.send_replace(Some(FeedPosition { indexed, bounds }));
                return Ok(());
            };
            *last = Some(newest.seq);
            // First: whoever subscribes from here on either knows of the page or is handed it.
            self.position.send_replace(Some(FeedPosition { indexed, bounds: FeedBounds { last: newest.seq, ..bounds } }));
            if self.pages.receiver_count() > 0 {
                let page = records.iter().map(|record| Item::new(record, &snapshot)).collect();
                let _listeners = self.pages.send(FeedMessage::Page(page));
            }
        }
    }
}

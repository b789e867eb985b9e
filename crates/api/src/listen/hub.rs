//! The one reader of the feed in this process.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use super::Item;
use crate::{App, error::ApiError};

/// Items read at once.
pub(super) const PAGE: u32 = 256;
/// Pages that a listener may be behind before it is let go.
const ROOM: usize = 64;
/// How often the feed is looked at when nobody says that it has moved.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What listeners are handed.
#[derive(Clone, Debug)]
pub(super) enum Handed {
    /// What follows what was handed before.
    Page(Arc<[Item]>),
    /// The feed was begun anew: numbers remembered mean nothing any more.
    Restarted,
}

/// Hands the feed to all listeners.
#[derive(Debug)]
pub(crate) struct Hub {
    pages: broadcast::Sender<Handed>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self { pages: broadcast::Sender::new(ROOM) }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Handed> {
        self.pages.subscribe()
    }

    /// Reads the feed until the server stops.
    pub(crate) async fn run(app: App) {
        let mut moved = app.index_moved().subscribe();
        let mut last = None;
        loop {
            match app.hub().hand_on(&app, &mut last).await {
                Ok(()) | Err(ApiError::NothingIndexed) => {}
                Err(_) => tracing::debug!("the feed cannot be read at the moment"),
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
            let bounds = snapshot.feed_bounds().await?;
            let after = *last.get_or_insert(bounds.last);
            if after > bounds.last || (after > 0 && after.saturating_add(1) < bounds.first) {
                *last = Some(bounds.last);
                // Nobody may be listening.
                let _listeners = self.pages.send(Handed::Restarted);
                return Ok(());
            }
            if after == bounds.last {
                return Ok(());
            }
            let records = snapshot.feed(after, PAGE).await?;
            let Some(newest) = records.last() else { return Ok(()) };
            *last = Some(newest.seq);
            if self.pages.receiver_count() > 0 {
                let page = records.iter().map(|record| Item::new(record, &snapshot)).collect();
                let _listeners = self.pages.send(Handed::Page(page));
            }
        }
    }
}

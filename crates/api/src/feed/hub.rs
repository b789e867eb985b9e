//! The one reader of the feed in this process.

use std::{sync::Arc, time::Duration};

use clawpay_domain::RunId;
use clawpay_store::{FeedBounds, IndexedBlock, Reader, Snapshot};
use tokio::sync::{
    Semaphore, SemaphorePermit,
    broadcast::{self, error::RecvError},
    watch,
};
use tokio_util::sync::CancellationToken;

use super::{Filter, Item, Render};
use crate::{error::ApiError, hidden::Hidden};

/// Items read at once.
pub(super) const PAGE: u32 = 256;
/// Pages that a listener may be behind before it is let go.
const ROOM: usize = 64;
/// How often the feed is looked at when nothing says that it has moved.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Listeners that read from the database at once. When thousands come back together they wait for each other, and no other request waits for
/// them.
const READERS: usize = 4;

/// What listeners are handed.
#[derive(Clone, Debug)]
pub(super) enum FeedMessage {
    /// What follows what was handed before.
    Page(Arc<[Arc<Item>]>),
    /// There may be something in the database that is handed to no listener.
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

/// Tells when there is something new of one run. Who waits for it asks the database for nothing.
#[derive(Debug)]
pub(crate) struct RunNews {
    pages: broadcast::Receiver<FeedMessage>,
    run: RunId,
}

impl RunNews {
    /// Waits until there may be something new.
    pub(crate) async fn next(&mut self) {
        loop {
            match self.pages.recv().await {
                Ok(FeedMessage::Page(page)) if !page.iter().any(|item| item.is_of(self.run)) => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // Nothing is told any more: the server stops, which who waits hears by itself.
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

/// Hands the feed to all listeners.
#[derive(Debug)]
pub(crate) struct Hub {
    reader: Reader,
    hidden: Hidden,
    shutdown: CancellationToken,
    pages: broadcast::Sender<FeedMessage>,
    /// Nothing while the database cannot be read.
    position: watch::Sender<Option<FeedPosition>>,
    readers: Semaphore,
}

impl Hub {
    /// For the feed that `reader` reads, without what is hidden, until `shutdown`.
    pub(crate) fn new(reader: Reader, hidden: Hidden, shutdown: CancellationToken) -> Self {
        let (pages, position) = (broadcast::Sender::new(ROOM), watch::Sender::new(None));
        Self { reader, hidden, shutdown, pages, position, readers: Semaphore::new(READERS) }
    }

    /// How far the feed has been handed on, as the database says where it could not be read when it was last looked at. Fails if it still
    /// cannot be.
    pub(crate) async fn position(&self) -> Result<FeedPosition, ApiError> {
        let handed_on = *self.position.borrow();
        match handed_on {
            Some(position) => Ok(position),
            None => self.read_position().await,
        }
    }

    /// Reads the feed whenever the index has `moved`, and hands it on as `render` writes it, until the server stops.
    pub(crate) async fn run(&self, render: Render, mut moved: watch::Receiver<()>) {
        let mut last = None;
        loop {
            if self.hand_on(render, &mut last).await.is_err() {
                // A client that wants to listen now is told why it cannot.
                self.position.send_replace(None);
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                _ = moved.changed() => {}
            }
        }
    }

    /// What is told of one run from here on.
    pub(crate) fn news_of(&self, run: RunId) -> RunNews {
        RunNews { pages: self.subscribe(), run }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<FeedMessage> {
        self.pages.subscribe()
    }

    /// Those of `items` that a listener wants and is told of. What is hidden has its number all the same, so that a listener can come back with
    /// any number there is.
    pub(super) fn told<'a>(&self, items: impl IntoIterator<Item = &'a Arc<Item>>, filter: &Filter) -> Vec<Arc<Item>> {
        let hidden = self.hidden.now();
        items.into_iter().filter(|item| filter.admits(item) && !hidden.hides(&***item)).map(Arc::clone).collect()
    }

    pub(super) fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// How far the feed is, as the database says.
    pub(super) async fn read_position(&self) -> Result<FeedPosition, ApiError> {
        let mut snapshot = self.snapshot().await?;
        let bounds = snapshot.feed_bounds().await?;
        Ok(FeedPosition { indexed: snapshot.indexed, bounds })
    }

    /// A page of what follows number `after`, as the database says, and whether that is all.
    pub(super) async fn read(&self, render: Render, after: u64) -> Result<(Vec<Arc<Item>>, bool), ApiError> {
        let _reader = self.place().await?;
        let mut snapshot = self.snapshot().await?;
        let records = snapshot.feed(after, PAGE).await?;
        let is_all = u32::try_from(records.len()).unwrap_or(u32::MAX) < PAGE;
        Ok((records.iter().map(|record| Arc::new(Item::new(record, &snapshot, render))).collect(), is_all))
    }

    /// A place among those who read from the database.
    async fn place(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.readers.acquire().await.map_err(|_| ApiError::Internal("the feed's readers are gone"))
    }

    async fn snapshot(&self) -> Result<Snapshot, ApiError> {
        self.reader.snapshot().await?.ok_or(ApiError::NothingIndexed)
    }

    /// Hands on what follows number `last`.
    async fn hand_on(&self, render: Render, last: &mut Option<u64>) -> Result<(), ApiError> {
        loop {
            let mut snapshot = self.snapshot().await?;
            let indexed = snapshot.indexed;
            let bounds = snapshot.feed_bounds().await?;
            let after = *last.get_or_insert_with(|| {
                // Those that have begun to listen before this did so by an older look at the database.
                let _listeners = self.pages.send(FeedMessage::Look);
                bounds.last
            });
            let is_restarted = after > bounds.last || (after > 0 && after.saturating_add(1) < bounds.first);
            let records = if is_restarted || after == bounds.last { Vec::new() } else { snapshot.feed(after, PAGE).await? };
            let Some(newest) = records.last() else {
                if is_restarted {
                    *last = Some(bounds.last);
                    // There may be no listener.
                    let _listeners = self.pages.send(FeedMessage::Restarted);
                }
                self.position.send_replace(Some(FeedPosition { indexed, bounds }));
                return Ok(());
            };
            *last = Some(newest.seq);
            // First: a listener that subscribes from here on either knows of the page or is handed it.
            self.position.send_replace(Some(FeedPosition { indexed, bounds: FeedBounds { last: newest.seq, ..bounds } }));
            if self.pages.receiver_count() > 0 {
                let page = records.iter().map(|record| Arc::new(Item::new(record, &snapshot, render))).collect();
                let _listeners = self.pages.send(FeedMessage::Page(page));
            }
        }
    }
}

//! One listener's place in the feed.

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Filter, Item,
    hub::{FeedMessage, FeedPosition, PAGE},
};
use crate::{App, error::ApiError};

/// What follows one number, filtered.
#[derive(Debug)]
pub(crate) struct Subscription {
    app: App,
    pages: Receiver<FeedMessage>,
    filter: Filter,
    /// The last number that was looked at.
    position: u64,
    /// The indexed block when it began to listen.
    indexed: u64,
    /// Whether everything in the database up to the subscription has been looked at.
    is_live: bool,
}

/// Why a listener hears nothing more.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It did not keep up, or the feed was begun anew, or the server stops: it may come back with its last number.
    Lagged,
    /// The database cannot be read.
    Failed(ApiError),
}

impl Subscription {
    /// What follows number `after`, or from now on.
    pub(crate) async fn open(app: &App, filter: Filter, after: Option<u64>) -> Result<Self, ApiError> {
        // Before anybody is asked how far the feed is, so that nothing falls between.
        let pages = app.hub().subscribe();
        let mut position = match app.hub().position() {
            Some(position) => position,
            None => read_position(app).await?,
        };
        if after.is_some_and(|after| after > position.bounds.last) {
            // Another server may have told it already.
            position = read_position(app).await?;
        }
        let FeedPosition { indexed, bounds } = position;
        let position = match after {
            None => bounds.last,
            // The beginning, whatever its number.
            Some(0) => bounds.first.saturating_sub(1),
            Some(after) if after <= bounds.last && after.saturating_add(1) >= bounds.first => after,
            Some(after) => return Err(ApiError::UnknownEventId { after, first: bounds.first, last: bounds.last }),
        };
        Ok(Self { app: app.clone(), pages, filter, position, indexed: indexed.number, is_live: position == bounds.last })
    }

    /// The last number that was looked at: whoever comes back with it misses nothing.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The indexed block when it began to listen.
    pub(crate) const fn indexed(&self) -> u64 {
        self.indexed
    }

    /// Whether there is nothing in the database that has not been looked at, or is about to be handed to all.
    pub(crate) const fn is_live(&self) -> bool {
        self.is_live
    }

    /// What the database holds and has not been looked at, one page of it: what of it is wanted.
    pub(crate) async fn read(&mut self) -> Result<Vec<Item>, ApiError> {
        // Closed by nobody.
        let _reader = self.app.hub().readers.acquire().await.map_err(|_| ApiError::Internal("nobody may read the feed"))?;
        let mut snapshot = self.app.snapshot().await?;
        let records = snapshot.feed(self.position, PAGE).await?;
        self.position = records.last().map_or(self.position, |record| record.seq);
        self.is_live = u32::try_from(records.len()).unwrap_or(u32::MAX) < PAGE;
        Ok(records.iter().map(|record| Item::new(record, &snapshot)).filter(|item| self.filter.admits(item)).collect())
    }

    /// What comes next that is wanted, however long that takes.
    pub(crate) async fn next(&mut self) -> Result<Vec<Item>, Ended> {
        loop {
            let items = if self.is_live { self.handed().await? } else { self.read().await.map_err(Ended::Failed)? };
            if !items.is_empty() {
                return Ok(items);
            }
        }
    }

    /// What is handed to all, as far as it has not been read from the database already.
    async fn handed(&mut self) -> Result<Vec<Item>, Ended> {
        let page = tokio::select! {
            () = self.app.shutdown().cancelled() => return Err(Ended::Lagged),
            page = self.pages.recv() => page,
        };
        let page = match page {
            Ok(FeedMessage::Page(page)) => page,
            Ok(FeedMessage::Look) => {
                self.is_live = false;
                return Ok(Vec::new());
            }
            Ok(FeedMessage::Restarted) | Err(RecvError::Lagged(_) | RecvError::Closed) => return Err(Ended::Lagged),
        };
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
        if first.seq > self.position.saturating_add(1) {
            // Something lies between: this page is in the database as well.
            self.is_live = false;
            return Ok(Vec::new());
        }
        let position = self.position;
        self.position = position.max(last.seq);
        Ok(page.iter().filter(|item| item.seq > position && self.filter.admits(item)).cloned().collect())
    }
}

/// How far the feed is, as the database says.
async fn read_position(app: &App) -> Result<FeedPosition, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let bounds = snapshot.feed_bounds().await?;
    Ok(FeedPosition { indexed: snapshot.indexed, bounds })
}

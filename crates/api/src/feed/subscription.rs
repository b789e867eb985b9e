//! One listener's place in the feed.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    Filter, Hub, Item, Render,
    hub::{FeedMessage, FeedPosition},
};
use crate::error::ApiError;

/// What follows one number, filtered.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    render: Render,
    pages: Receiver<FeedMessage>,
    filter: Filter,
    /// The last number that was looked at.
    position: u64,
    /// The indexed block when it began to listen.
    indexed: u64,
    /// Whether everything in the database up to the subscription has been looked at.
    is_live: bool,
}

/// Why a listener hears nothing more. Unless the feed was begun anew, it may come back with its last number.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It did not keep up.
    TooSlow,
    /// The feed was begun anew: numbers remembered mean nothing any more.
    Restarted,
    /// The server stops.
    Shutdown,
    /// The database cannot be read.
    Failed(ApiError),
}

impl Subscription {
    /// What follows number `after`, or from now on, as `render` writes what it reads itself. Fails if there is no such number, or the database cannot be read.
    pub(crate) async fn open(hub: &Arc<Hub>, render: Render, filter: Filter, after: Option<u64>) -> Result<Self, ApiError> {
        // Before the hub is asked how far the feed is, so that nothing falls between.
        let pages = hub.subscribe();
        let mut position = hub.position().await?;
        if after.is_some_and(|after| after > position.bounds.last) {
            // Another server may have told it already.
            position = hub.read_position().await?;
        }
        let FeedPosition { indexed, bounds } = position;
        let position = match after {
            None => bounds.last,
            // The beginning, whatever its number.
            Some(0) => bounds.first.saturating_sub(1),
            Some(after) if after <= bounds.last && after.saturating_add(1) >= bounds.first => after,
            Some(after) => return Err(ApiError::UnknownEventId { after, first: bounds.first, last: bounds.last }),
        };
        Ok(Self { hub: Arc::clone(hub), render, pages, filter, position, indexed: indexed.number, is_live: position == bounds.last })
    }

    /// The last number that was looked at: a client that comes back with it misses nothing.
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

    /// What the database holds and has not been looked at, one page of it: what of it is wanted. Fails if the database cannot be read.
    pub(crate) async fn read(&mut self) -> Result<Vec<Arc<Item>>, ApiError> {
        let (items, is_all) = self.hub.read(self.render, self.position).await?;
        self.position = items.last().map_or(self.position, |item| item.seq);
        self.is_live = is_all;
        Ok(self.hub.told(&items, &self.filter))
    }

    /// What comes next that is wanted, however long that takes. Fails with why nothing more will come. Dropped before it answers, it has looked
    /// at nothing that it would have answered.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arc<Item>>, Ended> {
        loop {
            let items = if self.is_live { self.handed().await? } else { self.read().await.map_err(Ended::Failed)? };
            if !items.is_empty() {
                return Ok(items);
            }
        }
    }

    /// What is handed to all, as far as it has not been read from the database already.
    async fn handed(&mut self) -> Result<Vec<Arc<Item>>, Ended> {
        let page = tokio::select! {
            () = self.hub.shutdown().cancelled() => return Err(Ended::Shutdown),
            page = self.pages.recv() => page,
        };
        let page = match page {
            Ok(FeedMessage::Page(page)) => page,
            Ok(FeedMessage::Look) => {
                self.is_live = false;
                return Ok(Vec::new());
            }
            Ok(FeedMessage::Restarted) => return Err(Ended::Restarted),
            Err(RecvError::Lagged(_)) => return Err(Ended::TooSlow),
            Err(RecvError::Closed) => return Err(Ended::Shutdown),
        };
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
        if first.seq > self.position.saturating_add(1) {
            // Something lies between: this page is in the database as well.
            self.is_live = false;
            return Ok(Vec::new());
        }
        let position = self.position;
        self.position = position.max(last.seq);
        Ok(self.hub.told(page.iter().filter(|item| item.seq > position), &self.filter))
    }
}

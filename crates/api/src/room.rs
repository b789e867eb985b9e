//! Memory that what clients have begun to say may take up, all together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many bytes for all.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    /// An empty one.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// What one of them holds, of which `own` bytes are always there: who says little is never in another's way, nor another in his.
    pub(crate) fn share(&self, own: usize) -> Share {
        Share { room: self.clone(), own, held: 0, taken: None }
    }
}

/// Bytes that one holds, given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    room: Room,
    own: usize,
    held: usize,
    taken: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Holds so many more. Whether there was room for them.
    #[must_use]
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        self.held = self.held.saturating_add(bytes);
        let taken = self.taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = self.held.saturating_sub(self.own).saturating_sub(taken);
        if more == 0 {
            return true;
        }
        let Some(more) = u32::try_from(more).ok().and_then(|more| Arc::clone(&self.room.0).try_acquire_many_owned(more).ok()) else {
            return false;
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_ones_own_is_shared_and_given_back() {
        let room = Room::new(100);
        let mut large = room.share(10);
        assert!(large.grow(10) && large.grow(60) && large.grow(40));
        assert!(!large.grow(1), "110 is all");
        let mut small = room.share(10);
        assert!(small.grow(10) && !small.grow(1));
        drop(large);
        assert!(small.grow(99));
        drop(small);
        assert_eq!(room.0.available_permits(), 100);
    }
}

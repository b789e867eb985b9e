//! Reading ahead: several ranges of blocks are read at once, by tasks of their own, and handed over in order.
//!
//! How many blocks one question covers follows from what the node refuses and from how much the last ones held. How far ahead is bounded by
//! memory: a range is asked for only when there is room for what it is expected to hold, and keeps its room until it is written.

use std::{
    collections::VecDeque,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

use clawpay_store::Tags;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    chain::Header,
    error::{NodeError, UNCONNECTED},
    fetch::{Scrutiny, Source, Window},
    metrics,
    split::Split,
};

/// Ranges read at once.
const AT_ONCE: usize = 4;
/// Memory for windows that are read and not yet written, in KiB.
const ROOM: u32 = 32 << 10;
/// What one window should hold.
const WINDOW: u32 = 2 << 10;
const KIB: usize = 1024;

/// Blocks asked for at once: to begin with, and at most.
const FIRST_SPAN: u64 = 16;
const LARGEST_SPAN: u64 = 2_000;

/// Where a walk to the head leads.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// The first block.
    pub(crate) from: u64,
    /// The node's head, the last block.
    pub(crate) head: Header,
    /// What the node said with it.
    pub(crate) tags: Tags,
}

/// A window, and the room it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) window: Window,
    room: OwnedSemaphorePermit,
}

impl Held {
    /// Adds the blocks that follow, and their room; gives them back if they do not belong to these.
    #[expect(clippy::result_large_err, reason = "what is given back was moved here; nothing else is large about it")]
    pub(crate) fn append(&mut self, next: Self) -> Result<(), Self> {
        match self.window.append(next.window) {
            Ok(()) => {
                self.room.merge(next.room);
                Ok(())
            }
            Err(window) => Err(Self { window, room: next.room }),
        }
    }
}

/// The windows of one walk, in order. Dropped, it stops reading.
#[derive(Debug)]
pub(crate) struct Prefetcher {
    windows: mpsc::UnboundedReceiver<Result<Held, NodeError>>,
    _reading: AbortOnDropHandle<()>,
}

impl Prefetcher {
    /// Starts to read.
    pub(crate) fn start(source: Arc<Source>, pace: Arc<Pace>, walk: Walk) -> Self {
        // Bounded by the room that each window holds.
        let (sender, windows) = mpsc::unbounded_channel();
        let reader = Reader { source, pace, walk: Arc::new(walk), room: Arc::new(Semaphore::new(ROOM as usize)), windows: sender };
        Self { windows, _reading: AbortOnDropHandle::new(tokio::spawn(reader.read())) }
    }

    /// The next window, once it is there; nothing after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Held, NodeError>> {
        self.windows.recv().await
    }

    /// The next window, if it is there already.
    pub(crate) fn ready(&mut self) -> Option<Result<Held, NodeError>> {
        self.windows.try_recv().ok()
    }
}

/// A range on its way, and the room for it.
type Reading = (AbortOnDropHandle<Result<Window, NodeError>>, OwnedSemaphorePermit);

struct Reader {
    source: Arc<Source>,
    pace: Arc<Pace>,
    walk: Arc<Walk>,
    room: Arc<Semaphore>,
    windows: mpsc::UnboundedSender<Result<Held, NodeError>>,
}

impl Reader {
    async fn read(self) {
        let mut readings: VecDeque<Reading> = VecDeque::with_capacity(AT_ONCE);
        let mut next = self.walk.from;
        loop {
            while next <= self.walk.head.number() && readings.len() < AT_ONCE {
                let (range, size) = self.plan(next);
                let room = if readings.is_empty() {
                    // The writer gives room back, and waits for nothing but this.
                    Arc::clone(&self.room).acquire_many_owned(size).await.ok()
                } else {
                    Arc::clone(&self.room).try_acquire_many_owned(size).ok()
                };
                let Some(room) = room else { break };
                next = *range.end() + 1;
                let reading = read_range(Arc::clone(&self.source), Arc::clone(&self.pace), Arc::clone(&self.walk), range);
                readings.push_back((AbortOnDropHandle::new(tokio::spawn(reading)), room));
            }
            let Some((reading, room)) = readings.pop_front() else { return };
            match reading.await {
                Ok(Ok(window)) => {
                    if self.windows.send(Ok(Held { window, room })).is_err() {
                        return;
                    }
                }
                Ok(Err(error)) => {
                    let _nobody_listens = self.windows.send(Err(error));
                    return;
                }
                // It panicked, or the runtime is shutting down. The writer sees the channel's end before the walk's.
                Err(_) => return,
            }
        }
    }

    /// The next range and the memory to expect, in KiB. A range is either all final or not at all.
    fn plan(&self, from: u64) -> (RangeInclusive<u64>, u32) {
        let walk = &self.walk;
        let last = walk.last_alike(from);
        let (span, block_size) = self.pace.now();
        let to = last.min(from.saturating_add(span - 1));
        let size = usize::try_from(to - from + 1).unwrap_or(usize::MAX).saturating_mul(block_size);
        (from..=to, kib(size).clamp(1, ROOM))
    }
}

impl Walk {
    fn is_final(&self, number: u64) -> bool {
        self.tags.finalized.is_some_and(|finalized| number <= finalized)
    }

    /// The last block that is as final as `number`.
    fn last_alike(&self, number: u64) -> u64 {
        let head = self.head.number();
        self.tags.finalized.filter(|finalized| number <= *finalized).map_or(head, |finalized| finalized.min(head))
    }
}

/// Reads a range, in as many parts as the node insists on.
async fn read_range(source: Arc<Source>, pace: Arc<Pace>, walk: Arc<Walk>, range: RangeInclusive<u64>) -> Result<Window, NodeError> {
    let from = *range.start();
    let finalized = walk.is_final(from);
    let mut split = Split::new(&range);
    let mut read: Option<Window> = None;
    while let Some(part) = split.part() {
        let blocks = part.end() - part.start() + 1;
        match source.window(part.clone(), finalized, Scrutiny::Usual, Some(&walk.head)).await {
            Ok(window) => {
                pace.answered(blocks, window.size());
                match &mut read {
                    None => read = Some(window),
                    Some(whole) => {
                        whole.append(window).map_err(|_| NodeError::Contradiction { number: *part.start(), reason: UNCONNECTED })?;
                    }
                }
                split.answered();
            }
            Err(error) => {
                let Some(smaller) = split.refused(&error) else { return Err(error) };
                metrics::refused(&error);
                tracing::debug!(%error, ?part, smaller, "asking for fewer blocks");
                pace.refused(smaller);
            }
        }
    }
    read.ok_or(NodeError::MissingBlock(from))
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

/// How many blocks to ask for at once. Outlives a walk.
#[derive(Debug)]
pub(crate) struct Pace(Mutex<Steps>);

#[derive(Clone, Copy, Debug)]
struct Steps {
    /// Blocks in the next question.
    span: u64,
    /// Blocks that the node is thought to answer: halved when it refuses, a little more whenever it answers as many.
    limit: u64,
    /// Bytes a block took lately.
    block_size: usize,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Steps { span: FIRST_SPAN, limit: LARGEST_SPAN, block_size: KIB }))
    }

    fn now(&self) -> (u64, usize) {
        let steps = self.steps();
        (steps.span, steps.block_size)
    }

    fn answered(&self, blocks: u64, size: usize) {
        let mut steps = self.steps();
        *steps = steps.after_answer(blocks, size);
    }

    fn refused(&self, half: u64) {
        let mut steps = self.steps();
        *steps = steps.after_refusal(half);
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, Steps> {
        // Each change is one assignment: a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steps {
    /// At most twice as many blocks next, at most as many as should fill a window.
    fn after_answer(self, blocks: u64, size: usize) -> Self {
        let limit = if blocks >= self.limit { (self.limit + self.limit / 4 + 1).min(LARGEST_SPAN) } else { self.limit };
        let block_size = (size / usize::try_from(blocks).unwrap_or(usize::MAX).max(1)).max(1);
        let filling = (u64::from(WINDOW) * KIB as u64 / block_size as u64).max(1);
        // A short range says little about what a full one would hold.
        let wanted = if blocks < self.span { self.span } else { self.span * 2 };
        Self { span: wanted.min(limit).min(filling), limit, block_size }
    }

    fn after_refusal(self, half: u64) -> Self {
        let limit = half.max(1);
        Self { span: self.span.min(limit), limit, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Steps = Steps { span: 256, limit: LARGEST_SPAN, block_size: KIB };
    const SMALL: usize = 1;

    #[test]
    fn the_span_doubles_until_the_node_refuses_and_then_grows_slowly() {
        assert_eq!(START.after_answer(256, SMALL).span, 512);
        assert_eq!(Steps { span: LARGEST_SPAN, ..START }.after_answer(LARGEST_SPAN, SMALL).span, LARGEST_SPAN);
        let refused = START.after_refusal(128);
        assert_eq!((refused.span, refused.limit), (128, 128));
        let answered = refused.after_answer(128, SMALL);
        assert_eq!((answered.span, answered.limit), (161, 161));
        assert_eq!(START.after_refusal(0).span, 1);
    }

    #[test]
    fn the_span_follows_what_the_blocks_hold() {
        let window = WINDOW as usize * KIB;
        assert_eq!(START.after_answer(256, window).span, 256);
        assert_eq!(START.after_answer(256, window * 4).span, 64);
        assert_eq!(START.after_answer(1, window * 2).span, 1);
        assert_eq!(START.after_answer(3, SMALL).span, 256);
    }
}

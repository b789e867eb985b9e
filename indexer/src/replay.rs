//! Runs and agents from the stored events alone: no node is asked.
//!
//! Events are decoded and judged anew, as if they had just been read: what an older version understood of them counts for nothing.

use clawpay_bindings::Contracts;
use clawpay_store::{Batch, Chain, EventPosition, EventRecord, StateDigest, StoreError};
use tokio::task;

use crate::{decode::Event, fold::Projection};

/// Events read at once.
const PAGE: u32 = 10_000;

/// What a replay came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events folded.
    pub events: u64,
    /// Events of which something else is understood now than was stored.
    pub corrected: u64,
}

/// Folds every stored event of `chain`, in the order of the chain, into the `runs` and `agents` that `batch` writes to, which must be empty:
/// [`Batch::redirect`] chooses them. `reached` hears of the events folded so far. Nothing is visible before the batch is committed.
///
/// # Errors
/// The database is away, or holds an event without its block.
pub async fn replay(batch: &mut Batch<'_>, chain: &Chain, mut reached: impl FnMut(u64)) -> Result<Replayed, StoreError> {
    let mut replay = Replay::new(chain);
    while replay.page(batch, u64::MAX).await?.is_some() {
        reached(replay.replayed.events);
    }
    replay.finish(batch).await
}

/// A replay under way.
pub(crate) struct Replay {
    contracts: Contracts,
    projection: Projection,
    digest: StateDigest,
    /// The page that was read while the one before it was folded.
    ahead: Option<Page>,
    last: Option<EventPosition>,
    pub(crate) replayed: Replayed,
}

/// The digest after each block of a page that holds events. The last block may go on in the next page.
pub(crate) type Digests = Vec<(u64, StateDigest)>;

impl Replay {
    pub(crate) fn new(chain: &Chain) -> Self {
        let contracts = Contracts {
            usdc: chain.usdc,
            agent_registry: chain.agent_registry,
            agent_stake: chain.agent_stake,
            run_escrow: chain.run_escrow,
            forwarder: chain.forwarder,
        };
        let projection = Projection::new(chain.parameters);
        Self { contracts, projection, digest: StateDigest::EMPTY, ahead: None, last: None, replayed: Replayed::default() }
    }

    /// Folds the next events of blocks up to `highest`; nothing if there are none.
    pub(crate) async fn page(&mut self, batch: &mut Batch<'_>, highest: u64) -> Result<Option<Digests>, StoreError> {
        let mut page = match self.ahead.take() {
            Some(page) => page,
            None => Page::read(batch, &self.contracts, self.last).await?,
        };
        page.end_at(highest);
        let Some(last) = page.events.last().map(|event| event.record.place()) else { return Ok(None) };
        self.last = Some(last);
        self.projection.load(&page.events, batch).await?;
        // One page is folded while the next is read.
        let mut projection = self.projection.take();
        let mut digest = self.digest;
        let folding = task::spawn_blocking(move || {
            let digests = page.fold(&mut projection, &mut digest);
            (page, digests, projection, digest)
        });
        self.ahead = Some(Page::read(batch, &self.contracts, self.last).await?);
        let (page, digests, projection, digest) = joined(folding.await);
        (self.projection, self.digest) = (projection, digest);
        let corrected = page.corrected();
        if !corrected.is_empty() {
            batch.correct_events(&corrected).await?;
        }
        if self.projection.is_large() {
            self.projection.save(batch).await?;
            self.projection.saved();
        }
        self.replayed.corrected += corrected.len() as u64;
        self.replayed.events += page.events.len() as u64;
        Ok(Some(digests))
    }

    /// Forgets what was read ahead: since then, what was not final may have been replaced.
    pub(crate) fn look_again(&mut self) {
        self.ahead = None;
    }

    /// Writes what is still in memory.
    pub(crate) async fn finish(self, batch: &mut Batch<'_>) -> Result<Replayed, StoreError> {
        self.projection.save(batch).await?;
        Ok(self.replayed)
    }
}

/// Events that follow each other, decoded, and what was stored of each.
struct Page {
    events: Vec<Event>,
    stored: Vec<Understood>,
}

impl Page {
    /// Those after the one at `last`.
    async fn read(batch: &mut Batch<'_>, contracts: &Contracts, last: Option<EventPosition>) -> Result<Self, StoreError> {
        let records = batch.events_following(last, PAGE).await?;
        let contracts = *contracts;
        Ok(joined(task::spawn_blocking(move || Self::decode(&contracts, records)).await))
    }

    /// Decodes events from their logs.
    fn decode(contracts: &Contracts, records: Vec<EventRecord>) -> Self {
        let (events, stored) = records
            .into_iter()
            .map(|record| {
                let before = Understood::of(&record);
                (Event::anew(contracts, record), before)
            })
            .unzip();
        Self { events, stored }
    }

    /// Leaves out what is above block `highest`.
    fn end_at(&mut self, highest: u64) {
        let count = self.events.partition_point(|event| event.record.block_number <= highest);
        self.events.truncate(count);
        self.stored.truncate(count);
    }

    /// Folds the events in, and answers the digest after each block.
    fn fold(&mut self, projection: &mut Projection, digest: &mut StateDigest) -> Digests {
        let mut digests = Digests::new();
        for events in self.events.chunk_by_mut(Event::is_of_one_block) {
            projection.fold_block(events, digest);
            digests.extend(events.first().map(|event| (event.record.block_number, *digest)));
        }
        digests
    }

    /// The events of which something else is understood now.
    fn corrected(&self) -> Vec<&EventRecord> {
        let changed = self.events.iter().zip(&self.stored).filter(|(event, stored)| Understood::of(&event.record) != **stored);
        changed.map(|(event, _)| &event.record).collect()
    }
}

/// What a task came to. If it panicked, so does this.
fn joined<T>(outcome: Result<T, task::JoinError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What is stored of an event beside the log itself.
#[derive(Debug, PartialEq, Eq)]
struct Understood {
    name: Option<String>,
    run: Option<clawpay_domain::RunId>,
    agent: Option<clawpay_domain::AgentId>,
    refusal: Option<String>,
}

impl Understood {
    fn of(record: &EventRecord) -> Self {
        Self { name: record.name.clone(), run: record.run, agent: record.agent, refusal: record.refusal.clone() }
    }
}

//! Runs and agents from the stored events alone: no node is asked.
//!
//! Events are decoded and judged anew, as if they had just been read: what an older version understood of them counts for nothing.

use clawpay_bindings::Contracts;
use clawpay_store::{Batch, Chain, EventRecord, Place, StateDigest, StoreError};
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
    ahead: Option<Vec<EventRecord>>,
    last: Option<Place>,
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
            None => batch.events_following(self.last, PAGE).await?,
        };
        page.truncate(page.partition_point(|event| event.block_number <= highest));
        let Some(last) = page.last().map(EventRecord::place) else { return Ok(None) };
        self.last = Some(last);
        // One page is decoded while the database reads the next.
        let contracts = self.contracts;
        let decoding = task::spawn_blocking(move || decode(&contracts, page));
        self.ahead = Some(batch.events_following(self.last, PAGE).await?);
        let (mut events, understood) = match decoding.await {
            Ok(decoded) => decoded,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        self.projection.load(&events, batch).await?;
        let mut digests = Digests::new();
        for events in events.chunk_by_mut(|one, next| one.record.block_number == next.record.block_number) {
            self.projection.fold_block(events, &mut self.digest);
            digests.extend(events.first().map(|event| (event.record.block_number, self.digest)));
        }
        let changed = events.iter().zip(&understood).filter(|(event, before)| Understood::of(&event.record) != **before);
        let corrected: Vec<_> = changed.map(|(event, _)| &event.record).collect();
        if !corrected.is_empty() {
            batch.correct_events(&corrected).await?;
        }
        if self.projection.is_large() {
            self.projection.save(batch).await?;
            self.projection.saved();
        }
        self.replayed.corrected += corrected.len() as u64;
        self.replayed.events += events.len() as u64;
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

/// Decodes events from their logs, and answers beside them what was stored.
fn decode(contracts: &Contracts, page: Vec<EventRecord>) -> (Vec<Event>, Vec<Understood>) {
    page.into_iter()
        .map(|record| {
            let before = Understood::of(&record);
            (Event::anew(contracts, record), before)
        })
        .unzip()
}

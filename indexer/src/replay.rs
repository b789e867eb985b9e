//! Runs and agents from the stored events alone: no node is asked.
//!
//! Events are decoded and judged anew, as if they had just been read: what an older version understood of them counts for nothing.

use clawpay_bindings::Contracts;
use clawpay_store::{Batch, Chain, EventRecord, StoreError};
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
    let contracts =
        Contracts { usdc: chain.usdc, agent_registry: chain.agent_registry, agent_stake: chain.agent_stake, run_escrow: chain.run_escrow };
    let mut projection = Projection::new(chain.parameters);
    let mut replayed = Replayed::default();
    let mut page = batch.events_following(None, PAGE).await?;
    while let Some(last) = page.last().map(EventRecord::place) {
        // One page is decoded while the database reads the next.
        let decoding = task::spawn_blocking(move || decode(&contracts, page));
        page = batch.events_following(Some(last), PAGE).await?;
        let (mut events, understood) = match decoding.await {
            Ok(decoded) => decoded,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        projection.load(&events, batch).await?;
        for event in &mut events {
            projection.fold(event);
        }
        let changed = events.iter().zip(&understood).filter(|(event, before)| Understood::of(&event.record) != **before);
        let corrected: Vec<_> = changed.map(|(event, _)| &event.record).collect();
        if !corrected.is_empty() {
            batch.correct_events(&corrected).await?;
        }
        if projection.is_large() {
            projection.save(batch).await?;
            projection.saved();
        }
        replayed.corrected += corrected.len() as u64;
        replayed.events += events.len() as u64;
        reached(replayed.events);
    }
    projection.save(batch).await?;
    Ok(replayed)
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

//! The database's side of following a chain: one transaction per window, and one per reorg.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    slice,
    time::{Duration, Instant},
};

use clawpay_bindings::Contracts;
use clawpay_domain::{AgentId, Parameters, RunId};
use clawpay_store::{Block, EventRecord, Session, StateDigest, StoreError, Tags};

use crate::{
    decode::Event,
    error::IndexError,
    fetch::Window,
    fold::Projection,
    metrics,
    undo_log::{UndoEntry, UndoLog},
};

/// A write that takes longer has lost its database.
const TIMEOUT: Duration = Duration::from_secs(90);
/// The same, of building indexes: more than the server gives itself.
const BUILDING_TIMEOUT: Duration = Duration::from_mins(31);

/// The index, and this process's right to write it.
#[derive(Debug)]
pub(crate) struct Index {
    session: Session,
    contracts: Contracts,
    projection: Projection,
    recent: UndoLog,
    /// The last block indexed.
    pub(crate) cursor: Block,
    /// Of all rows after that block.
    digest: StateDigest,
    /// The highest block that was final when it was written.
    pub(crate) finalized: Option<u64>,
    /// What the last batch was told of the node.
    tags: Option<Tags>,
    /// Some of the headers that are there: most questions are about these.
    known: BTreeMap<u64, Block>,
}

/// Headers that are remembered.
const KNOWN: usize = 256;

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is in the database.
    Yes {
        /// Events that contradict the rules.
        refused: usize,
    },
    /// Nothing was written: an event contradicts the rules, and the window has not been proved to be all that happened.
    Doubtful,
}

impl Index {
    pub(crate) async fn open(mut session: Session, contracts: Contracts, parameters: Parameters) -> Result<Self, IndexError> {
        let missing = || StoreError::Corrupt { table: "cursor", value: "nothing".to_owned() };
        let indexed = within(session.indexed()).await?.ok_or_else(missing)?;
        let cursor = within(session.block_at_or_below(indexed.number)).await?.ok_or_else(missing)?;
        let digest = within(session.state_digest(cursor.number)).await?;
        let projection = Projection::new(parameters);
        let recent = UndoLog::default();
        Ok(Self {
            session,
            contracts,
            projection,
            recent,
            cursor,
            digest,
            finalized: indexed.finalized,
            tags: None,
            known: BTreeMap::new(),
        })
    }

    /// The header that is kept at a height, or the next below it.
    pub(crate) async fn block_at_or_below(&mut self, number: u64) -> Result<Option<Block>, IndexError> {
        match self.known.get(&number) {
            Some(block) => Ok(Some(*block)),
            None => within(self.session.block_at_or_below(number)).await,
        }
    }

    /// The highest headers at or below a height that are kept, in the order of the chain.
    pub(crate) async fn highest_blocks(&mut self, number: u64, limit: u32) -> Result<Vec<Block>, IndexError> {
        within(self.session.highest_blocks(number, limit)).await
    }

    /// Adds the blocks that follow the cursor.
    pub(crate) async fn write(&mut self, window: &mut Window, tags: &Tags) -> Result<Written, IndexError> {
        let started = Instant::now();
        let before = match tags.finalized {
            Some(finalized) if window.end.number <= finalized => None,
            _ => Some(UndoEntry::from(*window.range.start())),
        };
        let mut digest = self.digest;
        let written = within(write(&mut self.session, &mut self.projection, &self.cursor, &mut digest, window, before, tags)).await;
        let Ok(Some((refused, before))) = written else {
            self.projection.forget();
            return written.map(|_| Written::Doubtful);
        };
        self.projection.saved();
        self.digest = digest;
        self.known.extend(window.blocks.iter().map(|block| (block.number, *block)));
        while self.known.len() > KNOWN {
            self.known.pop_first();
        }
        self.moved(window.end, tags);
        metrics::wrote(window.range.end() - window.range.start() + 1, window.events.len(), refused, started.elapsed());
        match before {
            Some(before) => self.recent.remember(before, self.finalized),
            None => self.recent.forget(),
        }
        Ok(Written::Yes { refused })
    }

    /// The past is all there: builds what was left out until then.
    pub(crate) async fn caught_up(&mut self) -> Result<(), IndexError> {
        if self.session.lacks_indexes() {
            tracing::info!("building indexes");
            limited(BUILDING_TIMEOUT, self.session.build_indexes()).await?;
        }
        Ok(())
    }

    /// Goes back to `base`, which is kept or, where the first block of all was replaced, takes its place.
    pub(crate) async fn rewind(&mut self, base: Block, base_is_kept: bool, tags: &Tags) -> Result<(), IndexError> {
        let first_gone = if base_is_kept { base.number + 1 } else { base.number };
        let mut projection = self.projection.empty();
        self.projection.forget();
        let before = self.recent.before(first_gone);
        let since = before.as_ref().map(|before| before.first);
        let cursor = self.cursor;
        self.digest = within(async {
            let mut batch = self.session.begin(cursor.number, cursor.hash).await?;
            let rewound = batch.rewind(first_gone, since).await?;
            if !base_is_kept {
                // Not even the block below the deployment is the same: there is no row left.
                batch.insert_blocks(&[(base, StateDigest::EMPTY)]).await?;
            }
            let runs: BTreeSet<RunId> = rewound.runs.into_iter().collect();
            let agents: BTreeSet<AgentId> = rewound.agents.into_iter().collect();
            if let Some(before) = before {
                projection.restore(before, &runs, &agents);
            }
            for record in rewound.events {
                let event = Event::again(&self.contracts, record);
                projection.refold(&event, &runs, &agents).map_err(|value| StoreError::Corrupt { table: "events", value })?;
            }
            projection.save(&mut batch).await?;
            let digest = batch.state_digest(base.number).await?;
            batch.advance(&base, tags).await?;
            batch.commit().await?;
            Ok(digest)
        })
        .await?;
        self.recent.cut(first_gone);
        self.known.split_off(&first_gone);
        self.moved(base, tags);
        Ok(())
    }

    /// Notes that the head was checked. Where the node has since called more blocks final, that is news about the rows.
    pub(crate) async fn checked_head(&mut self, tags: &Tags) -> Result<(), IndexError> {
        let finality = |tags: &Tags| (tags.safe, tags.finalized);
        if self.tags.as_ref().map(finality) == Some(finality(tags)) {
            return within(self.session.checked_head(tags)).await;
        }
        let cursor = self.cursor;
        within(async {
            let mut batch = self.session.begin(cursor.number, cursor.hash).await?;
            batch.advance(&cursor, tags).await?;
            batch.commit().await
        })
        .await?;
        self.moved(cursor, tags);
        Ok(())
    }

    fn moved(&mut self, cursor: Block, tags: &Tags) {
        self.cursor = cursor;
        self.finalized = self.finalized.max(tags.finalized.map(|number| number.min(cursor.number)));
        self.tags = Some(*tags);
        metrics::moved(cursor.number, self.finalized, tags);
    }
}

/// Writes a window, unless it is doubtful. Answers how many of its events the rules contradict, and what its rows were `before` if asked.
async fn write(
    session: &mut Session,
    projection: &mut Projection,
    cursor: &Block,
    digest: &mut StateDigest,
    window: &mut Window,
    mut before: Option<UndoEntry>,
    tags: &Tags,
) -> Result<Option<(usize, Option<UndoEntry>)>, StoreError> {
    let mut batch = session.begin(cursor.number, cursor.hash).await?;
    let mut refused = 0;
    let mut trail = Trail::new(*digest);
    if window.events.is_empty() {
        batch.insert_blocks(&trail.along(&window.blocks)).await?;
    } else {
        projection.load(&window.events, &mut batch).await?;
        if let Some(before) = &mut before {
            projection.note_before(before, &window.events);
        }
        let count = window.events.len();
        let folding = Folding {
            blocks: window.events.chunk_by_mut(Event::is_of_one_block as fn(&Event, &Event) -> bool),
            block: [].iter(),
            projection: &mut *projection,
            digest,
            trail: &mut trail,
            refused: &mut refused,
        };
        batch.insert_events(count, folding, |folded| folded.trail.along(&window.blocks)).await?;
        if refused > 0 && !window.proved {
            return Ok(None);
        }
        projection.save(&mut batch).await?;
    }
    batch.advance(&window.end, tags).await?;
    batch.commit().await?;
    Ok(Some((refused, before)))
}

/// A window's events, each folded in with its block before it is handed on: while the server writes rows, the next ones are made.
struct Folding<'a> {
    blocks: slice::ChunkByMut<'a, Event, fn(&Event, &Event) -> bool>,
    /// What is left of the block folded last.
    block: slice::Iter<'a, Event>,
    projection: &'a mut Projection,
    digest: &'a mut StateDigest,
    trail: &'a mut Trail,
    refused: &'a mut usize,
}

impl<'a> Iterator for Folding<'a> {
    type Item = &'a EventRecord;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.block.next() {
                return Some(&event.record);
            }
            let events = self.blocks.next()?;
            *self.refused += self.projection.fold_block(events, self.digest);
            self.trail.mark(events, *self.digest);
            self.block = events.iter();
        }
    }
}

/// The digests after those blocks of a window that hold events.
struct Trail {
    before: StateDigest,
    after: BTreeMap<u64, StateDigest>,
}

impl Trail {
    fn new(before: StateDigest) -> Self {
        Self { before, after: BTreeMap::new() }
    }

    /// Notes the digest after the block of these events.
    fn mark(&mut self, events: &[Event], digest: StateDigest) {
        if let Some(event) = events.first() {
            self.after.insert(event.record.block_number, digest);
        }
    }

    /// Each block with the digest after it: that of the last block with events.
    fn along(&self, blocks: &[Block]) -> Vec<(Block, StateDigest)> {
        let after = |block: &Block| self.after.range(..=block.number).next_back().map_or(self.before, |(_, digest)| *digest);
        blocks.iter().map(|block| (*block, after(block))).collect()
    }
}

/// Waits for the database, but not for ever.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, IndexError> {
    limited(TIMEOUT, work).await
}

async fn limited<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, IndexError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(IndexError::StoreTimeout(limit.as_secs())),
    }
}

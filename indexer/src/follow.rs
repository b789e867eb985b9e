//! The one path of blocks into the database, for years of backfill and for the next block alike.
//!
//! A look compares the node's chain with the cursor, undoes what was replaced, and walks to the head: windows are read ahead, and whatever
//! has been read while the database was busy is the next batch. Pushed heads only say when to look; a timer says so too.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use clawpay_store::{Block, Tags};

use crate::{
    chain::{Head, Header},
    config::{Config, ShorterChain},
    error::{IndexError, NodeError},
    fetch::{Scrutiny, Source, Window, require_chain},
    index::{Index, Written},
    metrics,
    prefetcher::{Held, Pace, Prefetcher, Walk},
    progress::Progress,
};

/// How often an unchanged head is noted.
const HEAD_NOTED_EVERY: Duration = Duration::from_secs(1);
/// Before the loss of a finalized block is believed, the node is asked this often, with this pause.
const CERTAIN_LOOKS: u32 = 3;
const CERTAIN_PAUSE: Duration = Duration::from_millis(500);
/// What is wrong with a final block that is not the one at its height.
const OTHER_BRANCH: &str = "what it calls final is on another branch";
/// What is wrong with a block that was another one a moment ago, and is not any more.
const CHANGED_BACK: &str = "it changed and changed back";
/// Blocks compared at once in search of the common ancestor: most reorgs are shallow.
const FIRST_DEPTH: u32 = 4;
const LARGEST_DEPTH: u32 = 256;
/// A batch takes in what has been read until it is this large, in bytes.
const LARGE_BATCH: usize = 12 << 20;

/// Keeps one database equal to one chain.
pub(crate) struct Follower<'a> {
    config: &'a Config,
    source: Arc<Source>,
    pace: Arc<Pace>,
    index: Index,
    head_noted: Option<Instant>,
    /// What the node called final when it was looked at last.
    promised: Option<Block>,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(config: &'a Config, source: Source, index: Index) -> Self {
        Self { config, source: Arc::new(source), pace: Arc::new(Pace::new()), index, head_noted: None, promised: None }
    }

    /// Follows until something stops it.
    pub(crate) async fn follow(&mut self) -> Result<Infallible, IndexError> {
        let mut heads = self.source.node.heads();
        loop {
            self.source.node.settle().await?;
            // On the heap, as below: a walk's state is large.
            match Box::pin(self.look()).await {
                Ok(()) => {
                    self.source.node.succeeded();
                    self.index.caught_up().await?;
                }
                Err(IndexError::Node(error)) => {
                    metrics::refused(&error);
                    tokio::time::sleep(self.source.node.failed(error)?).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            heads.seen(self.index.cursor.number);
            tokio::select! {
                pushed = heads.wait() => {
                    if let Some(pushed) = pushed {
                        self.source.expect(&pushed);
                    }
                }
                () = tokio::time::sleep(self.config.poll_interval) => {}
            }
        }
    }

    /// Brings the index to the node's head, or back to what they have in common.
    async fn look(&mut self) -> Result<(), IndexError> {
        let Head { header: head, tags, promised } = self.source.node.head().await?;
        self.promised = promised;
        let cursor = self.index.cursor;
        metrics::head_checked(&tags, cursor.number);
        // The highest block that both have. A chain that is merely shorter contradicts nothing.
        let height = head.number().min(cursor.number);
        if self.index.finalized.is_some_and(|finalized| height < finalized) {
            return self.shorter_than_final(head.number());
        }
        if head.number() == cursor.number + 1 && head.parent_hash == cursor.hash {
            self.require_promised(cursor.number).await?;
            let ahead = self.read_ahead(cursor.number, &head, &tags);
            return Box::pin(self.catch_up(ahead, head.number(), &tags)).await;
        }
        let kept = if height == cursor.number { Some(cursor) } else { self.index.block_at_or_below(height).await? };
        let Some(kept) = kept.filter(|kept| kept.number == height) else {
            return self.shorter_than_final(head.number());
        };
        let found = if height == head.number() { head.clone() } else { self.header(height).await? };
        if found.hash != kept.hash && self.header(height).await?.hash != kept.hash {
            if self.source.node.is_kept_elsewhere(height, kept.hash, head.number()).await {
                return Err(NodeError::Contradiction { number: height, reason: "another node still has the block indexed" }.into());
            }
            return Box::pin(self.switch(height, &head, &tags)).await;
        }
        if head.number() < cursor.number {
            return match self.config.shorter_chain {
                ShorterChain::NodeIsBehind => {
                    tracing::debug!(head = head.number(), indexed = cursor.number, "the node is behind the index");
                    Ok(())
                }
                ShorterChain::BlocksAreLost => {
                    tracing::warn!(head = head.number(), indexed = cursor.number, "the chain has lost blocks; undoing them");
                    self.require_promised(kept.number).await?;
                    self.index.rewind(kept, true, &self.seen(kept.number, &tags)).await
                }
            };
        }
        if head.number() > cursor.number {
            self.require_promised(cursor.number).await?;
            let ahead = self.read_ahead(cursor.number, &head, &tags);
            return Box::pin(self.catch_up(ahead, head.number(), &tags)).await;
        }
        if self.head_noted.is_none_or(|noted| noted.elapsed() >= self.config.scaled(HEAD_NOTED_EVERY)) {
            self.require_promised(cursor.number).await?;
            self.index.checked_head(&tags).await?;
            self.head_noted = Some(Instant::now());
        }
        Ok(())
    }

    /// Starts to read what is above block `number`, up to the node's head.
    fn read_ahead(&self, number: u64, head: &Header, tags: &Tags) -> Prefetcher {
        let walk = Walk { from: number + 1, head: head.clone(), tags: *tags };
        Prefetcher::start(Arc::clone(&self.source), Arc::clone(&self.pace), walk)
    }

    /// Writes what is read ahead of the cursor, up to the node's `head`.
    async fn catch_up(&mut self, mut ahead: Prefetcher, head: u64, tags: &Tags) -> Result<(), IndexError> {
        let mut progress = Progress::new(self.config.progress, self.index.cursor.number, head);
        let mut following = None;
        loop {
            let next = match following.take() {
                Some(read) => Some(read),
                None => ahead.next().await,
            };
            let Some(batch) = next else { return Ok(()) };
            let mut batch = batch?;
            following = extend(&mut batch, &mut ahead);
            self.write(&mut batch.window, tags).await?;
            progress.reached(self.index.cursor.number, batch.window.events.len());
            self.head_noted = Some(Instant::now());
            if self.source.node.prefers_another() {
                return Ok(());
            }
        }
    }

    async fn write(&mut self, window: &mut Window, tags: &Tags) -> Result<(), IndexError> {
        self.require_place(window)?;
        if self.index.write(window, tags).await? == Written::Doubtful {
            self.write_doubtful(window, tags).await?;
        }
        Ok(())
    }

    /// Checks that a window builds on what is indexed and holds the final block that the node named. If it does not, the next look finds out
    /// whether the chain changed or the node did.
    fn require_place(&self, window: &Window) -> Result<(), NodeError> {
        if window.parent != self.index.cursor.hash {
            return Err(NodeError::Contradiction { number: *window.range.start(), reason: "it does not build on the block indexed" });
        }
        window.blocks.iter().try_for_each(|block| self.require_promise_kept(block))
    }

    /// Checks that a block is the final one that the node named, if it is at that height.
    fn require_promise_kept(&self, block: &Block) -> Result<(), NodeError> {
        match self.promised {
            Some(promised) if promised.number == block.number && promised.hash != block.hash => {
                Err(NodeError::Contradiction { number: block.number, reason: OTHER_BRANCH })
            }
            _ => Ok(()),
        }
    }

    /// Reads a window again by the blocks' hashes, because something in it cannot have happened. If the chain insists, so be it.
    async fn write_doubtful(&mut self, window: &mut Window, tags: &Tags) -> Result<(), IndexError> {
        let range = window.range.clone();
        *window = self.source.window(range.clone(), true, Scrutiny::Full, None).await?;
        self.require_place(window)?;
        if let Written::Yes { refused } = self.index.write(window, tags).await?
            && refused > 0
        {
            tracing::error!(refused, from = range.start(), to = range.end(), "events contradict the rules; kept, and flagged");
        }
        Ok(())
    }

    /// Leaves the branch indexed for the node's: undoes what is above the highest block that both have, which is below `from`, while the blocks
    /// that take its place are read.
    async fn switch(&mut self, from: u64, head: &Header, tags: &Tags) -> Result<(), IndexError> {
        let (base, base_is_kept) = self.common_ancestor(from).await?;
        if base_is_kept {
            self.require_promised(base.number).await?;
        } else {
            self.require_promise_kept(&base)?;
        }
        metrics::reorganised(self.index.cursor.number.saturating_sub(base.number));
        tracing::warn!(indexed = self.index.cursor.number, back_to = base.number, "the chain was reorganised; undoing");
        let ahead = self.read_ahead(base.number, head, tags);
        self.index.rewind(base, base_is_kept, &self.seen(base.number, tags)).await?;
        self.catch_up(ahead, head.number(), tags).await
    }

    /// The highest block below `from` that is indexed and on the node's chain, and `true`. If not even the first is on it, the node's block in
    /// its place.
    async fn common_ancestor(&mut self, from: u64) -> Result<(Block, bool), IndexError> {
        let mut height = from;
        let mut lowest: Option<Header> = None;
        let mut depth = FIRST_DEPTH;
        loop {
            let kept = self.index.highest_blocks(height, depth).await?;
            let Some(bottom) = kept.first() else {
                // Even the block below the deployment was replaced, and none was final yet: start from what is there now.
                return Ok((lowest.ok_or(NodeError::MissingBlock(height))?.block(), false));
            };
            let numbers: Vec<_> = kept.iter().map(|block| block.number).collect();
            let mut found = self.source.node.headers(&numbers).await?;
            // Together with the lowest found so far: between two questions the node may have gone to another branch.
            found.extend(lowest.take());
            require_chain(&found)?;
            for (kept, found) in kept.iter().zip(&found).rev() {
                if found.hash == kept.hash && kept.number == from {
                    return Err(NodeError::Contradiction { number: from, reason: CHANGED_BACK }.into());
                }
                if found.hash == kept.hash {
                    return Ok((*kept, true));
                }
                if self.index.finalized.is_some_and(|finalized| kept.number <= finalized) {
                    return Err(self.finalized_block_replaced(kept).await);
                }
            }
            lowest = found.into_iter().next();
            let Some(below) = bottom.number.checked_sub(1) else {
                return Ok((lowest.ok_or(NodeError::MissingBlock(0))?.block(), false));
            };
            height = below;
            depth = (depth * 4).min(LARGEST_DEPTH);
        }
    }

    /// Makes sure that what is about to be final is what the node calls final. The answers about the head and about finality may come from
    /// before and after a reorganisation, or from two nodes behind one address. All blocks up to `kept` stay.
    async fn require_promised(&mut self, kept: u64) -> Result<(), IndexError> {
        let Some(promised) = self.promised.filter(|promised| promised.number <= kept && Some(promised.number) > self.index.finalized)
        else {
            return Ok(());
        };
        match self.index.block_at_or_below(promised.number).await? {
            Some(stored) => Ok(self.require_promise_kept(&stored)?),
            None => Ok(()),
        }
    }

    /// What the node says, without finality where the block it calls final is above `height`: nothing has shown yet that it builds on that one.
    fn seen(&self, height: u64, tags: &Tags) -> Tags {
        let is_there = self.promised.is_none_or(|promised| promised.number <= height);
        Tags { finalized: tags.finalized.filter(|_| is_there), ..*tags }
    }

    /// Makes sure before the loudest of all errors.
    async fn finalized_block_replaced(&self, kept: &Block) -> IndexError {
        let mut found = kept.hash;
        for _ in 0..CERTAIN_LOOKS {
            tokio::time::sleep(self.config.scaled(CERTAIN_PAUSE)).await;
            match self.header(kept.number).await {
                Ok(header) if header.hash != kept.hash => found = header.hash,
                Ok(_) => return NodeError::Contradiction { number: kept.number, reason: CHANGED_BACK }.into(),
                Err(error) => return error,
            }
        }
        IndexError::FinalizedBlockReplaced { number: kept.number, stored: kept.hash, found }
    }

    /// The node's chain ends below what was final, or below where the index begins.
    fn shorter_than_final(&self, head: u64) -> Result<(), IndexError> {
        let indexed = self.index.cursor.number;
        match self.config.shorter_chain {
            ShorterChain::NodeIsBehind => {
                tracing::debug!(head, indexed, "the node is far behind the index");
                Ok(())
            }
            ShorterChain::BlocksAreLost => Err(IndexError::ChainBehindIndex { head, indexed }),
        }
    }

    async fn header(&self, number: u64) -> Result<Header, IndexError> {
        Ok(self.source.node.header(number).await?.ok_or(NodeError::MissingBlock(number))?)
    }
}

/// Puts what has been read by now into one batch, and answers what came next and has no place in it.
fn extend(batch: &mut Held, ahead: &mut Prefetcher) -> Option<Result<Held, NodeError>> {
    while batch.window.size() < LARGE_BATCH {
        match ahead.ready()? {
            Ok(next) => {
                if let Err(other) = batch.append(next) {
                    return Some(Ok(other));
                }
            }
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

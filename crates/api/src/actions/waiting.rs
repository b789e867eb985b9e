//! Waiting for what becomes of a transaction. Nothing is asked meanwhile: what happens is heard of, and only what concerns this transaction,
//! its place or its run is a reason to look again.

use alloy::primitives::{Address, B256};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    feed::RunNews,
    index_watch::{IndexMoves, IndexWatch},
    node::{BlockNews, BlockWatch},
};

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// The transaction.
    pub hash: B256,
    /// Its place, once it is known.
    pub place: Option<(Address, u64)>,
    /// The block it was mined in, once it is: the index is waited for.
    pub block: Option<u64>,
    /// When the last look began.
    pub looked_at: Instant,
    /// What was missing for it.
    pub missing: Option<Missing>,
    /// When to look again in any case.
    pub until: Instant,
}

/// What a look could not be taken without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Node,
    Database,
}

/// All that may be a reason to look again.
#[derive(Debug)]
pub(super) struct News<'a> {
    blocks: Receiver<BlockNews>,
    moves: IndexMoves,
    run: Option<RunNews>,
    shutdown: &'a CancellationToken,
}

impl<'a> News<'a> {
    /// What happens from here on, also to a run.
    pub(super) fn listen(blocks: &BlockWatch, index: &IndexWatch, run: Option<RunNews>, shutdown: &'a CancellationToken) -> Self {
        Self { blocks: blocks.listen(), moves: index.moves(), run, shutdown }
    }

    /// Waits until there is a reason to look again: at what is as it was at this moment or later. Nothing if the server stops.
    pub(super) async fn wait(&mut self, waiting: &Waiting) -> Option<Instant> {
        let Self { blocks, moves, run, shutdown } = self;
        let index = match (waiting.block, waiting.missing) {
            (_, Some(Missing::Database)) => Some(0),
            (block, _) => block,
        };
        let indexed = async {
            match index {
                Some(block) => moves.reach(block).await,
                None => std::future::pending().await,
            }
        };
        let touched = async {
            match run {
                Some(run) => run.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => None,
            () = tokio::time::sleep_until(waiting.until) => Some(Instant::now()),
            moment = concerning(blocks, waiting) => Some(moment),
            () = indexed => Some(Instant::now()),
            () = touched => Some(Instant::now()),
        }
    }
}

/// Waits until blocks say something that concerns the transaction.
async fn concerning(blocks: &mut Receiver<BlockNews>, waiting: &Waiting) -> Instant {
    loop {
        match blocks.recv().await {
            Ok(BlockNews::Mined(block)) if block.concerns(waiting.hash, waiting.place) => return block.asked_at,
            Ok(BlockNews::LookAgain(moment)) if moment > waiting.looked_at => return moment,
            Ok(BlockNews::Back) if waiting.missing == Some(Missing::Node) => return Instant::now(),
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return Instant::now(),
            // No block is read any more: the server stops, which who waits hears by itself.
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

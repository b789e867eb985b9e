//! All projections anew from the stored events, without a node, while the API serves and an indexer follows the chain.
//!
//! What is final is folded while the indexer goes on; only then is it held back, for the few events that are not final, and for the moment in
//! which the new rows take the place of the old ones.

use clawpay_store::{Replaced, StoreError, Writer};

use crate::replay::{Replay, Replayed};

/// What a reindex came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// The block that the rows are as of.
    pub block: u64,
    /// What was read.
    pub replayed: Replayed,
    /// What was written.
    pub replaced: Replaced,
}

/// Rebuilds the projections of one database; nothing if it is empty. `reached` hears of the events folded so far. Killed at any point, it
/// has not happened.
///
/// # Errors
/// Another rebuild is under way, or the database is away.
pub async fn reindex(store: &Writer, mut reached: impl FnMut(u64)) -> Result<Option<Reindexed>, StoreError> {
    store.migrate().await?;
    let mut rebuild = store.rebuild().await?.ok_or(StoreError::Rebuilding)?;
    let Some(chain) = rebuild.chain().await? else { return Ok(None) };
    let mut batch = rebuild.begin().await?;
    let mut replay = Replay::new(&chain);
    if let Some(finalized) = batch.finalized() {
        while let Some(digests) = replay.page(&mut batch, finalized).await? {
            batch.note_digests(&digests).await?;
            reached(replay.replayed.events);
        }
    }
    replay.look_again();
    let block = batch.hold().await?;
    while let Some(digests) = replay.page(&mut batch, block).await? {
        batch.note_digests(&digests).await?;
        reached(replay.replayed.events);
    }
    let replayed = replay.finish(&mut batch).await?;
    let replaced = batch.replace().await?;
    batch.commit().await?;
    Ok(Some(Reindexed { block, replayed, replaced }))
}

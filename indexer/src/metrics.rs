//! What an indexer counts, for a process that installs a recorder. Names and meanings are listed in [`describe`]; nothing else here is public.

use std::time::{Duration, SystemTime};

use clawpay_store::Tags;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::error::{IndexError, NodeError};

const HEAD: &str = "clawpay_index_head_block";
const HEAD_CHECKED: &str = "clawpay_index_head_checked_timestamp_seconds";
const INDEXED: &str = "clawpay_index_indexed_block";
const FINALIZED: &str = "clawpay_index_finalized_block";
const LAG: &str = "clawpay_index_lag_blocks";
const WRITING: &str = "clawpay_index_writing";
const BLOCKS: &str = "clawpay_index_blocks_total";
const EVENTS: &str = "clawpay_index_events_total";
const CONTRADICTIONS: &str = "clawpay_index_contradicting_events_total";
const BATCH: &str = "clawpay_index_batch_seconds";
const REORGS: &str = "clawpay_index_reorgs_total";
const REORG_DEPTH: &str = "clawpay_index_reorg_depth_blocks";
const RETRIES: &str = "clawpay_index_retries_total";
const REFUSED: &str = "clawpay_index_refused_answers_total";

/// Tells the recorder what each number means.
pub fn describe() {
    describe_gauge!(HEAD, Unit::Count, "The node's highest block at the last successful check.");
    describe_gauge!(HEAD_CHECKED, Unit::Seconds, "When that check was, Unix time.");
    describe_gauge!(INDEXED, Unit::Count, "The last block indexed.");
    describe_gauge!(FINALIZED, Unit::Count, "The highest indexed block that is final.");
    describe_gauge!(LAG, Unit::Count, "Blocks that the node has and the index has not.");
    describe_gauge!(WRITING, Unit::Count, "1 while this process is the database's writer, 0 while it stands by or waits.");
    describe_counter!(BLOCKS, Unit::Count, "Blocks indexed; those indexed again after a reorganisation count again.");
    describe_counter!(EVENTS, Unit::Count, "Events indexed, likewise.");
    describe_counter!(CONTRADICTIONS, Unit::Count, "Events that contradict the rules: kept, flagged, and a reason to look.");
    describe_histogram!(BATCH, Unit::Seconds, "Time to write one batch of blocks, by whether it was refused.");
    describe_counter!(REORGS, Unit::Count, "Reorganisations undone.");
    describe_histogram!(REORG_DEPTH, Unit::Count, "Blocks undone by each.");
    describe_counter!(RETRIES, Unit::Count, "Times the indexer started over, by what had failed.");
    describe_counter!(REFUSED, Unit::Count, "Answers of the node that were not used, by what was wrong with them.");
}

/// The node's head was checked while the index stood at `indexed`.
pub(crate) fn head_checked(tags: &Tags, indexed: u64) {
    gauge!(HEAD).set(number(tags.head));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge!(HEAD_CHECKED).set(now.as_secs_f64());
    gauge!(LAG).set(number(tags.head.saturating_sub(indexed)));
}

/// The index moved to a block.
pub(crate) fn moved(indexed: u64, finalized: Option<u64>, tags: &Tags) {
    gauge!(INDEXED).set(number(indexed));
    gauge!(LAG).set(number(tags.head.saturating_sub(indexed)));
    if let Some(finalized) = finalized {
        gauge!(FINALIZED).set(number(finalized));
    }
}

/// A batch is in the database.
pub(crate) fn wrote(blocks: u64, events: usize, contradicting: usize, took: Duration) {
    counter!(BLOCKS).increment(blocks);
    counter!(EVENTS).increment(count(events));
    counter!(CONTRADICTIONS).increment(count(contradicting));
    histogram!(BATCH).record(took);
}

/// Blocks were replaced, and this many undone.
pub(crate) fn reorganised(depth: u64) {
    counter!(REORGS).increment(1);
    histogram!(REORG_DEPTH).record(number(depth));
}

/// This process became the writer, or stopped to be.
pub(crate) fn writing(is_writer: bool) {
    gauge!(WRITING).set(if is_writer { 1.0 } else { 0.0 });
}

/// The indexer starts over.
pub(crate) fn retried(error: &IndexError) {
    counter!(RETRIES, "after" => match error {
        IndexError::Node(_) => "node",
        IndexError::Store(_) | IndexError::StoreTimeout(_) => "database",
        _ => "other",
    })
    .increment(1);
}

/// The node's answer was of no use.
pub(crate) fn refused(error: &NodeError) {
    counter!(REFUSED, "because" => match error {
        NodeError::Unreachable { .. } => "unreachable",
        NodeError::Timeout { .. } => "timeout",
        NodeError::Refused { .. } => "refused",
        NodeError::NotUnderstood { .. } => "not_understood",
        NodeError::UnknownBlock { .. } | NodeError::MissingBlock(_) => "missing_block",
        NodeError::Contradiction { .. } => "contradiction",
        NodeError::Quota { .. } => "quota",
        NodeError::Busy { .. } => "busy",
        NodeError::Lagging { .. } => "lagging",
        NodeError::Scheme(_) => "scheme",
    })
    .increment(1);
}

/// A gauge holds 53 bits exactly, which no block number exceeds.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(number: u64) -> f64 {
    number as f64
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

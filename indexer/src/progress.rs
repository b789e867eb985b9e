//! How far the backfill is: a bar on a terminal, a line in the log now and then elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Fewer blocks than this need no show.
const WORTH_SHOWING: u64 = 500;
const LOGGED_EVERY: Duration = Duration::from_secs(5);

/// One walk to the head.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    start: u64,
    target: u64,
    events: usize,
    logged: Instant,
}

impl Progress {
    pub(crate) fn new(wanted: bool, start: u64, target: u64) -> Self {
        let blocks = target.saturating_sub(start);
        let bar = (wanted && blocks >= WORTH_SHOWING && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(blocks);
            if let Ok(style) = ProgressStyle::with_template("indexing {bar:40} {pos}/{len} blocks, {per_sec}, {eta} left") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, start, target, events: 0, logged: Instant::now() }
    }

    /// The index is at `block`, with `events` more than before.
    pub(crate) fn reached(&mut self, block: u64, events: usize) {
        self.events += events;
        if let Some(bar) = &self.bar {
            bar.set_position(block.saturating_sub(self.start));
        } else if self.logged.elapsed() >= LOGGED_EVERY {
            self.logged = Instant::now();
            tracing::info!(block, target = self.target, events = self.events, "indexing");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

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
    events: u64,
    started: Instant,
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
        let now = Instant::now();
        Self { bar, start, target, events: 0, started: now, logged: now }
    }

    /// The index is at `block`, with `events` more than before.
    pub(crate) fn reached(&mut self, block: u64, events: usize) {
        self.events += events as u64;
        let done = block.saturating_sub(self.start);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if self.logged.elapsed() >= LOGGED_EVERY {
            self.logged = Instant::now();
            let elapsed = self.started.elapsed();
            tracing::info!(
                block,
                target = self.target,
                events = self.events,
                events_per_second = per_second(self.events, elapsed),
                blocks_per_second = per_second(done, elapsed),
                seconds_left = seconds_left(done, self.target.saturating_sub(block), elapsed),
                "indexing"
            );
        }
    }
}

/// How many of `count` came in each second of `elapsed`.
fn per_second(count: u64, elapsed: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000 / elapsed.as_millis().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// How long `left` blocks will take if `done` took `elapsed`.
fn seconds_left(done: u64, left: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis() * u128::from(left) / u128::from(done.max(1));
    u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX)
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_and_the_time_left_follow_from_what_is_done() {
        let elapsed = Duration::from_millis(2_500);
        assert_eq!((per_second(1_000, elapsed), seconds_left(1_000, 2_001, elapsed)), (400, 6));
        assert_eq!((per_second(0, Duration::ZERO), seconds_left(0, 10, elapsed)), (0, 25));
    }
}

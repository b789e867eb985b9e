//! What clients could fill the log with: counted, and said every so often.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two lines about the same.
const QUIET: Duration = Duration::from_secs(10);

/// How often something has happened since it was last said.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    times: u64,
    said: Option<Instant>,
}

impl Tally {
    /// Counts one more, and has `say` tell how many there were, unless that was said a moment ago.
    pub(crate) fn count(&self, say: impl FnOnce(u64)) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.times += 1;
        if counted.said.is_some_and(|said| said.elapsed() < QUIET) {
            return;
        }
        counted.said = Some(Instant::now());
        let times = std::mem::take(&mut counted.times);
        drop(counted);
        say(times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_over_and_over_is_said_once() {
        let tally = Tally::default();
        let mut said = Vec::new();
        for _ in 0..1_000 {
            tally.count(|times| said.push(times));
        }
        assert_eq!(said, [1]);
        tally.0.lock().unwrap().said = None;
        tally.count(|times| said.push(times));
        assert_eq!(said, [1, 1_000]);
    }
}

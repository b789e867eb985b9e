//! Whether an endpoint is worth asking. Pure: what time it is, the caller says.

use std::time::{Duration, Instant};

/// The first time on the bench, in poll intervals.
pub(super) const BENCH_POLLS: u32 = 5;
/// Longest time on the bench, unless the node itself asks for more.
const LONGEST: Duration = Duration::from_secs(60);
/// Blocks behind the others that are put down to a block taking its time.
const LAG: u64 = 3;
/// How often in a row an endpoint is found lagging before it is one that lags.
const LAGS: u32 = 2;

/// An endpoint's record.
#[derive(Debug)]
pub(super) struct Health {
    first_bench: Duration,
    /// When it may be asked again, if it is on the bench.
    benched: Option<Bench>,
    /// Benchings since it last did well.
    failures: u32,
    strikes: u32,
    lags: u32,
}

#[derive(Clone, Copy, Debug)]
struct Bench {
    until: Instant,
    /// The node asked to be left alone.
    is_wished: bool,
}

impl Health {
    /// A new endpoint's, whose first time on the bench takes `first_bench`, the next twice as long, and so on.
    pub(super) const fn new(first_bench: Duration) -> Self {
        Self { first_bench, benched: None, failures: 0, strikes: 0, lags: 0 }
    }

    /// Whether nothing is held against it.
    pub(super) const fn is_well(&self) -> bool {
        self.benched.is_none()
    }

    /// Whether it is on the bench and its time is up.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.benched.is_some_and(|bench| bench.until <= now)
    }

    /// How long it still wants to be left alone, if it said so itself.
    pub(super) fn wished_pause(&self, now: Instant) -> Option<Duration> {
        let bench = self.benched.filter(|bench| bench.is_wished)?;
        Some(bench.until.saturating_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// It failed. `wish` is how long it asked to be left alone.
    pub(super) fn bench(&mut self, now: Instant, wish: Option<Duration>) {
        let pause = self.first_bench.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.benched = Some(Bench { until: now + wish.unwrap_or(pause), is_wished: wish.is_some() });
        self.strikes = 0;
        self.lags = 0;
    }

    /// It was tried again and proved itself.
    pub(super) const fn restore(&mut self) {
        self.benched = None;
    }

    /// It answered a whole look's questions.
    pub(super) const fn praise(&mut self) {
        self.failures = 0;
        self.strikes = 0;
    }

    /// It contradicted itself. How often it has in a row.
    pub(super) const fn strike(&mut self) -> u32 {
        self.strikes += 1;
        self.strikes
    }

    /// Its head was found at `head`, the furthest endpoint's at `best`. Whether it lags for good: on the bench, once is enough.
    pub(super) const fn measure(&mut self, head: u64, best: u64) -> bool {
        if head.saturating_add(LAG) < best {
            self.lags += 1;
        } else {
            self.lags = 0;
        }
        self.lags >= if self.is_well() { LAGS } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);

    #[test]
    fn each_benching_takes_twice_as_long_until_it_did_well() {
        let now = Instant::now();
        let mut health = Health::new(FIRST);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            health.bench(now, None);
            let end = now + Duration::from_secs(seconds);
            assert!(!health.is_due(end - Duration::from_millis(1)) && health.is_due(end), "{seconds}");
            health.restore();
        }
        health.praise();
        health.bench(now, None);
        assert!(health.is_due(now + FIRST));
    }

    #[test]
    fn a_wish_to_be_left_alone_is_kept_and_told_from_a_failure() {
        let now = Instant::now();
        let mut health = Health::new(FIRST);
        health.bench(now, Some(Duration::from_secs(90)));
        assert_eq!(health.wished_pause(now + Duration::from_secs(30)), Some(Duration::from_secs(60)));
        assert!(!health.is_due(now + Duration::from_secs(89)));
        assert_eq!(health.wished_pause(now + Duration::from_secs(90)), None);
        health.bench(now, None);
        assert_eq!(health.wished_pause(now), None);
    }

    #[test]
    fn only_contradictions_in_a_row_add_up() {
        let mut health = Health::new(FIRST);
        for _ in 0..10 {
            assert_eq!((health.strike(), health.strike()), (1, 2));
            health.praise();
        }
        health.strike();
        health.bench(Instant::now(), None);
        assert_eq!(health.strike(), 1);
    }

    #[test]
    fn only_lagging_twice_in_a_row_counts() {
        let mut health = Health::new(FIRST);
        assert!(!health.measure(7, 10) && !health.measure(7, 10));
        assert!(!health.measure(6, 10));
        assert!(!health.measure(10, 10));
        assert!(!health.measure(6, 10));
        assert!(health.measure(6, 10));
        // No endpoint comes back from the bench to lag on.
        health.bench(Instant::now(), None);
        assert!(health.measure(6, 10));
        assert!(!health.measure(7, 10));
    }
}

//! Whether a node is worth asking. Pure: what time it is, the caller says.

use std::time::{Duration, Instant};

use super::error::NodeTrouble;

/// Longest that a node is left alone that does not answer.
const LONGEST: Duration = Duration::from_secs(60);
/// Blocks behind the others that are put down to a block taking its time.
const LAG: u64 = 3;
/// How often in a row a node is found behind before it counts as that.
const LAGS: u32 = 2;

/// A node's record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    fault: Option<Fault>,
    /// Whether it has been seen on the market's chain.
    is_proven: bool,
    /// Faults that it has not made good yet.
    failures: u32,
    lags: u32,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    trouble: NodeTrouble,
    /// It is left alone until then, unless there is no other.
    until: Instant,
}

/// In which order nodes are asked: the least first, and of those alike the one preferred by the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Seen on the market's chain, and nothing is held against it.
    Well,
    /// Not looked at yet.
    Unknown,
    /// Something is held against it.
    Faulty,
}

impl Standing {
    pub(super) const fn rank(&self) -> Rank {
        match (self.fault, self.is_proven) {
            (Some(_), _) => Rank::Faulty,
            (None, true) => Rank::Well,
            (None, false) => Rank::Unknown,
        }
    }

    /// What is held against it.
    pub(super) fn trouble(&self) -> Option<NodeTrouble> {
        self.fault.map(|fault| fault.trouble)
    }

    /// It failed. `pause` is how long it is left alone the first time: none where the next look at it may tell that it is well.
    pub(super) fn blame(&mut self, trouble: NodeTrouble, now: Instant, pause: Duration) {
        self.is_proven = false;
        if let Some(fault) = self.fault.as_mut().filter(|fault| fault.until > now) {
            fault.trouble = trouble;
            return;
        }
        let pause = pause.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        if !pause.is_zero() {
            self.failures = self.failures.saturating_add(1);
        }
        self.fault = Some(Fault { trouble, until: now + pause });
    }

    /// It answered, though it was thought not to.
    pub(super) fn heard(&mut self) {
        if matches!(self.trouble(), Some(NodeTrouble::Unreachable | NodeTrouble::TimedOut)) {
            self.fault = None;
        }
    }

    /// It was found on the market's chain.
    pub(super) fn prove(&mut self) {
        self.is_proven = true;
        if self.trouble() == Some(NodeTrouble::WrongChain) {
            self.fault = None;
        }
    }

    /// It was looked at and is on the market's chain, its head at `height`, and the furthest node's at `best`.
    pub(super) fn measure(&mut self, height: u64, best: u64, now: Instant) {
        self.lags = if height.saturating_add(LAG) < best { self.lags.saturating_add(1) } else { 0 };
        let was_behind = self.trouble() == Some(NodeTrouble::Behind);
        if self.lags >= LAGS || self.lags > 0 && was_behind {
            self.blame(NodeTrouble::Behind, now, Duration::ZERO);
            return;
        }
        let is_over = |fault: Fault| fault.until <= now || matches!(fault.trouble, NodeTrouble::Behind | NodeTrouble::WrongChain);
        match self.fault {
            Some(fault) if !is_over(fault) => {}
            Some(_) => {
                self.fault = None;
                self.is_proven = true;
            }
            None => {
                self.is_proven = true;
                self.failures = self.failures.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn a_node_that_failed_is_left_alone_for_longer_each_time() {
        let (mut standing, mut now) = (Standing::default(), Instant::now());
        assert_eq!(standing.rank(), Rank::Unknown);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            standing.blame(NodeTrouble::TimedOut, now, PAUSE);
            standing.measure(9, 9, now + Duration::from_secs(seconds) - Duration::from_millis(1));
            assert_eq!((standing.rank(), standing.trouble()), (Rank::Faulty, Some(NodeTrouble::TimedOut)), "{seconds}");
            now += Duration::from_secs(seconds);
            standing.measure(9, 9, now);
            assert_eq!(standing.rank(), Rank::Well, "{seconds}");
        }
        for _ in 0..8 {
            standing.measure(9, 9, now);
        }
        standing.blame(NodeTrouble::TimedOut, now, PAUSE);
        standing.measure(9, 9, now + PAUSE);
        assert_eq!(standing.rank(), Rank::Well, "it has made good for what it failed in");
    }

    #[test]
    fn what_a_look_finds_the_next_look_takes_back() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        for _ in 0..20 {
            standing.blame(NodeTrouble::Unreachable, now, Duration::ZERO);
        }
        standing.measure(9, 9, now);
        assert_eq!(standing.rank(), Rank::Well);
        // What a request found is not taken back by a look that finds nothing.
        standing.blame(NodeTrouble::TimedOut, now, PAUSE);
        standing.blame(NodeTrouble::TimedOut, now, PAUSE);
        standing.measure(9, 9, now);
        assert_eq!(standing.rank(), Rank::Faulty);
        standing.measure(9, 9, now + PAUSE);
        assert_eq!(standing.rank(), Rank::Well);
    }

    #[test]
    fn a_node_is_behind_when_it_is_found_so_twice_and_well_as_soon_as_it_is_not() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.measure(10, 13, now);
        assert_eq!(standing.rank(), Rank::Well);
        standing.measure(10, 14, now);
        assert_eq!(standing.rank(), Rank::Well, "a block may take its time");
        standing.measure(10, 15, now);
        assert_eq!(standing.trouble(), Some(NodeTrouble::Behind));
        standing.measure(15, 15, now);
        assert_eq!(standing.rank(), Rank::Well);
    }

    #[test]
    fn what_answers_is_not_away_and_what_is_on_the_chain_is_on_no_other() {
        let (mut standing, now) = (Standing::default(), Instant::now());
        standing.blame(NodeTrouble::Unreachable, now, PAUSE);
        standing.heard();
        assert_eq!(standing.rank(), Rank::Unknown);
        standing.blame(NodeTrouble::WrongChain, now, PAUSE);
        standing.heard();
        assert_eq!(standing.rank(), Rank::Faulty);
        standing.prove();
        assert_eq!(standing.rank(), Rank::Well);
    }
}

//! A range of blocks, asked for in as many parts as the node insists on: from the lowest up, each block once.

use std::ops::RangeInclusive;

use crate::error::NodeError;

/// What is left of a range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Split {
    from: u64,
    last: u64,
    /// Blocks in one part.
    span: u64,
    is_done: bool,
}

impl Split {
    /// All of `range`, in one part.
    pub(crate) fn new(range: &RangeInclusive<u64>) -> Self {
        let (from, last) = (*range.start(), *range.end());
        Self { from, last, span: last.saturating_sub(from).saturating_add(1), is_done: range.is_empty() }
    }

    /// What to ask for; nothing, once everything is answered.
    pub(crate) fn part(&self) -> Option<RangeInclusive<u64>> {
        (!self.is_done).then(|| self.from..=self.end())
    }

    /// The part was answered.
    pub(crate) fn answered(&mut self) {
        let end = self.end();
        self.is_done = end == self.last;
        self.from = end.saturating_add(1);
    }

    /// The part was refused. Answers how many blocks the next part has; nothing, if fewer would not help.
    pub(crate) fn refused(&mut self, error: &NodeError) -> Option<u64> {
        self.span = error.smaller_span(self.from, self.end())?;
        Some(self.span)
    }

    fn end(&self) -> u64 {
        self.last.min(self.from.saturating_add(self.span - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Fits;

    const METHOD: &str = "eth_getLogs";

    fn refused(fits: Option<Fits>) -> NodeError {
        NodeError::Refused { method: METHOD, code: -32_000, message: String::new(), fits }
    }

    /// A refusal of whatever kind, with a suggestion that may be of use or not.
    fn refusals() -> impl Strategy<Value = NodeError> {
        prop_oneof![
            Just(()).prop_map(|()| refused(None)),
            any::<u64>().prop_map(|blocks| refused(Some(Fits::Blocks(blocks)))),
            (0_u64..50).prop_map(|blocks| refused(Some(Fits::Blocks(blocks)))),
            (900_u64..2_200, 900_u64..2_200).prop_map(|(from, to)| refused(Some(Fits::Range(from, to)))),
            Just(()).prop_map(|()| NodeError::Timeout { method: METHOD, limit: Duration::from_secs(20) }),
        ]
    }

    proptest! {
        #[test]
        fn the_parts_are_the_range_in_order_without_a_gap_or_an_overlap(
            first in prop_oneof![900_u64..1_100, Just(0), Just(u64::MAX - 1_500)],
            length in 1_u64..1_500,
            answers in prop::collection::vec(prop::option::weighted(0.5, refusals()), 0..200),
        ) {
            let last = first.saturating_add(length - 1);
            let mut split = Split::new(&(first..=last));
            let mut answers = answers.into_iter();
            let mut next = Some(first);
            let mut questions = 0;
            while let Some(part) = split.part() {
                questions += 1;
                prop_assert!(questions < 10_000, "it never ends");
                prop_assert_eq!(Some(*part.start()), next, "a gap or an overlap");
                prop_assert!(part.start() <= part.end() && *part.end() <= last);
                match answers.next().flatten() {
                    Some(error) => {
                        let blocks = part.end() - part.start() + 1;
                        match split.refused(&error) {
                            Some(smaller) => prop_assert!((1..blocks).contains(&smaller), "{} after {}", smaller, blocks),
                            // At one block the walk ends with the error: nothing was skipped.
                            None => prop_assert_eq!(blocks, 1),
                        }
                    }
                    None => {
                        next = part.end().checked_add(1);
                        split.answered();
                    }
                }
            }
            prop_assert_eq!(next, last.checked_add(1));
        }
    }

    #[test]
    fn a_refusal_that_is_about_something_else_ends_it() {
        let mut split = Split::new(&(1..=100));
        let quota = NodeError::Quota { method: METHOD, code: 429, message: String::new(), wait: None };
        assert_eq!(split.refused(&quota), None);
        assert_eq!(split.part(), Some(1..=100));
    }
}

//! A place in an order, and the page beside it.

use clawpay_domain::{RunId, Timestamp, Usdc};
use sqlx::{Postgres, QueryBuilder};

use super::RunSort;
use crate::{Amount, RunRecord, columns::clamp};

/// Which way to read from a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what comes after it.
    Next,
    /// To what comes before it.
    Previous,
}

/// A run's place in an order. The run need not be there any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunPosition {
    /// Among ids.
    Id(RunId),
    /// Among rewards, and the ids of those that are equal.
    Reward(Usdc, RunId),
    /// Among deadlines, and the ids of those that are equal.
    Deadline(Timestamp, RunId),
}

impl RunPosition {
    /// Where a run stands in an order.
    pub const fn of(record: &RunRecord, sort: RunSort) -> Self {
        let (id, terms) = (record.run.id, &record.run.terms);
        match sort {
            RunSort::Newest | RunSort::Oldest => Self::Id(id),
            RunSort::HighestReward | RunSort::LowestReward => Self::Reward(terms.reward, id),
            RunSort::EarliestDeadline | RunSort::LatestDeadline => Self::Deadline(terms.deadline, id),
        }
    }

    /// Whether it is a place in this order.
    pub const fn is_of(&self, sort: RunSort) -> bool {
        match sort {
            RunSort::Newest | RunSort::Oldest => matches!(self, Self::Id(_)),
            RunSort::HighestReward | RunSort::LowestReward => matches!(self, Self::Reward(..)),
            RunSort::EarliestDeadline | RunSort::LatestDeadline => matches!(self, Self::Deadline(..)),
        }
    }

    /// Appends the condition that a run stands beyond this place, in an order that ascends or not.
    pub(super) fn push_beyond(&self, query: &mut QueryBuilder<Postgres>, ascends: bool) {
        let beyond = if ascends { " > (" } else { " < (" };
        match self {
            Self::Id(id) => query.push(" AND (id)").push(beyond).push_bind(clamp(id.0)).push(")"),
            Self::Reward(reward, id) => {
                query.push(" AND (reward, id)").push(beyond).push_bind(Amount(*reward)).push(", ").push_bind(clamp(id.0)).push(")")
            }
            Self::Deadline(deadline, id) => {
                query.push(" AND (deadline, id)").push(beyond).push_bind(clamp(deadline.0)).push(", ").push_bind(clamp(id.0)).push(")")
            }
        };
    }
}

/// Part of an order, and whether there is more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    /// The items, in the list's order, whichever way they were read.
    pub items: Vec<T>,
    /// Whether the list goes on in the direction it was read in.
    pub goes_on: bool,
}

impl<T> Stretch<T> {
    /// Of one item more than was wanted, if there are so many, in the order in which they were read.
    pub(super) fn of(mut read: Vec<T>, wanted: u32, direction: Direction) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let goes_on = read.len() > wanted;
        read.truncate(wanted);
        if direction == Direction::Previous {
            read.reverse();
        }
        Self { items: read, goes_on }
    }
}

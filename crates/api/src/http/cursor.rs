//! Reading a list from a place in it, in either direction.
//!
//! To a client a cursor is opaque. It holds the query it belongs to and a place in that query's order, so that nothing has to be repeated
//! beside it and nothing can contradict it. It is no secret and needs no signature: it says nothing that a query could not.

use alloy::primitives::hex;
use clawpay_domain::{AgentId, RunId, Timestamp};
use clawpay_store::{Direction, RunPosition};

use crate::error::Invalid;

/// Cursors of another make are refused.
const VERSION: &str = "1";

/// A query, and a place in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor<P> {
    /// The parameters that select and order, as a query string.
    pub query: String,
    /// Where to read from.
    pub place: P,
    /// Which way.
    pub direction: Direction,
}

/// A place that a cursor can hold.
pub(crate) trait KeysetPosition: Sized {
    /// As text without a colon.
    fn to_text(&self) -> String;
    /// From that text.
    fn from_text(text: &str) -> Option<Self>;
}

impl KeysetPosition for RunPosition {
    fn to_text(&self) -> String {
        match self {
            Self::Id(id) => format!("i.{id}"),
            Self::Reward(reward, id) => format!("r.{id}.{}", reward.0),
            Self::Deadline(deadline, id) => format!("d.{id}.{}", deadline.0),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('.')?;
        let (id, key) = rest.split_once('.').unwrap_or((rest, ""));
        let id = RunId(id.parse().ok()?);
        match kind {
            "i" if key.is_empty() => Some(Self::Id(id)),
            "r" => Some(Self::Reward(key.parse().ok()?, id)),
            "d" => Some(Self::Deadline(Timestamp(key.parse().ok()?), id)),
            _ => None,
        }
    }
}

impl KeysetPosition for AgentId {
    fn to_text(&self) -> String {
        self.0.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl<P: KeysetPosition> Cursor<P> {
    /// As clients carry it: hex, which is at home in a URL.
    pub(crate) fn encode(&self) -> String {
        let direction = match self.direction {
            Direction::Next => "n",
            Direction::Previous => "p",
        };
        hex::encode(format!("{VERSION}:{direction}:{}:{}", self.place.to_text(), self.query))
    }

    /// From what a client carried.
    pub(crate) fn decode(text: &str) -> Result<Self, Invalid> {
        Self::read(text).ok_or_else(Invalid::cursor)
    }

    fn read(text: &str) -> Option<Self> {
        let text = String::from_utf8(hex::decode(text).ok()?).ok()?;
        let mut parts = text.splitn(4, ':');
        let version = parts.next()?;
        let direction = match parts.next()? {
            "n" => Direction::Next,
            "p" => Direction::Previous,
            _ => return None,
        };
        let place = P::from_text(parts.next()?)?;
        let query = parts.next()?.to_owned();
        (version == VERSION).then_some(Self { query, place, direction })
    }
}

#[cfg(test)]
mod tests {
    use clawpay_domain::Usdc;

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for place in [
            RunPosition::Id(RunId(u64::MAX)),
            RunPosition::Reward(Usdc(alloy::primitives::U256::MAX), RunId(1)),
            RunPosition::Deadline(Timestamp(0), RunId(0)),
        ] {
            for direction in [Direction::Next, Direction::Previous] {
                let cursor = Cursor { query: "state=OPEN&q=a%3Ab:c".to_owned(), place, direction };
                assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
            }
        }
        let cursor = Cursor { query: String::new(), place: AgentId(7), direction: Direction::Next };
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        let refused = |text: &str| Cursor::<RunPosition>::decode(text).unwrap_err().code;
        for text in ["", "zz", "abc", "ff"] {
            assert_eq!(refused(text), "invalid_cursor", "{text}");
        }
        for text in ["1:n:i.7", "2:n:i.7:", "1:x:i.7:", "1:n:i.7.8:", "1:n:r.7:", "1:n:r.7.-1:", "1:n:d.7.x:", "1:n:7:", "1:n:i.:"] {
            assert_eq!(refused(&hex::encode(text)), "invalid_cursor", "{text}");
        }
    }
}

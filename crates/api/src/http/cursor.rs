//! Reading a list from a place in it, in either direction.
//!
//! To a client a cursor is opaque. It holds the query it belongs to and a place in that query's order, so that nothing has to be repeated
//! beside it and nothing can contradict it. It is no secret and needs no signature: it says nothing that a query could not.

use std::{fmt::Display, str::FromStr};

use alloy::primitives::hex;
use clawpay_store::{Direction, Position, SortKey};

use crate::error::Invalid;

/// Cursors of another make are refused.
const VERSION: &str = "1";

/// A query, and a place in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor<I> {
    /// The parameters that select and order, as a query string.
    pub query: String,
    /// Where to read from.
    pub position: Position<I>,
    /// Which way.
    pub direction: Direction,
}

/// A place as text without a colon.
fn position_to_text<I: Display>(Position { key, id }: &Position<I>) -> String {
    match key {
        SortKey::Id => format!("i.{id}"),
        SortKey::Amount(amount) => format!("a.{id}.{}", amount.0),
        SortKey::Number(number) => format!("n.{id}.{number}"),
    }
}

/// A place from that text.
fn position_from_text<I: FromStr>(text: &str) -> Option<Position<I>> {
    let (kind, rest) = text.split_once('.')?;
    let (id, key) = rest.split_once('.').unwrap_or((rest, ""));
    let key = match kind {
        "i" if key.is_empty() => SortKey::Id,
        "a" => SortKey::Amount(key.parse().ok()?),
        "n" => SortKey::Number(key.parse().ok()?),
        _ => return None,
    };
    Some(Position { key, id: id.parse().ok()? })
}

impl<I: Display + FromStr> Cursor<I> {
    /// As clients carry it: hex, which is at home in a URL.
    pub(crate) fn encode(&self) -> String {
        let direction = match self.direction {
            Direction::Next => "n",
            Direction::Previous => "p",
        };
        hex::encode(format!("{VERSION}:{direction}:{}:{}", position_to_text(&self.position), self.query))
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
        let position = position_from_text(parts.next()?)?;
        let query = parts.next()?.to_owned();
        (version == VERSION).then_some(Self { query, position, direction })
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use clawpay_domain::{RunId, Usdc};

    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (key, id) in [
            (SortKey::Id, RunId(u64::MAX)),
            (SortKey::Amount(Usdc(alloy::primitives::U256::MAX)), RunId(1)),
            (SortKey::Number(0), RunId(0)),
        ] {
            for direction in [Direction::Next, Direction::Previous] {
                let cursor = Cursor { query: "state=OPEN&q=a%3Ab:c".to_owned(), position: Position { key, id }, direction };
                assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
            }
        }
        let position = Position { key: SortKey::Amount(Usdc::ZERO), id: Address::repeat_byte(0xab) };
        let cursor = Cursor { query: String::new(), position, direction: Direction::Next };
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        let refused = |text: &str| Cursor::<RunId>::decode(text).unwrap_err().code;
        for text in ["", "zz", "abc", "ff"] {
            assert_eq!(refused(text), "invalid_cursor", "{text}");
        }
        for text in ["1:n:i.7", "2:n:i.7:", "1:x:i.7:", "1:n:i.7.8:", "1:n:a.7:", "1:n:a.7.-1:", "1:n:n.7.x:", "1:n:7:", "1:n:i.:"] {
            assert_eq!(refused(&hex::encode(text)), "invalid_cursor", "{text}");
        }
    }
}

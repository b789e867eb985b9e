//! What lists have in common: they are read by page from the beginning, or by cursor from any place.

use clawpay_store::{Direction, Listing, Page, Stretch};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{
    error::Invalid,
    http::cursor::{Cursor, KeysetPosition},
    http::dto::page::{Neighbours, Pagination},
    http::extract::{PageNumber, PageSize, query},
    http::reading::MIN_BLOCK,
};

/// Items on a page unless the client says.
const DEFAULT_LIMIT: u32 = 20;

/// The parameters that say which part of a list is wanted. All others say which list.
const PARTS: [&str; 4] = ["page", "limit", "cursor", MIN_BLOCK];

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked<Q, P> {
    /// The parameters that select and order, wherever they came from.
    pub query: Q,
    /// Which part.
    pub part: Part<P>,
    selection: String,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<P> {
    /// A page.
    Page(Page),
    /// What is beside a place.
    Beside {
        /// The place.
        place: P,
        /// On which side.
        direction: Direction,
        /// How many items at most.
        limit: u32,
    },
}

/// The parameters of a list that say which part.
pub(super) trait Parts: DeserializeOwned {
    /// `page`, `limit` and `cursor`.
    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>);
}

impl<Q: Parts, P: KeysetPosition + Copy> Asked<Q, P> {
    /// From a query, and the text it was read from. A cursor brings its own selection and takes no other.
    pub(super) fn of(query: Q, text: &str) -> Result<Self, Invalid> {
        let (number, size, cursor) = query.parts();
        let limit = size.map_or(DEFAULT_LIMIT, |size| size.0);
        let Some(cursor) = cursor else {
            let page = Page { number: number.map_or(1, |number| number.0), limit };
            let selection = form_urlencoded::parse(text.as_bytes()).filter(|(name, _)| !PARTS.contains(&&**name));
            let selection = form_urlencoded::Serializer::new(String::new()).extend_pairs(selection).finish();
            return Ok(Self { query, part: Part::Page(page), selection });
        };
        if let Some((name, _)) = form_urlencoded::parse(text.as_bytes()).find(|(name, _)| !PARTS[1..].contains(&&**name)) {
            let detail = format!("{name}: a cursor carries what it was made for, and takes only limit and {MIN_BLOCK} beside it");
            return Err(Invalid::value(name.into_owned(), detail));
        }
        let Cursor { query: selection, place, direction } = Cursor::decode(cursor)?;
        let query = query::parse(&selection).map_err(|_| Invalid::cursor())?;
        Ok(Self { query, part: Part::Beside { place, direction, limit }, selection })
    }

    /// Where the list goes on beside a page of it.
    pub(super) fn by_page<T>(&self, page: Page, listing: &Listing<T>, place: impl Fn(&T) -> P) -> Pagination {
        let neighbours = Neighbours {
            next: listing.items.last().filter(|_| listing.goes_on).map(|last| self.cursor(place(last), Direction::Next)),
            previous: listing.items.first().filter(|_| page.number > 1).map(|first| self.cursor(place(first), Direction::Previous)),
        };
        Pagination::by_page(page, listing.total, neighbours)
    }

    /// Where the list goes on beside what was read from a place. On the side of that place there is always a way back.
    pub(super) fn by_cursor<T>(
        &self,
        from: P,
        direction: Direction,
        limit: u32,
        stretch: &Stretch<T>,
        place: impl Fn(&T) -> P,
    ) -> Pagination {
        let (first, last) = match (stretch.items.first(), stretch.items.last()) {
            (Some(first), Some(last)) => (place(first), place(last)),
            _ => (from, from),
        };
        let there_is = |side: Direction| side != direction || stretch.goes_on;
        let neighbours = Neighbours {
            next: there_is(Direction::Next).then(|| self.cursor(last, Direction::Next)),
            previous: there_is(Direction::Previous).then(|| self.cursor(first, Direction::Previous)),
        };
        Pagination::by_cursor(limit, neighbours)
    }

    fn cursor(&self, place: P, direction: Direction) -> String {
        Cursor { query: self.selection.clone(), place, direction }.encode()
    }
}

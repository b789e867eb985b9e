//! What lists have in common: they are read by page from the beginning, or by cursor from any place.

use std::{fmt::Display, str::FromStr};

use clawpay_store::{Direction, Listing, Page, Position, Reader, Sight, StoreError, Stretch};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use crate::{
    error::{ApiError, Invalid},
    hidden::Hideable,
    http::cursor::Cursor,
    http::dto::page::{Neighbours, Pagination},
    http::extract::query::MIN_BLOCK,
    http::extract::{PageNumber, PageSize, query},
    http::reading::{Closed, Question, Unread},
};

/// Items on a page unless the client says.
const DEFAULT_LIMIT: u32 = 20;

/// The parameters that say which part of a list is wanted. All others say which list.
const PARTS: [&str; 4] = ["page", "limit", "cursor", MIN_BLOCK];

/// A list, as its query selects and orders it.
pub(super) trait List: DeserializeOwned {
    /// An item of it.
    type Item: Hideable;
    /// What sets items apart.
    type Id: Copy + Display + FromStr;

    /// `page`, `limit` and `cursor`.
    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>);

    /// Where an item stands in the order.
    fn position(&self, item: &Self::Item) -> Position<Self::Id>;

    /// Whether a place may be one in the order.
    fn has(&self, position: &Position<Self::Id>) -> bool;

    /// A page of it.
    async fn page(&self, reader: Reader, page: Page) -> Found<Listing<Self::Item>>;

    /// The `limit` items beside a place.
    async fn beside(&self, reader: Reader, position: &Position<Self::Id>, direction: Direction, limit: u32) -> Found<Stretch<Self::Item>>;
}

/// What a reader found, as of one block; nothing before an indexer has started.
pub(super) type Found<T> = Result<Option<Sight<T>>, StoreError>;

/// Part of a list.
pub(super) struct Part<T> {
    /// Its items, as of one block.
    pub(super) items: Sight<Vec<T>>,
    /// Where in the list they are.
    pub(super) pagination: Pagination,
    /// What the answer is made with.
    pub(super) answer: Closed,
}

/// The part of a list that was asked for, by a query and the text it was read from. A cursor brings its own selection and takes no other.
pub(super) async fn read<L: List>(list: L, text: &str, question: Question) -> Result<Part<L::Item>, Unread> {
    let (number, size, cursor) = list.parts();
    let limit = size.map_or(DEFAULT_LIMIT, |size| size.0);
    let Some(cursor) = cursor else {
        let page = Page { number: number.map_or(1, |number| number.0), limit };
        let selection = query::pairs(text).filter(|(name, _)| !PARTS.contains(&&**name));
        let selection = form_urlencoded::Serializer::new(String::new()).extend_pairs(selection).finish();
        let (Sight { indexed, chain, found: listing }, answer) = question.ask(|reader| list.page(reader, page)).await?;
        let pagination = by_page(&list, &selection, page, &listing);
        let found = shown(listing.items, &answer);
        return Ok(Part { items: Sight { indexed, chain, found }, pagination, answer });
    };
    if let Some((name, _)) = query::pairs(text).find(|(name, _)| !PARTS[1..].contains(&&**name)) {
        let detail = format!("{name}: a cursor carries what it was made for, and takes only limit and {MIN_BLOCK} beside it");
        return Err(ApiError::from(Invalid::value(name.into_owned(), detail)).into());
    }
    let Cursor { query: selection, position, direction } = Cursor::decode(cursor).map_err(ApiError::from)?;
    if query::pairs(&selection).any(|(name, _)| PARTS.contains(&&*name)) {
        return Err(ApiError::from(Invalid::cursor()).into());
    }
    let list: L = query::parse(&selection).map_err(|_| ApiError::from(Invalid::cursor()))?;
    if !list.has(&position) {
        return Err(ApiError::from(Invalid::cursor()).into());
    }
    let (Sight { indexed, chain, found: stretch }, answer) =
        question.ask(|reader| list.beside(reader, &position, direction, limit)).await?;
    let pagination = by_cursor(&list, &selection, position, direction, limit, &stretch);
    let found = shown(stretch.items, &answer);
    Ok(Part { items: Sight { indexed, chain, found }, pagination, answer })
}

/// Those items that are not hidden. A part is shorter for those that are, and has its place and its neighbours with them: so no part tells again what
/// another one told, or passes over what none did.
fn shown<T: Hideable>(mut items: Vec<T>, answer: &Closed) -> Vec<T> {
    items.retain(|item| !answer.hidden.hides(item));
    items
}

/// Where the list goes on beside a page of it.
fn by_page<L: List>(list: &L, selection: &str, page: Page, listing: &Listing<L::Item>) -> Pagination {
    let beside = |item, direction| cursor(selection, list.position(item), direction);
    let neighbours = Neighbours {
        next: listing.looked_to.as_ref().or(listing.items.last()).filter(|_| listing.goes_on).map(|last| beside(last, Direction::Next)),
        previous: listing.items.first().filter(|_| page.number > 1).map(|first| beside(first, Direction::Previous)),
    };
    Pagination::by_page(page, listing.total, listing.is_estimate, neighbours)
}

/// Where the list goes on beside what was read from a place. On the side of that place there is always a way back.
fn by_cursor<L: List>(
    list: &L,
    selection: &str,
    from: Position<L::Id>,
    direction: Direction,
    limit: u32,
    stretch: &Stretch<L::Item>,
) -> Pagination {
    let (mut first, mut last) = match (stretch.items.first(), stretch.items.last()) {
        (Some(first), Some(last)) => (list.position(first), list.position(last)),
        _ => (from, from),
    };
    if let Some(looked_to) = &stretch.looked_to {
        match direction {
            Direction::Next => last = list.position(looked_to),
            Direction::Previous => first = list.position(looked_to),
        }
    }
    let there_is = |side: Direction| side != direction || stretch.goes_on;
    let neighbours = Neighbours {
        next: there_is(Direction::Next).then(|| cursor(selection, last, Direction::Next)),
        previous: there_is(Direction::Previous).then(|| cursor(selection, first, Direction::Previous)),
    };
    Pagination::by_cursor(limit, neighbours)
}

fn cursor<I: Display + FromStr>(selection: &str, position: Position<I>, direction: Direction) -> String {
    Cursor { query: selection.to_owned(), position, direction }.encode()
}

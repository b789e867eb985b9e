//! Where in a list an answer is.

use axum::http::HeaderValue;
use clawpay_store::Page;
use serde::Serialize;
use utoipa::ToSchema;

/// Bytes of a Link header that proxies take with all other headers in the 4 KiB that they commonly have for them.
const LONGEST_LINK: usize = 2_048;

/// Where a list goes on. Read by page, it says how long the list is; read by cursor, only where it goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pagination {
    /// Which page this is; left out when reading by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    page: Option<u32>,
    /// How many items a page has; fewer are on it where some are hidden.
    limit: u32,
    /// How many items there are on all pages; left out when reading by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total: Option<u64>,
    /// Whether `total` is an estimate, as it is of more than 100,000 runs that no counter counts; left out where it is exact.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    total_is_estimate: bool,
    /// How many pages there are; left out when reading by cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    total_pages: Option<u64>,
    /// The cursor of what comes after this; null at the end.
    #[schema(required)]
    next: Option<String>,
    /// The cursor of what comes before this; null at the beginning.
    #[schema(required)]
    previous: Option<String>,
}

/// The cursors of what comes after and before a part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Neighbours {
    /// What comes after.
    pub next: Option<String>,
    /// What comes before.
    pub previous: Option<String>,
}

impl Pagination {
    /// Of a list of `total` items.
    pub(crate) fn by_page(page: Page, total: u64, total_is_estimate: bool, Neighbours { next, previous }: Neighbours) -> Self {
        let total_pages = Some(total.div_ceil(u64::from(page.limit.max(1))));
        Self { page: Some(page.number), limit: page.limit, total: Some(total), total_is_estimate, total_pages, next, previous }
    }

    /// Of a list that is read in parts of `limit` items.
    pub(crate) fn by_cursor(limit: u32, Neighbours { next, previous }: Neighbours) -> Self {
        Self { page: None, limit, total: None, total_is_estimate: false, total_pages: None, next, previous }
    }

    /// The neighbours as a Link header; nothing where there are none, or they are longer than proxies take. The body has them all the same.
    pub(crate) fn link(&self, path: &str) -> Option<HeaderValue> {
        let limit = self.limit;
        let link = |cursor: &Option<String>, relation: &str| {
            cursor.as_ref().map(|cursor| format!("<{path}?cursor={cursor}&limit={limit}>; rel=\"{relation}\""))
        };
        let links: Vec<String> = link(&self.next, "next").into_iter().chain(link(&self.previous, "prev")).collect();
        let links = links.join(", ");
        if links.is_empty() || links.len() > LONGEST_LINK { None } else { HeaderValue::try_from(links).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_up_and_an_empty_list_has_none() {
        let pages = |limit, total| Pagination::by_page(Page { number: 1, limit }, total, false, Neighbours::default()).total_pages.unwrap();
        assert_eq!((pages(20, 0), pages(20, 1), pages(20, 20), pages(20, 21), pages(1, 100)), (0, 1, 1, 2, 100));
    }

    #[test]
    fn neighbours_are_linked() {
        let links = |next: Option<&str>, previous: Option<&str>| {
            let neighbours = Neighbours { next: next.map(Into::into), previous: previous.map(Into::into) };
            Pagination::by_cursor(5, neighbours).link("/api/runs")
        };
        assert_eq!(links(None, None), None);
        assert_eq!(links(Some("a"), None).unwrap(), "</api/runs?cursor=a&limit=5>; rel=\"next\"");
        assert_eq!(
            links(Some("a"), Some("b")).unwrap(),
            "</api/runs?cursor=a&limit=5>; rel=\"next\", </api/runs?cursor=b&limit=5>; rel=\"prev\""
        );
    }
}

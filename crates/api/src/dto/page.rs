//! Where in a list an answer is.

use clawpay_store::Page;
use serde::Serialize;
use utoipa::ToSchema;

/// `pagination` of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pagination {
    /// Which page this is.
    page: u32,
    /// How many items a page has.
    limit: u32,
    /// How many items there are on all pages.
    total: u64,
    /// How many pages there are.
    total_pages: u64,
}

impl Pagination {
    /// Of a list of `total` items.
    pub(crate) fn new(page: Page, total: u64) -> Self {
        let total_pages = total.div_ceil(u64::from(page.limit.max(1)));
        Self { page: page.number, limit: page.limit, total, total_pages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_up_and_an_empty_list_has_none() {
        let pages = |limit, total| Pagination::new(Page { number: 1, limit }, total).total_pages;
        assert_eq!((pages(20, 0), pages(20, 1), pages(20, 20), pages(20, 21), pages(1, 100)), (0, 1, 1, 2, 100));
    }
}

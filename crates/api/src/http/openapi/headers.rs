//! The headers of answers, each a component that responses refer to.

use std::collections::BTreeMap;

use utoipa::openapi::{HeaderBuilder, Object, Ref, RefOr, header::Header};

use super::schemas;

/// Adds the header to a response.
pub(super) fn add(headers: &mut BTreeMap<String, RefOr<Header>>, name: &str) {
    headers.insert(name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))));
}

/// All of them.
pub(super) fn components() -> BTreeMap<String, RefOr<Header>> {
    let header = |name: &str, description: &str, schema: Object| {
        (name.to_owned(), HeaderBuilder::new().description(Some(description)).schema(Some(schema)).build().into())
    };
    BTreeMap::from([
        header(REQUEST_ID, "The request's id in the server's log: the client's own, if it sent one.", schemas::text("An id.", "^.+$")),
        header(INDEXED_BLOCK, "The block that the answer reflects.", schemas::whole("A block's number.", 0, schemas::LARGEST)),
        header(ETAG, "What the answer is known by.", schemas::text("An entity tag.", "^W/\"[!-~]+\"$")),
        header(RETRY_AFTER, "When to try again.", schemas::whole("Seconds.", 1, u64::from(u32::MAX))),
    ])
}

/// On every answer.
pub(super) const REQUEST_ID: &str = "X-Request-Id";
/// On every answer from the index.
pub(super) const INDEXED_BLOCK: &str = "X-Indexed-Block";
/// On every answer that a client may have already.
pub(super) const ETAG: &str = "ETag";
/// On every answer that asks to be patient.
pub(super) const RETRY_AFTER: &str = "Retry-After";

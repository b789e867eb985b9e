//! The two responses of every verb, which all of them refer to.

use utoipa::openapi::{Content, Ref, Response, ResponseBuilder};

use super::headers;

/// Component of all that a verb answers. It stands at both statuses: of several answers many generated clients read all as the first.
pub(crate) const ANSWER: &str = "ActionAnswer";

/// Response of a verb once it is done.
pub(crate) const DONE: &str = "ActionDone";

/// Response of a verb that is not.
pub(crate) const NOT_DONE: &str = "ActionNotDone";

/// Both.
pub(super) fn responses() -> [(String, Response); 2] {
    [
        response(DONE, "`done`: mined, and indexed."),
        response(
            NOT_DONE,
            "Anything but `done`: something to sign; or, once that is signed, where its transaction is that has not done it.",
        ),
    ]
}

fn response(name: &str, description: &str) -> (String, Response) {
    let content = Content::new(Some(Ref::from_schema_name(ANSWER)));
    let mut response = ResponseBuilder::new().description(description).content("application/json", content).build();
    headers::add(&mut response.headers, headers::REQUEST_ID);
    headers::add(&mut response.headers, headers::INDEXED_BLOCK);
    (name.to_owned(), response)
}

//! `/api/runs/` is `/api/runs`, as frameworks and people write it.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
};

/// The docs page, whose files are beside it.
pub(crate) const DOCS_PAGE: &str = "/docs/";

/// Takes slashes from the end of a request's path. The docs page keeps its own.
pub(super) fn trim(mut request: Request) -> Request {
    if let Some(uri) = trimmed(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

/// The same without slashes at the end of its path; nothing if there are none to take.
fn trimmed(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    let shorter = path.trim_end_matches('/');
    if shorter.len() == path.len() || shorter.is_empty() || path == DOCS_PAGE {
        return None;
    }
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{shorter}?{query}")),
        None => PathAndQuery::try_from(shorter),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_at_the_end_are_taken_but_for_the_root_and_the_docs_page() {
        let trimmed = |uri: &str| trimmed(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(trimmed("/api/runs/").unwrap(), "/api/runs");
        assert_eq!(trimmed("/api/runs//?page=2").unwrap(), "/api/runs?page=2");
        assert_eq!(trimmed("http://h/api/runs/?").unwrap(), "http://h/api/runs?");
        assert_eq!(trimmed("/docs//").unwrap(), "/docs");
        for kept in ["/", "//", "/docs/", "/api/runs", "/api/runs?q=a/"] {
            assert_eq!(trimmed(kept), None, "{kept}");
        }
    }
}

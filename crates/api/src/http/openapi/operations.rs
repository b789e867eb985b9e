//! The operations of a path, and which of them read the index.

use utoipa::openapi::{
    PathItem, RefOr,
    path::{HttpMethod, Operation, Parameter},
};

use crate::http::extract::query::MIN_BLOCK;

/// The operations of a path. The others that HTTP knows no route of ours has.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let get = item.get.as_mut().map(|operation| (HttpMethod::Get, operation));
    let post = item.post.as_mut().map(|operation| (HttpMethod::Post, operation));
    get.into_iter().chain(post)
}

/// Whether this reads the index, as those do that take a block to wait for.
pub(super) fn is_read(operation: &Operation) -> bool {
    let takes = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == MIN_BLOCK);
    operation.parameters.as_ref().is_some_and(|parameters| parameters.iter().any(takes))
}

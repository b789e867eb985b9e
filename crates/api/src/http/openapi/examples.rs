//! An example for each operation. None is made up: a test plays the market they are from, and compares.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::Value;
use utoipa::openapi::{Components, Content, OpenApi, RefOr, path::Operation};

use super::operations::operations;

/// What was asked with and answered, by operation or by shared response.
static EXAMPLES: LazyLock<BTreeMap<String, Example>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../openapi-examples.json")).unwrap_or_default());

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    request: Option<Value>,
    response: Option<Value>,
}

/// Adds them to the operations and to the responses that operations share.
pub(super) fn add(document: &mut OpenApi) {
    for (_, operation) in document.paths.paths.values_mut().flat_map(operations) {
        if let Some(example) = operation.operation_id.as_ref().and_then(|id| EXAMPLES.get(id)) {
            example.show(operation);
        }
    }
    for (name, response) in document.components.get_or_insert_with(Components::new).responses.iter_mut() {
        if let (RefOr::T(response), Some(example)) = (response, EXAMPLES.get(name)) {
            response.content.values_mut().for_each(|content| give(content, example.response.as_ref()));
        }
    }
}

impl Example {
    fn show(&self, operation: &mut Operation) {
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.content.values_mut().for_each(|content| give(content, self.request.as_ref()));
        }
        let answers = operation.responses.responses.values_mut().filter_map(|response| match response {
            RefOr::T(response) => Some(response),
            RefOr::Ref(_) => None,
        });
        // A stream has no example: what follows on it does not come at once.
        let contents = answers.flat_map(|response| response.content.iter_mut()).filter(|(kind, _)| *kind != "text/event-stream");
        contents.for_each(|(_, content)| give(content, self.response.as_ref()));
    }
}

fn give(content: &mut RefOr<Content>, example: Option<&Value>) {
    if let RefOr::T(content) = content {
        content.example = example.cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_can_be_read() {
        assert!(serde_json::from_str::<BTreeMap<String, Example>>(include_str!("../../../openapi-examples.json")).is_ok());
    }
}

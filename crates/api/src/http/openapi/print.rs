//! The document as text: a line for each operation and each component, so that a change shows where it is, and no byte more.

use serde_json::Value;
use utoipa::openapi::OpenApi;

/// How deep the document is spread over lines: its parts, their kinds or paths, and what these hold.
const DEPTH: usize = 3;

/// Prints the document.
///
/// # Errors
///
/// When it cannot be put into JSON.
pub(crate) fn print(document: &OpenApi) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    part(&mut text, &serde_json::to_value(document)?, DEPTH);
    text.push('\n');
    Ok(text)
}

fn part(text: &mut String, value: &Value, depth: usize) {
    let Value::Object(members) = value else { return text.push_str(&value.to_string()) };
    if depth == 0 || members.is_empty() {
        return text.push_str(&value.to_string());
    }
    text.push('{');
    for (position, (name, member)) in members.iter().enumerate() {
        text.push_str(if position == 0 { "\n" } else { ",\n" });
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        part(text, member, depth - 1);
    }
    text.push_str("\n}");
}

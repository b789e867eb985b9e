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
    let mut document = serde_json::to_value(document)?;
    leave_out_defaults(&mut document);
    part(&mut text, &document, DEPTH);
    text.push('\n');
    Ok(text)
}

/// What is not said to be required is not.
fn leave_out_defaults(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| name != "required" || *member != Value::Bool(false));
            members.values_mut().for_each(leave_out_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(leave_out_defaults),
        _ => {}
    }
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

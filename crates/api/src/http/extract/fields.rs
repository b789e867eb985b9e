//! Naming the field at fault.

use serde::{Deserialize, Deserializer};

use crate::error::Invalid;

/// Reads a `T`, whatever it comes from, and says which field is wrong if one is.
pub(super) fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(source: D) -> Result<T, Invalid>
where
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(source).map_err(|error| {
        let path = error.path().to_string();
        describe(path, error.into_inner().to_string())
    })
}

/// serde names a field that is missing, unknown or given twice only in its message, and any other in the path.
fn describe(path: String, message: String) -> Invalid {
    const NAMED: [(&str, &str); 3] =
        [("missing field `", "missing_field"), ("unknown field `", "unknown_field"), ("duplicate field `", "duplicate_field")];
    for (start, code) in NAMED {
        if let Some((field, _)) = message.strip_prefix(start).and_then(|rest| rest.split_once('`')) {
            return Invalid { code, field: Some(field.to_owned()), detail: message };
        }
    }
    let field = (path != ".").then_some(path);
    let message = in_json_words(&message).unwrap_or(message);
    let detail = field.as_ref().map_or_else(|| message.clone(), |field| format!("{field}: {message}"));
    Invalid { code: "invalid_value", field, detail }
}

/// Most characters of what was sent that are repeated.
const REPEATED: usize = 60;

/// What serde says of a type, with the types called what JSON calls them; nothing where it says something else.
fn in_json_words(message: &str) -> Option<String> {
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    // What was sent may hold the words that separate it from what was expected, and ends before the last of them.
    let (found, expected) = mismatch.rsplit_once(", expected ")?;
    Some(format!("expected {}, and got {}", expected_kind(expected), found_value(found)))
}

fn expected_kind(rust: &str) -> String {
    let whole = |maximum: u64| format!("a whole number from 0 to {maximum}");
    match rust {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "a string" | "string" | "str" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        of_a_struct if of_a_struct.starts_with("struct ") => "an object".to_owned(),
        other => other.to_owned(),
    }
}

fn found_value(rust: &str) -> String {
    let (kind, value) = rust.split_once(' ').unwrap_or((rust, ""));
    let value = value.trim_matches('`');
    let shown: String = match (kind, value) {
        ("string", text) => format!("the text {text}"),
        ("integer", number) => format!("the number {number}"),
        ("floating", point) => format!("the number {}", point.trim_start_matches("point ").trim_matches('`')),
        ("boolean", truth) => truth.to_owned(),
        ("map", _) => "an object".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        _ => rust.to_owned(),
    };
    if shown.chars().count() <= REPEATED { shown } else { shown.chars().take(REPEATED).chain("...".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Body {
        #[allow(dead_code, reason = "only read from JSON")]
        agent_id: u64,
    }

    fn refused(body: serde_json::Value) -> (&'static str, Option<String>) {
        let invalid = read::<Body, _>(body).unwrap_err();
        (invalid.code, invalid.field)
    }

    #[test]
    fn the_field_at_fault_is_named() {
        assert_eq!(refused(json!({})), ("missing_field", Some("agentId".into())));
        assert_eq!(refused(json!({ "agentId": 1, "agentID": 2 })), ("unknown_field", Some("agentID".into())));
        assert_eq!(refused(json!({ "agentId": "1" })), ("invalid_value", Some("agentId".into())));
        assert_eq!(refused(json!({ "agentId": -1 })), ("invalid_value", Some("agentId".into())));
        assert_eq!(refused(json!({ "agentId": 1.5 })), ("invalid_value", Some("agentId".into())));
        assert_eq!(refused(json!([])), ("invalid_value", None));
    }

    #[test]
    fn types_are_called_what_json_calls_them() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Types {
            #[allow(dead_code, reason = "only read from JSON")]
            number: Option<u64>,
            #[allow(dead_code, reason = "only read from JSON")]
            small: Option<u8>,
            #[allow(dead_code, reason = "only read from JSON")]
            text: Option<String>,
            #[allow(dead_code, reason = "only read from JSON")]
            truth: Option<bool>,
            #[allow(dead_code, reason = "only read from JSON")]
            list: Option<Vec<u64>>,
            #[allow(dead_code, reason = "only read from JSON")]
            object: Option<Body>,
        }
        let detail = |body: serde_json::Value| read::<Types, _>(body).unwrap_err().detail;
        for (body, words) in [
            (json!({ "number": "1" }), "number: expected a whole number from 0, and got the text \"1\""),
            (json!({ "number": -1 }), "number: expected a whole number from 0, and got the number -1"),
            (json!({ "number": 1.5 }), "number: expected a whole number from 0, and got the number 1.5"),
            (json!({ "small": 256 }), "small: expected a whole number from 0 to 255, and got the number 256"),
            (json!({ "text": 7 }), "text: expected a text, and got the number 7"),
            (json!({ "text": {} }), "text: expected a text, and got an object"),
            (json!({ "truth": "yes, expected u64" }), "truth: expected true or false, and got the text \"yes, expected u64\""),
            (json!({ "list": true }), "list: expected a list, and got true"),
            (json!({ "object": 1 }), "object: expected an object, and got the number 1"),
        ] {
            assert_eq!(detail(body), words);
        }
        assert!(detail(json!({ "number": "x".repeat(10_000) })).len() < 150);
    }
}

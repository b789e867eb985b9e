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
    let detail = field.as_ref().map_or_else(|| message.clone(), |field| format!("{field}: {message}"));
    Invalid { code: "invalid_value", field, detail }
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
}

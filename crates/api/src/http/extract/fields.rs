//! Naming the field at fault.

use serde::{Deserialize, Deserializer};

use super::near::near;
use crate::error::Invalid;

/// Reads a `T`, whatever it comes from, and says which field is wrong if one is.
pub(super) fn read<'de, T: Deserialize<'de>, D: Deserializer<'de>>(source: D) -> Result<T, Invalid>
where
    D::Error: std::fmt::Display,
{
    read_beside(&[], source)
}

/// As [`read`], where fields of these names may stand beside those of `T`.
pub(super) fn read_beside<'de, T: Deserialize<'de>, D: Deserializer<'de>>(beside: &[&str], source: D) -> Result<T, Invalid>
where
    D::Error: std::fmt::Display,
{
    serde_path_to_error::deserialize(source).map_err(|error| {
        let path = error.path().to_string();
        describe(path, &error.into_inner().to_string(), beside)
    })
}

/// serde names a field that is missing, unknown or given twice only in its message, and any other in the path.
fn describe(path: String, message: &str, beside: &[&str]) -> Invalid {
    let named = |start| message.strip_prefix(start).and_then(|rest: &str| rest.split_once('`'));
    let invalid = |code, field: &str, detail| Invalid { code, field: Some(field.to_owned()), detail };
    if let Some((field, _)) = named("missing field `") {
        return invalid("missing_field", field, format!("{field} is missing"));
    }
    if let Some((field, _)) = named("duplicate field `") {
        return invalid("duplicate_field", field, format!("{field} is given twice"));
    }
    if let Some((field, rest)) = named("unknown field `") {
        let beside = if path == "." || path == field { beside } else { &[] };
        return invalid("unknown_field", field, unknown(field, &in_backticks(rest), beside));
    }
    let field = (path != ".").then_some(path);
    let message =
        in_json_words(message).or_else(|| one_of_words(message)).or_else(|| as_hex(message)).unwrap_or_else(|| message.to_owned());
    let detail = field.as_ref().map_or_else(|| message.clone(), |field| format!("{field}: {message}"));
    Invalid { code: "invalid_value", field, detail }
}

/// The words of a message that stand between backticks.
fn in_backticks(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// That there is no such field, and which there are.
fn unknown(field: &str, known: &[&str], beside: &[&str]) -> String {
    let all = || known.iter().chain(beside).copied();
    let hint = near(field, all()).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    let known: Vec<&str> = all().collect();
    let known = if known.is_empty() { "nothing is taken here".to_owned() } else { format!("known are {}", known.join(", ")) };
    format!("{} is not known here{hint} ({known})", shortened(field.to_owned()))
}

/// What serde says of a word that is none of an enum's.
fn one_of_words(message: &str) -> Option<String> {
    let (given, rest) = message.strip_prefix("unknown variant `")?.rsplit_once("`, expected ")?;
    Some(format!("must be one of {}, and not {}", in_backticks(rest).join(", "), shortened(given.to_owned())))
}

/// How bytes are written.
const HEX: &str = "hex: 0x, and two digits for each byte";

/// What a reader of hex says of a text that is none, in its own words.
fn as_hex(message: &str) -> Option<String> {
    const STARTS: [&str; 3] = ["odd number of digits", "invalid string length", "invalid character '"];
    STARTS.iter().any(|start| message.starts_with(start)).then(|| format!("must be {HEX}"))
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
        of_bytes if of_bytes.contains("hex string") || of_bytes.contains("array of u8") => HEX.to_owned(),
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
    shortened(shown)
}

fn shortened(text: String) -> String {
    if text.chars().count() <= REPEATED { text } else { text.chars().take(REPEATED).chain("...".chars()).collect() }
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
    fn an_unknown_field_is_answered_with_those_that_are_known() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Outer {
            #[allow(dead_code, reason = "only read from JSON")]
            wallet_address: Option<String>,
            #[allow(dead_code, reason = "only read from JSON")]
            body: Option<Body>,
        }
        let beside = ["signedTransactions", "transactionHash"];
        let detail = |body: serde_json::Value| read_beside::<Outer, _>(&beside, body).unwrap_err().detail;
        let known = "(known are walletAddress, body, signedTransactions, transactionHash)";
        for (name, hint) in [
            ("signedTransaction", "; did you mean signedTransactions?"),
            ("txHash", "; did you mean transactionHash?"),
            ("transactionhash", "; did you mean transactionHash?"),
            ("wallet", "; did you mean walletAddress?"),
            ("colour", ""),
        ] {
            assert_eq!(detail(json!({ name: 1 })), format!("{name} is not known here{hint} {known}"));
        }
        // What stands beside the fields of the body does not stand beside those of its members.
        assert_eq!(detail(json!({ "body": { "agentID": 1 } })), "agentID is not known here; did you mean agentId? (known are agentId)");
        assert!(detail(json!({ "x".repeat(10_000): 1 })).len() < 200);
    }

    #[test]
    fn no_word_of_a_library_reaches_a_client() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            Escrow,
            Stake,
        }
        #[derive(Debug, Deserialize)]
        struct Words {
            #[allow(dead_code, reason = "only read from JSON")]
            word: Option<Word>,
            #[allow(dead_code, reason = "only read from JSON")]
            hash: Option<alloy::primitives::B256>,
            #[allow(dead_code, reason = "only read from JSON")]
            bytes: Option<alloy::primitives::Bytes>,
        }
        let detail = |body: serde_json::Value| read::<Words, _>(body).unwrap_err().detail;
        assert_eq!(detail(json!({ "word": "bank" })), "word: must be one of escrow, stake, and not bank");
        for (name, value) in [("hash", "0x1"), ("hash", "0x12"), ("hash", "zz"), ("bytes", "0x1"), ("bytes", "0xzz")] {
            let detail = detail(json!({ name: value }));
            assert!(detail.starts_with(&format!("{name}: ")) && detail.contains(HEX), "{detail}");
        }
        assert!(detail(json!({ "bytes": [256] })).contains("number 256") && !detail(json!({ "hash": {} })).contains("u8"));
        assert_eq!(read::<Body, _>(json!({})).unwrap_err().detail, "agentId is missing");
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

//! JSON objects, each of whose members is given once, however deep it is.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::error::Invalid;

/// What some editors and shells put before a text; it is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Begins the refusal of a member that is there twice.
const TWICE: &str = "duplicate member `";

/// A value, in none of whose objects a member is given twice. Readers of JSON differ in which of the two they take.
struct Unambiguous(Value);

/// The refusal of what is none.
pub(super) fn malformed(what: impl fmt::Display) -> Invalid {
    Invalid { code: "malformed_json", field: None, detail: format!("the body is not a JSON object: {what}") }
}

/// Reads an object.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, Invalid> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    match serde_json::from_slice(bytes) {
        Ok(Unambiguous(Value::Object(members))) => Ok(members),
        Ok(Unambiguous(other)) => Err(malformed(format_args!("it is {}", kind(&other)))),
        Err(error) => match error.to_string().strip_prefix(TWICE).and_then(|rest| rest.rsplit_once('`')) {
            Some((name, place)) => {
                let detail = format!("{name} is given twice,{place}");
                Err(Invalid { code: "duplicate_field", field: Some(name.to_owned()), detail })
            }
            None => Err(malformed(error)),
        },
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format!("{TWICE}{name}`")));
            }
            let Unambiguous(value) = entries.next_value()?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> (&'static str, Option<String>, String) {
        let Invalid { code, field, detail } = object(text.as_bytes()).unwrap_err();
        (code, field, detail)
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let text = r#"{"a":[1,-2,2.5,18446744073709551615,null,true,"ä\n",{"b":{}}],"c":"x","b":{"a":1}}"#;
        assert_eq!(Value::Object(object(text.as_bytes()).unwrap()), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(object(b"\xef\xbb\xbf{\"a\":1}").unwrap(), *json!({ "a": 1 }).as_object().unwrap());
    }

    #[test]
    fn a_member_that_is_given_twice_is_named_however_deep_it_is() {
        for (text, name) in [
            (r#"{"reward":"1","x":0,"reward":"2"}"#, "reward"),
            (r#"{"permit":{"deadline":"1","deadline":"1"}}"#, "deadline"),
            (r#"{"list":[{"a":{"b`":1,"b`":2}}]}"#, "b`"),
            (r#"{"a":1,"\u0061":1}"#, "a"),
        ] {
            let (code, field, detail) = refused(text);
            assert_eq!((code, field.as_deref()), ("duplicate_field", Some(name)), "{detail}");
            assert!(detail.starts_with(&format!("{name} is given twice, at line 1")), "{detail}");
        }
    }

    #[test]
    fn what_is_no_object_is_called_what_it_is() {
        assert_eq!(refused("[]").2, "the body is not a JSON object: it is a list");
        assert_eq!(refused("null").2, "the body is not a JSON object: it is null");
        for text in ["", "{", "{\"a\":1} x", "\u{feff}\u{feff}{}"] {
            assert_eq!(refused(text).0, "malformed_json", "{text}");
        }
        assert_eq!(refused(&"[".repeat(10_000)).0, "malformed_json");
    }
}

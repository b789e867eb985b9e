//! Finding what a contract said inside what a node says.

use alloy::{primitives::Bytes, rpc::json_rpc::ErrorPayload};
use clawpay_bindings::Revert;
use serde_json::Value;

/// JSON-RPC error code that stands for a revert, by the execution API.
const REVERTED: i64 = 3;

/// Deepest nesting looked into; hardhat needs two levels.
const DEEPEST: usize = 6;

/// The revert inside an error of a node; nothing if the error is about something else.
pub(super) fn of_error(error: &ErrorPayload) -> Option<Revert> {
    let data = error.data.as_ref().and_then(|data| serde_json::from_str::<Value>(data.get()).ok());
    match data.as_ref().and_then(|data| revert_data(data, DEEPEST)) {
        Some(data) => Some(Revert::decode(&data)),
        None if error.code == REVERTED || error.message.contains("revert") => Some(Revert::Unknown(Bytes::new())),
        None => None,
    }
}

/// Hex under the names nodes give to revert data. Other names may hold other hex, such as a transaction hash.
fn revert_data(value: &Value, depth: usize) -> Option<Bytes> {
    match value {
        Value::String(text) => {
            let text = text.strip_prefix("Reverted ").unwrap_or(text);
            text.starts_with("0x").then(|| text.parse().ok()).flatten()
        }
        Value::Object(members) if depth > 0 => ["data", "result", "return", "output"]
            .iter()
            .filter_map(|name| members.get(*name))
            .chain(members.values().filter(|member| member.is_object()))
            .find_map(|member| revert_data(member, depth - 1)),
        _ => None,
    }
}

/// As much of a node's words as is worth a line of the log. It ends between two words: half a key could not be told from other text any more,
/// and so not be hidden.
pub(super) fn beginning(message: &str) -> String {
    const LONGEST: usize = 200;
    let plain: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST + 1).collect();
    if plain.chars().count() <= LONGEST {
        return plain;
    }
    plain.rsplit_once(' ').map(|(words, _)| words.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::U256, sol_types::SolError};
    use clawpay_domain::{Refusal, RunId};
    use serde_json::json;

    use super::*;

    fn run_not_found() -> String {
        let error = clawpay_bindings::RunEscrow::RunEscrow_RunNotFound { runId: U256::from(7) };
        alloy::hex::encode_prefixed(error.abi_encode())
    }

    fn error(code: i64, message: &str, data: Option<Value>) -> ErrorPayload {
        serde_json::from_value(json!({ "code": code, "message": message, "data": data })).unwrap()
    }

    #[test]
    fn revert_data_is_found_where_nodes_put_it() {
        let data = run_not_found();
        let hash = "0x9fc76417374aa880d4449a1f7f31ec597f00b1f6f3dd2d66f4c9c6c445836d8b";
        for (node, payload) in [
            ("geth, anvil", error(3, "execution reverted", Some(json!(data)))),
            ("nethermind", error(-32015, "VM execution error.", Some(json!(format!("Reverted {data}"))))),
            ("hardhat", error(-32603, "Error: VM Exception", Some(json!({ "message": "x", "txHash": hash, "data": data })))),
            ("hardhat, older", error(-32603, "Error", Some(json!({ "data": { "message": "x", "data": data } })))),
            ("ganache 7", error(-32000, "VM Exception", Some(json!({ "hash": hash, "programCounter": 12, "result": data })))),
            ("ganache 2", error(-32000, "VM Exception", Some(json!({ hash: { "error": "revert", "return": data } })))),
        ] {
            assert_eq!(of_error(&payload), Some(Revert::Refusal(Refusal::RunNotFound { run: RunId(7) })), "{node}");
        }
    }

    #[test]
    fn a_revert_without_data_is_still_a_revert_and_other_errors_are_none() {
        assert_eq!(of_error(&error(3, "execution reverted", None)), Some(Revert::Unknown(Bytes::new())));
        assert_eq!(of_error(&error(-32000, "execution reverted", Some(Value::Null))), Some(Revert::Unknown(Bytes::new())));
        assert_eq!(of_error(&error(-32601, "method not found", None)), None);
        assert_eq!(of_error(&error(-32005, "too many requests", Some(json!({ "see": "https://example.org" })))), None);
    }

    #[test]
    fn a_deep_answer_is_not_followed_for_ever() {
        let mut value = json!(run_not_found());
        for _ in 0..100 {
            value = json!({ "data": value });
        }
        assert_eq!(of_error(&error(-32000, "odd", Some(value))), None);
    }

    #[test]
    fn only_the_beginning_of_a_message_is_repeated() {
        assert_eq!(beginning("a\r\nb"), "a  b");
        assert_eq!(beginning(&"x ".repeat(10_000)).len(), 199);
        assert_eq!(beginning(&"x".repeat(200)).len(), 200);
    }

    #[test]
    fn no_word_of_a_message_is_cut_in_half() {
        let url = "https://node.example/v3/0123456789abcdef0123456789abcdef";
        for before in 150..200 {
            let said = beginning(&format!("{} {url} failed {}", "x".repeat(before), "y ".repeat(200)));
            assert!(said.contains(url) || !said.contains("https"), "{said}");
        }
        assert_eq!(beginning(&url.repeat(10)), "");
    }
}

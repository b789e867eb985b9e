//! What a node means when it refuses: too much asked at once, too often, about a block that is gone, or something else.
//!
//! Providers agree neither on codes nor on words and change both, so this reads what it can use (a range that would do, a time to wait) and
//! treats everything else as unknown: the caller then asks for half as much.

use std::time::Duration;

use serde_json::Value;

use crate::error::Fits;

/// Characters of a refusal that are looked at.
const READ: usize = 2_000;
/// Longest wait that a node may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Asked too often, or too much for today. A smaller question does not help, a later one does.
    Quota {
        /// How long the node wants to be left alone, if it says so.
        wait: Option<Duration>,
    },
    /// Asked about a block that it does not know, or no longer.
    UnknownBlock,
    /// Perhaps asked for too much: the same question about fewer blocks may be answered.
    Other {
        /// What the node would answer, if it says so.
        fits: Option<Fits>,
    },
}

/// Reads an error answer: its code (an HTTP status where there was no other), message and data.
pub(crate) fn meaning(code: i64, message: &str, data: Option<&Value>) -> Meaning {
    let text = words(message, data);
    let tokens: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|token| !token.is_empty()).collect();
    if code == 429 || is_quota(&text) {
        return Meaning::Quota { wait: wait(&tokens, data).map(|wait| wait.min(LONGEST_WAIT)) };
    }
    if ["unknown block", "block not found", "header not found"].iter().any(|words| text.contains(words)) {
        return Meaning::UnknownBlock;
    }
    let suggested = data_range(data).or_else(|| text_range(&tokens));
    Meaning::Other { fits: suggested.map(|(from, to)| Fits::Range(from, to)).or_else(|| limit(&tokens).map(Fits::Blocks)) }
}

/// Message and details in lower case, and without separators in numbers.
fn words(message: &str, data: Option<&Value>) -> String {
    let details = match data {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(members)) => members.values().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => String::new(),
    };
    let text: Vec<char> = message.chars().chain([' ']).chain(details.chars()).take(READ).collect();
    let is_digit = |index: Option<usize>| index.and_then(|index| text.get(index)).is_some_and(char::is_ascii_digit);
    text.iter()
        .enumerate()
        .filter(|(index, c)| !(**c == ',' && is_digit(index.checked_sub(1)) && is_digit(index.checked_add(1))))
        .map(|(_, c)| c.to_ascii_lowercase())
        .collect()
}

/// Whether it is about how often was asked. The code alone does not say: -32005 stands for both.
fn is_quota(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "rate limit",
        "rate-limit",
        "ratelimit",
        "rate exceeded",
        "too many request",
        "quota",
        "compute unit",
        "capacity",
        "throughput",
        "per second",
        "/second",
        "rps limit",
        "request count",
        "request limit",
        "call limit",
        "out of credits",
    ];
    WORDS.iter().any(|word| text.contains(word))
}

/// A time to wait, from the places where providers put one.
fn wait(tokens: &[&str], data: Option<&Value>) -> Option<Duration> {
    let rate = data.and_then(|data| data.get("rate")).and_then(|rate| rate.get("backoff_seconds"));
    if let Some(seconds) = rate.and_then(Value::as_u64) {
        return Some(Duration::from_secs(seconds));
    }
    let at = tokens.windows(2).position(|pair| matches!(pair, ["retry" | "again", "in" | "after"]))?;
    let (amount, unit) = (tokens.get(at + 2)?, tokens.get(at + 3));
    let digits = amount.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = if digits.len() < amount.len() { &amount[digits.len()..] } else { unit.copied().unwrap_or("s") };
    let number: u64 = digits.parse().ok()?;
    match unit {
        "ms" | "milliseconds" => Some(Duration::from_millis(number)),
        "m" | "minute" | "minutes" => Some(Duration::from_secs(number.saturating_mul(60))),
        _ => Some(Duration::from_secs(number)),
    }
}

fn data_range(data: Option<&Value>) -> Option<(u64, u64)> {
    let data = data?;
    Some((number(data.get("from")?.as_str()?)?, number(data.get("to")?.as_str()?)?))
}

/// Two numbers in hex beside each other, or two plain ones after the word "range".
fn text_range(tokens: &[&str]) -> Option<(u64, u64)> {
    let hex = |token: &str| token.starts_with("0x").then(|| number(token)).flatten();
    let in_hex = tokens.windows(2).find_map(|pair| match pair {
        [from, to] => Some((hex(from)?, hex(to)?)),
        _ => None,
    });
    in_hex.or_else(|| {
        tokens.windows(3).find_map(|three| match three {
            ["range", from, to] => Some((from.parse().ok()?, to.parse().ok()?)),
            _ => None,
        })
    })
}

/// The smallest number that is said to be a limit of blocks. Numbers of results are not.
fn limit(tokens: &[&str]) -> Option<u64> {
    let is_limit = |index: usize| {
        let before = |count: usize| index.checked_sub(count).map(|index| tokens[index]);
        let near = |word: &str| (1..=3).any(|count| before(count) == Some(word));
        match (before(1), tokens.get(index + 1)) {
            (_, Some(&("block" | "blocks" | "range"))) => true,
            (Some("range"), _) => near("max") || near("maximum"),
            (Some("limit"), _) => before(2) == Some("range"),
            (Some("of"), _) => before(2) == Some("limit") && tokens.contains(&"range"),
            _ => false,
        }
    };
    let limits = tokens.iter().enumerate().filter(|(index, _)| is_limit(*index)).filter_map(|(_, token)| count(token));
    limits.filter(|blocks| *blocks > 0).min()
}

/// `5000`, or `5k`.
fn count(token: &str) -> Option<u64> {
    match token.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
        None => token.parse().ok(),
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RANGE: Option<Fits> = Some(Fits::Range(100, 199));

    const fn blocks(blocks: u64) -> Option<Fits> {
        Some(Fits::Blocks(blocks))
    }

    /// Shapes of what providers and nodes answer to an `eth_getLogs` that is too large, written down from experience.
    #[test]
    fn a_range_that_is_too_large_and_what_would_do() {
        for (who, code, message, data, fits) in [
            (
                "Alchemy",
                -32602,
                "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response \
                 size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the \
                 response size limit, this block range should work: [0x64, 0xc7]",
                json!(null),
                RANGE,
            ),
            (
                "Alchemy, free",
                -32600,
                "Under this plan you can make eth_getLogs requests with up to a 10 block range.",
                json!(null),
                blocks(10),
            ),
            (
                "Infura, results",
                -32005,
                "query returned more than 10000 results. Try with this block range [0x64, 0xC7].",
                json!({ "from": "0x64", "limit": 10_000, "to": "0xC7" }),
                RANGE,
            ),
            ("Infura, range", -32602, "range 1000000 exceeds limit of 10000", json!(null), blocks(10_000)),
            ("QuickNode", -32614, "eth_getLogs is limited to a 10,000 range", json!(null), blocks(10_000)),
            ("Ankr", -32600, "block range is too wide", json!(null), None),
            ("Chainstack", -32000, "Block range limit exceeded. See the limits page of the documentation.", json!(null), None),
            ("dRPC", 35, "ranges over 10000 blocks are not supported on freetier", json!(null), blocks(10_000)),
            ("PublicNode", -32701, "exceed maximum block range: 50000", json!(null), blocks(50_000)),
            ("Cloudflare", -32047, "Invalid request. 'fromBlock'-'toBlock' range too large. Max range: 800", json!(null), blocks(800)),
            ("BlockPI", -32602, "eth_getLogs is limited to 1024 block range. Please check the requirements", json!(null), blocks(1_024)),
            ("Tenderly", -32602, "invalid params", json!({ "payload": "range 9009594 is bigger than range limit 2000" }), blocks(2_000)),
            ("a gateway", -32603, "eth_getLogs range is too large, max is 1k blocks", json!(null), blocks(1_000)),
            (
                "geth, a fork of it",
                -32000,
                "block range is larger than max block range, block range = 5120, max block range = 5000",
                json!(null),
                blocks(5_000),
            ),
            ("geth", -32002, "request timed out", json!(null), None),
            ("Erigon", -32000, "query returned more than 20000 results", json!(null), None),
            ("Nethermind", -32005, "Too many logs requested. Max logs per response is 20000.", json!(null), None),
            ("reth, range", -32602, "query exceeds max block range 100000", json!(null), blocks(100_000)),
            ("reth, results", -32602, "query exceeds max results 20000, retry with the range 100-199", json!(null), RANGE),
            ("Hardhat", -32603, "Internal error", json!({ "message": "Internal error" }), None),
            ("Ganache", -32000, "Maximum response size exceeded", json!(null), None),
            ("an ambiguous one", -32005, "limit exceeded", json!(null), None),
            ("HTTP 413", 413, "HTTP status 413", json!(null), None),
            ("HTTP 503", 503, "HTTP status 503", json!(null), None),
            ("nobody yet", -32000, "something that was never seen before", json!(null), None),
        ] {
            let data = (!data.is_null()).then_some(&data);
            assert_eq!(meaning(code, message, data), Meaning::Other { fits }, "{who}");
        }
    }

    #[test]
    fn a_spent_quota_and_how_long_to_wait() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (who, code, message, data, wait) in [
            ("Alchemy", 429, "Your app has exceeded its compute units per second capacity.", json!(null), None),
            (
                "Infura",
                -32005,
                "project ID request rate exceeded",
                json!({ "rate": { "allowed_rps": 1, "backoff_seconds": 30, "current_rps": 1.4 } }),
                seconds(30),
            ),
            ("Infura, day", -32005, "daily request count exceeded, request rate limited", json!(null), None),
            ("QuickNode", -32007, "50/second request limit reached - reduce calls per second or upgrade", json!(null), None),
            ("Ankr", -32090, "Too many requests, reason: call rate limit exhausted, retry in 10s", json!(null), seconds(10)),
            ("Chainstack", -32005, "You've exceeded the RPS limit available on the current plan.", json!(null), None),
            ("dRPC", 15, "Too many request, try again in 2 minutes", json!(null), seconds(120)),
            ("PublicNode", -32029, "Too Many Requests", json!(null), None),
            ("HTTP 429", 429, "HTTP status 429", json!(null), None),
            ("one that asks for a year", 429, "retry after 31536000 seconds", json!(null), seconds(600)),
        ] {
            let data = (!data.is_null()).then_some(&data);
            assert_eq!(meaning(code, message, data), Meaning::Quota { wait }, "{who}");
        }
    }

    #[test]
    fn a_block_that_is_not_there() {
        for (code, message) in
            [(-32000, "unknown block"), (-32000, "header not found"), (-32001, "Block not found: 0x2a"), (-39001, "Unknown block")]
        {
            assert_eq!(meaning(code, message, None), Meaning::UnknownBlock, "{message}");
        }
        assert_eq!(meaning(-32000, "block range is too large", None), Meaning::Other { fits: None });
    }

    #[test]
    fn an_endless_refusal_is_read_to_a_point() {
        let message = "x ".repeat(1_000_000) + "rate limit";
        assert_eq!(meaning(-32000, &message, None), Meaning::Other { fits: None });
    }
}

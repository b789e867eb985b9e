//! The words of a request, each parsed once.

use std::{collections::BTreeSet, fmt};

use alloy::primitives::{Address, B256, Bytes, hex};
use clawpay_bindings::event_names;
use clawpay_domain::{AccountError, AgentStatus, AmountError, RunState, Timestamp, Usdc, parse_account, rules};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use time::{OffsetDateTime, format_description::well_known};

use crate::text::base_units_hint;

/// Why a text is none of these words. Says nothing of the field: its reader knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotAWord(pub String);

impl fmt::Display for NotAWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<AccountError> for NotAWord {
    fn from(error: AccountError) -> Self {
        Self(error.to_string())
    }
}

impl From<AmountError> for NotAWord {
    fn from(error: AmountError) -> Self {
        Self(error.to_string())
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, NotAWord> {
    Err(NotAWord(reason.into()))
}

/// An account: 40 hex digits after `0x`, in one case or with the right EIP-55 checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Account(pub Address);

impl TryFrom<String> for Account {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        Ok(Self(parse_account(&text)?))
    }
}

/// A transaction's hash: 64 hex digits after `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct TransactionHash(pub B256);

impl TryFrom<String> for TransactionHash {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match text.strip_prefix("0x").map(str::parse) {
            Some(Ok(hash)) => Ok(Self(hash)),
            _ => refuse("must be a transaction hash: 0x and 64 hex digits"),
        }
    }
}

/// An amount in base units, as JSON states amounts: a text, so that no reader rounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BaseUnits(pub Usdc);

impl TryFrom<String> for BaseUnits {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        text.parse().map(Self).or_else(|error| match error {
            AmountError::NotANumber | AmountError::NotBaseUnits => refuse(not_base_units(&text)),
            AmountError::Negative | AmountError::TooManyDecimals | AmountError::TooLarge => Err(error.into()),
        })
    }
}

impl<'de> Deserialize<'de> for BaseUnits {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_any(AmountReader)
    }
}

/// How amounts are written, with what was written in another way as an example.
fn not_base_units(written: &str) -> String {
    const RULE: &str = "amounts are texts of base units, whole and without a unit";
    let number = written.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    match Usdc::parse_decimal(number) {
        Ok(amount) if amount <= rules::MAXIMUM_REWARD => format!("{RULE}: {amount} USDC is \"{}\"", amount.0),
        Ok(_) | Err(_) => format!("{RULE}: 20 USDC is \"20000000\""),
    }
}

struct AmountReader;

impl Visitor<'_> for AmountReader {
    type Value = BaseUnits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text of base units, such as \"20000000\" for 20 USDC")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BaseUnits, E> {
        text.to_owned().try_into().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<BaseUnits, E> {
        let hint = base_units_hint(Usdc::base_units(number));
        Err(E::custom(format_args!("amounts are texts of base units, and not numbers: {hint}")))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<BaseUnits, E> {
        Err(E::custom(not_base_units(&number.to_string())))
    }
}

/// 32 bytes as hex, after `0x` or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Word(pub B256);

impl TryFrom<String> for Word {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        text.parse().map(Self).or_else(|_| refuse("must be 32 bytes as hex, 0x and 64 digits"))
    }
}

/// A bound for rewards in USDC, as people write it: with a point and at most six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RewardBound(pub Usdc);

impl TryFrom<String> for RewardBound {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match Usdc::parse_decimal(&text) {
            Ok(bound) if bound <= rules::MAXIMUM_REWARD => Ok(Self(bound)),
            Ok(_) | Err(AmountError::TooLarge) => refuse(format!(
                "is in USDC, not in base units: 100 is 100 USDC, and no reward is larger than {} USDC",
                rules::MAXIMUM_REWARD
            )),
            Err(error) => Err(error.into()),
        }
    }
}

/// A whole number from a path or query: decimal digits only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Digits(pub u64);

impl TryFrom<String> for Digits {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return refuse("must be a whole number in decimal digits");
        }
        text.parse().map(Self).or_else(|_| refuse("is larger than any id"))
    }
}

/// A date: RFC 3339 with any offset; fractions of a second are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Rfc3339(pub Timestamp);

impl TryFrom<String> for Rfc3339 {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        let Ok(at) = OffsetDateTime::parse(&text, &well_known::Rfc3339) else {
            return refuse("must be a date by RFC 3339, such as 2026-11-28T12:00:00Z");
        };
        u64::try_from(at.unix_timestamp()).map(|seconds| Self(Timestamp(seconds))).or_else(|_| refuse("must not be before 1970"))
    }
}

/// Which page, from 1 to 2^31 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PageNumber(pub u32);

impl TryFrom<String> for PageNumber {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        const LAST: u32 = (1 << 31) - 1;
        match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse()) {
            Some(Ok(number @ 1..=LAST)) => Ok(Self(number)),
            _ => refuse(format!("must be a whole number from 1 to {LAST}")),
        }
    }
}

/// How many items on a page, from 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PageSize(pub u32);

impl TryFrom<String> for PageSize {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse()) {
            Some(Ok(size @ 1..=100)) => Ok(Self(size)),
            _ => refuse("must be a whole number from 1 to 100"),
        }
    }
}

/// How long to wait, from 0 to 30 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct WaitSeconds(pub u64);

impl TryFrom<String> for WaitSeconds {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse()) {
            Some(Ok(seconds @ 0..=30)) => Ok(Self(seconds)),
            _ => refuse("must be a whole number of seconds from 0 to 30"),
        }
    }
}

/// Names of the contracts' events, separated by commas.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct EventTypes(pub Vec<String>);

impl TryFrom<String> for EventTypes {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        let known = event_names();
        let names: BTreeSet<_> = text.split(',').collect();
        match names.iter().find(|name| !known.contains(name)) {
            None => Ok(Self(names.into_iter().map(str::to_owned).collect())),
            Some(_) => refuse(format!("must be names of events, separated by commas: {}", known.join(", "))),
        }
    }
}

/// Defines a text of one or several of an enum's words, separated by commas. Each counts once.
macro_rules! several {
    ($(#[$doc:meta])* $name:ident of $word:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name(pub Vec<$word>);

        impl TryFrom<String> for $name {
            type Error = NotAWord;

            fn try_from(text: String) -> Result<Self, NotAWord> {
                let words: Result<BTreeSet<$word>, _> = text.split(',').map(str::parse).collect();
                let Ok(words) = words else {
                    let all: Vec<_> = <$word>::ALL.iter().map(|word| word.as_str()).collect();
                    return refuse(format!("must be one of these words, or several separated by commas: {}", all.join(", ")));
                };
                Ok(Self(words.into_iter().collect()))
            }
        }
    };
}

several! {
    /// Where runs stand.
    RunStates of RunState
}

several! {
    /// Where agents stand.
    AgentStatuses of AgentStatus
}

/// How many days, from 1 to 366.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DayCount(pub u16);

impl TryFrom<String> for DayCount {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse()) {
            Some(Ok(days @ 1..=366)) => Ok(Self(days)),
            _ => refuse("must be a whole number of days from 1 to 366"),
        }
    }
}

/// Bytes as hex, after `0x`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HexBytes(pub Bytes);

impl TryFrom<String> for HexBytes {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        match text.strip_prefix("0x").map(hex::decode) {
            Some(Ok(bytes)) => Ok(Self(bytes.into())),
            _ => refuse("must be bytes as hex, two digits each, after 0x"),
        }
    }
}

/// Bytes as hex, after `0x` or not: libraries print what they sign in both ways.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct AnyHex(pub Bytes);

impl TryFrom<String> for AnyHex {
    type Error = NotAWord;

    fn try_from(text: String) -> Result<Self, NotAWord> {
        let text = if text.starts_with("0x") { text } else { format!("0x{text}") };
        HexBytes::try_from(text).map(|bytes| Self(bytes.0))
    }
}

/// Defines a text with bounds on its bytes, as the contracts count them.
macro_rules! bounded_text {
    ($(#[$doc:meta])* $name:ident, $minimum:expr, $maximum:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name(pub String);

        impl TryFrom<String> for $name {
            type Error = NotAWord;

            fn try_from(text: String) -> Result<Self, NotAWord> {
                const MINIMUM: u64 = $minimum;
                const MAXIMUM: u64 = $maximum;
                match u64::try_from(text.len()) {
                    Ok(MINIMUM..=MAXIMUM) => Ok(Self(text)),
                    _ => refuse(format!("must have {MINIMUM} to {MAXIMUM} bytes, and has {}", text.len())),
                }
            }
        }
    };
}

bounded_text! {
    /// Where a run's work is described.
    ContentUri, 1, rules::MAXIMUM_TEXT_BYTES
}

bounded_text! {
    /// Where delivered work is.
    DeliverableUri, 1, rules::MAXIMUM_TEXT_BYTES
}

bounded_text! {
    /// What a poster wants changed.
    Feedback, 0, rules::MAXIMUM_TEXT_BYTES
}

bounded_text! {
    /// Where an agent is described.
    AgentUri, 0, rules::MAXIMUM_AGENT_URI_BYTES
}

bounded_text! {
    /// Under which key an agent's metadata has an entry.
    MetadataKey, 1, rules::MAXIMUM_AGENT_URI_BYTES
}

bounded_text! {
    /// What such an entry says.
    MetadataText, 0, rules::MAXIMUM_AGENT_URI_BYTES
}

bounded_text! {
    /// What inline content is filed under.
    Tag, 1, rules::MAXIMUM_TEXT_BYTES
}

bounded_text! {
    /// What a person types to find a run.
    Search, 1, rules::MAXIMUM_TEXT_BYTES
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<T: TryFrom<String, Error = NotAWord>>(text: &str) -> Result<T, NotAWord> {
        text.to_owned().try_into()
    }

    #[test]
    fn addresses_come_in_one_case_or_with_their_checksum() {
        let right = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let address = parse::<Account>(right).unwrap();
        for text in [right.to_lowercase(), right.to_uppercase(), right.to_uppercase().replace("0X", "0x")] {
            assert_eq!(parse::<Account>(&text), Ok(address), "{text}");
        }
        for text in [
            "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
            "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb9226",
            "0xf39fd6e51aad88f6f4ce6ab8827279cfffb922666",
            "0xg39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            " 0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
            "vitalik.eth",
            "",
        ] {
            assert!(parse::<Account>(text).is_err(), "{text}");
        }
        assert!(parse::<Account>("0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266").unwrap_err().0.contains("checksum"));
    }

    #[test]
    fn dates_take_any_offset_and_drop_fractions() {
        for text in ["2024-01-20T12:00:00Z", "2024-01-20T12:00:00.999Z", "2024-01-20T14:30:00+02:30", "2024-01-20t12:00:00z"] {
            assert_eq!(parse::<Rfc3339>(text), Ok(Rfc3339(Timestamp(1_705_752_000))), "{text}");
        }
        for text in ["2024-01-20", "1705752000", "2024-13-20T12:00:00Z", "2024-01-20T12:00:00", "1969-12-31T23:59:59Z", ""] {
            assert!(parse::<Rfc3339>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_digits_within_bounds() {
        assert_eq!(parse::<Digits>("18446744073709551615"), Ok(Digits(u64::MAX)));
        for text in ["", "+1", "-1", "1.0", "0x1", " 1", "1e3", "18446744073709551616", "１"] {
            assert!(parse::<Digits>(text).is_err(), "{text}");
        }
        assert_eq!(parse::<PageNumber>("2147483647"), Ok(PageNumber(2_147_483_647)));
        for text in ["0", "-1", "+1", "2147483648", "99999999999999999999", "1.5", "a", ""] {
            assert!(parse::<PageNumber>(text).is_err(), "{text}");
        }
        assert_eq!((parse::<PageSize>("1"), parse::<PageSize>("100")), (Ok(PageSize(1)), Ok(PageSize(100))));
        for text in ["0", "101", "-5", "+5", "ten", ""] {
            assert!(parse::<PageSize>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn amounts_are_base_units_or_usdc_never_both() {
        assert_eq!(parse::<BaseUnits>("20000000"), Ok(BaseUnits(Usdc::whole(20))));
        assert_eq!(parse::<RewardBound>("20"), Ok(RewardBound(Usdc::whole(20))));
        assert_eq!(parse::<RewardBound>("0.000001"), Ok(RewardBound(Usdc::base_units(1))));
        for text in ["20.5", "-1", "1e6", "", "0x10", " 1"] {
            assert!(parse::<BaseUnits>(text).is_err(), "{text}");
        }
        for text in ["0.0000001", "-1", "1e6", "", ".", "1,5", "NaN"] {
            assert!(parse::<RewardBound>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_amount_that_is_no_text_of_base_units_is_answered_with_one() {
        let detail = |json: serde_json::Value| serde_json::from_value::<BaseUnits>(json).unwrap_err().to_string();
        let rule = "amounts are texts of base units, whole and without a unit";
        for (written, example) in [
            (json!("12 USDC"), "12 USDC is \"12000000\""),
            (json!("20.5"), "20.5 USDC is \"20500000\""),
            (json!(20.5), "20.5 USDC is \"20500000\""),
            (json!("1e6"), "20 USDC is \"20000000\""),
            (json!("0x10"), "20 USDC is \"20000000\""),
            (json!(""), "20 USDC is \"20000000\""),
            (json!("twenty"), "20 USDC is \"20000000\""),
        ] {
            assert_eq!(detail(written), format!("{rule}: {example}"));
        }
        let hint = "\"20\" is 0.00002 USDC; 20 USDC is \"20000000\"";
        assert_eq!(detail(json!(20)), format!("amounts are texts of base units, and not numbers: {hint}"));
        assert_eq!(detail(json!("-1")), "must not be negative");
        assert!(detail(json!(true)).contains("expected a text of base units, such as"));
    }

    #[test]
    fn a_bound_above_every_reward_is_taken_for_base_units() {
        let largest = rules::MAXIMUM_REWARD.to_string();
        assert_eq!(parse::<RewardBound>(&largest), Ok(RewardBound(rules::MAXIMUM_REWARD)));
        for text in ["72057594037.927936", "100000000000", "9999999999999999999999999999999999999999"] {
            assert!(parse::<RewardBound>(text).unwrap_err().0.contains("100 is 100 USDC"), "{text}");
        }
    }

    #[test]
    fn states_are_words_of_the_rules_once_each() {
        let states = |text| parse::<RunStates>(text).map(|states| states.0);
        assert_eq!(states("OPEN"), Ok(vec![RunState::Open]));
        assert_eq!(states("CLAIMED,OPEN,CLAIMED"), Ok(vec![RunState::Open, RunState::Claimed]));
        for text in ["", ",", "OPEN,", "open", "OPEN CLAIMED", "OPEN, CLAIMED", "DONE"] {
            assert!(states(text).unwrap_err().0.contains("DRAFT, OPEN"), "{text}");
        }
    }

    #[test]
    fn event_types_are_names_of_the_abi_once_each() {
        let types = |text| parse::<EventTypes>(text).map(|types| types.0);
        assert_eq!(types("RunClaimed"), Ok(vec!["RunClaimed".to_owned()]));
        assert_eq!(types("RunFunded,RunClaimed,RunFunded"), Ok(vec!["RunClaimed".to_owned(), "RunFunded".to_owned()]));
        for text in ["", ",", "RunClaimed,", "runClaimed", "RunClaimed RunFunded", "*"] {
            assert!(types(text).is_err(), "{text}");
        }
        assert_eq!((parse::<WaitSeconds>("0"), parse::<WaitSeconds>("30")), (Ok(WaitSeconds(0)), Ok(WaitSeconds(30))));
        for text in ["", "31", "-1", "1.5", "+1"] {
            assert!(parse::<WaitSeconds>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_hex_after_their_mark() {
        assert_eq!(parse::<HexBytes>("0xFf00"), Ok(HexBytes(Bytes::from_static(&[255, 0]))));
        assert_eq!(parse::<HexBytes>("0x"), Ok(HexBytes(Bytes::new())));
        for text in ["", "12", "0X12", "0x1", "0xzz", " 0x12"] {
            assert!(parse::<HexBytes>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_are_counted_in_bytes() {
        assert!(parse::<ContentUri>("").is_err());
        assert!(parse::<ContentUri>(&"x".repeat(2048)).is_ok());
        assert!(parse::<ContentUri>(&"x".repeat(2049)).is_err());
        assert!(parse::<ContentUri>(&"ä".repeat(1025)).is_err());
        assert!(parse::<Feedback>("").is_ok());
        assert!(parse::<AgentUri>(&"x".repeat(8192)).is_ok());
        assert!(parse::<AgentUri>(&"x".repeat(8193)).is_err());
    }
}

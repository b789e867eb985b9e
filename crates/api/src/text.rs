//! Domain words as the wire spells them.

use alloy::primitives::{Address, U256};
use clawpay_bindings::Revert;
use clawpay_domain::{Refusal, Timestamp, Usdc};
use serde::{Serialize, Serializer};
use time::{OffsetDateTime, macros::datetime};

/// An address with its EIP-55 checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksummed(pub Address);

impl Serialize for Checksummed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_checksum_buffer(None).as_str())
    }
}

/// A time as ISO 8601 in UTC, with the milliseconds that JavaScript's dates have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsoDate(pub Timestamp);

/// Last second that four digits of year can say; the chain's own deadlines end two thousand years before it.
const LAST: OffsetDateTime = datetime!(9999-12-31 23:59:59 UTC);

impl std::fmt::Display for IsoDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = i64::try_from(self.0.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()).unwrap_or(LAST);
        let (date, time) = (at.date(), at.time());
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

impl Serialize for IsoDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes that people wrote, shown as UTF-8 with replacement characters where they are none.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A JSON-RPC quantity: hex without leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub U256);

impl Quantity {
    /// A small one.
    pub(crate) fn of(number: u64) -> Self {
        Self(U256::from(number))
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:#x}", self.0))
    }
}

/// A refusal in words, with dates for the times in it.
pub(crate) fn refusal_sentence(refusal: &Refusal) -> String {
    match refusal {
        Refusal::DeadlineOutOfRange { deadline, timestamp, latest } => {
            format!("a deadline of {} is not later than {} and at most {}", IsoDate(*deadline), IsoDate(*timestamp), IsoDate(*latest))
        }
        Refusal::DeadlinePassed { run, deadline, .. } => format!("the deadline of run {run} passed at {}", IsoDate(*deadline)),
        Refusal::TooLate { run, until, timestamp } => {
            format!("too late for run {run}: possible until {}, it is {}", IsoDate(*until), IsoDate(*timestamp))
        }
        Refusal::TooEarly { run, from, timestamp } => {
            format!("too early for run {run}: possible from {}, it is {}", IsoDate(*from), IsoDate(*timestamp))
        }
        Refusal::RewardOutOfRange { reward, minimum, .. } if reward < minimum && !reward.0.is_zero() => {
            format!("{refusal}; {}", base_units_hint(*reward))
        }
        other => other.to_string(),
    }
}

/// What an amount in base units comes to, and how as many whole USDC are written.
pub(crate) fn base_units_hint(amount: Usdc) -> String {
    let units = amount.0;
    format!("\"{units}\" is {amount} USDC; {units} USDC is \"{}\"", amount.saturating_mul(1_000_000).0)
}

/// A revert in words.
pub(crate) fn revert_sentence(revert: &Revert) -> String {
    match revert {
        Revert::Refusal(refusal) => refusal_sentence(refusal),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;

    use super::*;

    fn json(value: impl Serialize) -> String {
        serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn dates_have_milliseconds_and_a_z() {
        assert_eq!(json(IsoDate(Timestamp(1_705_752_000))), "2024-01-20T12:00:00.000Z");
        assert_eq!(json(IsoDate(Timestamp(0))), "1970-01-01T00:00:00.000Z");
        assert_eq!(json(IsoDate(Timestamp(951_827_696))), "2000-02-29T12:34:56.000Z");
        assert_eq!(json(IsoDate(Timestamp(u64::MAX))), "9999-12-31T23:59:59.000Z");
    }

    #[test]
    fn addresses_have_their_checksum() {
        let address = address!("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
        assert_eq!(json(Checksummed(address)), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    }

    #[test]
    fn quantities_have_no_leading_zeros() {
        assert_eq!(json(Quantity::of(0)), "0x0");
        assert_eq!(json(Quantity::of(0x7a69)), "0x7a69");
        assert_eq!(json(Quantity(U256::MAX)), format!("0x{}", "f".repeat(64)));
    }

    #[test]
    fn an_amount_that_was_meant_in_whole_usdc_is_explained() {
        assert_eq!(base_units_hint(Usdc::base_units(20)), "\"20\" is 0.00002 USDC; 20 USDC is \"20000000\"");
        let refusal = |reward| Refusal::RewardOutOfRange { reward, minimum: Usdc::whole(1), maximum: Usdc::whole(9) };
        assert!(refusal_sentence(&refusal(Usdc::base_units(20))).ends_with("20 USDC is \"20000000\""));
        assert!(!refusal_sentence(&refusal(Usdc::ZERO)).contains('"') && !refusal_sentence(&refusal(Usdc::whole(10))).contains('"'));
    }

    #[test]
    fn what_is_not_utf8_is_shown_all_the_same() {
        assert_eq!(lossy(b"a\xff\0b"), "a\u{fffd}\0b");
    }
}

//! Domain words as the wire spells them.

use alloy::primitives::{Address, U256};
use clawpay_bindings::Revert;
use clawpay_domain::{Agent, AgentId, AgentStatus, Refusal, StakeParameters, Timestamp, Usdc};
use serde::{Serialize, Serializer};
use time::{OffsetDateTime, macros::datetime};

/// An address with its EIP-55 checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksummed(pub Address);

impl Serialize for Checksummed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.to_checksum_buffer(None).as_str())
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
        // In one piece: each piece of a text is looked through for what has to be escaped.
        serializer.serialize_str(&self.to_string())
    }
}

/// Whether a text is a scheme, its colon, and more or nothing.
pub(crate) fn begins_as_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    is_scheme && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
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
            format!("a deadline must be later than {} and at most {}; {} is not", IsoDate(*timestamp), IsoDate(*latest), IsoDate(*deadline))
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
        Refusal::NotEligible { agent, status: AgentStatus::Unverified } => {
            format!("{refusal}: it has staked less than the minimum (see GET /api/agents/{agent}/stake); {}", stake_more(*agent))
        }
        Refusal::ExceedsWithdrawable { agent, .. } => format!(
            "{refusal}: while runs are in its hands, the minimum stake or what they commit has to stay, whichever is more (see \
             `withdrawableAmount` of GET /api/agents/{agent}/stake)"
        ),
        other => other.to_string(),
    }
}

/// A refusal in words, with what `agent` has staked where that is too little by these rules.
pub(crate) fn refusal_to_agent(refusal: &Refusal, agent: &Agent, rules: &StakeParameters) -> String {
    match refusal {
        Refusal::NotEligible { agent: id, status: AgentStatus::Unverified } => {
            let (stake, minimum) = (agent.record.stake, rules.minimum_stake);
            format!("{refusal}: it has staked {stake} USDC, and {minimum} USDC are needed; {}", stake_more(*id))
        }
        other => refusal_sentence(other),
    }
}

fn stake_more(agent: AgentId) -> String {
    format!("POST /api/agents/{agent}/stake deposits more")
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
        Revert::SignatureExpired { deadline, timestamp } => {
            format!("the wallet's consent ended at {}, it is {}; ask for it anew", IsoDate(*deadline), IsoDate(*timestamp))
        }
        Revert::SignatureTooLong { deadline, latest } => {
            format!("a consent until {} ends after {}, which is the latest", IsoDate(*deadline), IsoDate(*latest))
        }
        Revert::RequestExpired { deadline } => format!("the signed request ended at {}", IsoDate(*deadline)),
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
    fn a_refusal_says_why_and_what_to_do() {
        let (agent, deadline, timestamp) = (AgentId(6), Timestamp(1_830_297_600), Timestamp(1_795_907_294));
        let latest = Timestamp(1_827_443_294);
        assert_eq!(
            refusal_sentence(&Refusal::DeadlineOutOfRange { deadline, timestamp, latest }),
            "a deadline must be later than 2026-11-28T23:08:14.000Z and at most 2027-11-28T23:08:14.000Z; 2028-01-01T00:00:00.000Z is not"
        );
        let unverified = Refusal::NotEligible { agent, status: AgentStatus::Unverified };
        assert!(refusal_sentence(&unverified).ends_with("(see GET /api/agents/6/stake); POST /api/agents/6/stake deposits more"));
        let frozen = Refusal::NotEligible { agent, status: AgentStatus::Frozen };
        assert!(!refusal_sentence(&frozen).contains("POST"));
        let withdrawn = refusal_sentence(&Refusal::ExceedsWithdrawable { agent, amount: Usdc::whole(10), withdrawable: Usdc::ZERO });
        assert!(
            withdrawn.contains("not 10 USDC: while runs are in its hands") && withdrawn.contains("`withdrawableAmount`"),
            "{withdrawn}"
        );
    }

    #[test]
    fn a_signature_that_is_not_good_any_more_is_told_with_dates() {
        let (deadline, timestamp) = (Timestamp(1_795_907_269), Timestamp(1_795_907_294));
        let expired = revert_sentence(&Revert::SignatureExpired { deadline, timestamp });
        assert!(expired.contains("2026-11-28T23:07:49.000Z, it is 2026-11-28T23:08:14.000Z"), "{expired}");
        let long = revert_sentence(&Revert::SignatureTooLong { deadline: timestamp, latest: deadline });
        assert!(long.contains("until 2026-11-28T23:08:14.000Z ends after 2026-11-28T23:07:49.000Z"), "{long}");
        assert!(revert_sentence(&Revert::RequestExpired { deadline }).ends_with("2026-11-28T23:07:49.000Z"));
    }

    #[test]
    fn what_is_not_utf8_is_shown_all_the_same() {
        assert_eq!(lossy(b"a\xff\0b"), "a\u{fffd}\0b");
    }
}

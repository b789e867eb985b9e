//! The trust ladder, rung by rung from the worst.

use clawpay_domain::{
    AgentStatus::{self, Banned, Established, Frozen, Provisional, Unverified},
    Parameters, StakeRecord, Timestamp, Usdc,
};

use crate::fixture::NOW;

const THIRTY_DAYS: u64 = 30 * 86_400;

/// An agent that is ESTABLISHED by the last second and the last completion.
fn established() -> StakeRecord {
    StakeRecord {
        stake: Usdc::whole(20),
        owed: Usdc::ZERO,
        runs_in_hand: 0,
        slashes: 0,
        completions: 5,
        staked_since: Some(Timestamp(NOW.0 - THIRTY_DAYS)),
    }
}

fn status(record: StakeRecord) -> AgentStatus {
    record.status(&Parameters::default().stake, NOW)
}

#[test]
fn banned_after_three_slashes_whatever_else() {
    assert_eq!([2, 3, 4].map(|slashes| status(StakeRecord { slashes, ..established() })), [Established, Banned, Banned]);
    let worst = StakeRecord { slashes: 3, owed: Usdc::whole(10), stake: Usdc::ZERO, staked_since: None, ..established() };
    assert_eq!(status(worst), Banned);
}

#[test]
fn frozen_while_anything_is_owed_even_below_the_minimum() {
    let owed = |owed| status(StakeRecord { owed: Usdc::base_units(owed), slashes: 1, ..established() });
    assert_eq!([0, 1, 10_000_000].map(owed), [Established, Frozen, Frozen]);
    let poor = StakeRecord { owed: Usdc::base_units(1), slashes: 1, stake: Usdc::ZERO, staked_since: None, ..established() };
    assert_eq!(status(poor), Frozen);
}

#[test]
fn unverified_below_twenty_usdc() {
    let staked = |units| {
        let stake = Usdc::base_units(units);
        status(StakeRecord { stake, staked_since: (units >= 20_000_000).then_some(NOW), ..established() })
    };
    assert_eq!([0, 19_999_999, 20_000_000, 20_000_001].map(staked), [Unverified, Unverified, Provisional, Provisional]);
}

#[test]
fn established_from_thirty_days_and_five_completions() {
    let aged = |age| status(StakeRecord { staked_since: Some(Timestamp(NOW.0 - age)), ..established() });
    assert_eq!([THIRTY_DAYS - 1, THIRTY_DAYS, THIRTY_DAYS + 1].map(aged), [Provisional, Established, Established]);
    let completed = |completions| status(StakeRecord { completions, ..established() });
    assert_eq!([0, 4, 5, 6].map(completed), [Provisional, Provisional, Established, Established]);
}

#[test]
fn only_provisional_and_established_may_claim() {
    let claiming: Vec<_> = AgentStatus::ALL.iter().filter(|status| status.may_claim()).collect();
    assert_eq!(claiming, [&Provisional, &Established]);
}

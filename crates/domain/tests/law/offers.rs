//! Creating a run: the limits of an offer, and the fee on top of it.

use alloy_primitives::Bytes;
use clawpay_domain::{EscrowParameters, NewRun, Parameters, Timestamp, Usdc, rules};

use crate::{
    fixture::{DEADLINE, NOW, POSTER, REWARD, market},
    market::Call,
};

const YEAR: u64 = 365 * 86_400;

fn offer() -> NewRun {
    NewRun { reward: REWARD, deadline: DEADLINE, max_revisions: 3, content_uri: Bytes::from_static(b"ipfs://content") }
}

/// Whether the offer may be written down, or the code of what is wrong with it.
fn created(new: NewRun) -> Result<(), &'static str> {
    market().try_call(POSTER, &Call::Create(new), NOW).map_err(|refusal| refusal.code())
}

#[test]
fn the_reward_is_at_least_one_usdc_and_below_2_to_the_56() {
    let reward = |units| created(NewRun { reward: Usdc::base_units(units), ..offer() });
    let refused = Err("reward_out_of_range");
    assert_eq!([0, 999_999, 1_000_000].map(reward), [refused, refused, Ok(())]);
    assert_eq!([(1 << 56) - 1, 1 << 56, u64::MAX].map(reward), [Ok(()), refused, refused]);
}

#[test]
fn the_deadline_is_later_than_now_and_at_most_a_year_ahead() {
    let deadline = |deadline| created(NewRun { deadline: Timestamp(deadline), ..offer() });
    let refused = Err("deadline_out_of_range");
    assert_eq!([NOW.0 - 1, NOW.0, NOW.0 + 1].map(deadline), [refused, refused, Ok(())]);
    assert_eq!([NOW.0 + YEAR - 1, NOW.0 + YEAR, NOW.0 + YEAR + 1].map(deadline), [Ok(()), Ok(()), refused]);
}

#[test]
fn there_are_at_most_three_revisions() {
    let max_revisions = |max_revisions| created(NewRun { max_revisions, ..offer() });
    assert_eq!([0, 3, 4].map(max_revisions), [Ok(()), Ok(()), Err("too_many_revisions")]);
}

#[test]
fn the_content_uri_has_1_to_2048_bytes_of_any_kind() {
    let content = |bytes| created(NewRun { content_uri: Bytes::from(vec![0xff; bytes]), ..offer() });
    let refused = Err("length_out_of_range");
    assert_eq!([0, 1, 2048, 2049].map(content), [refused, Ok(()), Ok(()), refused]);
}

#[test]
fn what_is_wrong_with_an_offer_is_told_in_order() {
    let mut new = NewRun { reward: Usdc::ZERO, deadline: NOW, max_revisions: 4, content_uri: Bytes::new() };
    assert_eq!(created(new.clone()), Err("reward_out_of_range"));
    new.reward = REWARD;
    assert_eq!(created(new.clone()), Err("deadline_out_of_range"));
    new.deadline = DEADLINE;
    assert_eq!(created(new.clone()), Err("too_many_revisions"));
    new.max_revisions = 3;
    assert_eq!(created(new), Err("length_out_of_range"));
}

#[test]
fn the_fee_is_five_percent_rounded_down() {
    let fee = |reward| rules::fee(Usdc::base_units(reward), &Parameters::default().escrow).0.to::<u64>();
    assert_eq!([0, 19, 20, 39, 40].map(fee), [0, 0, 1, 1, 2]);
    assert_eq!([1_000_000, 1_000_019, 1_000_020].map(fee), [50_000, 50_000, 50_001]);
    assert_eq!(fee(100_000_000), 5_000_000);
    // 2^56 - 1 = 72057594037927935; a twentieth of it is 3602879701896396.75.
    assert_eq!(fee((1 << 56) - 1), 3_602_879_701_896_396);
}

#[test]
fn the_fee_follows_the_deployment() {
    let fee = |fee_bps| rules::fee(Usdc::base_units(9_999), &EscrowParameters { fee_bps, ..Parameters::default().escrow });
    assert_eq!([0, 1, 2, 10_000].map(fee), [0, 0, 1, 9_999].map(Usdc::base_units));
}

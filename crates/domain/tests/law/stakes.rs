//! Depositing and withdrawing: who, how much, and what it does to the record.

use clawpay_domain::{AgentId, NewRun, Refusal, RunState, Timestamp, Usdc, rules};

use crate::{
    fixture::{ACCOUNTS, AGENT, CLAIMED_AT, DUE_AT, NOW, OWNER, POSTER, RUN, STRANGER, WALLET, claim, market, with_run},
    market::{Call, Market},
};

fn stake(amount: Usdc) -> Call {
    Call::Stake { agent: AGENT, amount }
}

fn unstake(amount: Usdc) -> Call {
    Call::Unstake { agent: AGENT, amount }
}

/// An agent with `stake` USDC and `runs` in hand.
fn with_runs_in_hand(stake_of: u64, runs: u64) -> Market {
    let mut market = market();
    market.make(OWNER, &stake(Usdc::whole(stake_of - 20)), NOW);
    for _ in 0..runs {
        let new = NewRun {
            reward: Usdc::whole(1),
            deadline: Timestamp(NOW.0 + 1),
            max_revisions: 3,
            content_uri: alloy_primitives::Bytes::from_static(b"x"),
        };
        market.make(POSTER, &Call::CreateAndFund(new), NOW);
        let run = clawpay_domain::RunId(market.runs.len() as u64);
        let action = claim(market.run(run));
        market.make(OWNER, &Call::Act { run, action }, NOW);
    }
    market
}

/// The most that can be withdrawn, found by trying one base unit more.
fn limit(market: &Market, now: Timestamp) -> Usdc {
    let withdrawable = market.record().withdrawable(&market.parameters.stake, now);
    if withdrawable > Usdc::ZERO {
        assert_eq!(market.try_call(OWNER, &unstake(withdrawable), now), Ok(()));
    }
    let more = market.try_call(OWNER, &unstake(withdrawable.saturating_add(Usdc::base_units(1))), now);
    assert!(matches!(more, Err(Refusal::ExceedsWithdrawable { .. } | Refusal::Frozen { .. })), "{more:?}");
    withdrawable
}

#[test]
fn without_runs_in_hand_everything_may_leave() {
    assert_eq!(limit(&with_runs_in_hand(50, 0), NOW), Usdc::whole(50));
}

#[test]
fn with_runs_in_hand_the_minimum_stays_or_ten_for_each_run() {
    assert_eq!(limit(&with_runs_in_hand(50, 1), NOW), Usdc::whole(30));
    assert_eq!(limit(&with_runs_in_hand(50, 2), NOW), Usdc::whole(30));
    assert_eq!(limit(&with_runs_in_hand(50, 3), NOW), Usdc::whole(20));
    assert_eq!(limit(&with_runs_in_hand(50, 5), NOW), Usdc::ZERO);
}

#[test]
fn frozen_stake_stays_and_banned_stake_may_leave() {
    let mut market = with_runs_in_hand(100, 4);
    let due_at = Timestamp(NOW.0 + 604_800);
    for run in 1..=2 {
        let slash = Call::Act { run: clawpay_domain::RunId(run), action: rules::Action::Slash };
        market.make(POSTER, &slash, due_at);
    }
    assert_eq!(limit(&market, due_at), Usdc::ZERO);
    let frozen = market.try_call(OWNER, &unstake(Usdc::ZERO), due_at);
    assert_eq!(frozen, Err(Refusal::Frozen { agent: AGENT, owed: Usdc::whole(20) }));

    let slash = Call::Act { run: clawpay_domain::RunId(3), action: rules::Action::Slash };
    market.make(POSTER, &slash, due_at);
    // 70 are left, and the fourth run holds the minimum of 20.
    assert_eq!(limit(&market, due_at), Usdc::whole(50));
}

#[test]
fn only_the_tokens_owner_withdraws() {
    let market = market();
    assert_eq!(ACCOUNTS.map(|caller| market.try_call(caller, &unstake(Usdc::whole(1)), NOW).is_ok()), [false, true, false, false]);
    let refusal = market.try_call(WALLET, &unstake(Usdc::ZERO), NOW);
    assert_eq!(refusal, Err(Refusal::NotOwner { agent: AGENT, caller: WALLET, owner: OWNER }));
}

#[test]
fn withdrawals_are_more_than_nothing() {
    let refusal = market().try_call(OWNER, &unstake(Usdc::ZERO), NOW);
    let one = Usdc::base_units(1);
    assert_eq!(refusal, Err(Refusal::AmountOutOfRange { amount: Usdc::ZERO, minimum: one, maximum: Usdc::whole(20) }));
}

#[test]
fn anyone_deposits_for_any_agent_between_one_base_unit_and_what_fits_64_bits() {
    let market = market();
    for caller in ACCOUNTS {
        assert_eq!(market.try_call(caller, &stake(Usdc::base_units(1)), NOW), Ok(()));
    }
    let code = |amount| market.try_call(OWNER, &stake(amount), NOW).map_err(|refusal| refusal.code());
    assert_eq!(code(Usdc::ZERO), Err("amount_out_of_range"));
    // 20 USDC are there already.
    let room = Usdc::base_units(u64::MAX - 20_000_000);
    assert_eq!(rules::stake(room, Usdc::whole(20)), Ok(()));
    assert_eq!(code(room.saturating_add(Usdc::base_units(1))), Err("amount_out_of_range"));
    let unknown = market.try_call(OWNER, &Call::Stake { agent: AgentId(2), amount: Usdc::whole(1) }, NOW);
    assert_eq!(unknown, Err(Refusal::AgentNotFound { agent: AgentId(2) }));
}

#[test]
fn deposits_pay_down_what_is_owed_and_still_count_as_stake() {
    let mut market = with_run(RunState::Slashed);
    assert_eq!((market.record().stake, market.record().owed), (Usdc::whole(10), Usdc::whole(10)));
    market.make(STRANGER, &stake(Usdc::whole(4)), DUE_AT);
    assert_eq!((market.record().stake, market.record().owed), (Usdc::whole(14), Usdc::whole(6)));
    market.make(STRANGER, &stake(Usdc::whole(7)), DUE_AT);
    assert_eq!((market.record().stake, market.record().owed), (Usdc::whole(21), Usdc::ZERO));
}

#[test]
fn the_uninterrupted_time_begins_at_the_minimum_and_ends_below_it() {
    let mut market = market();
    let since = |market: &Market| market.record().staked_since;
    let later = |seconds| Timestamp(NOW.0 + seconds);
    assert_eq!(since(&market), Some(NOW));
    market.make(OWNER, &stake(Usdc::whole(5)), later(1));
    assert_eq!(since(&market), Some(NOW), "a further deposit does not restart it");
    market.make(OWNER, &unstake(Usdc::whole(5)), later(2));
    assert_eq!(since(&market), Some(NOW), "the minimum itself keeps it");
    market.make(OWNER, &unstake(Usdc::base_units(1)), later(3));
    assert_eq!(since(&market), None);
    market.make(OWNER, &stake(Usdc::base_units(1)), later(4));
    assert_eq!(since(&market), Some(later(4)));
}

#[test]
fn a_slash_of_a_larger_stake_keeps_the_uninterrupted_time() {
    let mut market = with_run(RunState::Open);
    market.make(OWNER, &stake(Usdc::whole(10)), NOW);
    let action = claim(market.run(RUN));
    market.act(OWNER, action, CLAIMED_AT);
    market.act(POSTER, rules::Action::Slash, DUE_AT);
    let record = market.record();
    assert_eq!((record.stake, record.staked_since), (Usdc::whole(20), Some(NOW)));
}

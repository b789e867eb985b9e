//! The terms word that a claim compares: poster, reward, deadline, stage, revisions from the highest bit down.

use alloy_primitives::{U256, uint};
use clawpay_domain::RunState;

use crate::fixture::{POSTER, RUN, with_run};

#[test]
fn every_field_has_its_place() {
    let market = with_run(RunState::Open);
    let word = market.run(RUN).terms_word();
    // 100 USDC = 0x5f5e100; the deadline 1_800_001_000 = 0x6b49d5e8; FUNDED = 1 above maxRevisions = 3.
    assert_eq!(word, uint!(0x1000000000000000000000000000000000000001_00000005f5e100_06b49d5e8_7_U256));
    assert_eq!(word >> 96, U256::from_be_slice(POSTER.as_slice()));
}

#[test]
fn it_does_not_change_with_what_happens_to_the_run() {
    let word = with_run(RunState::Open).run(RUN).terms_word();
    for state in RunState::ALL {
        assert_eq!(with_run(*state).run(RUN).terms_word(), word, "{state}");
    }
}

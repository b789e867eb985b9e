//! The fee's rounding, and the word that a claim compares.

use alloy_primitives::{Address, address};
use clawpay_domain::{EscrowParameters, Parameters, Run, RunId, Terms, Timestamp, Usdc, rules};

use crate::{
    columns::{Columns, Tables},
    world::{Role, text},
};

/// Rewards on both sides of where another base unit of fee begins, for small, usual and largest fees.
pub(crate) fn fees() -> Tables {
    let mut rows = Columns::default();
    for fee_bps in [0, 1, 250, 500, 9_999, 10_000] {
        let parameters = EscrowParameters { fee_bps, ..Parameters::default().escrow };
        for reward in [0, 1, 19, 20, 21, 39, 40, 9_999, 10_000, 999_999, 1_000_000, 1_000_019, 1_000_020, 123_456_789, (1 << 56) - 1] {
            let reward = Usdc::base_units(reward);
            rows.number("feeBps", fee_bps);
            rows.text("reward", reward.0);
            rows.text("fee", rules::fee(reward, &parameters).0);
        }
    }
    Tables::default().with("fees", rows)
}

/// Funded terms with every field at its smallest, at its largest, and in between.
pub(crate) fn terms() -> Tables {
    const EARLY: Timestamp = Timestamp(1);
    let mut rows = Columns::default();
    let posters = [
        address!("0x0000000000000000000000000000000000000001"),
        Role::Poster.account(),
        address!("0xffffffffffffffffffffffffffffffffffffffff"),
    ];
    // Any deadline that the word holds, whenever the run was made.
    let escrow =
        EscrowParameters { max_deadline_ahead: clawpay_domain::Seconds(rules::MAXIMUM_DEADLINE.0), ..Parameters::default().escrow };
    for poster in posters {
        for reward in [escrow.minimum_reward, Usdc::base_units(123_456_789), rules::MAXIMUM_REWARD] {
            for deadline in [Timestamp(2), Timestamp(1_800_000_000), rules::MAXIMUM_DEADLINE] {
                for max_revisions in 0..=3 {
                    write_terms(&mut rows, poster, reward, deadline, max_revisions, EARLY, &escrow);
                }
            }
        }
    }
    Tables::default().with("terms", rows)
}

fn write_terms(
    rows: &mut Columns,
    poster: Address,
    reward: Usdc,
    deadline: Timestamp,
    max_revisions: u8,
    now: Timestamp,
    parameters: &EscrowParameters,
) {
    let terms = Terms { poster, reward, fee: rules::fee(reward, parameters), deadline, max_revisions, content_uri: text(1) };
    let run = Run::created(RunId(1), terms, now, parameters).unwrap_or_else(|inconsistency| panic!("{inconsistency}"));
    rows.text("poster", poster);
    rows.text("reward", reward.0);
    rows.number("deadline", deadline.0);
    rows.number("maxRevisions", max_revisions);
    rows.text("word", format_args!("{:#066x}", run.terms_word()));
}

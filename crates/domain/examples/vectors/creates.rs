//! Offers around every limit, at an ordinary time and where the terms word ends.

use clawpay_domain::{NewRun, RunState, Timestamp, Usdc};

use crate::{
    columns::{Columns, Legend, Tables},
    market::Call,
    world::{DAY, Role, START, Stage, refusal_name, text},
};

const LAST_DEADLINE: u64 = (1 << 36) - 1;

/// One row for each offer and moment; outcomes of `create` and `createAndFund`.
pub(crate) fn vectors() -> Tables {
    let start = Stage::start();
    let mut rows = Columns::default();
    let mut outcomes = Legend::default();
    for now in [START.0, LAST_DEADLINE - 100 * DAY] {
        let ahead = now + 365 * DAY;
        for deadline in [0, now - 1, now, now + 1, ahead - 1, ahead, ahead + 1, LAST_DEADLINE, LAST_DEADLINE + 1] {
            for reward in [0, 1, 999_999, 1_000_000, 1_000_019, (1 << 56) - 1, 1 << 56, u64::MAX] {
                for (max_revisions, length) in [(0, 1_u16), (3, 2048), (4, 1), (255, 2049), (3, 0), (3, 2049)] {
                    let new = NewRun {
                        reward: Usdc::base_units(reward),
                        deadline: Timestamp(deadline),
                        max_revisions,
                        content_uri: text(usize::from(length)),
                    };
                    rows.number("at", now);
                    rows.text("reward", reward);
                    rows.number("deadline", deadline);
                    rows.number("maxRevisions", max_revisions);
                    rows.number("length", length);
                    for (name, call, state) in [
                        ("create", Call::Create(new.clone()), RunState::Draft),
                        ("createAndFund", Call::CreateAndFund(new.clone()), RunState::Open),
                    ] {
                        let mut market = start.market.clone();
                        let outcome = match market.perform(Role::Poster.account(), &call, Timestamp(now)) {
                            Ok(()) => state.as_str(),
                            Err(refusal) => refusal_name(&refusal),
                        };
                        rows.number(name, outcomes.number(outcome));
                    }
                }
            }
        }
    }
    Tables::default().with("outcomes", outcomes.into_columns()).with("offers", rows)
}

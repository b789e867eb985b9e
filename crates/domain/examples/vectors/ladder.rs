//! Stake records around every rung of the trust ladder.

use clawpay_domain::{Parameters, StakeRecord, Timestamp, Usdc};

use crate::{
    columns::{Columns, Tables},
    world::{DAY, START},
};

/// One row for each record that can exist, at [`START`]: its status, and what of its stake is free and may leave.
pub(crate) fn vectors() -> Tables {
    let parameters = Parameters::default().stake;
    let mut rows = Columns::default();
    let one = Usdc::base_units(1);
    let minimum = parameters.minimum_stake;
    let stakes = [
        Usdc::ZERO,
        one,
        Usdc::whole(10),
        minimum.saturating_sub(one),
        minimum,
        minimum.saturating_add(one),
        Usdc::whole(30),
        clawpay_domain::rules::MAXIMUM_STAKE,
    ];
    let thirty_days = 30 * DAY;
    let ages = [0, 1, thirty_days - 1, thirty_days, thirty_days + 1];
    for stake in stakes {
        // Below the minimum no time is counted; at or above it, a start is always there, but the two languages agree on its absence too.
        let started = ages.iter().filter(|_| stake >= minimum).map(|age| Some(Timestamp(START.0 - age)));
        for staked_since in started.chain([None]) {
            for runs_in_hand in 0..=3 {
                for slashes in [0, 1, 2, 3, 4] {
                    for owed in [Usdc::ZERO, one, Usdc::whole(10)] {
                        for completions in [4, 5] {
                            let record = StakeRecord { stake, owed, runs_in_hand, slashes, completions, staked_since };
                            // Stake is committed before it is anything else, and owed only by the slashed.
                            if record.committed(&parameters) <= stake && (owed.0.is_zero() || slashes > 0) {
                                write(&mut rows, &record, &parameters);
                            }
                        }
                    }
                }
            }
        }
    }
    Tables::default().with("records", rows)
}

fn write(rows: &mut Columns, record: &StakeRecord, parameters: &clawpay_domain::StakeParameters) {
    rows.text("stake", record.stake.0);
    rows.text("owed", record.owed.0);
    rows.number("runsInHand", record.runs_in_hand);
    rows.number("slashes", record.slashes);
    rows.number("completions", record.completions);
    rows.number("stakedSince", record.staked_since.unwrap_or_default().0);
    rows.number("at", START.0);
    rows.number("status", record.status(parameters, START).index());
    rows.text("committed", record.committed(parameters).0);
    rows.text("free", record.free(parameters).0);
    rows.text("withdrawable", record.withdrawable(parameters, START).0);
}

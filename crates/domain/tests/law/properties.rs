//! What holds after any sequence of calls by anybody at any time.
//!
//! Every call that the domain accepts is folded back into the run and the agent by [`Market`], which panics where a decided event does
//! not fold.

use std::collections::BTreeSet;

use alloy_primitives::{Address, U256};
use clawpay_domain::{
    AgentId, AgentStatus, Parameters, Run, RunEvent, RunId,
    RunState::{self, Approved, Cancelled, Claimed, Draft, InProgress, Open, Rejected, RevisionRequested, Slashed, Submitted},
    StakeRecord, Timestamp, Usdc,
    rules::{self, Action},
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    fixture::{ACCOUNTS, FUNDS, NOW},
    market::{Call, Market},
    walk::{AMOUNTS, Choice, Step, VERBS, Wait},
};

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let caller = prop::option::weighted(0.2, 0..ACCOUNTS.len());
    let wait = prop_oneof![4 => (0..3_600_u64).prop_map(Wait::Seconds), 1 => (0..3_u64).prop_map(Wait::Deadline)];
    let choice = (0..VERBS, caller, 0..3_usize, 0..2_usize, 0..AMOUNTS, wait).prop_map(|(verb, caller, run, agent, amount, wait)| Choice {
        verb,
        caller,
        run,
        agent,
        amount,
        wait,
    });
    prop::collection::vec(choice, 1..150)
}

/// A market in which two agents have registered, and the time there.
struct Walk {
    market: Market,
    now: Timestamp,
    /// Edges of the lifecycle that were walked.
    edges: BTreeSet<(RunState, RunState)>,
}

impl Walk {
    fn new() -> Self {
        let mut market = Market::new(Parameters::default(), &ACCOUNTS, FUNDS);
        for owner in [1, 2] {
            market.make(ACCOUNTS[owner], &Call::Register, NOW);
            let stake = Call::Stake { agent: AgentId(owner as u64), amount: Usdc::whole(30) };
            market.make(ACCOUNTS[owner], &stake, NOW);
        }
        Self { market, now: NOW, edges: BTreeSet::new() }
    }

    fn step(&mut self, choice: &Choice) -> Result<(), TestCaseError> {
        let Step { now, caller, call } = Step::choose(choice, &self.market, &ACCOUNTS, self.now);
        self.now = now;
        let before = self.market.clone();
        match &call {
            Call::Act { run, action } => self.act(caller, *run, action)?,
            call => {
                let _refused = self.market.perform(caller, call, now);
            }
        }
        self.conserves(&before)
    }

    /// Does something with a run, and checks that it took a legal edge and paid out what was escrowed.
    fn act(&mut self, caller: Address, id: RunId, action: &Action) -> Result<(), TestCaseError> {
        let before = self.market.run(id).clone();
        let Ok(events) = self.market.decide(caller, id, action, self.now) else {
            return Ok(());
        };
        self.market.make(caller, &Call::Act { run: id, action: action.clone() }, self.now);
        let after = self.market.run(id);
        prop_assert_eq!(Some(after.state), events.last().map(state_after), "an event leads to another state than it names");
        prop_assert!(LEGAL.contains(&(before.state, after.state)), "{} to {}", before.state, after.state);
        if after.settled_at.is_some() {
            prop_assert_eq!(events.iter().map(paid_out).sum::<Usdc>(), before.escrowed());
        }
        self.edges.insert((before.state, after.state));
        Ok(())
    }

    /// USDC is neither made nor lost, each contract holds exactly what it owes, and committed stake never leaves.
    fn conserves(&self, before: &Market) -> Result<(), TestCaseError> {
        let money = &self.market.money;
        let total = |market: &Market| {
            market.money.accounts.values().copied().sum::<Usdc>().saturating_add(market.money.escrow).saturating_add(market.money.stakes)
        };
        prop_assert_eq!(total(&self.market), total(before));
        prop_assert_eq!(money.escrow, self.market.runs.iter().map(Run::escrowed).sum::<Usdc>().saturating_add(money.fees));
        prop_assert_eq!(money.stakes, self.market.agents.iter().map(|agent| agent.record.stake).sum::<Usdc>());
        let parameters = &self.market.parameters.stake;
        for agent in &self.market.agents {
            let record = &agent.record;
            let in_hand =
                self.market.runs.iter().filter(|run| run.state.is_in_hand() && run.claim.is_some_and(|claim| claim.agent == agent.id));
            prop_assert_eq!(record.runs_in_hand, in_hand.count() as u64);
            prop_assert!(record.committed(parameters) <= record.stake, "agent {} could not pay a slash", agent.id);
            prop_assert!(record.withdrawable(parameters, self.now) <= record.free(parameters));
            prop_assert_eq!(record.staked_since.is_some(), record.stake >= parameters.minimum_stake);
            prop_assert!(record.owed <= parameters.stake_at_risk.saturating_mul(record.slashes));
            prop_assert_eq!(agent.settled() + record.runs_in_hand, agent.track.claimed);
        }
        Ok(())
    }
}

/// The arrows of the specification's table; submitting from CLAIMED passes through IN_PROGRESS in one call.
const LEGAL: [(RunState, RunState); 14] = [
    (Draft, Open),
    (Draft, Cancelled),
    (Open, Cancelled),
    (Open, Claimed),
    (Claimed, InProgress),
    (Claimed, Submitted),
    (InProgress, Submitted),
    (RevisionRequested, Submitted),
    (Submitted, RevisionRequested),
    (Submitted, Approved),
    (Submitted, Rejected),
    (RevisionRequested, Rejected),
    (Claimed, Slashed),
    (InProgress, Slashed),
];

fn state_after(event: &RunEvent) -> RunState {
    match event {
        RunEvent::Created { .. } => Draft,
        RunEvent::Funded { .. } => Open,
        RunEvent::Cancelled { .. } => Cancelled,
        RunEvent::Claimed { .. } => Claimed,
        RunEvent::Started => InProgress,
        RunEvent::Submitted { .. } => Submitted,
        RunEvent::RevisionRequested { .. } => RevisionRequested,
        RunEvent::Approved(_) | RunEvent::Finalized(_) => Approved,
        RunEvent::Rejected { .. } => Rejected,
        RunEvent::Slashed { .. } => Slashed,
    }
}

/// What an event takes out of escrow, the fee included, which from then on is the platform's.
fn paid_out(event: &RunEvent) -> Usdc {
    match event {
        RunEvent::Approved(payment) | RunEvent::Finalized(payment) => payment.reward.saturating_add(payment.fee),
        RunEvent::Cancelled { refund } | RunEvent::Rejected { refund, .. } | RunEvent::Slashed { refund, .. } => *refund,
        RunEvent::Created { .. }
        | RunEvent::Funded { .. }
        | RunEvent::Claimed { .. }
        | RunEvent::Started
        | RunEvent::Submitted { .. }
        | RunEvent::RevisionRequested { .. } => Usdc::ZERO,
    }
}

/// Any record that could be, whether a walk leads there or not.
fn records() -> impl Strategy<Value = StakeRecord> {
    (0..60_000_000_u64, 0..25_000_000_u64, 0..6_u64, 0..4_u64, 0..8_u64, 0..5_000_000_u64).prop_map(
        |(stake, owed, runs_in_hand, slashes, completions, age)| StakeRecord {
            stake: Usdc::base_units(stake),
            owed: if slashes == 0 { Usdc::ZERO } else { Usdc::base_units(owed) },
            runs_in_hand: runs_in_hand.min(stake / 10_000_000),
            slashes,
            completions,
            staked_since: (stake >= 20_000_000).then_some(Timestamp(NOW.0 - age)),
        },
    )
}

/// Position on the ladder, the worst first.
fn rung(status: AgentStatus) -> u8 {
    match status {
        AgentStatus::Banned => 0,
        AgentStatus::Frozen => 1,
        AgentStatus::Unverified => 2,
        AgentStatus::Provisional => 3,
        AgentStatus::Established => 4,
    }
}

proptest! {
    #[test]
    fn any_walk_keeps_to_the_law(choices in choices()) {
        let mut walk = Walk::new();
        for choice in &choices {
            walk.step(choice)?;
        }
    }

    #[test]
    fn time_alone_only_lifts_an_agent(record in records(), seconds in 0..5_000_000_u64) {
        let parameters = Parameters::default().stake;
        let (now, then) = (record.status(&parameters, NOW), record.status(&parameters, Timestamp(NOW.0 + seconds)));
        prop_assert!(now == then || (now, then) == (AgentStatus::Provisional, AgentStatus::Established), "{now} to {then}");
    }

    #[test]
    fn a_deposit_or_completion_never_lowers_and_a_slash_never_lifts(record in records(), amount in 1..30_000_000_u64) {
        let parameters = Parameters::default().stake;
        let rung_of = |record: &StakeRecord| rung(record.status(&parameters, NOW));
        let amount = Usdc::base_units(amount);
        let stake = record.stake.saturating_add(amount);
        let staked_since = record.staked_since.or((stake >= parameters.minimum_stake).then_some(NOW));
        let deposited = StakeRecord { stake, owed: record.owed.saturating_sub(amount), staked_since, ..record };
        prop_assert!(rung_of(&deposited) >= rung_of(&record));
        let completed = StakeRecord { completions: record.completions + 1, ..record };
        prop_assert!(rung_of(&completed) >= rung_of(&record));
        let slashed = StakeRecord { slashes: record.slashes + 1, owed: record.owed.saturating_add(parameters.stake_at_risk), ..record };
        prop_assert!(rung_of(&slashed) <= rung_of(&record));
    }

    #[test]
    fn the_fee_is_the_largest_whole_number_of_base_units_within_its_share(reward in any::<u64>(), fee_bps in 0..=10_000_u64) {
        let parameters = clawpay_domain::EscrowParameters { fee_bps, ..Parameters::default().escrow };
        let fee = rules::fee(Usdc::base_units(reward), &parameters).0;
        let share = U256::from(reward) * U256::from(fee_bps);
        prop_assert!(fee * U256::from(10_000) <= share && share < (fee + U256::ONE) * U256::from(10_000));
    }
}

#[test]
fn the_walks_take_every_edge_there_is() {
    let mut runner = TestRunner::deterministic();
    let mut edges = BTreeSet::new();
    for _ in 0..200 {
        let choices = choices().new_tree(&mut runner).unwrap().current();
        let mut walk = Walk::new();
        for choice in &choices {
            walk.step(choice).unwrap();
        }
        edges.extend(walk.edges);
    }
    assert_eq!(edges, BTreeSet::from(LEGAL));
}

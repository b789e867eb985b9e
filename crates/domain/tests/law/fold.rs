//! Folding events: what could have happened is taken in, anything else is refused and changes nothing.

use alloy_primitives::{Address, Bytes};
use clawpay_domain::{
    Agent, AgentEvent, AgentId, Payment, Run, RunEvent, RunId,
    RunState::{self, Approved, Cancelled, Claimed, Draft, InProgress, Open, Rejected, RevisionRequested, Slashed, Submitted},
    Terms, Timestamp, Usdc,
};

use crate::{
    fixture::{
        AGENT, CLAIMED_AT, DEADLINE, DUE_AT, NOW, OWNER, POSTER, REVIEW_BY, REVISED_AT, REVISION_DUE_AT, REWARD, RUN, STRANGER,
        SUBMITTED_AT, WALLET, WEEK, market, with_run_of,
    },
    market::Market,
};

const FEE: Usdc = Usdc::whole(5);
const ESCROWED: Usdc = Usdc::whole(105);
const AT_RISK: Usdc = Usdc::whole(10);

const PAYMENT: Payment = Payment { agent: AGENT, wallet: OWNER, reward: REWARD, fee: FEE };
const CLAIMED: RunEvent = RunEvent::Claimed { agent: AGENT, wallet: OWNER, stake_at_risk: AT_RISK, due_at: DUE_AT };
const REJECTED: RunEvent = RunEvent::Rejected { agent: AGENT, refund: ESCROWED };
const SLASHED: RunEvent = RunEvent::Slashed { agent: AGENT, refund: ESCROWED, slashed: AT_RISK };

fn submitted() -> RunEvent {
    RunEvent::Submitted { review_by: REVIEW_BY, deliverable_uri: Bytes::from_static(b"x") }
}

fn revision_requested(revision: u64, due_at: Timestamp) -> RunEvent {
    RunEvent::RevisionRequested { revision, due_at, feedback: Bytes::new() }
}

/// A run with one revision, used up where it is REVISION_REQUESTED.
fn run(state: RunState) -> Run {
    with_run_of(1, state).run(RUN).clone()
}

/// Folds `event`; whether it was taken in. If it was not, nothing may have changed.
fn folds(run: &Run, event: &RunEvent, at: Timestamp) -> bool {
    let mut after = run.clone();
    let folded = after.apply(event, at, &market().parameters.escrow);
    if folded.is_err() {
        assert_eq!(&after, run, "{event:?} was refused and changed the run");
    }
    folded.is_ok()
}

#[test]
fn each_state_takes_in_its_own_events_and_no_others() {
    let terms = run(Draft).terms;
    let of_draft = RunEvent::Cancelled { refund: Usdc::ZERO };
    let of_open = RunEvent::Cancelled { refund: ESCROWED };
    let events: [(RunEvent, Timestamp, &[RunState]); 12] = [
        (RunEvent::Created { terms }, NOW, &[]),
        (RunEvent::Funded { amount: ESCROWED }, NOW, &[Draft]),
        (of_draft, NOW, &[Draft]),
        (of_open, NOW, &[Open]),
        (CLAIMED, CLAIMED_AT, &[Open]),
        (RunEvent::Started, CLAIMED_AT, &[Claimed]),
        (submitted(), SUBMITTED_AT, &[InProgress, RevisionRequested]),
        (revision_requested(1, REVISION_DUE_AT), REVISED_AT, &[Submitted]),
        (RunEvent::Approved(PAYMENT), SUBMITTED_AT, &[Submitted]),
        (RunEvent::Finalized(PAYMENT), REVIEW_BY, &[Submitted]),
        (REJECTED, REVISION_DUE_AT, &[RevisionRequested]),
        (SLASHED, DUE_AT, &[Claimed, InProgress]),
    ];
    for (event, at, states) in events {
        let taken: Vec<_> = RunState::ALL.iter().copied().filter(|&state| folds(&run(state), &event, at)).collect();
        assert_eq!(taken, states, "{event:?}");
    }
    // A rejection before `reviewBy` needs every revision used.
    let none_left = with_run_of(0, Submitted);
    assert!(folds(none_left.run(RUN), &REJECTED, SUBMITTED_AT));
    assert!(!folds(&run(Submitted), &REJECTED, SUBMITTED_AT));
}

#[test]
fn events_at_the_wrong_second_are_refused() {
    let around = |state, event: &RunEvent, time: Timestamp| [time.0 - 1, time.0].map(|at| folds(&run(state), event, Timestamp(at)));
    assert_eq!(around(Draft, &RunEvent::Funded { amount: ESCROWED }, DEADLINE), [true, false]);
    assert_eq!(around(Claimed, &RunEvent::Started, DUE_AT), [true, false]);
    assert_eq!(around(Claimed, &SLASHED, DUE_AT), [false, true]);
    assert_eq!(around(Submitted, &RunEvent::Finalized(PAYMENT), REVIEW_BY), [false, true]);
    assert_eq!(around(RevisionRequested, &REJECTED, REVISION_DUE_AT), [false, true]);
    let claimed_at = |at| {
        let claimed = RunEvent::Claimed { agent: AGENT, wallet: OWNER, stake_at_risk: AT_RISK, due_at: Timestamp(at + WEEK) };
        folds(&run(Open), &claimed, Timestamp(at))
    };
    assert_eq!([DEADLINE.0 - 1, DEADLINE.0].map(claimed_at), [true, false]);
}

#[test]
fn events_that_state_other_facts_are_refused() {
    let one = Usdc::base_units(1);
    let late = Timestamp(DUE_AT.0 + 1);
    let other = AgentId(2);
    for (state, event, at) in [
        (Draft, RunEvent::Funded { amount: ESCROWED.saturating_sub(one) }, NOW),
        (Draft, RunEvent::Cancelled { refund: ESCROWED }, NOW),
        (Open, RunEvent::Cancelled { refund: Usdc::ZERO }, NOW),
        (Open, RunEvent::Claimed { agent: AGENT, wallet: POSTER, stake_at_risk: AT_RISK, due_at: DUE_AT }, CLAIMED_AT),
        (Open, RunEvent::Claimed { agent: AGENT, wallet: OWNER, stake_at_risk: AT_RISK, due_at: late }, CLAIMED_AT),
        (InProgress, RunEvent::Submitted { review_by: Timestamp(REVIEW_BY.0 - 1), deliverable_uri: Bytes::new() }, SUBMITTED_AT),
        (Submitted, revision_requested(2, REVISION_DUE_AT), REVISED_AT),
        (Submitted, revision_requested(1, late), REVISED_AT),
        (Submitted, RunEvent::Approved(Payment { agent: other, ..PAYMENT }), SUBMITTED_AT),
        (Submitted, RunEvent::Approved(Payment { wallet: WALLET, ..PAYMENT }), SUBMITTED_AT),
        (Submitted, RunEvent::Approved(Payment { reward: ESCROWED, ..PAYMENT }), SUBMITTED_AT),
        (Submitted, RunEvent::Finalized(Payment { fee: Usdc::ZERO, ..PAYMENT }), REVIEW_BY),
        (RevisionRequested, RunEvent::Rejected { agent: other, refund: ESCROWED }, REVISION_DUE_AT),
        (RevisionRequested, RunEvent::Rejected { agent: AGENT, refund: REWARD }, REVISION_DUE_AT),
        (Claimed, RunEvent::Slashed { agent: other, refund: ESCROWED, slashed: AT_RISK }, DUE_AT),
        (Claimed, RunEvent::Slashed { agent: AGENT, refund: REWARD, slashed: AT_RISK }, DUE_AT),
        (Claimed, RunEvent::Slashed { agent: AGENT, refund: ESCROWED, slashed: one }, DUE_AT),
    ] {
        assert!(!folds(&run(state), &event, at), "{event:?}");
    }
}

#[test]
fn a_revision_beyond_the_last_is_refused() {
    let mut market = with_run_of(0, Submitted);
    assert!(!folds(market.run(RUN), &revision_requested(1, REVISION_DUE_AT), REVISED_AT));
    market = with_run_of(1, Submitted);
    assert!(folds(market.run(RUN), &revision_requested(1, REVISION_DUE_AT), REVISED_AT));
}

#[test]
fn a_run_is_created_only_as_the_rules_allow() {
    let parameters = market().parameters.escrow;
    let terms = run(Draft).terms;
    let created = |terms| Run::created(RUN, terms, NOW, &parameters).is_ok();
    assert!(created(terms.clone()));
    for wrong in [
        Terms { fee: FEE.saturating_add(Usdc::base_units(1)), ..terms.clone() },
        Terms { reward: Usdc::ZERO, fee: Usdc::ZERO, ..terms.clone() },
        Terms { deadline: NOW, ..terms.clone() },
        Terms { max_revisions: 4, ..terms.clone() },
        Terms { content_uri: Bytes::new(), ..terms },
    ] {
        assert!(!created(wrong));
    }
}

/// Folds `event` into the only agent; whether it was taken in. If it was not, nothing may have changed.
fn agent_folds(market: &Market, event: &AgentEvent, at: Timestamp) -> bool {
    let before: &Agent = &market.agents[0];
    let mut after = before.clone();
    let folded = after.apply(event, at, &market.parameters.stake);
    if folded.is_err() {
        assert_eq!(&after, before, "{event:?} was refused and changed the agent");
    }
    folded.is_ok()
}

#[test]
fn an_agents_events_must_follow_from_its_record() {
    let one = Usdc::base_units(1);
    let twenty = Usdc::whole(20);
    let idle = market();
    let holding = with_run_of(1, Claimed);
    let frozen = with_run_of(1, Slashed);
    let staked = |amount, stake, owed| AgentEvent::Staked { from: STRANGER, amount, stake, owed };
    let unstaked = |amount, stake| AgentEvent::Unstaked { to: OWNER, amount, stake };
    let claimed = AgentEvent::Claimed { stake_at_risk: AT_RISK };
    let slashed = AgentEvent::Slashed { run: RunId(1), amount: AT_RISK };
    for (market, event, taken) in [
        (&idle, staked(one, twenty.saturating_add(one), Usdc::ZERO), true),
        (&idle, staked(one, twenty, Usdc::ZERO), false),
        (&idle, staked(one, twenty.saturating_add(one), one), false),
        (&idle, unstaked(twenty, Usdc::ZERO), true),
        (&idle, unstaked(twenty, one), false),
        (&idle, unstaked(twenty.saturating_add(one), Usdc::ZERO), false),
        (&idle, claimed.clone(), true),
        (&idle, AgentEvent::Claimed { stake_at_risk: one }, false),
        (&idle, AgentEvent::Completed { reward: REWARD }, false),
        (&idle, AgentEvent::Rejected, false),
        (&idle, slashed.clone(), false),
        (&holding, unstaked(one, twenty.saturating_sub(one)), false),
        (&holding, AgentEvent::Completed { reward: REWARD }, true),
        (&holding, AgentEvent::Rejected, true),
        (&holding, slashed, true),
        (&holding, AgentEvent::Slashed { run: RunId(1), amount: one }, false),
        (&frozen, claimed, false),
        (&frozen, staked(AT_RISK, twenty, Usdc::ZERO), true),
        (&frozen, staked(AT_RISK, twenty, AT_RISK), false),
        (&frozen, unstaked(one, AT_RISK.saturating_sub(one)), false),
    ] {
        assert_eq!(agent_folds(market, &event, DUE_AT), taken, "{event:?}");
    }
}

#[test]
fn an_agents_history_counts_what_its_runs_came_to() {
    let track = |state| {
        let agent = &with_run_of(1, state).agents[0];
        (agent.track.claimed, agent.track.rejected, agent.track.volume, agent.record.completions, agent.slash_history.len())
    };
    for (state, expected) in [
        (Open, (0, 0, Usdc::ZERO, 0, 0)),
        (Cancelled, (0, 0, Usdc::ZERO, 0, 0)),
        (Submitted, (1, 0, Usdc::ZERO, 0, 0)),
        (Approved, (1, 0, REWARD, 1, 0)),
        (Rejected, (1, 1, Usdc::ZERO, 0, 0)),
        (Slashed, (1, 0, Usdc::ZERO, 0, 1)),
    ] {
        assert_eq!(track(state), expected, "{state}");
    }
}

#[test]
fn addresses_that_nobody_claimed_with_are_nobody() {
    let agent = Agent::unknown(AGENT);
    assert!(!agent.is_agent(Address::ZERO));
}

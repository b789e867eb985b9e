//! Reputation: floor((200 (c + 1) + (s + 2)) / (2 (s + 2))).

use clawpay_domain::{Agent, AgentId, RunState};

use crate::fixture::{AGENT, with_run};

fn score(completions: u64, rejected: u64, slashes: u64) -> u64 {
    let mut agent = Agent::unknown(AgentId(1));
    agent.record.completions = completions;
    agent.record.slashes = slashes;
    agent.track.rejected = rejected;
    agent.score()
}

#[test]
fn a_newcomer_starts_at_fifty() {
    assert_eq!(score(0, 0, 0), 50);
}

#[test]
fn it_moves_with_every_settled_run() {
    assert_eq!(score(1, 0, 0), 67); // 403 / 6
    assert_eq!(score(0, 1, 0), 33); // 203 / 6
    assert_eq!(score(0, 0, 1), 33);
    assert_eq!(score(10, 0, 0), 92); // 2212 / 24
    assert_eq!(score(5, 3, 2), 50); // 1212 / 24
    assert_eq!(score(0, 0, 3), 20); // 205 / 10
}

#[test]
fn it_stays_between_nothing_and_a_hundred() {
    assert_eq!(score(1_000_000_000, 0, 0), 100);
    assert_eq!(score(u64::MAX, u64::MAX, u64::MAX), 100);
    assert_eq!(score(0, u64::MAX, 0), 0);
}

#[test]
fn approved_rejected_and_slashed_runs_are_settled_and_others_are_not() {
    for state in RunState::ALL {
        let settled = matches!(state, RunState::Approved | RunState::Rejected | RunState::Slashed);
        assert_eq!(with_run(*state).agent(AGENT).unwrap().settled(), u64::from(settled), "{state}");
    }
}

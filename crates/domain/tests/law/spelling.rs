//! The words that Solidity, Rust, SQL and JSON share, and their order in Solidity.

use clawpay_domain::{AgentStatus, RunState, UnknownWord};

#[test]
fn run_states_are_spelled_and_ordered_as_in_solidity() {
    let words: Vec<_> = RunState::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(
        words,
        ["DRAFT", "OPEN", "CLAIMED", "IN_PROGRESS", "SUBMITTED", "APPROVED", "REVISION_REQUESTED", "REJECTED", "SLASHED", "CANCELLED"]
    );
}

#[test]
fn statuses_are_spelled_and_ordered_as_in_solidity() {
    let words: Vec<_> = AgentStatus::ALL.iter().map(|status| status.as_str()).collect();
    assert_eq!(words, ["UNVERIFIED", "PROVISIONAL", "ESTABLISHED", "FROZEN", "BANNED"]);
}

#[test]
fn a_word_reads_back_from_text_position_and_json() {
    for (position, &state) in (0_u8..).zip(RunState::ALL) {
        assert_eq!(state.index(), position);
        assert_eq!(RunState::from_index(position), Some(state));
        assert_eq!(state.as_str().parse(), Ok(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        assert_eq!(serde_json::from_str::<RunState>(&format!("\"{state}\"")).unwrap(), state);
    }
}

#[test]
fn other_words_and_positions_are_refused() {
    assert_eq!(RunState::from_index(10), None);
    assert_eq!(AgentStatus::from_index(5), None);
    for text in ["", "open", "OPEN ", "UNKNOWN"] {
        assert_eq!(text.parse::<RunState>(), Err(UnknownWord));
    }
}

//! Each verb of the lifecycle table: who, from which states, until or from which second, and where the money goes.

use alloy_primitives::Bytes;
use clawpay_domain::{
    RunEvent,
    RunState::{self, Approved, Cancelled, Claimed, Draft, InProgress, Open, Rejected, RevisionRequested, Slashed, Submitted},
    Timestamp, Usdc,
    rules::{self, Action},
};

use crate::{
    fixture::{
        ACCOUNTS, AGENT, CLAIMED_AT, DEADLINE, DUE_AT, NOW, OWNER, Outcome, POSTER, REVIEW_BY, REVISED_AT, REVISION_DUE_AT, REWARD, RUN,
        STRANGER, SUBMITTED_AT, WALLET, WEEK, approve, claim, reject, request_revision, stale_claim, submit, with_run, with_run_of,
    },
    market::{Call, Market},
};

const TOO_LATE: Outcome = Err("too_late");
const TOO_EARLY: Outcome = Err("too_early");
const DEADLINE_PASSED: Outcome = Err("deadline_passed");

/// The states from which `caller` succeeds with what `action` makes of the run, at a second at which the verb is possible.
fn starts_from(caller: alloy_primitives::Address, action: impl Fn(&Market) -> Action, now: impl Fn(&Market) -> Timestamp) -> Vec<RunState> {
    let succeeds = |&&state: &&RunState| {
        let market = with_run_of(0, state);
        match market.attempt(caller, &action(&market), now(&market)) {
            Ok(_) => true,
            Err(code) => {
                assert_eq!(code, "wrong_state", "from {state}");
                false
            }
        }
    };
    // A run without revisions is never REVISION_REQUESTED: that state is tried where it occurs, in the tests of its verbs.
    RunState::ALL.iter().filter(|&&state| !matches!(state, RevisionRequested | Rejected)).filter(succeeds).copied().collect()
}

fn at_once(_: &Market) -> Timestamp {
    NOW
}

fn from_due(_: &Market) -> Timestamp {
    DUE_AT
}

#[test]
fn fund_stops_at_the_deadline() {
    assert_eq!(with_run(Draft).around(DEADLINE, POSTER, &Action::Fund), [Ok(Open), DEADLINE_PASSED, DEADLINE_PASSED]);
}

#[test]
fn fund_is_the_posters_and_starts_from_draft_only() {
    assert_eq!(starts_from(POSTER, |_| Action::Fund, at_once), [Draft]);
    for caller in [OWNER, WALLET, STRANGER] {
        assert_eq!(with_run(Draft).attempt(caller, &Action::Fund, NOW), Err("not_poster"));
    }
}

#[test]
fn fund_escrows_reward_and_fee() {
    let mut market = with_run(Draft);
    market.act(POSTER, Action::Fund, NOW);
    assert_eq!(market.money.escrow, Usdc::whole(105));
    assert_eq!(market.gain_of(POSTER), (Usdc::ZERO, Usdc::whole(105)));
}

#[test]
fn cancel_is_the_posters_from_draft_and_open_at_any_time() {
    assert_eq!(starts_from(POSTER, |_| Action::Cancel, at_once), [Draft, Open]);
    assert_eq!(with_run(Open).around(DEADLINE, POSTER, &Action::Cancel), [Ok(Cancelled); 3]);
    assert_eq!(with_run(Open).attempt(STRANGER, &Action::Cancel, NOW), Err("not_poster"));
}

#[test]
fn cancel_refunds_what_was_funded_and_nothing_else() {
    let mut funded = with_run(Open);
    funded.act(POSTER, Action::Cancel, NOW);
    let mut draft = with_run(Draft);
    draft.act(POSTER, Action::Cancel, NOW);
    for market in [funded, draft] {
        assert_eq!(market.gain_of(POSTER), (Usdc::ZERO, Usdc::ZERO));
        assert_eq!(market.money.escrow, Usdc::ZERO);
    }
}

#[test]
fn claim_stops_at_the_deadline() {
    let market = with_run(Open);
    let claim = claim(market.run(RUN));
    assert_eq!(market.around(DEADLINE, OWNER, &claim), [Ok(Claimed), DEADLINE_PASSED, DEADLINE_PASSED]);
}

#[test]
fn claim_starts_from_open_only() {
    assert_eq!(starts_from(OWNER, |market| claim(market.run(RUN)), at_once), [Open]);
}

#[test]
fn claim_is_for_the_agents_owner_and_wallet_and_gives_a_week() {
    for caller in [OWNER, WALLET] {
        let mut market = with_run(Open);
        let claim = claim(market.run(RUN));
        let run = market.act(caller, claim, CLAIMED_AT);
        assert_eq!(run.due_at, Some(DUE_AT));
        assert_eq!(run.claim.map(|claim| (claim.agent, claim.wallet, claim.stake_at_risk)), Some((AGENT, caller, Usdc::whole(10))));
    }
    let market = with_run(Open);
    assert_eq!(market.attempt(STRANGER, &claim(market.run(RUN)), NOW), Err("not_agent"));
}

#[test]
fn claim_is_not_the_posters_even_with_an_agent_of_its_own() {
    let mut market = with_run(Open);
    market.make(OWNER, &Call::Transfer { agent: AGENT, to: POSTER }, NOW);
    assert_eq!(market.attempt(POSTER, &claim(market.run(RUN)), NOW), Err("poster_cannot_claim"));
}

#[test]
fn claim_ends_with_the_token_for_owner_and_wallet() {
    let mut market = with_run(Open);
    market.make(OWNER, &Call::Transfer { agent: AGENT, to: STRANGER }, NOW);
    let claim = claim(market.run(RUN));
    assert_eq!(
        [OWNER, WALLET, STRANGER].map(|caller| market.attempt(caller, &claim, NOW)),
        [Err("not_agent"), Err("not_agent"), Ok(Claimed)]
    );
}

#[test]
fn claim_commits_ten_usdc_so_twenty_hold_two_runs() {
    let mut market = with_run(Open);
    for id in 1..=3 {
        if id > 1 {
            let new =
                clawpay_domain::NewRun { reward: REWARD, deadline: DEADLINE, max_revisions: 3, content_uri: Bytes::from_static(b"x") };
            market.make(POSTER, &Call::CreateAndFund(new), NOW);
        }
        let run = clawpay_domain::RunId(id);
        let action = claim(market.run(run));
        let outcome = market.perform(OWNER, &Call::Act { run, action }, NOW).map_err(|refusal| refusal.code());
        assert_eq!(outcome, if id <= 2 { Ok(()) } else { Err("stake_committed") });
    }
}

#[test]
fn claim_refuses_in_the_contracts_order() {
    let mut market = with_run(Open);
    market.make(OWNER, &Call::Unstake { agent: AGENT, amount: Usdc::base_units(1) }, NOW);
    let run = market.run(RUN);
    let unknown = Action::Claim { agent: clawpay_domain::AgentId(2), expected_terms: run.terms_word() };
    assert_eq!(market.attempt(POSTER, &stale_claim(run), DEADLINE), DEADLINE_PASSED);
    assert_eq!(market.attempt(POSTER, &stale_claim(run), NOW), Err("terms_changed"));
    assert_eq!(market.attempt(POSTER, &unknown, NOW), Err("poster_cannot_claim"));
    assert_eq!(market.attempt(STRANGER, &unknown, NOW), Err("agent_not_found"));
    assert_eq!(market.attempt(STRANGER, &claim(run), NOW), Err("not_agent"));
    assert_eq!(market.attempt(OWNER, &claim(run), NOW), Err("agent_unverified"));
}

#[test]
fn claim_refusals_name_every_reason_at_once() {
    let market = with_run(Slashed);
    let agent = market.agent(AGENT).unwrap();
    let codes = |caller, now| -> Vec<_> {
        let refusals = rules::claim_refusals(market.run(RUN), agent, caller, now, &market.parameters);
        refusals.iter().map(clawpay_domain::Refusal::code).collect()
    };
    assert_eq!(codes(STRANGER, DEADLINE), ["wrong_state", "deadline_passed", "not_agent", "agent_frozen"]);
    assert_eq!(codes(POSTER, NOW), ["wrong_state", "not_agent", "poster_cannot_claim", "agent_frozen"]);

    let open = with_run(Open);
    let refusals = rules::claim_refusals(open.run(RUN), open.agent(AGENT).unwrap(), OWNER, NOW, &open.parameters);
    assert_eq!(refusals, []);
}

#[test]
fn start_stops_at_due_at_and_starts_from_claimed_only() {
    assert_eq!(with_run(Claimed).around(DUE_AT, OWNER, &Action::Start), [Ok(InProgress), TOO_LATE, TOO_LATE]);
    assert_eq!(starts_from(OWNER, |_| Action::Start, at_once), [Claimed]);
}

#[test]
fn submit_stops_at_due_at_from_each_state_it_starts_from() {
    for (state, due_at) in [(Claimed, DUE_AT), (InProgress, DUE_AT), (RevisionRequested, REVISION_DUE_AT)] {
        assert_eq!(with_run(state).around(due_at, OWNER, &submit()), [Ok(Submitted), TOO_LATE, TOO_LATE], "from {state}");
    }
    assert_eq!(starts_from(OWNER, |_| submit(), at_once), [Claimed, InProgress]);
}

#[test]
fn submit_ignores_the_claiming_deadline() {
    assert_eq!(with_run(Claimed).around(DEADLINE, OWNER, &submit()), [Ok(Submitted); 3]);
}

#[test]
fn submit_from_claimed_passes_through_in_progress_and_gives_a_week_of_review() {
    let market = with_run(Claimed);
    let deliverable_uri = Bytes::from_static(b"ipfs://deliverable");
    let events = market.decide(OWNER, RUN, &submit(), SUBMITTED_AT);
    assert_eq!(events, Ok(vec![RunEvent::Started, RunEvent::Submitted { review_by: REVIEW_BY, deliverable_uri }]));
}

#[test]
fn start_and_submit_are_for_the_recorded_wallet_and_the_current_owner() {
    let by_owner = with_run(Claimed);
    let mut by_wallet = with_run(Open);
    let action = claim(by_wallet.run(RUN));
    by_wallet.act(WALLET, action, CLAIMED_AT);
    let given = |market: &Market| {
        let mut market = market.clone();
        market.make(OWNER, &Call::Transfer { agent: AGENT, to: STRANGER }, CLAIMED_AT);
        market
    };
    let may = |market: &Market, action: &Action| ACCOUNTS.map(|caller| market.attempt(caller, action, CLAIMED_AT).is_ok());
    for action in [Action::Start, submit()] {
        //                                                   POSTER OWNER WALLET STRANGER
        assert_eq!(may(&by_owner, &action), [false, true, false, false]);
        assert_eq!(may(&by_wallet, &action), [false, true, true, false]);
        assert_eq!(may(&given(&by_owner), &action), [false, true, false, true]);
        assert_eq!(may(&given(&by_wallet), &action), [false, false, true, true]);
        assert_eq!(by_owner.attempt(STRANGER, &action, CLAIMED_AT), Err("not_run_agent"));
    }
}

#[test]
fn deliverables_have_1_to_2048_bytes_and_feedback_up_to_2048() {
    let claimed = with_run(Claimed);
    let submitted = with_run(Submitted);
    let text = |bytes| Bytes::from(vec![0xff; bytes]);
    let deliver = |bytes| claimed.attempt(OWNER, &Action::Submit { deliverable_uri: text(bytes) }, SUBMITTED_AT);
    let revise = |bytes| {
        let action = Action::RequestRevision { expected_review_by: REVIEW_BY, feedback: text(bytes) };
        submitted.attempt(POSTER, &action, REVISED_AT)
    };
    assert_eq!([0, 1, 2048, 2049].map(deliver), [Err("length_out_of_range"), Ok(Submitted), Ok(Submitted), Err("length_out_of_range")]);
    assert_eq!(
        [0, 1, 2048, 2049].map(revise),
        [Ok(RevisionRequested), Ok(RevisionRequested), Ok(RevisionRequested), Err("length_out_of_range")]
    );
}

#[test]
fn request_revision_stops_at_review_by() {
    let market = with_run(Submitted);
    let action = request_revision(market.run(RUN));
    assert_eq!(market.around(REVIEW_BY, POSTER, &action), [Ok(RevisionRequested), TOO_LATE, TOO_LATE]);
    for caller in [OWNER, WALLET, STRANGER] {
        assert_eq!(market.attempt(caller, &action, SUBMITTED_AT), Err("not_poster"));
    }
}

#[test]
fn request_revision_is_possible_as_often_as_the_run_says() {
    for max_revisions in 0..=3 {
        let mut market = with_run_of(max_revisions, Submitted);
        for revision in 1..=max_revisions {
            let action = request_revision(market.run(RUN));
            let run = market.act(POSTER, action, REVISED_AT);
            assert_eq!((run.revisions, run.due_at, run.review_by), (revision, Some(REVISION_DUE_AT), None));
            market.act(OWNER, submit(), REVISED_AT);
        }
        let run = market.run(RUN);
        assert_eq!(market.attempt(POSTER, &request_revision(run), REVISED_AT), Err("no_revisions_left"));
    }
}

#[test]
fn approve_is_the_posters_before_and_after_review_by() {
    let market = with_run(Submitted);
    let action = approve(market.run(RUN));
    assert_eq!(market.around(REVIEW_BY, POSTER, &action), [Ok(Approved); 3]);
    for caller in [OWNER, WALLET, STRANGER] {
        assert_eq!(market.attempt(caller, &action, REVIEW_BY), Err("not_poster"));
    }
}

#[test]
fn approve_pays_the_recorded_wallet_and_keeps_the_fee_though_the_token_moved() {
    let mut market = with_run(Submitted);
    market.make(OWNER, &Call::Transfer { agent: AGENT, to: STRANGER }, SUBMITTED_AT);
    let action = approve(market.run(RUN));
    market.act(POSTER, action, SUBMITTED_AT);
    // 20 USDC are staked, 100 earned.
    assert_eq!(market.gain_of(OWNER), (Usdc::whole(80), Usdc::ZERO));
    assert_eq!(market.gain_of(STRANGER), (Usdc::ZERO, Usdc::ZERO));
    assert_eq!((market.money.escrow, market.money.fees), (Usdc::whole(5), Usdc::whole(5)));
    let record = market.record();
    assert_eq!((record.completions, record.runs_in_hand, record.stake), (1, 0, Usdc::whole(20)));
}

#[test]
fn reject_needs_every_revision_used_and_stops_at_review_by() {
    let none_left = with_run_of(0, Submitted);
    let action = reject(none_left.run(RUN));
    assert_eq!(none_left.around(REVIEW_BY, POSTER, &action), [Ok(Rejected), TOO_LATE, TOO_LATE]);
    for caller in [OWNER, WALLET, STRANGER] {
        assert_eq!(none_left.attempt(caller, &action, SUBMITTED_AT), Err("not_poster"));
    }
    for max_revisions in 1..=3 {
        let market = with_run_of(max_revisions, Submitted);
        assert_eq!(market.attempt(POSTER, &reject(market.run(RUN)), SUBMITTED_AT), Err("revisions_left"));
    }
}

#[test]
fn reject_of_a_revision_that_never_came_is_the_posters_from_due_at_and_anyones_a_week_later() {
    let market = with_run(RevisionRequested);
    let action = reject(market.run(RUN));
    assert_eq!(market.around(REVISION_DUE_AT, POSTER, &action), [TOO_EARLY, Ok(Rejected), Ok(Rejected)]);
    for caller in [OWNER, WALLET, STRANGER] {
        assert_eq!(market.attempt(caller, &action, REVISION_DUE_AT), TOO_EARLY);
        let later = Timestamp(REVISION_DUE_AT.0 + WEEK);
        assert_eq!(market.around(later, caller, &action), [TOO_EARLY, Ok(Rejected), Ok(Rejected)]);
    }
}

#[test]
fn reject_refunds_the_poster_and_never_slashes() {
    let market = with_run(Rejected);
    assert_eq!(market.gain_of(POSTER), (Usdc::ZERO, Usdc::ZERO));
    assert_eq!(market.money.escrow, Usdc::ZERO);
    let agent = market.agent(AGENT).unwrap();
    assert_eq!((agent.record.stake, agent.record.runs_in_hand, agent.record.slashes), (Usdc::whole(20), 0, 0));
    assert_eq!((agent.track.rejected, agent.record.completions), (1, 0));
}

#[test]
fn finalize_is_anyones_from_review_by_and_pays_like_an_approval() {
    let market = with_run(Submitted);
    for caller in ACCOUNTS {
        assert_eq!(market.around(REVIEW_BY, caller, &Action::Finalize), [TOO_EARLY, Ok(Approved), Ok(Approved)]);
    }
    let (mut finalized, mut approved) = (market.clone(), market);
    assert!(finalized.act(STRANGER, Action::Finalize, REVIEW_BY).finalized_by_silence);
    let action = approve(approved.run(RUN));
    assert!(!approved.act(POSTER, action, REVIEW_BY).finalized_by_silence);
    assert_eq!(finalized.money, approved.money);
    assert_eq!(finalized.agents, approved.agents);
}

#[test]
fn slash_is_the_posters_from_due_at_and_anyones_a_week_later() {
    for state in [Claimed, InProgress] {
        let market = with_run(state);
        assert_eq!(market.around(DUE_AT, POSTER, &Action::Slash), [TOO_EARLY, Ok(Slashed), Ok(Slashed)]);
        for caller in [OWNER, WALLET, STRANGER] {
            let later = Timestamp(DUE_AT.0 + WEEK);
            assert_eq!(market.around(later, caller, &Action::Slash), [TOO_EARLY, Ok(Slashed), Ok(Slashed)]);
        }
    }
    assert_eq!(starts_from(POSTER, |_| Action::Slash, from_due), [Claimed, InProgress]);
    assert_eq!(with_run(RevisionRequested).attempt(POSTER, &Action::Slash, REVISION_DUE_AT), Err("wrong_state"));
}

#[test]
fn slash_gives_the_poster_its_money_and_ten_usdc_whoever_calls() {
    let claimed = with_run(Claimed);
    for (caller, at) in [(POSTER, DUE_AT), (STRANGER, Timestamp(DUE_AT.0 + WEEK))] {
        let mut market = claimed.clone();
        market.act(caller, Action::Slash, at);
        assert_eq!(market.gain_of(POSTER), (Usdc::whole(10), Usdc::ZERO));
        assert_eq!((market.money.escrow, market.money.stakes), (Usdc::ZERO, Usdc::whole(10)));
        let record = market.record();
        assert_eq!((record.stake, record.owed, record.slashes, record.runs_in_hand), (Usdc::whole(10), Usdc::whole(10), 1, 0));
        assert_eq!(record.staked_since, None);
    }
}

#[test]
fn at_every_second_exactly_one_side_may_act() {
    let (claimed, submitted, revised) = (with_run(Claimed), with_run_of(0, Submitted), with_run(RevisionRequested));
    for now in [DUE_AT.0 - 1, DUE_AT.0, DUE_AT.0 + 1].map(Timestamp) {
        let (submits, slashes) = (claimed.attempt(OWNER, &submit(), now), claimed.attempt(POSTER, &Action::Slash, now));
        assert_ne!(submits.is_ok(), slashes.is_ok(), "at {now}");
    }
    for now in [REVIEW_BY.0 - 1, REVIEW_BY.0, REVIEW_BY.0 + 1].map(Timestamp) {
        let rejects = submitted.attempt(POSTER, &reject(submitted.run(RUN)), now);
        let finalizes = submitted.attempt(STRANGER, &Action::Finalize, now);
        assert_ne!(rejects.is_ok(), finalizes.is_ok(), "at {now}");
    }
    for now in [REVISION_DUE_AT.0 - 1, REVISION_DUE_AT.0, REVISION_DUE_AT.0 + 1].map(Timestamp) {
        let (submits, rejects) = (revised.attempt(OWNER, &submit(), now), revised.attempt(POSTER, &reject(revised.run(RUN)), now));
        assert_ne!(submits.is_ok(), rejects.is_ok(), "at {now}");
    }
}

#[test]
fn an_answer_to_another_submission_is_refused_before_time_and_revisions_are_looked_at() {
    let submitted = with_run(Submitted);
    let revised = with_run(RevisionRequested);
    let stale = Timestamp(REVIEW_BY.0 + 1);
    let long_after = Timestamp(REVIEW_BY.0 + 10 * WEEK);
    for now in [SUBMITTED_AT, long_after] {
        for action in [
            Action::Approve { expected_review_by: stale },
            Action::RequestRevision { expected_review_by: stale, feedback: Bytes::new() },
            Action::Reject { expected_deadline: stale },
        ] {
            assert_eq!(submitted.attempt(POSTER, &action, now), Err("submission_changed"));
            assert_eq!(submitted.attempt(STRANGER, &action, now), Err("not_poster"));
        }
        assert_eq!(revised.attempt(STRANGER, &Action::Reject { expected_deadline: stale }, now), Err("submission_changed"));
    }
}

#[test]
fn nothing_leaves_a_terminal_state() {
    for state in [Approved, Rejected, Slashed, Cancelled] {
        let market = with_run(state);
        let run = market.run(RUN);
        assert!(run.settled_at.is_some());
        assert_eq!((run.due_at, run.review_by, run.escrowed()), (None, None, Usdc::ZERO));
        for action in [
            Action::Fund,
            Action::Cancel,
            claim(run),
            Action::Start,
            submit(),
            request_revision(run),
            approve(run),
            reject(run),
            Action::Finalize,
            Action::Slash,
        ] {
            for caller in [POSTER, OWNER] {
                let code = market.attempt(caller, &action, Timestamp(NOW.0 + 100 * WEEK)).unwrap_err();
                assert!(matches!(code, "wrong_state" | "not_poster"), "{action:?} from {state}: {code}");
            }
        }
    }
}

#[test]
fn claimable_slashable_and_finalizable_follow_the_verbs() {
    let around = |time: Timestamp| [time.0 - 1, time.0, time.0 + 1].map(Timestamp);
    for state in RunState::ALL.iter().copied() {
        let market = with_run(state);
        let run = market.run(RUN);
        assert_eq!(around(DEADLINE).map(|now| run.is_claimable(now)), [state == Open, false, false], "{state}");
        let late = matches!(state, Claimed | InProgress);
        assert_eq!(around(DUE_AT).map(|now| run.is_slashable(now)), [false, late, late], "{state}");
        let silent = state == Submitted;
        assert_eq!(around(REVIEW_BY).map(|now| run.is_finalizable(now)), [false, silent, silent], "{state}");
    }
}

//! What one account can do with a run: now, from when, until when, and what that would move.

use alloy_primitives::{Address, Bytes};

use crate::{
    Agent, AgentId, Parameters, Refusal, Run, RunState, Timestamp, Usdc,
    rules::{self, Action, Circumstances},
    spelling::spelled,
};

spelled! {
    /// A verb of a run, as its path is called.
    Verb {
        /// Escrow reward and fee.
        Fund = "fund",
        /// Withdraw the run.
        Cancel = "cancel",
        /// Take the run on.
        Claim = "claim",
        /// Say that work begins.
        Start = "start",
        /// Deliver.
        Submit = "submit",
        /// Ask for changes.
        RequestRevision = "request-revision",
        /// Accept and pay.
        Approve = "approve",
        /// Refuse and be refunded.
        Reject = "reject",
        /// Accept in a silent poster's place.
        Finalize = "finalize",
        /// Take the run back from an agent that did not deliver.
        Slash = "slash",
    }
}

spelled! {
    /// Where USDC can be.
    Purse {
        /// The poster's account.
        Poster = "poster",
        /// What the escrow holds for the run.
        Escrow = "escrow",
        /// The account of the wallet that claimed.
        Agent = "agent",
        /// The platform's fees.
        Platform = "platform",
        /// The agent's stake, as far as no run holds it.
        Stake = "stake",
        /// What of the agent's stake this run holds.
        Committed = "committed",
    }
}

/// USDC that a verb moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Out of.
    pub from: Purse,
    /// Into.
    pub to: Purse,
    /// How much; never nothing.
    pub amount: Usdc,
}

/// One verb, as far as one account is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub verb: Verb,
    /// Why not, in the order people are told; nothing if it is allowed.
    pub refusals: Vec<Refusal>,
    /// The first second at which its time has come, where that is known.
    pub from: Option<Timestamp>,
    /// The first second at which its time has passed, where that is known.
    pub until: Option<Timestamp>,
    /// What it would move.
    pub moves: Vec<Movement>,
}

impl Verb {
    /// What is asked for, of a run that is as the caller expects; of a text no more than that there is one.
    fn action(self, run: &Run, agent: Option<&Agent>) -> Action {
        let review_by = run.review_by.unwrap_or_default();
        match self {
            Self::Fund => Action::Fund,
            Self::Cancel => Action::Cancel,
            Self::Claim => Action::Claim { agent: agent.map_or(AgentId(0), |agent| agent.id), expected_terms: run.terms_word() },
            Self::Start => Action::Start,
            Self::Submit => Action::Submit { deliverable_uri: Bytes::from_static(b"-") },
            Self::RequestRevision => Action::RequestRevision { expected_review_by: review_by, feedback: Bytes::new() },
            Self::Approve => Action::Approve { expected_review_by: review_by },
            Self::Reject => Action::Reject { expected_deadline: run.review_by.or(run.due_at).unwrap_or_default() },
            Self::Finalize => Action::Finalize,
            Self::Slash => Action::Slash,
        }
    }

    /// From when and until when, as far as the run as it is says so.
    fn window(self, run: &Run, caller: Address, parameters: &Parameters) -> (Option<Timestamp>, Option<Timestamp>) {
        let due_for_caller = || run.due_for(caller, &parameters.escrow);
        match (self, run.state) {
            (Self::Fund, RunState::Draft) | (Self::Claim, RunState::Open) => (None, Some(run.terms.deadline)),
            (Self::Start, RunState::Claimed) => (None, run.due_at),
            (Self::Submit, RunState::Claimed | RunState::InProgress | RunState::RevisionRequested) => (None, run.due_at),
            (Self::RequestRevision | Self::Reject, RunState::Submitted) => (None, run.review_by),
            (Self::Finalize, RunState::Submitted) => (run.review_by, None),
            (Self::Slash, RunState::Claimed | RunState::InProgress) | (Self::Reject, RunState::RevisionRequested) => {
                (Some(due_for_caller()), None)
            }
            _ => (None, None),
        }
    }

    /// What it moves, if it is allowed.
    fn moves(self, run: &Run, parameters: &Parameters) -> Vec<Movement> {
        let (held, escrowed) = (run.claim.map_or(Usdc::ZERO, |claim| claim.stake_at_risk), run.escrowed());
        let (reward, fee) = (run.terms.reward, run.terms.fee);
        let refund = (Purse::Escrow, Purse::Poster, escrowed);
        let release = (Purse::Committed, Purse::Stake, held);
        let moves = match self {
            Self::Fund => vec![(Purse::Poster, Purse::Escrow, run.terms.escrowed())],
            Self::Cancel => vec![refund],
            Self::Claim => vec![(Purse::Stake, Purse::Committed, parameters.stake.stake_at_risk)],
            Self::Start | Self::Submit | Self::RequestRevision => vec![],
            Self::Approve | Self::Finalize => {
                vec![(Purse::Escrow, Purse::Agent, reward), (Purse::Escrow, Purse::Platform, fee), release]
            }
            Self::Reject => vec![refund, release],
            Self::Slash => vec![refund, (Purse::Committed, Purse::Poster, held)],
        };
        let moves = moves.into_iter().filter(|(_, _, amount)| *amount > Usdc::ZERO);
        moves.map(|(from, to, amount)| Movement { from, to, amount }).collect()
    }
}

/// What `caller` can do with `run` by `verb`, where `agent` is the one that would claim it, or that holds it.
pub fn choice(run: &Run, verb: Verb, circumstances: &Circumstances<'_>) -> Choice {
    let Circumstances { caller, agent, parameters, .. } = *circumstances;
    let (from, until) = verb.window(run, caller, parameters);
    let refusals = rules::refusals(run, &verb.action(run, agent), circumstances);
    Choice { verb, refusals, from, until, moves: verb.moves(run, parameters) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Claim, RunId, Seconds, Terms};

    const POSTER: Address = Address::repeat_byte(1);
    const WORKER: Address = Address::repeat_byte(2);
    const STRANGER: Address = Address::repeat_byte(3);

    fn run(state: RunState) -> Run {
        let terms = Terms {
            poster: POSTER,
            reward: Usdc::whole(100),
            fee: Usdc::whole(5),
            deadline: Timestamp(1_000),
            max_revisions: 0,
            content_uri: Bytes::from_static(b"x"),
        };
        let claim = Claim { agent: AgentId(7), wallet: WORKER, stake_at_risk: Usdc::whole(10), at: Timestamp(500) };
        Run {
            id: RunId(1),
            terms,
            state,
            claim: state.is_in_hand().then_some(claim),
            submission: None,
            revisions: 0,
            feedback: None,
            due_at: matches!(state, RunState::Claimed | RunState::RevisionRequested).then_some(Timestamp(2_000)),
            review_by: (state == RunState::Submitted).then_some(Timestamp(3_000)),
            created_at: Timestamp(1),
            funded_at: None,
            settled_at: None,
            finalized_by_silence: false,
        }
    }

    fn choices(run: &Run, caller: Address, now: u64) -> Vec<Choice> {
        let parameters = Parameters::default();
        let circumstances = Circumstances { caller, agent: None, now: Timestamp(now), parameters: &parameters };
        Verb::ALL.iter().map(|verb| choice(run, *verb, &circumstances)).collect()
    }

    fn allowed(run: &Run, caller: Address, now: u64) -> Vec<Verb> {
        choices(run, caller, now).into_iter().filter(|choice| choice.refusals.is_empty()).map(|choice| choice.verb).collect()
    }

    fn of(run: &Run, caller: Address, verb: Verb) -> Choice {
        choices(run, caller, 1_500).into_iter().find(|choice| choice.verb == verb).unwrap()
    }

    #[test]
    fn each_account_has_its_verbs_and_each_verb_its_time() {
        let claimed = run(RunState::Claimed);
        assert_eq!(allowed(&claimed, WORKER, 1_999), [Verb::Start, Verb::Submit]);
        assert_eq!(allowed(&claimed, POSTER, 1_999), []);
        assert_eq!((allowed(&claimed, WORKER, 2_000), allowed(&claimed, POSTER, 2_000)), (vec![], vec![Verb::Slash]));
        let submitted = run(RunState::Submitted);
        assert_eq!(allowed(&submitted, POSTER, 2_999), [Verb::Approve, Verb::Reject]);
        assert_eq!(allowed(&submitted, STRANGER, 3_000), [Verb::Finalize]);
        assert_eq!(allowed(&run(RunState::Draft), POSTER, 999), [Verb::Fund, Verb::Cancel]);
    }

    #[test]
    fn what_others_may_do_they_may_later() {
        let claimed = run(RunState::Claimed);
        let later = Timestamp(2_000) + Parameters::default().escrow.submission_timeout;
        assert_eq!(
            (of(&claimed, POSTER, Verb::Slash).from, of(&claimed, STRANGER, Verb::Slash).from),
            (Some(Timestamp(2_000)), Some(later))
        );
        assert_eq!(allowed(&claimed, STRANGER, later.0 - 1), []);
        assert_eq!(allowed(&claimed, STRANGER, later.0), [Verb::Slash]);
        assert!(later > Timestamp(2_000) + Seconds(1));
    }

    #[test]
    fn what_moves_is_what_the_run_holds() {
        let moves = |state, verb| -> Vec<_> {
            of(&run(state), POSTER, verb).moves.into_iter().map(|moved| (moved.from, moved.to, moved.amount)).collect()
        };
        assert_eq!(moves(RunState::Draft, Verb::Fund), [(Purse::Poster, Purse::Escrow, Usdc::whole(105))]);
        assert_eq!(moves(RunState::Draft, Verb::Cancel), []);
        assert_eq!(moves(RunState::Open, Verb::Cancel), [(Purse::Escrow, Purse::Poster, Usdc::whole(105))]);
        let paid = [
            (Purse::Escrow, Purse::Agent, Usdc::whole(100)),
            (Purse::Escrow, Purse::Platform, Usdc::whole(5)),
            (Purse::Committed, Purse::Stake, Usdc::whole(10)),
        ];
        assert_eq!(moves(RunState::Submitted, Verb::Approve), paid);
        let slashed = [(Purse::Escrow, Purse::Poster, Usdc::whole(105)), (Purse::Committed, Purse::Poster, Usdc::whole(10))];
        assert_eq!(moves(RunState::Claimed, Verb::Slash), slashed);
    }
}

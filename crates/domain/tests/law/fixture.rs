//! One market with good defaults; a test states only what differs.

use alloy_primitives::{Address, Bytes, U256, address};
use clawpay_domain::{AgentId, NewRun, Parameters, Refusal, Run, RunId, RunState, StakeRecord, Timestamp, Usdc, rules::Action};

use crate::market::{Call, Market};

pub(crate) const POSTER: Address = address!("0x1000000000000000000000000000000000000001");
/// Owns [`AGENT`], and claims with it unless a test says otherwise.
pub(crate) const OWNER: Address = address!("0x2000000000000000000000000000000000000002");
/// The agent wallet of [`AGENT`].
pub(crate) const WALLET: Address = address!("0x3000000000000000000000000000000000000003");
pub(crate) const STRANGER: Address = address!("0x4000000000000000000000000000000000000004");
pub(crate) const ACCOUNTS: [Address; 4] = [POSTER, OWNER, WALLET, STRANGER];

pub(crate) const AGENT: AgentId = AgentId(1);
pub(crate) const RUN: RunId = RunId(1);
pub(crate) const REWARD: Usdc = Usdc::whole(100);
pub(crate) const FUNDS: Usdc = Usdc::whole(1_000_000);

/// When everything in this market begins.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000);
pub(crate) const WEEK: u64 = 604_800;
pub(crate) const DEADLINE: Timestamp = Timestamp(NOW.0 + 1_000);
pub(crate) const CLAIMED_AT: Timestamp = Timestamp(NOW.0 + 100);
pub(crate) const DUE_AT: Timestamp = Timestamp(CLAIMED_AT.0 + WEEK);
pub(crate) const SUBMITTED_AT: Timestamp = Timestamp(NOW.0 + 200);
pub(crate) const REVIEW_BY: Timestamp = Timestamp(SUBMITTED_AT.0 + WEEK);
pub(crate) const REVISED_AT: Timestamp = Timestamp(NOW.0 + 300);
pub(crate) const REVISION_DUE_AT: Timestamp = Timestamp(REVISED_AT.0 + WEEK);

/// What a call came to: the state of the run afterwards, or the code of its refusal.
pub(crate) type Outcome = Result<RunState, &'static str>;

/// A market with one agent, whose stake is the minimum.
pub(crate) fn market() -> Market {
    let mut market = Market::new(Parameters::default(), &ACCOUNTS, FUNDS);
    for call in [
        Call::Register,
        Call::SetWallet { agent: AGENT, wallet: WALLET },
        Call::Stake { agent: AGENT, amount: market.parameters.stake.minimum_stake },
    ] {
        market.make(OWNER, &call, NOW);
    }
    market
}

/// The same with one run in `state`, three revisions allowed and none used (one, where it is REVISION_REQUESTED).
pub(crate) fn with_run(state: RunState) -> Market {
    with_run_of(3, state)
}

pub(crate) fn with_run_of(max_revisions: u8, state: RunState) -> Market {
    let mut market = market();
    let new = NewRun {
        reward: REWARD,
        deadline: DEADLINE,
        max_revisions: max_revisions.into(),
        content_uri: Bytes::from_static(b"ipfs://content"),
    };
    if state == RunState::Draft {
        market.make(POSTER, &Call::Create(new), NOW);
        return market;
    }
    market.make(POSTER, &Call::CreateAndFund(new), NOW);
    let path: &[RunState] = match state {
        RunState::Draft | RunState::Open => &[],
        RunState::Claimed => &[RunState::Claimed],
        RunState::InProgress => &[RunState::Claimed, RunState::InProgress],
        RunState::Submitted => &[RunState::Claimed, RunState::Submitted],
        RunState::RevisionRequested => &[RunState::Claimed, RunState::Submitted, RunState::RevisionRequested],
        RunState::Approved => &[RunState::Claimed, RunState::Submitted, RunState::Approved],
        RunState::Rejected => &[RunState::Claimed, RunState::Submitted, RunState::RevisionRequested, RunState::Rejected],
        RunState::Slashed => &[RunState::Claimed, RunState::Slashed],
        RunState::Cancelled => &[RunState::Cancelled],
    };
    for step in path {
        let run = market.run(RUN);
        let (caller, at, action) = match step {
            RunState::Draft | RunState::Open => continue,
            RunState::Claimed => (OWNER, CLAIMED_AT, claim(run)),
            RunState::InProgress => (OWNER, CLAIMED_AT, Action::Start),
            RunState::Submitted => (OWNER, SUBMITTED_AT, submit()),
            RunState::RevisionRequested => (POSTER, REVISED_AT, request_revision(run)),
            RunState::Approved => (POSTER, SUBMITTED_AT, approve(run)),
            RunState::Rejected => (POSTER, REVISION_DUE_AT, reject(run)),
            RunState::Slashed => (POSTER, DUE_AT, Action::Slash),
            RunState::Cancelled => (POSTER, NOW, Action::Cancel),
        };
        market.make(caller, &Call::Act { run: RUN, action }, at);
    }
    market
}

impl Market {
    /// Makes a call that must succeed.
    pub(crate) fn make(&mut self, caller: Address, call: &Call, now: Timestamp) {
        if let Err(refusal) = self.perform(caller, call, now) {
            panic!("{call:?} at {now} is refused: {refusal}");
        }
    }

    /// Tries something on [`RUN`] and changes nothing.
    pub(crate) fn attempt(&self, caller: Address, action: &Action, now: Timestamp) -> Outcome {
        let mut market = self.clone();
        let outcome = market.perform(caller, &Call::Act { run: RUN, action: action.clone() }, now);
        outcome.map(|()| market.run(RUN).state).map_err(|refusal| refusal.code())
    }

    /// Tries something on [`RUN`] one second before `time`, at it, and one second after.
    pub(crate) fn around(&self, time: Timestamp, caller: Address, action: &Action) -> [Outcome; 3] {
        [time.0 - 1, time.0, time.0 + 1].map(|now| self.attempt(caller, action, Timestamp(now)))
    }

    /// Does something with [`RUN`], which must succeed, and answers the run.
    pub(crate) fn act(&mut self, caller: Address, action: Action, now: Timestamp) -> &Run {
        self.make(caller, &Call::Act { run: RUN, action }, now);
        self.run(RUN)
    }

    /// Tries a call and changes nothing.
    pub(crate) fn try_call(&self, caller: Address, call: &Call, now: Timestamp) -> Result<(), Refusal> {
        self.clone().perform(caller, call, now)
    }

    /// The stake record of [`AGENT`].
    pub(crate) fn record(&self) -> StakeRecord {
        self.agents[0].record
    }

    /// What `account` gained since everybody held [`FUNDS`], and what it lost.
    pub(crate) fn gain_of(&self, account: Address) -> (Usdc, Usdc) {
        let held = self.money.of(account);
        (held.saturating_sub(FUNDS), FUNDS.saturating_sub(held))
    }
}

pub(crate) fn claim(run: &Run) -> Action {
    Action::Claim { agent: AGENT, expected_terms: run.terms_word() }
}

pub(crate) fn stale_claim(run: &Run) -> Action {
    Action::Claim { agent: AGENT, expected_terms: run.terms_word() ^ U256::ONE }
}

pub(crate) fn submit() -> Action {
    Action::Submit { deliverable_uri: Bytes::from_static(b"ipfs://deliverable") }
}

pub(crate) fn request_revision(run: &Run) -> Action {
    Action::RequestRevision { expected_review_by: run.review_by.unwrap_or_default(), feedback: Bytes::from_static(b"please") }
}

pub(crate) fn approve(run: &Run) -> Action {
    Action::Approve { expected_review_by: run.review_by.unwrap_or_default() }
}

pub(crate) fn reject(run: &Run) -> Action {
    Action::Reject { expected_deadline: run.review_by.or(run.due_at).unwrap_or_default() }
}

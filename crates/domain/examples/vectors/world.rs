//! The market that every replay starts in: its accounts, its agents, and the calls that make them what they are.

use alloy_primitives::{Address, Bytes, U256, address, keccak256};
use clawpay_domain::{AgentId, AgentStatus, NewRun, Parameters, Refusal, Run, RunId, RunState, Timestamp, Usdc, rules::Action};

use crate::{
    columns::{Columns, Tables},
    market::{Call, Market},
};

/// Chain time once the prelude has been played.
pub(crate) const START: Timestamp = Timestamp(1_800_000_000);
pub(crate) const HOUR: u64 = 3_600;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Its fee is rounded down.
pub(crate) const REWARD: Usdc = Usdc::base_units(123_456_789);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Posts the runs under test.
    Poster,
    /// Owns agent [`WORKER`].
    Owner,
    /// Is the agent wallet of [`WORKER`].
    AgentWallet,
    /// Is given [`WORKER`]'s token.
    NewOwner,
    /// Owns every other agent.
    OtherOwner,
    /// Has no part in anything.
    Stranger,
    /// Posted the runs of the prelude.
    OtherPoster,
    /// Owns the escrow: may pause new business and move the treasury, and nothing else.
    EscrowOwner,
    /// Is sent the fees.
    Treasury,
}

impl Role {
    pub(crate) const ALL: [Self; 9] = [
        Self::Poster,
        Self::Owner,
        Self::AgentWallet,
        Self::NewOwner,
        Self::OtherOwner,
        Self::Stranger,
        Self::OtherPoster,
        Self::EscrowOwner,
        Self::Treasury,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Poster => "poster",
            Self::Owner => "owner",
            Self::AgentWallet => "agentWallet",
            Self::NewOwner => "newOwner",
            Self::OtherOwner => "otherOwner",
            Self::Stranger => "stranger",
            Self::OtherPoster => "otherPoster",
            Self::EscrowOwner => "escrowOwner",
            Self::Treasury => "treasury",
        }
    }

    /// An address that uses all its bits; the agent wallet's is that of private key 1, because it must sign.
    pub(crate) fn account(self) -> Address {
        match self {
            Self::AgentWallet => address!("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
            _ => Address::from_word(keccak256(self.name())),
        }
    }

    pub(crate) const fn index(self) -> u64 {
        self as u64
    }
}

/// The agents, by what makes each of them special.
pub(crate) const WORKER: AgentId = AgentId(1);
pub(crate) const PROVISIONAL: AgentId = AgentId(2);
pub(crate) const ESTABLISHED: AgentId = AgentId(3);
pub(crate) const UNVERIFIED: AgentId = AgentId(4);
pub(crate) const FROZEN: AgentId = AgentId(5);
pub(crate) const BANNED: AgentId = AgentId(6);
/// PROVISIONAL with all its stake committed.
pub(crate) const BUSY: AgentId = AgentId(7);
pub(crate) const UNKNOWN: AgentId = AgentId(99);
pub(crate) const AGENTS: u64 = 7;

/// A call that is part of making a situation, and must succeed.
pub(crate) struct Step {
    pub(crate) caller: Role,
    pub(crate) at: Timestamp,
    pub(crate) call: Call,
}

/// A market being made, and the calls that made it.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) market: Market,
    pub(crate) now: Timestamp,
}

impl Stage {
    /// The market at [`START`], after the prelude.
    pub(crate) fn start() -> Self {
        let mut stage = Self::empty();
        stage.play(&prelude());
        stage.now = START;
        stage
    }

    fn empty() -> Self {
        let accounts = Role::ALL.map(Role::account);
        Self { market: Market::new(Parameters::default(), &accounts, Usdc(U256::ONE << 80)), now: Timestamp(0) }
    }

    pub(crate) fn play(&mut self, steps: &[Step]) {
        for step in steps {
            if let Err(refusal) = self.market.perform(step.caller.account(), &step.call, step.at) {
                panic!("{:?} at {} is refused: {refusal}", step.call, step.at);
            }
            self.now = step.at;
        }
    }
}

/// The verbs that answer a run by looking at it first, answered from what the run is now.
pub(crate) fn expected_deadline(run: &Run) -> Timestamp {
    run.review_by.or(run.due_at).unwrap_or_default()
}

/// A step of an existing run by its name, as everybody would take it who has seen the run.
pub(crate) fn usual(verb: &str, run: &Run, agent: AgentId) -> Action {
    let expected_review_by = expected_deadline(run);
    match verb {
        "fund" => Action::Fund,
        "cancel" => Action::Cancel,
        "claim" => Action::Claim { agent, expected_terms: run.terms_word() },
        "start" => Action::Start,
        "submit" => Action::Submit { deliverable_uri: text(1) },
        "requestRevision" => Action::RequestRevision { expected_review_by, feedback: text(0) },
        "approve" => Action::Approve { expected_review_by },
        "reject" => Action::Reject { expected_deadline: expected_review_by },
        "finalize" => Action::Finalize,
        "slash" => Action::Slash,
        _ => panic!("no verb is called {verb}"),
    }
}

/// A text of this many bytes.
pub(crate) fn text(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

/// A run as most of the prelude's are.
pub(crate) fn offer(deadline: Timestamp, max_revisions: u8) -> NewRun {
    NewRun { reward: REWARD, deadline, max_revisions: max_revisions.into(), content_uri: text(1) }
}

/// The outcome's name in a legend: the state reached, or the error reverted with.
pub(crate) fn refusal_name(refusal: &Refusal) -> &'static str {
    // Of a missing token the registry speaks, and ours is OpenZeppelin's ERC-721.
    refusal.solidity_error().unwrap_or("ERC721NonexistentToken")
}

/// Writes the prelude down as it is played.
struct Script {
    stage: Stage,
    steps: Vec<Step>,
}

impl Script {
    fn step(&mut self, caller: Role, at: Timestamp, call: Call) {
        let step = Step { caller, at, call };
        self.stage.play(std::slice::from_ref(&step));
        self.steps.push(step);
    }

    fn act(&mut self, caller: Role, at: Timestamp, verb: &str, run: RunId, agent: AgentId) {
        let action = usual(verb, self.stage.market.run(run), agent);
        self.step(caller, at, Call::Act { run, action });
    }

    fn stake(&mut self, at: Timestamp, agent: AgentId, amount: Usdc) {
        self.step(Role::OtherOwner, at, Call::Stake { agent, amount });
    }

    /// A run of the other poster, in `agent`'s hands.
    fn claimed_run(&mut self, at: Timestamp, agent: AgentId) -> RunId {
        self.step(Role::OtherPoster, at, Call::CreateAndFund(offer(at + days(1), 3)));
        let run = RunId(self.stage.market.runs.len() as u64);
        self.act(Role::OtherOwner, at, "claim", run, agent);
        run
    }
}

pub(crate) const fn days(days: u64) -> clawpay_domain::Seconds {
    clawpay_domain::Seconds::days(days)
}

/// Registers the agents and makes each what its name says.
fn prelude() -> Vec<Step> {
    let mut script = Script { stage: Stage::empty(), steps: Vec::new() };
    let minimum = Parameters::default().stake.minimum_stake;
    let at_risk = Parameters::default().stake.stake_at_risk;
    let dawn = Timestamp(START.0 - 60 * DAY);

    script.step(Role::Owner, dawn, Call::Register);
    for _ in 1..AGENTS {
        script.step(Role::OtherOwner, dawn, Call::Register);
    }
    script.step(Role::Owner, dawn, Call::SetWallet { agent: WORKER, wallet: Role::AgentWallet.account() });

    script.stake(dawn, ESTABLISHED, minimum);
    for _ in 0..5 {
        let run = script.claimed_run(dawn, ESTABLISHED);
        script.act(Role::OtherOwner, dawn, "submit", run, ESTABLISHED);
        script.act(Role::OtherPoster, dawn, "approve", run, ESTABLISHED);
    }

    // Two slashes use up the stake; a third, after it was staked again, is the last.
    script.stake(dawn, FROZEN, minimum);
    script.stake(dawn, BANNED, minimum);
    let slashed = [(FROZEN, dawn), (BANNED, dawn), (BANNED, dawn)].map(|(agent, at)| (agent, script.claimed_run(at, agent)));
    let first_due = dawn + days(7);
    for (agent, run) in slashed {
        script.act(Role::OtherPoster, first_due, "slash", run, agent);
    }
    script.stake(first_due, BANNED, minimum);
    let run = script.claimed_run(first_due, BANNED);
    script.act(Role::OtherPoster, first_due + days(7), "slash", run, BANNED);

    let eve = Timestamp(START.0 - HOUR);
    script.step(Role::Owner, eve, Call::Stake { agent: WORKER, amount: minimum });
    script.stake(eve, PROVISIONAL, minimum);
    script.stake(eve, UNVERIFIED, Usdc::base_units(19_999_999));
    script.stake(eve, BUSY, at_risk.saturating_mul(2));
    for _ in 0..2 {
        script.claimed_run(eve, BUSY);
    }
    script.steps
}

/// One row for each step, every column filled whether the verb looks at it or not.
pub(crate) fn write_step(columns: &mut Columns, step: &Step) {
    let (mut agent, mut run, mut amount, mut deadline, mut max_revisions, mut account) =
        (AgentId(0), RunId(0), Usdc::ZERO, Timestamp(0), 0, Address::ZERO);
    let verb = match &step.call {
        Call::Register => "register",
        Call::SetWallet { agent: of, wallet } => {
            (agent, account) = (*of, *wallet);
            "setWallet"
        }
        Call::Transfer { agent: of, to } => {
            (agent, account) = (*of, *to);
            "transfer"
        }
        Call::Stake { agent: of, amount: much } => {
            (agent, amount) = (*of, *much);
            "stake"
        }
        Call::Unstake { agent: of, amount: much } => {
            (agent, amount) = (*of, *much);
            "unstake"
        }
        Call::Create(new) | Call::CreateAndFund(new) => {
            (amount, deadline, max_revisions) = (new.reward, new.deadline, new.max_revisions);
            if matches!(step.call, Call::Create(_)) { "create" } else { "createAndFund" }
        }
        Call::Act { run: of, action } => {
            run = *of;
            if let Action::Claim { agent: by, .. } = action {
                agent = *by;
            }
            verb_of(action)
        }
    };
    columns.text("verb", verb);
    columns.number("caller", step.caller.index());
    columns.number("at", step.at.0);
    columns.number("agent", agent.0);
    columns.number("run", run.0);
    columns.text("amount", amount.0);
    columns.number("deadline", deadline.0);
    columns.number("maxRevisions", max_revisions);
    columns.text("account", account);
}

const fn verb_of(action: &Action) -> &'static str {
    match action {
        Action::Fund => "fund",
        Action::Cancel => "cancel",
        Action::Claim { .. } => "claim",
        Action::Start => "start",
        Action::Submit { .. } => "submit",
        Action::RequestRevision { .. } => "requestRevision",
        Action::Approve { .. } => "approve",
        Action::Reject { .. } => "reject",
        Action::Finalize => "finalize",
        Action::Slash => "slash",
    }
}

/// The accounts, the words in the order of the Solidity enums, and the prelude.
pub(crate) fn vectors() -> Tables {
    let mut roles = Columns::default();
    for role in Role::ALL {
        roles.text("name", role.name());
        roles.text("account", role.account());
    }
    let mut states = Columns::default();
    for state in RunState::ALL {
        states.text("name", state);
    }
    let mut statuses = Columns::default();
    for status in AgentStatus::ALL {
        statuses.text("name", status);
    }
    let mut steps = Columns::default();
    for step in prelude() {
        write_step(&mut steps, &step);
    }
    let mut start = Columns::default();
    start.number("at", START.0);
    Tables::default().with("roles", roles).with("states", states).with("statuses", statuses).with("start", start).with("prelude", steps)
}

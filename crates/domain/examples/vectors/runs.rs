//! Every state of a run x every verb x every kind of caller x the seconds around every deadline.

use alloy_primitives::{Address, U256};
use clawpay_domain::{AgentId, Run, RunId, RunState, Timestamp, rules::Action};

use crate::{
    columns::{Columns, Legend, Tables},
    market::Call,
    world::{
        BANNED, BUSY, DAY, ESTABLISHED, FROZEN, HOUR, PROVISIONAL, Role, Stage, Step, UNKNOWN, UNVERIFIED, WORKER, days, expected_deadline,
        offer, refusal_name, text, usual, write_step,
    },
};

/// All callers: the escrow's owner and its treasury have no more part in a run than a stranger.
const CALLERS: [Role; 9] = Role::ALL;

/// A run in some state, and how it got there.
struct Setup {
    name: String,
    steps: Vec<Step>,
    stage: Stage,
    run: RunId,
}

impl Setup {
    /// Plays `words` an hour apart. A word is a verb by its usual caller; a verb of the late comes at the deadline that allows it.
    fn new(start: &Stage, name: impl Into<String>, max_revisions: u8, words: &str) -> Self {
        let mut stage = start.clone();
        let run = RunId(stage.market.runs.len() as u64 + 1);
        let deadline = stage.now + days(3);
        let mut steps = Vec::new();
        for word in words.split(' ') {
            let known = stage.market.runs.get(usize::try_from(run.0 - 1).unwrap_or(usize::MAX));
            let at = match (word, known) {
                ("finalize" | "slash", Some(run)) => expected_deadline(run),
                ("reject", Some(run)) if run.state == RunState::RevisionRequested => expected_deadline(run),
                _ => Timestamp(stage.now.0 + HOUR),
            };
            let act = |verb: &str, known: Option<&Run>| match known {
                Some(known) => Call::Act { run, action: usual(verb, known, WORKER) },
                None => panic!("{verb} comes before the run"),
            };
            let (caller, call) = match word {
                "create" => (Role::Poster, Call::Create(offer(deadline, max_revisions))),
                "createAndFund" => (Role::Poster, Call::CreateAndFund(offer(deadline, max_revisions))),
                "giveToNewOwner" => (Role::Owner, Call::Transfer { agent: WORKER, to: Role::NewOwner.account() }),
                "giveToPoster" => (Role::Owner, Call::Transfer { agent: WORKER, to: Role::Poster.account() }),
                "claimByAgentWallet" => (Role::AgentWallet, act("claim", known)),
                "claim" | "start" | "submit" => (Role::Owner, act(word, known)),
                "finalize" => (Role::Stranger, act(word, known)),
                _ => (Role::Poster, act(word, known)),
            };
            let step = Step { caller, at, call };
            stage.play(std::slice::from_ref(&step));
            steps.push(step);
        }
        Self { name: name.into(), steps, stage, run }
    }

    fn run(&self) -> &Run {
        self.stage.market.run(self.run)
    }

    /// The second the run got here, the seconds around each deadline it has or had, and a second long after them all.
    fn times(&self) -> Vec<Timestamp> {
        let run = self.run();
        let timeout = self.stage.market.parameters.escrow.submission_timeout;
        let deadlines = [Some(run.terms.deadline), run.due_at, run.due_at.map(|due_at| due_at + timeout), run.review_by];
        let around = deadlines.into_iter().flatten().flat_map(|deadline| [deadline.0 - 1, deadline.0, deadline.0 + 1]);
        let mut times: Vec<_> = around.chain([self.stage.now.0, self.stage.now.0 + 400 * DAY]).map(Timestamp).collect();
        times.retain(|&time| time >= self.stage.now);
        times.sort_unstable();
        times.dedup();
        times
    }
}

/// Every state; those with a count of revisions at every count; those with an agent also after its token moved on.
fn setups() -> Vec<Setup> {
    let start = Stage::start();
    let setup = |name: &str, words: &str| Setup::new(&start, name, 3, words);
    let mut setups = vec![
        setup("DRAFT", "create"),
        setup("OPEN", "createAndFund"),
        setup("OPEN, funded later", "create fund"),
        setup("OPEN, agent given to newOwner", "createAndFund giveToNewOwner"),
        setup("OPEN, agent given to poster", "createAndFund giveToPoster"),
        setup("CLAIMED", "createAndFund claim"),
        setup("CLAIMED by agentWallet", "createAndFund claimByAgentWallet"),
        setup("CLAIMED, agent given to newOwner", "createAndFund claim giveToNewOwner"),
        setup("CLAIMED by agentWallet, agent given to newOwner", "createAndFund claimByAgentWallet giveToNewOwner"),
        setup("CLAIMED, agent given to poster", "createAndFund claim giveToPoster"),
        setup("IN_PROGRESS", "createAndFund claim start"),
        setup("IN_PROGRESS, agent given to newOwner", "createAndFund claim start giveToNewOwner"),
    ];
    for max_revisions in 0..=3 {
        let mut words = "createAndFund claim submit".to_owned();
        for revisions in 0..=max_revisions {
            setups.push(Setup::new(&start, format!("SUBMITTED, revision {revisions} of {max_revisions}"), max_revisions, &words));
            if revisions < max_revisions {
                words.push_str(" requestRevision");
                let name = format!("REVISION_REQUESTED, revision {} of {max_revisions}", revisions + 1);
                setups.push(Setup::new(&start, name, max_revisions, &words));
                words.push_str(" submit");
            }
        }
    }
    setups.extend([
        Setup::new(&start, "SUBMITTED, agent given to newOwner", 0, "createAndFund claim submit giveToNewOwner"),
        setup("REVISION_REQUESTED, agent given to newOwner", "createAndFund claim submit requestRevision giveToNewOwner"),
        setup("APPROVED", "createAndFund claim submit approve"),
        setup("APPROVED by silence", "createAndFund claim submit finalize"),
        Setup::new(&start, "REJECTED", 0, "createAndFund claim submit reject"),
        setup("REJECTED for want of a revision", "createAndFund claim submit requestRevision reject"),
        setup("SLASHED", "createAndFund claim slash"),
        setup("SLASHED in progress", "createAndFund claim start slash"),
        setup("CANCELLED draft", "create cancel"),
        setup("CANCELLED", "createAndFund cancel"),
    ]);
    setups
}

/// What a caller tries: a verb, and what is unusual about it.
const ATTEMPTS: [&str; 25] = [
    "fund",
    "cancel",
    "claim",
    "claimStale",
    "claimForProvisional",
    "claimForEstablished",
    "claimForUnverified",
    "claimForFrozen",
    "claimForBanned",
    "claimForBusy",
    "claimForUnknown",
    "start",
    "submit",
    "submitNothing",
    "submitLongest",
    "submitTooLong",
    "requestRevision",
    "requestRevisionStale",
    "requestRevisionTooLong",
    "approve",
    "approveStale",
    "reject",
    "rejectStale",
    "finalize",
    "slash",
];

fn attempt(name: &str, run: &Run) -> Action {
    let claim = |agent: AgentId| usual("claim", run, agent);
    let stale = Timestamp(expected_deadline(run).0 + 1);
    match name {
        "claim" => claim(WORKER),
        "claimStale" => Action::Claim { agent: WORKER, expected_terms: run.terms_word() ^ U256::ONE },
        "claimForProvisional" => claim(PROVISIONAL),
        "claimForEstablished" => claim(ESTABLISHED),
        "claimForUnverified" => claim(UNVERIFIED),
        "claimForFrozen" => claim(FROZEN),
        "claimForBanned" => claim(BANNED),
        "claimForBusy" => claim(BUSY),
        "claimForUnknown" => claim(UNKNOWN),
        "submitNothing" => Action::Submit { deliverable_uri: text(0) },
        "submitLongest" => Action::Submit { deliverable_uri: text(2048) },
        "submitTooLong" => Action::Submit { deliverable_uri: text(2049) },
        "requestRevisionStale" => Action::RequestRevision { expected_review_by: stale, feedback: text(0) },
        "requestRevisionTooLong" => Action::RequestRevision { expected_review_by: expected_deadline(run), feedback: text(2049) },
        "approveStale" => Action::Approve { expected_review_by: stale },
        "rejectStale" => Action::Reject { expected_deadline: stale },
        verb => usual(verb, run, WORKER),
    }
}

/// The setups with their steps; one row for each setup, second and caller, with a column for the outcome of each attempt; and what each
/// attempt that succeeded left behind.
pub(crate) fn vectors() -> Tables {
    let (mut setup_rows, mut step_rows, mut probes, mut after) =
        (Columns::default(), Columns::default(), Columns::default(), Columns::default());
    let mut outcomes = Legend::default();
    for (index, setup) in setups().iter().enumerate() {
        let run = setup.run();
        setup_rows.text("name", &setup.name);
        setup_rows.number("run", run.id.0);
        // As funded: a draft's, or a cancelled run's, is never compared.
        setup_rows.text("terms", format_args!("{:#066x}", run.terms_word()));
        write_run(&mut setup_rows, run);
        for step in &setup.steps {
            step_rows.number("setup", index as u64);
            write_step(&mut step_rows, step);
        }
        for at in setup.times() {
            for caller in CALLERS {
                let row = probes.rows() as u64;
                probes.number("setup", index as u64);
                probes.number("at", at.0);
                probes.number("caller", caller.index());
                for (number, name) in ATTEMPTS.into_iter().enumerate() {
                    let call = Call::Act { run: setup.run, action: attempt(name, run) };
                    let mut market = setup.stage.market.clone();
                    let outcome = match market.perform(caller.account(), &call, at) {
                        Ok(()) => {
                            after.number("probe", row);
                            after.number("attempt", number as u64);
                            write_success(&mut after, setup, &market);
                            market.run(setup.run).state.as_str()
                        }
                        Err(refusal) => refusal_name(&refusal),
                    };
                    probes.number(name, outcomes.number(outcome));
                }
            }
        }
    }
    let mut attempts = Columns::default();
    for name in ATTEMPTS {
        attempts.text("name", name);
    }
    Tables::default()
        .with("outcomes", outcomes.into_columns())
        .with("attempts", attempts)
        .with("setups", setup_rows)
        .with("steps", step_rows)
        .with("probes", probes)
        .with("after", after)
}

/// What `getRun` answers, without the immutable part; zero where it has nothing to say.
fn write_run(columns: &mut Columns, run: &Run) {
    columns.number("state", run.state.index());
    columns.number("agent", run.claim.map_or(0, |claim| claim.agent.0));
    columns.text("wallet", run.claim.map_or(Address::ZERO, |claim| claim.wallet));
    columns.number("revisions", run.revisions);
    columns.number("dueAt", run.due_at.unwrap_or_default().0);
    columns.number("reviewBy", run.review_by.unwrap_or_default().0);
}

/// The run, its agent's record, and every base unit that moved.
fn write_success(columns: &mut Columns, setup: &Setup, market: &crate::market::Market) {
    let run = market.run(setup.run);
    write_run(columns, run);
    let record = run.claim.and_then(|claim| market.agent(claim.agent)).map(|agent| agent.record).unwrap_or_default();
    columns.text("stake", record.stake.0);
    columns.text("owed", record.owed.0);
    columns.number("runsInHand", record.runs_in_hand);
    columns.number("slashes", record.slashes);
    columns.number("completions", record.completions);
    columns.number("stakedSince", record.staked_since.unwrap_or_default().0);
    let before = &setup.stage.market.money;
    let now = &market.money;
    columns.text("posterGain", gain(before.of(Role::Poster.account()), now.of(Role::Poster.account())));
    let wallet = run.claim.map_or(Address::ZERO, |claim| claim.wallet);
    columns.text("walletGain", gain(before.of(wallet), now.of(wallet)));
    columns.text("escrowGain", gain(before.escrow, now.escrow));
    columns.text("stakesGain", gain(before.stakes, now.stakes));
    columns.text("feesGain", gain(before.fees, now.fees));
}

/// The difference with its sign.
fn gain(before: clawpay_domain::Usdc, after: clawpay_domain::Usdc) -> String {
    match after.checked_sub(before) {
        Some(more) => more.0.to_string(),
        None => format!("-{}", before.saturating_sub(after).0),
    }
}

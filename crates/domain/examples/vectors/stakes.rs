//! Deposits and withdrawals around every limit, by every kind of caller, for agents of every kind.

use clawpay_domain::{AgentId, Parameters, RunId, Timestamp, Usdc, rules};

use crate::{
    columns::{Columns, Legend, Tables},
    market::Call,
    world::{AGENTS, BANNED, DAY, FROZEN, HOUR, Role, Stage, Step, UNKNOWN, WORKER, days, offer, refusal_name, usual, write_step},
};

const CALLERS: [Role; 8] =
    [Role::Poster, Role::Owner, Role::AgentWallet, Role::NewOwner, Role::OtherOwner, Role::Stranger, Role::EscrowOwner, Role::Treasury];

/// Agents in a situation, and the calls that made it.
struct Setup {
    name: &'static str,
    stage: Stage,
    steps: Vec<Step>,
    agents: Vec<AgentId>,
}

impl Setup {
    fn new(name: &'static str, agents: Vec<AgentId>) -> Self {
        Self { name, stage: Stage::start(), steps: Vec::new(), agents }
    }

    fn step(mut self, caller: Role, at: Timestamp, call: Call) -> Self {
        let step = Step { caller, at, call };
        self.stage.play(std::slice::from_ref(&step));
        self.steps.push(step);
        self
    }

    fn stake(self, agent: AgentId, amount: Usdc) -> Self {
        let at = Timestamp(self.stage.now.0 + 1);
        self.step(Role::Stranger, at, Call::Stake { agent, amount })
    }

    /// Puts `count` runs into the worker's hands.
    fn claims(mut self, count: u64) -> Self {
        for _ in 0..count {
            let at = Timestamp(self.stage.now.0 + HOUR);
            self = self.step(Role::Poster, at, Call::CreateAndFund(offer(at + days(1), 3)));
            let run = self.last_run();
            let action = usual("claim", self.stage.market.run(run), WORKER);
            self = self.step(Role::Owner, at, Call::Act { run, action });
        }
        self
    }

    /// Lets the worker's oldest runs time out.
    fn slashes(mut self, first: RunId, count: u64) -> Self {
        let due_at = self.stage.market.run(self.last_run()).due_at.unwrap_or_default();
        for run in (first.0..first.0 + count).map(RunId) {
            let action = usual("slash", self.stage.market.run(run), WORKER);
            self = self.step(Role::Poster, due_at, Call::Act { run, action });
        }
        self
    }

    fn last_run(&self) -> RunId {
        RunId(self.stage.market.runs.len() as u64)
    }
}

fn setups() -> Vec<Setup> {
    let everyone = (1..=AGENTS).map(AgentId).chain([AgentId(0), UNKNOWN]).collect();
    let first = RunId(Stage::start().market.runs.len() as u64 + 1);
    let worker = |name| Setup::new(name, vec![WORKER]);
    let minimum = Parameters::default().stake.minimum_stake;
    vec![
        Setup::new("as the prelude left them", everyone),
        worker("one run in hand").claims(1),
        worker("one run in hand, more than the minimum").stake(WORKER, Usdc::base_units(7)).claims(1),
        worker("three runs in hand").stake(WORKER, minimum).claims(3),
        worker("nearly all the stake there can be").stake(WORKER, rules::MAXIMUM_STAKE.saturating_sub(Usdc::whole(21))),
        worker("FROZEN with a run in hand").claims(2).slashes(first, 1),
        worker("BANNED with a run in hand").stake(WORKER, minimum).claims(4).slashes(first, 3),
        worker("BANNED with a run in hand and stake to spare").stake(WORKER, minimum).claims(4).slashes(first, 3).stake(WORKER, minimum),
        Setup::new("FROZEN, repaid in part", vec![FROZEN]).stake(FROZEN, Usdc::whole(10).saturating_sub(Usdc::base_units(1))),
        Setup::new("BANNED, repaid", vec![BANNED]).stake(BANNED, Usdc::whole(10)),
    ]
}

/// One row for each setup, moment, agent, caller and amount; outcomes of `stake` and `unstake`, and the record that each leaves behind.
pub(crate) fn vectors() -> Tables {
    let (mut setup_rows, mut steps, mut probes, mut after) =
        (Columns::default(), Columns::default(), Columns::default(), Columns::default());
    let mut outcomes = Legend::default();
    for (index, setup) in setups().iter().enumerate() {
        setup_rows.text("name", setup.name);
        for step in &setup.steps {
            steps.number("setup", index as u64);
            write_step(&mut steps, step);
        }
        for at in [setup.stage.now, Timestamp(setup.stage.now.0 + 31 * DAY)] {
            for &agent in &setup.agents {
                for amount in amounts(&setup.stage, agent, at) {
                    for caller in CALLERS {
                        probes.number("setup", index as u64);
                        probes.number("at", at.0);
                        probes.number("agent", agent.0);
                        probes.text("amount", amount.0);
                        probes.number("caller", caller.index());
                        for (name, call) in [("stake", Call::Stake { agent, amount }), ("unstake", Call::Unstake { agent, amount })] {
                            let mut stage = setup.stage.clone();
                            let outcome = match stage.market.perform(caller.account(), &call, at) {
                                Ok(()) => {
                                    write_record(&mut after, &stage, agent, at);
                                    stage
                                        .market
                                        .agent(agent)
                                        .map_or("", |agent| agent.record.status(&stage.market.parameters.stake, at).as_str())
                                }
                                Err(refusal) => refusal_name(&refusal),
                            };
                            probes.number(name, outcomes.number(outcome));
                        }
                    }
                }
            }
        }
    }
    Tables::default()
        .with("outcomes", outcomes.into_columns())
        .with("setups", setup_rows)
        .with("steps", steps)
        .with("probes", probes)
        .with("after", after)
}

/// Nothing, the least, and both sides of every limit there is for this agent.
fn amounts(stage: &Stage, agent: AgentId, at: Timestamp) -> Vec<Usdc> {
    let parameters = &stage.market.parameters.stake;
    let record = stage.market.agent(agent).map(|agent| agent.record).unwrap_or_default();
    let room = rules::MAXIMUM_STAKE.saturating_sub(record.stake);
    let limits = [record.withdrawable(parameters, at), record.free(parameters), record.owed, record.stake, parameters.minimum_stake, room];
    let one = Usdc::base_units(1);
    let mut amounts: Vec<_> = limits
        .into_iter()
        .flat_map(|limit| [limit.saturating_sub(one), limit, limit.saturating_add(one)])
        .chain([Usdc::ZERO, one])
        .collect();
    amounts.sort_unstable();
    amounts.dedup();
    amounts
}

/// What `getAgent` answers afterwards.
fn write_record(columns: &mut Columns, stage: &Stage, agent: AgentId, at: Timestamp) {
    let parameters = &stage.market.parameters.stake;
    let record = stage.market.agent(agent).map(|agent| agent.record).unwrap_or_default();
    columns.text("stake", record.stake.0);
    columns.text("committed", record.committed(parameters).0);
    columns.text("free", record.free(parameters).0);
    columns.text("owed", record.owed.0);
    columns.number("runsInHand", record.runs_in_hand);
    columns.number("slashes", record.slashes);
    columns.number("completions", record.completions);
    columns.number("stakedSince", record.staked_since.unwrap_or_default().0);
    columns.text("withdrawable", record.withdrawable(parameters, at).0);
}

//! The scripted world while it runs: which view the node holds, how often it was asked what, and what happened so far.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use clawpay_indexer::Config;
use serde_json::Value;
use tokio::sync::Notify;

use super::{
    answers::{Node, member},
    dice::Dice,
    faults::{self, Transport},
    script::{Change, Script, Step, View},
};

/// Shared by the node's endpoint and the scenario's driver.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) script: Script,
    pub(crate) config: Config,
    state: Mutex<State>,
    /// Rings when Postgres is to end the writers' connections.
    pub(crate) cut: Notify,
}

#[derive(Debug)]
struct State {
    view: View,
    /// What is still to happen in this act, the next thing last.
    ahead: Vec<Step>,
    /// Requests since the last thing happened.
    since: u64,
    /// Whether everything the node answers is true.
    calm: bool,
    /// How often each question was asked.
    asked: HashMap<String, u64>,
    /// Polls that the indexer still has to live.
    doom: Option<u64>,
    trace: Vec<String>,
    decisions: BTreeMap<(String, u64), bool>,
}

impl World {
    pub(crate) fn new(seed: u64, script: Script, config: Config) -> Self {
        let state = State {
            view: script.first.clone(),
            ahead: Vec::new(),
            since: 0,
            calm: true,
            asked: HashMap::new(),
            doom: None,
            trace: Vec::new(),
            decisions: BTreeMap::new(),
        };
        Self { seed, script, config, state: Mutex::new(state), cut: Notify::new() }
    }

    /// Begins an act: its steps, and faults.
    pub(crate) fn begin(&self, act: usize) {
        let mut state = self.state();
        state.ahead = self.script.acts[act].iter().rev().cloned().collect();
        state.since = 0;
        state.calm = false;
        state.trace.push(format!("act {act} begins"));
    }

    /// Whether all of the act has happened; nothing goes wrong any more then.
    pub(crate) fn is_over(&self) -> bool {
        self.state().calm
    }

    pub(crate) fn view(&self) -> View {
        self.state().view.clone()
    }

    /// Shows another view at once.
    pub(crate) fn show(&self, view: View, what: &str) {
        let mut state = self.state();
        state.view = view;
        state.trace.push(what.to_owned());
    }

    /// What happened so far, a line each.
    pub(crate) fn trace(&self) -> Vec<String> {
        self.state().trace.clone()
    }

    /// Which answers were to be wrong, by the question and how often it had been asked.
    pub(crate) fn decisions(&self) -> BTreeMap<(String, u64), bool> {
        self.state().decisions.clone()
    }

    pub(crate) fn note(&self, what: String) {
        self.state().trace.push(what);
    }

    /// Counts one poll of the indexer; answers whether it was its last.
    pub(crate) fn polled(&self) -> bool {
        let mut state = self.state();
        match &mut state.doom {
            Some(0) => {
                state.doom = None;
                true
            }
            Some(polls) => {
                *polls -= 1;
                false
            }
            None => false,
        }
    }

    /// What becomes of a request with this body.
    pub(crate) fn transport(&self, body: &str) -> (Transport, Dice) {
        let mut state = self.state();
        let asked = state.count(body);
        let mut dice = Dice::new(self.seed, &format!("{body} for the {asked}th time"));
        let chosen = if state.calm { Transport::Honest } else { Transport::choose(&mut dice, self.script.setting.faults) };
        if chosen != Transport::Honest {
            let shown: String = body.chars().take(160).collect();
            state.trace.push(format!("{chosen:?} for {shown}"));
        }
        (chosen, dice)
    }

    /// Answers one call: with the one member that the response has beside its number.
    pub(crate) fn answer(&self, method: &str, params: &Value) -> String {
        let mut state = self.state();
        self.advance(&mut state);
        let question = format!("{method} {params}");
        let asked = state.count(&question);
        let view = state.view.clone();
        let node = Node { tree: &self.script.tree, setting: &self.script.setting, config: &self.config, view: &view };
        if state.calm {
            return node.text(method, params);
        }
        let mut dice = Dice::new(self.seed, &format!("{question} for the {asked}th time"));
        let faults = self.script.setting.faults;
        let is_wrong = faults > 0 && dice.one_in(faults);
        state.decisions.insert((question.clone(), asked), is_wrong);
        if !is_wrong {
            return node.text(method, params);
        }
        match faults::answer(&node, method, params, asked, &mut dice) {
            Some((answer, fault)) => {
                let shown: String = question.chars().take(160).collect();
                state.trace.push(format!("{fault} for {shown} (#{asked})"));
                member(&answer)
            }
            None => node.text(method, params),
        }
    }

    /// Lets happen what is due.
    fn advance(&self, state: &mut State) {
        state.since += 1;
        while let Some(step) = state.ahead.pop_if(|step| step.after <= state.since) {
            state.since = 0;
            state.trace.push(step.what);
            match step.change {
                Change::Chain(view) => state.view = view,
                Change::Kill { polls } => state.doom = Some(polls),
                Change::CutDatabase => self.cut.notify_one(),
            }
        }
        if state.ahead.is_empty() && !state.calm {
            state.calm = true;
            state.trace.push("all is calm".to_owned());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, question: &str) -> u64 {
        let count = self.asked.entry(question.to_owned()).or_default();
        *count += 1;
        *count - 1
    }
}

//! What one version of the file says.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
};

use alloy::primitives::{Address, hex, keccak256};
use clawpay_domain::{AccountError, AgentId, RunId, parse_account};
use thiserror::Error;

use crate::error::ApiError;

/// Most entries.
const MOST_ENTRIES: usize = 10_000;

/// Most bytes of a reason.
const LONGEST_REASON: usize = 1_000;

/// A line that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {number}: {fault}")]
pub struct BadLine {
    /// Which, from 1.
    pub number: usize,
    /// How so.
    pub fault: HideFault,
}

/// How a line is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HideFault {
    /// It is no text.
    #[error("is not UTF-8")]
    NotText,
    /// It names nothing that can be hidden.
    #[error("expected `run 17 REASON`, `agent 3 REASON`, `account 0x… REASON`, or a comment after #")]
    Form,
    /// What stands for a run's or an agent's number is none.
    #[error("expected a number after `{kind}`, such as `{kind} 17 REASON`")]
    Number {
        /// `run` or `agent`.
        kind: &'static str,
    },
    /// What stands for an account is none.
    #[error("expected an account, such as `account 0x… REASON`: {0}")]
    Account(AccountError),
    /// The reason is missing.
    #[error("expected a reason at its end, which is shown to those who ask for it")]
    NoReason,
    /// The reason is too long.
    #[error("expected a reason of at most {LONGEST_REASON} bytes")]
    LongReason,
    /// An earlier line names the same.
    #[error("names what line {earlier} names already: expected it once")]
    Duplicate {
        /// That line.
        earlier: usize,
    },
    /// There are too many before it.
    #[error("expected no more than {MOST_ENTRIES} entries")]
    TooMany,
}

/// What can be hidden.
pub(crate) trait Hideable {
    /// Why it is not shown; nothing where it is.
    fn reason<'a>(&self, list: &'a HideList) -> Option<&'a str>;
}

/// Runs, agents and accounts that are not shown, each with the reason. By default there is none.
#[derive(Debug, Default)]
pub(crate) struct HideList {
    runs: HashMap<RunId, Box<str>>,
    agents: HashMap<AgentId, Box<str>>,
    accounts: HashMap<Address, Box<str>>,
    version: Box<str>,
}

impl HideList {
    /// From the bytes of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadLine> {
        let text = str::from_utf8(bytes).map_err(|error| {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            BadLine { number: 1 + before.iter().filter(|byte| **byte == b'\n').count(), fault: HideFault::NotText }
        })?;
        let mut lines = Lines::default();
        let mut list = Self { version: hex::encode(&keccak256(bytes)[..8]).into(), ..Self::default() };
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                list.add(line, number, &mut lines).map_err(|fault| BadLine { number, fault })?;
            }
        }
        if list.is_empty() {
            list.version = Box::default();
        }
        Ok(list)
    }

    fn add(&mut self, line: &str, number: usize, lines: &mut Lines) -> Result<(), HideFault> {
        if self.len() == MOST_ENTRIES {
            return Err(HideFault::TooMany);
        }
        let (kind, rest) = word(line);
        let (name, reason) = word(rest);
        let id = |kind| whole(name).ok_or(HideFault::Number { kind });
        match kind {
            "run" => note(&mut self.runs, &mut lines.runs, RunId(id("run")?), reason, number),
            "agent" => note(&mut self.agents, &mut lines.agents, AgentId(id("agent")?), reason, number),
            "account" => note(&mut self.accounts, &mut lines.accounts, parse_account(name).map_err(HideFault::Account)?, reason, number),
            _ => Err(HideFault::Form),
        }
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> usize {
        self.runs.len() + self.agents.len() + self.accounts.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What sets it apart from other lists, the same on every server; empty where nothing is hidden.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Why a run is not shown: it is named, or its poster is.
    pub(crate) fn run(&self, run: RunId, poster: Option<Address>) -> Option<&str> {
        self.runs.get(&run).map(Box::as_ref).or_else(|| self.account(poster?))
    }

    /// Why an agent is not shown: it is named, or an account that acts for it is.
    pub(crate) fn agent(&self, agent: AgentId, accounts: impl IntoIterator<Item = Address>) -> Option<&str> {
        self.agents.get(&agent).map(Box::as_ref).or_else(|| self.accounts(accounts))
    }

    /// Why an account is not shown.
    pub(super) fn account(&self, account: Address) -> Option<&str> {
        self.accounts.get(&account).map(Box::as_ref)
    }

    /// Why one of some accounts is not shown.
    pub(crate) fn accounts(&self, accounts: impl IntoIterator<Item = Address>) -> Option<&str> {
        accounts.into_iter().find_map(|account| self.account(account))
    }

    /// Whether something is not shown.
    pub(crate) fn hides(&self, subject: &impl Hideable) -> bool {
        !self.is_empty() && subject.reason(self).is_some()
    }

    /// What was asked for by its number or address, if it is shown. Fails with the reason why not.
    pub(crate) fn shown<T: Hideable>(&self, subject: T) -> Result<T, ApiError> {
        match subject.reason(self) {
            None => Ok(subject),
            Some(reason) => Err(ApiError::Hidden { reason: reason.to_owned() }),
        }
    }
}

/// Which line names what.
#[derive(Default)]
struct Lines {
    runs: HashMap<RunId, usize>,
    agents: HashMap<AgentId, usize>,
    accounts: HashMap<Address, usize>,
}

fn note<I: Copy + Eq + Hash>(
    reasons: &mut HashMap<I, Box<str>>,
    lines: &mut HashMap<I, usize>,
    id: I,
    reason: &str,
    number: usize,
) -> Result<(), HideFault> {
    match reason.len() {
        0 => return Err(HideFault::NoReason),
        1..=LONGEST_REASON => {}
        _ => return Err(HideFault::LongReason),
    }
    match lines.entry(id) {
        Entry::Occupied(earlier) => Err(HideFault::Duplicate { earlier: *earlier.get() }),
        Entry::Vacant(free) => {
            free.insert(number);
            reasons.insert(id, reason.into());
            Ok(())
        }
    }
}

/// The first word of a line, and what comes after it.
fn word(line: &str) -> (&str, &str) {
    line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim_start()))
}

/// Digits alone: a sign would be taken for part of a number.
fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: Address = Address::repeat_byte(0xab);

    fn fault(text: &str) -> (usize, String) {
        let BadLine { number, fault } = HideList::parse(text.as_bytes()).unwrap_err();
        (number, fault.to_string())
    }

    #[test]
    fn each_line_is_an_entry_with_its_reason() {
        let text = format!("\u{feff}# by order\r\n\n  run 17\tcourt order 3/26: # 4  \nagent 3 x\naccount {ACCOUNT} y z\n");
        let list = HideList::parse(text.as_bytes()).unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list.run(RunId(17), None), Some("court order 3/26: # 4"));
        assert_eq!(list.run(RunId(1), Some(ACCOUNT)), Some("y z"));
        assert_eq!(list.run(RunId(3), Some(Address::ZERO)), None);
        assert_eq!(list.agent(AgentId(3), []), Some("x"));
        assert_eq!(list.agent(AgentId(17), [Address::ZERO, ACCOUNT]), Some("y z"));
        assert_eq!((list.account(ACCOUNT), list.account(Address::ZERO)), (Some("y z"), None));
    }

    #[test]
    fn a_list_is_known_by_a_version_where_it_hides_something() {
        let version = |text: &str| HideList::parse(text.as_bytes()).unwrap().version().to_owned();
        assert_eq!((version(""), version("# run 1 x\n")), (String::new(), String::new()));
        assert_eq!(version("run 1 x"), version("run 1 x"));
        assert_ne!(version("run 1 x"), version("run 1 y"));
    }

    #[test]
    fn a_line_that_is_not_as_it_must_be_is_named_with_what_is_expected() {
        for (text, number, words) in [
            ("run 1 x\nposter 0x12 y", 2, "expected `run 17 REASON`"),
            ("\n\nrun", 3, "expected a number after `run`"),
            ("run +1 x", 1, "expected a number after `run`"),
            ("agent 0x3 x", 1, "expected a number after `agent`"),
            ("run 18446744073709551616 x", 1, "expected a number after `run`"),
            ("account 0x12 x", 1, "0x and 40 hex digits"),
            ("account 0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266 x", 1, "checksum"),
            ("run 1", 1, "expected a reason"),
            ("agent 1  \n", 1, "expected a reason"),
            ("run 7 x\n# y\nrun 007 z", 3, "names what line 1 names already"),
        ] {
            let (at, said) = fault(text);
            assert!(at == number && said.contains(words), "{text:?}: line {at}: {said}");
        }
        let twice = format!("account {} x\naccount {} y", ACCOUNT.to_string().to_lowercase(), ACCOUNT);
        assert_eq!(fault(&twice).0, 2);
        assert!(fault(&format!("run 1 {}", "x".repeat(LONGEST_REASON + 1))).1.contains("at most 1000 bytes"));
        assert_eq!(HideList::parse(b"run 1 x\n# \xff").unwrap_err(), BadLine { number: 2, fault: HideFault::NotText });
        let full: String = (0..MOST_ENTRIES).map(|id| format!("run {id} x\n")).collect();
        assert_eq!(HideList::parse(full.as_bytes()).unwrap().len(), MOST_ENTRIES);
        assert_eq!(fault(&format!("{full}agent 1 x")).0, MOST_ENTRIES + 1);
    }
}

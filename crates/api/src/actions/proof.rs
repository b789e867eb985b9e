//! What proves that an action has happened: the market's own events. Which envelope the call came in, and which account paid for it, counts
//! for nothing: a wallet's own transaction, a Safe's, a batch, a bundle and a relayer's look alike from here.

use alloy::primitives::{Address, B256, Bytes};
use clawpay_bindings::{AttributedCall, Call, Contracts, Decoded, decode, metadata_entry};
use clawpay_domain::{AgentEvent, AgentId, RunEvent, RunId};
use clawpay_store::EventRecord;

use super::Facts;
use crate::node::{ReceiptLog, SentTransaction};

/// One of the market's events.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its place among its transaction's logs, or in its run's history.
    pub(super) position: usize,
    /// Its place in its block.
    pub(super) log_index: u64,
    /// The transaction that emitted it, where several are looked at.
    pub(super) transaction: Option<B256>,
    /// The contract.
    emitter: Address,
    topics: Vec<B256>,
    data: Bytes,
    /// What it says.
    pub(super) decoded: Decoded,
}

/// The market's events among the logs of one transaction.
pub(super) fn of_receipt(logs: &[ReceiptLog], market: &Contracts) -> Vec<Event> {
    let log = |log: &'_ ReceiptLog| Log { transaction: None, log_index: log.log_index(), emitter: log.address };
    named(logs.iter().map(|one| (log(one), &*one.topics, &one.data)), market)
}

/// The events of one run.
pub(super) fn of_history(history: &[EventRecord], market: &Contracts) -> Vec<Event> {
    let log = |event: &EventRecord| Log { transaction: Some(event.tx_hash), log_index: event.log_index, emitter: event.contract };
    named(history.iter().map(|event| (log(event), &*event.topics, &event.data)), market)
}

/// Where a log is from.
struct Log {
    transaction: Option<B256>,
    log_index: u64,
    emitter: Address,
}

/// Logs, each with its topics and its data.
fn named<'l>(logs: impl Iterator<Item = (Log, &'l [B256], &'l Bytes)>, market: &Contracts) -> Vec<Event> {
    let events = logs.enumerate().map(|(position, (log, topics, data))| {
        let Log { transaction, log_index, emitter } = log;
        let decoded = decode(market, emitter, topics, data);
        Event { position, log_index, transaction, emitter, topics: topics.to_vec(), data: data.clone(), decoded }
    });
    events.filter(|event| event.decoded.name.is_some()).collect()
}

impl Event {
    /// Whether this is the topic at `position`.
    fn names(&self, position: usize, account: Address) -> bool {
        self.topics.get(position) == Some(&account.into_word())
    }
}

/// Those of `events` that prove that `wallet` did `call`, as far as they name it; see [`require_actor`] for the rest.
pub(super) fn find<'e>(call: &Call, wallet: Address, events: &'e [Event], market: &Contracts) -> Vec<&'e Event> {
    events.iter().filter(|event| proves(call, wallet, event, events, market)).collect()
}

fn proves(call: &Call, wallet: Address, event: &Event, events: &[Event], market: &Contracts) -> bool {
    let Decoded { name, run, agent, facts, .. } = &event.decoded;
    let of_run = |id: &RunId| run.as_ref() == Some(id);
    let of_agent = |id: &AgentId| agent.as_ref() == Some(id);
    match (call, &facts.run, &facts.agent) {
        (Call::Create(new) | Call::CreateAndFund(new), Some(RunEvent::Created { terms }), _) => {
            let is_same = terms.poster == wallet
                && terms.reward == new.reward
                && terms.deadline == new.deadline
                && u64::from(terms.max_revisions) == new.max_revisions
                && terms.content_uri == new.content_uri;
            is_same && is_funded(*run, events) == matches!(call, Call::CreateAndFund(_))
        }
        (Call::Fund { run }, Some(RunEvent::Funded { .. }), _)
        | (Call::Cancel { run }, Some(RunEvent::Cancelled { .. }), _)
        | (Call::Start { run }, Some(RunEvent::Started), _)
        | (Call::Approve { run, .. }, Some(RunEvent::Approved(_)), _)
        | (Call::Reject { run, .. }, Some(RunEvent::Rejected { .. }), _)
        | (Call::Finalize { run }, Some(RunEvent::Finalized(_)), _)
        | (Call::Slash { run }, Some(RunEvent::Slashed { .. }), _) => of_run(run),
        (Call::Claim { run, agent: id, .. }, Some(RunEvent::Claimed { agent, wallet: by, .. }), _) => {
            of_run(run) && agent == id && *by == wallet
        }
        (Call::Submit { run, deliverable_uri: wanted }, Some(RunEvent::Submitted { deliverable_uri, .. }), _) => {
            of_run(run) && **deliverable_uri == *wanted.as_bytes()
        }
        (Call::RequestRevision { run, feedback: wanted, .. }, Some(RunEvent::RevisionRequested { feedback, .. }), _) => {
            of_run(run) && **feedback == *wanted.as_bytes()
        }
        (Call::Register { agent_uri }, _, Some(AgentEvent::Registered { owner, uri })) => {
            *owner == wallet && **uri == *agent_uri.as_bytes()
        }
        (Call::Stake { agent, amount: wanted }, _, Some(AgentEvent::Staked { from, amount, .. })) => {
            of_agent(agent) && *from == wallet && amount == wanted
        }
        (Call::Unstake { agent, amount: wanted }, _, Some(AgentEvent::Unstaked { to, amount, .. })) => {
            of_agent(agent) && *to == wallet && amount == wanted
        }
        (Call::SetAgentUri { agent, agent_uri }, _, Some(AgentEvent::UriUpdated { uri })) => {
            of_agent(agent) && **uri == *agent_uri.as_bytes() && event.names(2, wallet)
        }
        (Call::SetMetadata { agent, key, value }, ..) if *name == Some("MetadataSet") => {
            let is_entry = |(said, content): (Bytes, Bytes)| *said == *key.as_bytes() && content == *value;
            of_agent(agent) && metadata_entry(&event.data).is_some_and(is_entry)
        }
        (Call::SetAgentWallet { agent, new_wallet, .. }, _, Some(AgentEvent::WalletSet { wallet })) => {
            of_agent(agent) && *wallet == Some(*new_wallet) && !comes_of_a_transfer(event, events)
        }
        (Call::UnsetAgentWallet { agent }, _, Some(AgentEvent::WalletSet { wallet: None })) => {
            of_agent(agent) && !comes_of_a_transfer(event, events)
        }
        (Call::PayCredit { custody, recipient }, ..) if *name == Some("CreditPaid") => {
            event.emitter == custody.contract(market) && event.names(1, *recipient)
        }
        _ => false,
    }
}

/// Whether an agent's wallet changed because the agent was registered or changed hands, and not because it was asked for.
fn comes_of_a_transfer(event: &Event, events: &[Event]) -> bool {
    let is_of_agent = |other: &&Event| other.decoded.agent == event.decoded.agent && other.position < event.position;
    let before = events.iter().rfind(is_of_agent);
    before.is_some_and(|before| matches!(before.decoded.name, Some("Registered" | "Transfer")))
}

fn is_funded(run: Option<RunId>, events: &[Event]) -> bool {
    let mut of_run = events.iter().filter(|event| event.decoded.run == run);
    of_run.any(|event| matches!(event.decoded.facts.run, Some(RunEvent::Funded { .. })))
}

/// The event by which this very action has happened on its run, whichever transaction did it: only where it can happen once, or where
/// nothing has happened since that would let it happen again.
pub(super) fn find_last<'e>(call: &Call, wallet: Address, history: &'e [Event], market: &Contracts) -> Option<&'e Event> {
    let found = find(call, wallet, history, market).pop()?;
    let is_answer =
        |event: &&Event| matches!(event.decoded.facts.run, Some(RunEvent::Submitted { .. } | RunEvent::RevisionRequested { .. }));
    match call {
        Call::Submit { .. } | Call::RequestRevision { .. } => {
            history.iter().rfind(is_answer).filter(|last| last.position == found.position)
        }
        _ => Some(found),
    }
}

/// What tells who did what an event names no caller for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Witness<'a> {
    /// The transaction, if the node shows it, and its logs.
    pub(super) transaction: Option<&'a SentTransaction>,
    pub(super) logs: &'a [ReceiptLog],
    /// Who owned the agent when it happened.
    pub(super) owner: Option<Address>,
}

impl Witness<'_> {
    /// Whether the transaction is an envelope that the wallet has a part in: its own, one that calls it or names it, or one in which it speaks.
    fn involves(&self, wallet: Address) -> bool {
        let Some(transaction) = self.transaction else { return false };
        let names = transaction.input.windows(Address::len_bytes()).any(|bytes| bytes == wallet.as_slice());
        let speaks = self.logs.iter().any(|log| log.address == wallet);
        transaction.from == wallet || transaction.to == Some(wallet) || names || speaks
    }
}

/// Whether `wallet` did what an event tells of that names no caller: by the transaction, where that is the caller's own or the forwarder's;
/// otherwise because no other account could, or because the transaction is one that the wallet has a part in. Fails with the reason in words.
pub(super) fn require_actor(call: &Call, wallet: Address, facts: &Facts, witness: &Witness<'_>, market: &Contracts) -> Result<(), String> {
    if names_actor(call) {
        return Ok(());
    }
    match witness.transaction.and_then(|transaction| actor(transaction, market)) {
        Some(actor) if actor == wallet => return Ok(()),
        Some(actor) => return Err(format!("the transaction acts for {actor}, not for {wallet}")),
        None => {}
    }
    let run = facts.run.as_ref().map(|record| &record.run);
    match (call, run) {
        (Call::Fund { .. } | Call::Cancel { .. } | Call::RequestRevision { .. } | Call::Approve { .. }, Some(run)) => {
            if run.terms.poster == wallet {
                return Ok(());
            }
            Err(format!("the transaction acts for {}, the run's poster, not for {wallet}", run.terms.poster))
        }
        (Call::Start { .. } | Call::Submit { .. }, Some(run)) => {
            if witness.owner == Some(wallet) || run.claim.is_some_and(|claim| claim.wallet == wallet) {
                return Ok(());
            }
            Err(format!("neither the wallet that claimed the run nor the agent's owner at that time is {wallet}"))
        }
        _ if witness.owner == Some(wallet) && run.is_none() || witness.involves(wallet) => Ok(()),
        _ => Err(format!("the transaction does not show that it acts for {wallet}")),
    }
}

/// Whether the event of the call says by itself who did it.
const fn names_actor(call: &Call) -> bool {
    matches!(
        call,
        Call::Create(_)
            | Call::CreateAndFund(_)
            | Call::Claim { .. }
            | Call::Register { .. }
            | Call::Stake { .. }
            | Call::Unstake { .. }
            | Call::SetAgentUri { .. }
            // Its recipient has it, whichever account saw to that.
            | Call::PayCredit { .. }
    )
}

/// The account that the contracts take for the caller; nothing where the transaction calls something else first.
fn actor(transaction: &SentTransaction, market: &Contracts) -> Option<Address> {
    AttributedCall::read(transaction.from, transaction.to?, &transaction.input, market).ok()?.actor
}

//! What proves that an action has happened: the market's own events. Which envelope the call came in, and which account paid for it, counts
//! for nothing: a wallet's own transaction, a Safe's, a batch, a bundle and a relayer's look alike from here.

use alloy::primitives::{Address, B256};
use clawpay_bindings::{AttributedCall, Call, Contracts, Decoded, decode};
use clawpay_domain::{AgentEvent, AgentId, RunEvent, RunId};
use clawpay_store::EventRecord;

use super::Facts;
use crate::node::{ReceiptLog, SentTransaction};

/// One of the market's events.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Its place among its transaction's logs, or in its run's history.
    pub(super) position: usize,
    /// The transaction that emitted it, where several are looked at.
    pub(super) transaction: Option<B256>,
    /// What it says.
    pub(super) decoded: Decoded,
}

/// The market's events among the logs of one transaction.
pub(super) fn of_receipt(logs: &[ReceiptLog], market: &Contracts) -> Vec<Event> {
    let decoded = logs.iter().map(|log| decode(market, log.address, &log.topics, &log.data));
    named(decoded.map(|decoded| (None, decoded)))
}

/// The events of one run.
pub(super) fn of_history(history: &[EventRecord], market: &Contracts) -> Vec<Event> {
    named(history.iter().map(|event| (Some(event.tx_hash), decode(market, event.contract, &event.topics, &event.data))))
}

fn named(events: impl Iterator<Item = (Option<B256>, Decoded)>) -> Vec<Event> {
    let events = events.enumerate().map(|(position, (transaction, decoded))| Event { position, transaction, decoded });
    events.filter(|event| event.decoded.name.is_some()).collect()
}

/// Those of `events` that prove that `wallet` did `call`, as far as they name it; see [`require_actor`] for the rest.
pub(super) fn find<'e>(call: &Call, wallet: Address, events: &'e [Event]) -> Vec<&'e Event> {
    events.iter().filter(|event| proves(call, wallet, event, events)).collect()
}

fn proves(call: &Call, wallet: Address, event: &Event, events: &[Event]) -> bool {
    let Decoded { run, agent, facts, .. } = &event.decoded;
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
        _ => false,
    }
}

fn is_funded(run: Option<RunId>, events: &[Event]) -> bool {
    let mut of_run = events.iter().filter(|event| event.decoded.run == run);
    of_run.any(|event| matches!(event.decoded.facts.run, Some(RunEvent::Funded { .. })))
}

/// The event by which this very action has happened on its run, whichever transaction did it: only where it can happen once, or where
/// nothing has happened since that would let it happen again.
pub(super) fn find_last<'e>(call: &Call, wallet: Address, history: &'e [Event]) -> Option<&'e Event> {
    let found = find(call, wallet, history).pop()?;
    let is_answer =
        |event: &&Event| matches!(event.decoded.facts.run, Some(RunEvent::Submitted { .. } | RunEvent::RevisionRequested { .. }));
    match call {
        Call::Submit { .. } | Call::RequestRevision { .. } => {
            history.iter().rfind(is_answer).filter(|last| last.position == found.position)
        }
        _ => Some(found),
    }
}

/// Whether `wallet` did what an event tells of that names no caller: by the transaction, where that is the caller's own or the forwarder's;
/// otherwise because no other account could. Fails with the reason in words.
pub(super) fn require_actor(
    call: &Call,
    wallet: Address,
    facts: &Facts,
    transaction: Option<&SentTransaction>,
    market: &Contracts,
) -> Result<(), String> {
    if names_actor(call) {
        return Ok(());
    }
    match transaction.and_then(|transaction| actor(transaction, market)) {
        Some(actor) if actor == wallet => return Ok(()),
        Some(actor) => return Err(format!("the transaction acts for {actor}, not for {wallet}")),
        None => {}
    }
    let Some(run) = facts.run.as_ref().map(|record| &record.run) else { return Ok(()) };
    match call {
        Call::Fund { .. } | Call::Cancel { .. } | Call::RequestRevision { .. } | Call::Approve { .. } if run.terms.poster != wallet => {
            Err(format!("the transaction acts for {}, the run's poster, not for {wallet}", run.terms.poster))
        }
        Call::Start { .. } | Call::Submit { .. } => {
            run.require_run_agent(wallet, facts.agent.as_ref().map(|record| &record.agent)).map_err(|refusal| refusal.to_string())
        }
        _ => Ok(()),
    }
}

/// Whether the event of the call says by itself who did it.
const fn names_actor(call: &Call) -> bool {
    matches!(
        call,
        Call::Create(_) | Call::CreateAndFund(_) | Call::Claim { .. } | Call::Register { .. } | Call::Stake { .. } | Call::Unstake { .. }
    )
}

/// The account that the contracts take for the caller; nothing where the transaction calls something else first.
fn actor(transaction: &SentTransaction, market: &Contracts) -> Option<Address> {
    AttributedCall::read(transaction.from, transaction.to?, &transaction.input, market).ok()?.actor
}

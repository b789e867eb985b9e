//! One line of a run's timeline.

use alloy::primitives::B256;
use clawpay_bindings::{Contracts, decode};
use clawpay_domain::{AgentEvent, Payment, RunEvent};
use clawpay_store::{EventRecord, IndexedBlock};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::run::Finality;
use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate, lossy};

/// An event of a run, as the chain told it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Event)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventDto {
    /// The Solidity event's name; null for a log that is none of the ABI's events.
    #[serde(rename = "type")]
    #[schema(required)]
    name: Option<String>,
    timestamp: IsoDate,
    block_number: u64,
    #[schema(value_type = w::Hash)]
    block_hash: B256,
    #[schema(value_type = w::Hash)]
    transaction_hash: B256,
    log_index: u64,
    finality: Finality,
    /// The event's parameters; null where it says nothing of a run or an agent.
    #[schema(value_type = Option<Object>, required)]
    data: Option<Value>,
    /// Why the event could not be read, or how it contradicts the rules; null when nothing is wrong with it.
    #[schema(required)]
    refusal: Option<String>,
}

impl EventDto {
    /// The event, read again from its log.
    pub(crate) fn new(event: &EventRecord, contracts: &Contracts, indexed: &IndexedBlock) -> Self {
        let facts = decode(contracts, event.contract, &event.topics, &event.data).facts;
        Self {
            name: event.name.clone(),
            timestamp: IsoDate(event.timestamp),
            block_number: event.block_number,
            block_hash: event.block_hash,
            transaction_hash: event.tx_hash,
            log_index: event.log_index,
            finality: Finality::of(event.block_number, indexed),
            data: facts.run.as_ref().map(parameters).or_else(|| facts.agent.as_ref().map(agent_parameters)),
            refusal: event.refusal.clone(),
        }
    }
}

fn parameters(event: &RunEvent) -> Value {
    match event {
        RunEvent::Created { terms } => json!({
            "poster": Checksummed(terms.poster),
            "reward": terms.reward,
            "fee": terms.fee,
            "deadline": IsoDate(terms.deadline),
            "maxRevisions": terms.max_revisions,
            "contentURI": lossy(&terms.content_uri),
        }),
        RunEvent::Funded { amount } => json!({ "amount": amount }),
        RunEvent::Cancelled { refund } => json!({ "refund": refund }),
        RunEvent::Claimed { agent, wallet, stake_at_risk, due_at } => json!({
            "agentId": agent,
            "wallet": Checksummed(*wallet),
            "stakeAtRisk": stake_at_risk,
            "dueAt": IsoDate(*due_at),
        }),
        RunEvent::Started => json!({}),
        RunEvent::Submitted { review_by, deliverable_uri } => {
            json!({ "reviewBy": IsoDate(*review_by), "deliverableURI": lossy(deliverable_uri) })
        }
        RunEvent::RevisionRequested { revision, due_at, feedback } => {
            json!({ "revision": revision, "dueAt": IsoDate(*due_at), "feedback": lossy(feedback) })
        }
        RunEvent::Approved(payment) | RunEvent::Finalized(payment) => {
            let Payment { agent, wallet, reward, fee } = payment;
            json!({ "agentId": agent, "wallet": Checksummed(*wallet), "reward": reward, "fee": fee })
        }
        RunEvent::Rejected { agent, refund } => json!({ "agentId": agent, "refund": refund }),
        RunEvent::Slashed { agent, refund, slashed } => json!({ "agentId": agent, "refund": refund, "slashed": slashed }),
    }
}

/// Of events that name no run.
fn agent_parameters(event: &AgentEvent) -> Value {
    match event {
        AgentEvent::Registered { owner, uri } => json!({ "owner": Checksummed(*owner), "agentURI": lossy(uri) }),
        AgentEvent::Transferred { to } => json!({ "to": Checksummed(*to) }),
        AgentEvent::UriUpdated { uri } => json!({ "agentURI": lossy(uri) }),
        AgentEvent::WalletSet { wallet } => json!({ "wallet": wallet.map(Checksummed) }),
        AgentEvent::Staked { from, amount, stake, owed } => {
            json!({ "from": Checksummed(*from), "amount": amount, "stake": stake, "owed": owed })
        }
        AgentEvent::Unstaked { to, amount, stake } => json!({ "to": Checksummed(*to), "amount": amount, "stake": stake }),
        AgentEvent::Claimed { stake_at_risk } => json!({ "stakeAtRisk": stake_at_risk }),
        AgentEvent::Completed { reward } => json!({ "reward": reward }),
        AgentEvent::Rejected => json!({}),
        AgentEvent::Slashed { run, amount } => json!({ "runId": run, "amount": amount }),
    }
}

//! The parameters of the contracts' events, each as its event names them.

use alloy::primitives::{Address, B256, Bytes};
use clawpay_bindings::metadata_entry;
use clawpay_domain::{AgentEvent, AgentId, Payment, RunEvent, Terms, Usdc};
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{Ref, RefOr, Schema},
};

use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate, lossy};

/// What an event says.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum EventData {
    Created(RunCreatedData),
    Funded(RunFundedData),
    Cancelled(RunCancelledData),
    Claimed(RunClaimedData),
    Started(RunStartedData),
    Submitted(RunSubmittedData),
    RevisionRequested(RevisionRequestedData),
    Paid(RunPaidData),
    Rejected(RunRejectedData),
    Slashed(RunSlashedData),
    Staked(StakedData),
    Unstaked(UnstakedData),
    Registered(RegisteredData),
    Transferred(TransferData),
    UriUpdated(UriUpdatedData),
    MetadataSet(MetadataSetData),
}

/// The events that have data, and what that is. A `MetadataSet` has none where a foreign registry's cannot be read.
pub(super) const WITH_DATA: [(&str, &str); 17] = [
    ("RunCreated", "RunCreatedData"),
    ("RunFunded", "RunFundedData"),
    ("RunCancelled", "RunCancelledData"),
    ("RunClaimed", "RunClaimedData"),
    ("RunStarted", "RunStartedData"),
    ("RunSubmitted", "RunSubmittedData"),
    ("RevisionRequested", "RevisionRequestedData"),
    ("RunApproved", "RunPaidData"),
    ("RunFinalized", "RunPaidData"),
    ("RunRejected", "RunRejectedData"),
    ("RunSlashed", "RunSlashedData"),
    ("Staked", "StakedData"),
    ("Unstaked", "UnstakedData"),
    ("Registered", "RegisteredData"),
    ("Transfer", "TransferData"),
    ("URIUpdated", "URIUpdatedData"),
    (METADATA_SET, "MetadataSetData"),
];

/// The event that has data or none.
pub(super) const METADATA_SET: &str = "MetadataSet";

/// Their schemas, by name.
pub(super) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    fn of<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), T::schema())
    }
    let mut schemas = vec![
        of::<RunCreatedData>(),
        of::<RunFundedData>(),
        of::<RunCancelledData>(),
        of::<RunClaimedData>(),
        of::<RunStartedData>(),
        of::<RunSubmittedData>(),
        of::<RevisionRequestedData>(),
        of::<RunPaidData>(),
        of::<RunRejectedData>(),
        of::<RunSlashedData>(),
        of::<StakedData>(),
        of::<UnstakedData>(),
        of::<RegisteredData>(),
        of::<TransferData>(),
        of::<UriUpdatedData>(),
        of::<MetadataSetData>(),
    ];
    // What they refer to.
    schemas.extend([of::<w::Usdc>(), of::<w::AgentId>(), of::<w::HexData>(), of::<Checksummed>(), of::<IsoDate>()]);
    schemas
}

/// A component of this name.
pub(in crate::http::dto) fn component(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunCreatedData {
    poster: Checksummed,
    #[schema(value_type = w::Usdc)]
    reward: Usdc,
    #[schema(value_type = w::Usdc)]
    fee: Usdc,
    deadline: IsoDate,
    max_revisions: u8,
    #[serde(rename = "contentURI")]
    content_uri: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RunFundedData {
    #[schema(value_type = w::Usdc)]
    amount: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RunCancelledData {
    #[schema(value_type = w::Usdc)]
    refund: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunClaimedData {
    #[schema(value_type = w::AgentId)]
    agent_id: AgentId,
    wallet: Checksummed,
    #[schema(value_type = w::Usdc)]
    stake_at_risk: Usdc,
    due_at: IsoDate,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RunStartedData {}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunSubmittedData {
    review_by: IsoDate,
    #[serde(rename = "deliverableURI")]
    deliverable_uri: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionRequestedData {
    revision: u64,
    due_at: IsoDate,
    feedback: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunPaidData {
    #[schema(value_type = w::AgentId)]
    agent_id: AgentId,
    wallet: Checksummed,
    #[schema(value_type = w::Usdc)]
    reward: Usdc,
    #[schema(value_type = w::Usdc)]
    fee: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunRejectedData {
    #[schema(value_type = w::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = w::Usdc)]
    refund: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunSlashedData {
    #[schema(value_type = w::AgentId)]
    agent_id: AgentId,
    #[schema(value_type = w::Usdc)]
    refund: Usdc,
    #[schema(value_type = w::Usdc)]
    slashed: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct StakedData {
    from: Checksummed,
    #[schema(value_type = w::Usdc)]
    amount: Usdc,
    #[schema(value_type = w::Usdc)]
    stake: Usdc,
    #[schema(value_type = w::Usdc)]
    owed: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct UnstakedData {
    to: Checksummed,
    #[schema(value_type = w::Usdc)]
    amount: Usdc,
    #[schema(value_type = w::Usdc)]
    stake: Usdc,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct RegisteredData {
    owner: Checksummed,
    #[serde(rename = "agentURI")]
    agent_uri: String,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct TransferData {
    to: Checksummed,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = URIUpdatedData)]
#[serde(rename_all = "camelCase")]
pub(super) struct UriUpdatedData {
    #[serde(rename = "agentURI")]
    agent_uri: String,
    /// Null where the registry does not say.
    #[schema(required)]
    updated_by: Option<Checksummed>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct MetadataSetData {
    key: String,
    #[schema(value_type = w::HexData)]
    value: Bytes,
    /// Under the key `agentWallet`; null when it was taken away.
    #[schema(required)]
    wallet: Option<Checksummed>,
}

impl EventData {
    /// What an event says of its run.
    pub(super) fn of_run(event: &RunEvent) -> Self {
        match event {
            RunEvent::Created { terms } => {
                let Terms { poster, reward, fee, deadline, max_revisions, content_uri } = terms;
                Self::Created(RunCreatedData {
                    poster: Checksummed(*poster),
                    reward: *reward,
                    fee: *fee,
                    deadline: IsoDate(*deadline),
                    max_revisions: *max_revisions,
                    content_uri: lossy(content_uri),
                })
            }
            RunEvent::Funded { amount } => Self::Funded(RunFundedData { amount: *amount }),
            RunEvent::Cancelled { refund } => Self::Cancelled(RunCancelledData { refund: *refund }),
            RunEvent::Claimed { agent, wallet, stake_at_risk, due_at } => Self::Claimed(RunClaimedData {
                agent_id: *agent,
                wallet: Checksummed(*wallet),
                stake_at_risk: *stake_at_risk,
                due_at: IsoDate(*due_at),
            }),
            RunEvent::Started => Self::Started(RunStartedData {}),
            RunEvent::Submitted { review_by, deliverable_uri } => {
                Self::Submitted(RunSubmittedData { review_by: IsoDate(*review_by), deliverable_uri: lossy(deliverable_uri) })
            }
            RunEvent::RevisionRequested { revision, due_at, feedback } => {
                Self::RevisionRequested(RevisionRequestedData { revision: *revision, due_at: IsoDate(*due_at), feedback: lossy(feedback) })
            }
            RunEvent::Approved(payment) | RunEvent::Finalized(payment) => {
                let Payment { agent, wallet, reward, fee } = *payment;
                Self::Paid(RunPaidData { agent_id: agent, wallet: Checksummed(wallet), reward, fee })
            }
            RunEvent::Rejected { agent, refund } => Self::Rejected(RunRejectedData { agent_id: *agent, refund: *refund }),
            RunEvent::Slashed { agent, refund, slashed } => {
                Self::Slashed(RunSlashedData { agent_id: *agent, refund: *refund, slashed: *slashed })
            }
        }
    }

    /// What an event that names no run says of its agent.
    pub(super) fn of_agent(event: &AgentEvent, topics: &[B256]) -> Option<Self> {
        Some(match event {
            AgentEvent::Registered { owner, uri } => Self::Registered(RegisteredData { owner: Checksummed(*owner), agent_uri: lossy(uri) }),
            AgentEvent::Transferred { to } => Self::Transferred(TransferData { to: Checksummed(*to) }),
            AgentEvent::UriUpdated { uri } => {
                let updated_by = topics.get(2).map(|topic| Checksummed(Address::from_word(*topic)));
                Self::UriUpdated(UriUpdatedData { agent_uri: lossy(uri), updated_by })
            }
            AgentEvent::Staked { from, amount, stake, owed } => {
                Self::Staked(StakedData { from: Checksummed(*from), amount: *amount, stake: *stake, owed: *owed })
            }
            AgentEvent::Unstaked { to, amount, stake } => {
                Self::Unstaked(UnstakedData { to: Checksummed(*to), amount: *amount, stake: *stake })
            }
            // This one says less than the log.
            AgentEvent::WalletSet { .. } => return None,
            // These come of a run's events, which say more.
            AgentEvent::Claimed { .. } | AgentEvent::Completed { .. } | AgentEvent::Rejected | AgentEvent::Slashed { .. } => return None,
        })
    }

    /// What a log of this name says of an agent's metadata, and `fact` of its wallet.
    pub(super) fn of_metadata(name: &str, fact: Option<&AgentEvent>, data: &[u8]) -> Option<Self> {
        let (key, value) = (name == METADATA_SET).then(|| metadata_entry(data)).flatten()?;
        let wallet = match fact {
            Some(AgentEvent::WalletSet { wallet }) => wallet.map(Checksummed),
            _ => None,
        };
        Some(Self::MetadataSet(MetadataSetData { key: lossy(&key), value, wallet }))
    }
}

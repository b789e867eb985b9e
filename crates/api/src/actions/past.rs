//! Whether a wallet has done the same before, as far as the index tells.

use std::fmt;

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolType, sol_data},
};
use clawpay_bindings::{Call, metadata_entry};
use clawpay_domain::{AgentId, NewRun, RunId, Timestamp, Usdc};
use clawpay_store::{EventRecord, Snapshot};

use super::Intent;
use crate::{error::ApiError, market::contracts};

/// How many of the latest runs and agents of a wallet, or events of an agent, are looked through.
const LATEST: u32 = 25;

/// The same action, done before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PastAction {
    /// What it made or changed.
    pub subject: Subject,
    /// Chain time.
    pub at: Timestamp,
    /// Its block.
    pub block: u64,
    /// Its transaction.
    pub hash: B256,
}

/// What an action was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Run(RunId),
    Agent(AgentId),
    Credit(Address),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run {run}"),
            Self::Agent(agent) => write!(f, "agent {agent}"),
            Self::Credit(account) => write!(f, "the credit of {account}"),
        }
    }
}

/// The latest action that did what `intent` asks for; nothing where there is none among the latest. Of a run, what was done last may have been
/// done by another account. Fails when the database does not answer.
pub(super) async fn latest(snapshot: &mut Snapshot, intent: &Intent) -> Result<Option<PastAction>, ApiError> {
    let wallet = intent.wallet;
    let (run, name) = match &intent.call {
        Call::Create(offer) => (created(snapshot, wallet, offer, false).await?, "RunCreated"),
        Call::CreateAndFund(offer) => (created(snapshot, wallet, offer, true).await?, "RunFunded"),
        Call::Register { agent_uri } => {
            let agents = snapshot.latest_agents(wallet, LATEST).await?;
            let same = agents.into_iter().find(|record| record.agent.uri.as_ref() == agent_uri.as_bytes());
            let Some(id) = same.map(|record| record.agent.id) else { return Ok(None) };
            return of_agent(snapshot, id, "Registered", |_| true).await;
        }
        Call::Stake { agent, amount } => return of_agent(snapshot, *agent, "Staked", |event| moves(event, wallet, *amount)).await,
        Call::Unstake { agent, amount } => return of_agent(snapshot, *agent, "Unstaked", |event| moves(event, wallet, *amount)).await,
        Call::SetAgentUri { agent, agent_uri } => {
            let is_same = |event: &EventRecord| says_uri(event, agent_uri) && event.topics.get(2) == Some(&wallet.into_word());
            return of_agent(snapshot, *agent, "URIUpdated", is_same).await;
        }
        Call::SetMetadata { agent, key, value } => {
            return of_agent(snapshot, *agent, "MetadataSet", |event| says_metadata(event, key.as_bytes(), value)).await;
        }
        Call::SetAgentWallet { agent, new_wallet, .. } => {
            return of_agent(snapshot, *agent, "MetadataSet", |event| says_wallet(event, new_wallet.as_slice())).await;
        }
        Call::UnsetAgentWallet { agent } => return of_agent(snapshot, *agent, "MetadataSet", |event| says_wallet(event, &[])).await,
        Call::PayCredit { custody, recipient } => {
            let contract = custody.contract(&contracts(&snapshot.chain));
            let paid = snapshot.latest_credit_paid(contract, *recipient).await?;
            return Ok(paid.map(|event| done_by(event, Subject::Credit(*recipient))));
        }
        Call::Fund { run } => (Some(*run), "RunFunded"),
        Call::Cancel { run } => (Some(*run), "RunCancelled"),
        Call::Claim { run, agent, .. } => {
            let claimed = snapshot.run_events(*run).await?.into_iter().rev().find(|event| event.name.as_deref() == Some("RunClaimed"));
            return Ok(claimed.filter(|event| event.agent == Some(*agent)).map(|event| done_by(event, Subject::Run(*run))));
        }
        Call::Start { run } => (Some(*run), "RunStarted"),
        Call::Submit { run, .. } => (Some(*run), "RunSubmitted"),
        Call::RequestRevision { run, .. } => (Some(*run), "RevisionRequested"),
        Call::Approve { run, .. } => (Some(*run), "RunApproved"),
        Call::Reject { run, .. } => (Some(*run), "RunRejected"),
        Call::Finalize { run } => (Some(*run), "RunFinalized"),
        Call::Slash { run } => (Some(*run), "RunSlashed"),
        Call::ApproveUsdc { .. } => return Ok(None),
    };
    let Some(run) = run else { return Ok(None) };
    let events = snapshot.run_events(run).await?;
    let done = events.into_iter().rev().find(|event| event.name.as_deref() == Some(name));
    Ok(done.map(|event| done_by(event, Subject::Run(run))))
}

/// The latest run of `poster` with these terms; one that was funded, if that is asked for.
async fn created(snapshot: &mut Snapshot, poster: Address, offer: &NewRun, funded: bool) -> Result<Option<RunId>, ApiError> {
    let runs = snapshot.latest_runs(poster, LATEST).await?;
    let same =
        runs.into_iter().map(|record| record.run).find(|run| NewRun::from(&run.terms) == *offer && (run.funded_at.is_some() || !funded));
    Ok(same.map(|run| run.id))
}

async fn of_agent(
    snapshot: &mut Snapshot,
    agent: AgentId,
    name: &str,
    is_same: impl Fn(&EventRecord) -> bool,
) -> Result<Option<PastAction>, ApiError> {
    let events = snapshot.latest_events(agent, LATEST).await?;
    let done = events.into_iter().find(|event| event.name.as_deref() == Some(name) && is_same(event));
    Ok(done.map(|event| done_by(event, Subject::Agent(agent))))
}

/// Whether an event of the stakes, which names an account second and an amount first, is of these.
fn moves(event: &EventRecord, account: Address, amount: Usdc) -> bool {
    event.topics.get(2) == Some(&account.into_word()) && event.data.get(..32).is_some_and(|word| U256::from_be_slice(word) == amount.0)
}

fn says_uri(event: &EventRecord, uri: &str) -> bool {
    <(sol_data::Bytes,)>::abi_decode_params(&event.data).is_ok_and(|(said,)| *said == *uri.as_bytes())
}

fn says_metadata(event: &EventRecord, key: &[u8], value: &[u8]) -> bool {
    metadata_entry(&event.data).is_some_and(|(said, content)| *said == *key && *content == *value)
}

fn says_wallet(event: &EventRecord, wallet: &[u8]) -> bool {
    says_metadata(event, b"agentWallet", wallet)
}

fn done_by(event: EventRecord, subject: Subject) -> PastAction {
    PastAction { subject, at: event.timestamp, block: event.block_number, hash: event.tx_hash }
}

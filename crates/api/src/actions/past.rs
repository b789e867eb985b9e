//! Whether a wallet has done the same before, as far as the index tells.

use std::fmt;

use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolType, sol_data},
};
use clawpay_bindings::{AGENT_WALLET, Call, metadata_entry};
use clawpay_domain::{AgentId, NewRun, RunId, Timestamp, Usdc};
use clawpay_store::{EventRecord, Snapshot};

use super::{Intent, proof};
use crate::{error::ApiError, market::contracts};

/// How many of a wallet's or an agent's like actions are looked at.
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

/// The latest action that did what `intent` asks for; nothing where there is none among the latest. Fails when the database does not answer.
pub(super) async fn latest(snapshot: &mut Snapshot, intent: &Intent) -> Result<Option<PastAction>, ApiError> {
    Ok(Box::pin(alike(snapshot, intent)).await?.into_iter().next())
}

/// What did as `intent` asks, the latest first; not what was done long ago, or very often since. An event of a run or an agent does not always
/// say which account did it. Fails when the database does not answer.
pub(super) async fn alike(snapshot: &mut Snapshot, intent: &Intent) -> Result<Vec<PastAction>, ApiError> {
    let wallet = intent.wallet;
    let run = match &intent.call {
        Call::Create(offer) => return created(snapshot, wallet, offer, "RunCreated").await,
        Call::CreateAndFund(offer) => return created(snapshot, wallet, offer, "RunFunded").await,
        Call::Register { agent_uri } => return registered(snapshot, wallet, agent_uri).await,
        Call::Stake { agent, amount } => return moved(snapshot, *agent, "Staked", wallet, *amount).await,
        Call::Unstake { agent, amount } => return moved(snapshot, *agent, "Unstaked", wallet, *amount).await,
        Call::SetAgentUri { agent, agent_uri } => {
            let set = snapshot.latest_events_named(*agent, "URIUpdated", Some(wallet), LATEST).await?;
            return Ok(of_agent(*agent, set, |event| says_uri(event, agent_uri)));
        }
        Call::SetMetadata { agent, key, value } => {
            let set = snapshot.latest_metadata(*agent, LATEST).await?;
            return Ok(of_agent(*agent, set, |event| says_metadata(event, key.as_bytes(), value)));
        }
        Call::SetAgentWallet { agent, new_wallet, .. } => {
            let set = snapshot.latest_events_named(*agent, "MetadataSet", None, LATEST).await?;
            return Ok(of_agent(*agent, set, |event| says_metadata(event, AGENT_WALLET.as_bytes(), new_wallet.as_slice())));
        }
        Call::UnsetAgentWallet { agent } => {
            let set = snapshot.latest_events_named(*agent, "MetadataSet", None, LATEST).await?;
            return Ok(of_agent(*agent, set, |event| says_metadata(event, AGENT_WALLET.as_bytes(), &[])));
        }
        Call::PayCredit { custody, recipient } => {
            let contract = custody.contract(&contracts(&snapshot.chain));
            let paid = snapshot.latest_credit_paid(contract, *recipient).await?;
            return Ok(paid.into_iter().map(|event| done_by(event, Subject::Credit(*recipient))).collect());
        }
        Call::ApproveUsdc { .. } => return Ok(Vec::new()),
        Call::Fund { run }
        | Call::Cancel { run }
        | Call::Claim { run, .. }
        | Call::Start { run }
        | Call::Submit { run, .. }
        | Call::RequestRevision { run, .. }
        | Call::Approve { run, .. }
        | Call::Reject { run, .. }
        | Call::Finalize { run }
        | Call::Slash { run } => *run,
    };
    let market = contracts(&snapshot.chain);
    let history = snapshot.run_events(run).await?;
    let events = proof::of_history(&history, &market);
    let found: Vec<usize> = proof::find(&intent.call, wallet, &events, &market).iter().map(|event| event.position).collect();
    let done = history.into_iter().enumerate().filter(|(position, _)| found.contains(position));
    let mut done: Vec<_> = done.map(|(_, event)| done_by(event, Subject::Run(run))).collect();
    done.reverse();
    Ok(done)
}

/// The latest runs of `poster` with these terms that have an event of this `name`.
async fn created(snapshot: &mut Snapshot, poster: Address, offer: &NewRun, name: &str) -> Result<Vec<PastAction>, ApiError> {
    let mut done = Vec::new();
    for record in snapshot.latest_runs_like(poster, offer, LATEST).await? {
        let run = record.run.id;
        let event = snapshot.run_events(run).await?.into_iter().find(|event| event.name.as_deref() == Some(name));
        done.extend(event.map(|event| done_by(event, Subject::Run(run))));
    }
    Ok(done)
}

async fn registered(snapshot: &mut Snapshot, owner: Address, uri: &str) -> Result<Vec<PastAction>, ApiError> {
    let mut done = Vec::new();
    for record in snapshot.latest_agents(owner, LATEST).await? {
        let agent = record.agent.id;
        let events = snapshot.latest_events_named(agent, "Registered", Some(owner), 1).await?;
        done.extend(of_agent(agent, events, |event| says_uri(event, uri)));
    }
    Ok(done)
}

/// Deposits of an account, or withdrawals to it, of this amount.
async fn moved(snapshot: &mut Snapshot, agent: AgentId, name: &str, account: Address, amount: Usdc) -> Result<Vec<PastAction>, ApiError> {
    let events = snapshot.latest_events_named(agent, name, Some(account), LATEST).await?;
    Ok(of_agent(agent, events, |event| event.data.get(..32).is_some_and(|word| U256::from_be_slice(word) == amount.0)))
}

fn of_agent(agent: AgentId, events: Vec<EventRecord>, is_same: impl Fn(&EventRecord) -> bool) -> Vec<PastAction> {
    events.into_iter().filter(is_same).map(|event| done_by(event, Subject::Agent(agent))).collect()
}

fn says_uri(event: &EventRecord, uri: &str) -> bool {
    <(sol_data::Bytes,)>::abi_decode_params(&event.data).is_ok_and(|(said,)| *said == *uri.as_bytes())
}

fn says_metadata(event: &EventRecord, key: &[u8], value: &[u8]) -> bool {
    metadata_entry(&event.data).is_some_and(|(said, content)| *said == *key && *content == *value)
}

fn done_by(event: EventRecord, subject: Subject) -> PastAction {
    PastAction { subject, at: event.timestamp, block: event.block_number, hash: event.tx_hash }
}

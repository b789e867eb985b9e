//! The run, the agent and the credit that a call is about, as the index knows them.

use clawpay_bindings::Call;
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_store::{AgentRecord, RunRecord, Snapshot};

use crate::{error::ApiError, market::contracts};

/// What the rules and the answer need to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The run a call names.
    pub run: Option<RunRecord>,
    /// The agent a call names, or else the one that holds the run.
    pub agent: Option<AgentRecord>,
    /// The credit that a call pays; nothing while the index is of an older version.
    pub credit: Option<Usdc>,
}

impl Facts {
    /// What `call` is about. A run or agent that the call names must be there, in this order.
    pub(crate) async fn load(snapshot: &mut Snapshot, call: &Call) -> Result<Self, ApiError> {
        match call {
            Call::ApproveUsdc { .. } | Call::Create(_) | Call::CreateAndFund(_) | Call::Register { .. } => Ok(Self::default()),
            Call::PayCredit { custody, recipient } => {
                let contract = custody.contract(&contracts(&snapshot.chain));
                Ok(Self { credit: snapshot.credit(contract, *recipient).await?, ..Self::default() })
            }
            Call::Claim { run, agent, .. } => {
                let run = Self::of_run(snapshot, *run).await?.run;
                Ok(Self { run, ..Self::of_agent(snapshot, *agent).await? })
            }
            Call::Fund { run }
            | Call::Cancel { run }
            | Call::Start { run }
            | Call::Submit { run, .. }
            | Call::RequestRevision { run, .. }
            | Call::Approve { run, .. }
            | Call::Reject { run, .. }
            | Call::Finalize { run }
            | Call::Slash { run } => Self::of_run(snapshot, *run).await,
            Call::Stake { agent, .. }
            | Call::Unstake { agent, .. }
            | Call::SetAgentUri { agent, .. }
            | Call::SetMetadata { agent, .. }
            | Call::SetAgentWallet { agent, .. }
            | Call::UnsetAgentWallet { agent } => Self::of_agent(snapshot, *agent).await,
        }
    }

    /// A run, and the agent that holds it if one does.
    pub(crate) async fn of_run(snapshot: &mut Snapshot, id: RunId) -> Result<Self, ApiError> {
        let run = snapshot.run(id).await?.ok_or(ApiError::RunNotFound(id))?;
        let agent = match run.run.claim {
            Some(claim) => snapshot.agent(claim.agent).await?,
            None => None,
        };
        Ok(Self { run: Some(run), agent, credit: None })
    }

    /// An agent.
    pub(crate) async fn of_agent(snapshot: &mut Snapshot, id: AgentId) -> Result<Self, ApiError> {
        let agent = snapshot.agent(id).await?.ok_or(ApiError::AgentNotFound(id))?;
        Ok(Self { run: None, agent: Some(agent), credit: None })
    }
}

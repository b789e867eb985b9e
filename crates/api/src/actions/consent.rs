//! What another account than the signer's has to agree to: a wallet, to act for an agent.

use alloy::primitives::{Address, U256};
use clawpay_bindings::{AgentRegistry, AgentWalletSet, Call, registry_domain};
use clawpay_domain::{AgentId, Seconds, Timestamp};
use clawpay_store::{Chain, IndexedBlock};
use futures::FutureExt;

use super::{Facts, Intent, Payload, Preparer};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
    node::{CallRequest, Node},
};

/// The registry takes no consent that is good for longer.
const GOOD_FOR: Seconds = Seconds(5 * 60);

/// What is to be signed by the wallet that an agent shall have.
#[derive(Clone, Debug)]
pub(crate) struct ConsentWanted {
    /// The market that it is for.
    pub chain: Chain,
    /// The block by which it was asked for.
    pub indexed: IndexedBlock,
    /// The agent.
    pub facts: Facts,
    /// Who signs.
    pub signer: Address,
    /// What.
    pub payload: Payload<AgentWalletSet>,
    /// Chain time by which it was asked for.
    pub now: Timestamp,
    /// Until when it is good, chain time.
    pub expires_at: Timestamp,
}

impl Intent {
    /// The agent and its wallet to be, where that has not consented yet.
    pub(crate) fn consent_missing(&self) -> Option<(AgentId, Address)> {
        match &self.call {
            Call::SetAgentWallet { agent, new_wallet, consent } if consent.signature.is_empty() => Some((*agent, *new_wallet)),
            _ => None,
        }
    }
}

impl Preparer<'_> {
    /// What `new_wallet` signs, before `agent`'s owner sends anything.
    ///
    /// Fails for an agent that is not there or not the signer's to change, and where index or node cannot be relied on.
    pub(crate) async fn consent(&self, intent: &Intent, agent: AgentId, new_wallet: Address) -> Result<ConsentWanted, ApiError> {
        let mut snapshot = snapshot(self.reader).await?;
        let facts = Facts::of_agent(&mut snapshot, agent).await?;
        let (chain, indexed) = (snapshot.chain, snapshot.indexed);
        // No request waits for the node while it holds a connection to the database.
        drop(snapshot);

        // To take the wallet away needs the same right as to set one, and no signature.
        let unset = Call::UnsetAgentWallet { agent };
        let trial = CallRequest { from: intent.wallet, to: chain.agent_registry, data: unset.calldata() };
        // The owner may have changed since the indexed block, and the wallet's consent is for one owner.
        let asked = AgentRegistry::ownerOfCall { tokenId: U256::from(agent.0) };
        let (preparer, trial, asked) = (*self, &trial, &asked);
        let ask = move |node: Node| async move {
            let preparer = Preparer { node: &node, ..preparer };
            tokio::try_join!(
                preparer.agreed_head(&chain, &indexed),
                async { node.estimate_gas(trial).await.map_err(|error| ApiError::of_trial(&intent.call, error)) },
                async { node.view(chain.agent_registry, asked).await?.ok_or(ApiError::AgentNotFound(agent)) }
            )
        };
        let (head, _gas, owner) = self.node.at_one(|node| ask(node).boxed()).await?;

        let now = head.pending_at;
        let expires_at = now + GOOD_FOR;
        let message = AgentWalletSet { agentId: U256::from(agent.0), newWallet: new_wallet, owner, deadline: U256::from(expires_at.0) };
        let payload = Payload { message, domain: registry_domain(chain.chain_id, contracts(&chain).agent_registry) };
        Ok(ConsentWanted { chain, indexed, facts, signer: new_wallet, payload, now, expires_at })
    }
}

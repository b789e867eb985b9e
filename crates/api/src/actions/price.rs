//! Steps, tried out in their order and priced.

use alloy::primitives::{Address, Bytes, U256};
use clawpay_bindings::Permit;
use clawpay_store::Chain;

use super::{Intent, gasless::Payload};
use crate::{
    error::ApiError,
    node::{CallError, CallRequest, Fees, Head, Node},
};

/// Gas for a call that cannot be tried out before its allowance is there: several times what the dearest verb uses, and its calldata.
const UNTRIED_GAS: u64 = 400_000;
const UNTRIED_GAS_PER_BYTE: u64 = 40;

/// A step before it is priced.
pub(super) struct Draft {
    pub id: &'static str,
    pub description: String,
    pub to: Address,
    pub data: Bytes,
}

/// One thing to sign; steps are signed and sent in order.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The verb, or `allowance`.
    pub id: &'static str,
    /// What signing does, in words.
    pub description: String,
    /// To be signed and sent.
    pub transaction: UnsignedTransaction,
    /// Or to be signed in its place.
    pub permit: Option<Payload<Permit>>,
}

/// A transaction that only lacks its signature.
#[derive(Clone, Debug)]
pub(crate) struct UnsignedTransaction {
    /// The chain it is for.
    pub chain_id: u64,
    /// Who signs.
    pub from: Address,
    /// Which contract it calls.
    pub to: Address,
    /// Selector and arguments.
    pub data: Bytes,
    /// The most gas it may use.
    pub gas: u64,
    /// Its place among the signer's.
    pub nonce: u64,
    /// What it offers for gas.
    pub fees: Fees,
}

impl UnsignedTransaction {
    /// The most wei that its sender pays for its gas.
    pub(super) fn most_it_costs(&self) -> U256 {
        U256::from(self.gas).saturating_mul(self.fees.most())
    }
}

/// Tries the steps out in their order, and puts nonces, gas and prices to them, from `first_nonce`.
///
/// Fails as the first step that the contracts would refuse, and when the node does not answer.
pub(super) async fn price(
    node: &Node,
    intent: &Intent,
    first_nonce: u64,
    fees: impl Future<Output = Result<Fees, ApiError>>,
    drafts: Vec<Draft>,
    chain: &Chain,
    head: &Head,
) -> Result<Vec<Step>, ApiError> {
    let calls: Vec<_> = drafts.iter().map(|draft| CallRequest { from: intent.wallet, to: draft.to, data: draft.data.clone() }).collect();
    let tried = async { gas(node, &calls, head).await.map_err(|error| ApiError::of_trial(&intent.call, error).ahead()) };
    let (fees, gas) = tokio::try_join!(fees, tried)?;

    let steps = drafts.into_iter().zip(gas).zip(first_nonce..).map(|((draft, gas), nonce)| {
        let Draft { id, description, to, data } = draft;
        let transaction = UnsignedTransaction { chain_id: chain.chain_id, from: intent.wallet, to, data, gas, nonce, fees };
        Step { id, description, transaction, permit: None }
    });
    Ok(steps.collect())
}

/// A gas limit for each call, with room for the state to change before it is mined.
async fn gas(node: &Node, calls: &[CallRequest], head: &Head) -> Result<Vec<u64>, CallError> {
    if let [only] = calls {
        let gas = node.estimate_gas(only).await?;
        return Ok(vec![gas.saturating_add(gas / 4)]);
    }
    match node.simulate(calls, head.pending_at).await {
        // A simulation states gas after refunds, which are up to a fifth of what the call needs to have.
        Ok(used) => Ok(used.into_iter().map(|gas| gas.saturating_add(gas / 2)).collect()),
        Err(CallError::Unsupported) => {
            let mut limits = Vec::with_capacity(calls.len());
            for (position, call) in calls.iter().enumerate() {
                limits.push(if position == 0 {
                    let gas = node.estimate_gas(call).await?;
                    gas.saturating_add(gas / 4)
                } else {
                    let bytes = u64::try_from(call.data.len()).unwrap_or(u64::MAX);
                    UNTRIED_GAS.saturating_add(bytes.saturating_mul(UNTRIED_GAS_PER_BYTE))
                });
            }
            Ok(limits)
        }
        Err(error) => Err(error),
    }
}

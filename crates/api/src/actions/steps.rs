//! Whether signed transactions are the steps of what was asked: this very call, and an allowance for it at most.

use alloy::primitives::{Address, Bytes};
use clawpay_bindings::{AttributedCall, Call, Contracts};
use futures::FutureExt;

use super::{Facts, Intent};
use crate::{
    error::{ApiError, Invalid, SendRefusal},
    node::{CallError, CallRequest, Node},
    transactions::{explain::forwarded, signed::SignedTransaction},
};

const FIELD: &str = "signedTransactions";

/// What signed steps have to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) intent: &'a Intent,
    pub(super) facts: &'a Facts,
    pub(super) chain_id: u64,
    pub(super) market: &'a Contracts,
}

/// Reads the steps: the last does what was asked, one before it may let that call take the USDC it needs. Fails on anything else.
pub(super) fn read(raw: &[Bytes], expected: &Expected<'_>) -> Result<Vec<SignedTransaction>, ApiError> {
    let mut steps = Vec::with_capacity(raw.len());
    for (position, bytes) in raw.iter().enumerate() {
        let step = SignedTransaction::read(bytes, expected.chain_id)
            .map_err(|unreadable| refused(format!("transaction {} {unreadable}", position + 1)))?;
        if position + 1 == raw.len() {
            require_call(&step, expected)?;
        } else {
            require_allowance(&step, expected)?;
        }
        steps.push(step);
    }
    Ok(steps)
}

/// Refuses steps that could not be mined, because one before them is neither among them nor known to the node. Whether the first is new to
/// the node, and the very next of its sender: what it will do can then be tried out.
pub(super) async fn require_no_gap(node: &Node, steps: &[SignedTransaction]) -> Result<bool, ApiError> {
    let Some(first) = steps.first() else { return Ok(false) };
    let (hash, sender) = (first.hash, first.sender);
    let ask = move |node: Node| async move { tokio::try_join!(node.transaction_and_receipt(hash), node.nonces(sender)) };
    let ((known, receipt), (mined, next)) = node.at_one(|node| ask(node).boxed()).await?;
    if known.is_some() || receipt.is_some() {
        return Ok(false);
    }
    require_nonces(steps, next)?;
    Ok(first.nonce == mined && mined == next)
}

/// Why steps of one sender would not all have their effect, if that can be told: it would pay for nothing. A node that cannot tell is no reason to
/// keep them back.
pub(super) async fn would_fail(node: &Node, steps: &[SignedTransaction], call: &Call, market: &Contracts) -> Option<ApiError> {
    match steps {
        [step] => one_would_fail(node, step, call, market).await,
        [first, last] if first.sender == last.sender => two_would_fail(node, [first, last], call).await,
        _ => None,
    }
}

async fn one_would_fail(node: &Node, step: &SignedTransaction, call: &Call, market: &Contracts) -> Option<ApiError> {
    let (to, gas) = (step.to?, step.gas_limit());
    let whole = CallRequest { from: step.sender, to, data: step.input.clone() };
    if node.succeeds_with(&whole, gas).await {
        return None;
    }
    match node.estimate_gas(&whole).await {
        Ok(needed) if gas < needed => Some(ApiError::TransactionRefused(SendRefusal::gas_too_low(gas, needed))),
        Err(CallError::Reverted(revert)) => {
            // The forwarder only says that the call failed which it was to make.
            let inner = forwarded(to, &step.input, market).filter(|_| revert.is_of_forwarded());
            let reason = match inner {
                Some(inner) => node.estimate_gas(&inner).await.err(),
                None => None,
            };
            Some(ApiError::of_trial(call, reason.unwrap_or(CallError::Reverted(revert))))
        }
        Ok(_) | Err(CallError::Unsupported | CallError::Node(_)) => None,
    }
}

/// Of an allowance and what it is for: the first must not be sent where the second could not be.
async fn two_would_fail(node: &Node, steps: [&SignedTransaction; 2], call: &Call) -> Option<ApiError> {
    let sender = steps[0].sender;
    let cost = steps[0].most_it_costs.saturating_add(steps[1].most_it_costs);
    let (ether, head) = tokio::try_join!(node.ether_balance(sender), node.head()).ok()?;
    if ether < cost {
        return Some(ApiError::TransactionRefused(SendRefusal::short_of_ether(sender, ether, cost)));
    }
    let mut calls = Vec::with_capacity(2);
    for step in steps {
        calls.push(CallRequest { from: sender, to: step.to?, data: step.input.clone() });
    }
    match node.simulate(&calls, head.pending_at).await {
        Ok(used) => {
            let limits = steps.map(SignedTransaction::gas_limit);
            let (limit, needed) = limits.into_iter().zip(used).find(|(limit, needed)| limit < needed)?;
            Some(ApiError::TransactionRefused(SendRefusal::gas_too_low(limit, needed)))
        }
        Err(error @ CallError::Reverted(_)) => Some(ApiError::of_trial(call, error)),
        Err(CallError::Unsupported | CallError::Node(_)) => None,
    }
}

/// `next` is the first nonce that nothing known of the first step's sender uses.
fn require_nonces(steps: &[SignedTransaction], next: u64) -> Result<(), ApiError> {
    let mut expected = next;
    let mut sender = None;
    for (position, step) in steps.iter().enumerate() {
        let is_first_of_sender = sender.replace(step.sender) != Some(step.sender);
        // A relayer's own nonces are not known here.
        if step.nonce > expected && (position == 0 || !is_first_of_sender) {
            let detail = format!(
                "transaction {} has nonce {}, and nothing that is known uses nonce {expected} of {}: it could not be mined. Hand in all steps \
                 together, in their order, or the earlier one first",
                position + 1,
                step.nonce,
                step.sender,
            );
            return Err(Invalid { code: "nonce_gap", field: Some(FIELD.to_owned()), detail }.into());
        }
        expected = expected.max(step.nonce.saturating_add(1));
    }
    Ok(())
}

fn refused(detail: String) -> ApiError {
    ApiError::NotThisAction { field: FIELD, detail }
}

fn require_call(step: &SignedTransaction, expected: &Expected<'_>) -> Result<(), ApiError> {
    match decode(step, expected) {
        Ok(call) if call.is_same_action(&expected.intent.call) => Ok(()),
        Ok(Call::ApproveUsdc { .. }) => Err(refused(
            "the last transaction is an allowance, which is a step of this action and not the action: hand in the last step after it"
                .to_owned(),
        )),
        Ok(_) => Err(refused("the transaction does something else than this request asks for".to_owned())),
        Err(detail) => Err(refused(detail)),
    }
}

/// A step before the call may only be an allowance for the contract that the call pays.
fn require_allowance(step: &SignedTransaction, expected: &Expected<'_>) -> Result<(), ApiError> {
    let Some(payee) = payee(&expected.intent.call, expected.market) else {
        return Err(refused("this action has one step only".to_owned()));
    };
    match decode(step, expected) {
        Ok(Call::ApproveUsdc { spender, .. }) if spender == payee => Ok(()),
        Ok(_) => Err(refused(format!("the step before the last must be a USDC allowance for {payee}"))),
        Err(detail) => Err(refused(detail)),
    }
}

/// The contract that takes USDC for the call, if one does.
pub(super) const fn payee(call: &Call, market: &Contracts) -> Option<Address> {
    match call {
        Call::CreateAndFund(_) | Call::Fund { .. } => Some(market.run_escrow),
        Call::Stake { .. } => Some(market.agent_stake),
        Call::ApproveUsdc { .. }
        | Call::Create(_)
        | Call::Cancel { .. }
        | Call::Claim { .. }
        | Call::Start { .. }
        | Call::Submit { .. }
        | Call::RequestRevision { .. }
        | Call::Approve { .. }
        | Call::Reject { .. }
        | Call::Finalize { .. }
        | Call::Slash { .. }
        | Call::Register { .. }
        | Call::Unstake { .. }
        | Call::SetAgentUri { .. }
        | Call::SetMetadata { .. }
        | Call::SetAgentWallet { .. }
        | Call::UnsetAgentWallet { .. }
        | Call::PayCredit { .. } => None,
    }
}

/// What the transaction does, in the name of whom the request speaks of: whichever account sends it.
fn decode(step: &SignedTransaction, expected: &Expected<'_>) -> Result<Call, String> {
    if !step.value.is_zero() {
        return Err("the transaction sends ether, which nothing here takes".to_owned());
    }
    let to = step.to.ok_or("the transaction creates a contract")?;
    let AttributedCall { actor, call } =
        AttributedCall::read(step.sender, to, &step.input, expected.market).map_err(|error| error.to_string())?;
    // A draft that is funded by authorization is its poster's to fund.
    let poster = || expected.facts.run.as_ref().map(|record| record.run.terms.poster);
    match actor.or_else(poster) {
        Some(actor) if actor == expected.intent.wallet => Ok(call),
        Some(actor) => Err(format!("the transaction acts for {actor}, not for {}", expected.intent.wallet)),
        None => Err("the transaction funds a run that is not known".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, U256};

    use super::*;

    fn step(sender: u8, nonce: u64) -> SignedTransaction {
        SignedTransaction {
            raw: Bytes::new(),
            hash: B256::ZERO,
            sender: Address::repeat_byte(sender),
            nonce,
            to: None,
            value: U256::ZERO,
            input: Bytes::new(),
            most_it_costs: U256::ZERO,
        }
    }

    #[test]
    fn steps_follow_each_other_without_a_gap() {
        let gap = |steps: &[SignedTransaction], next| match require_nonces(steps, next) {
            Ok(()) => None,
            Err(ApiError::Invalid(invalid)) => Some((invalid.code, invalid.detail)),
            Err(error) => panic!("{error:?}"),
        };
        for (steps, next) in
            [(vec![step(1, 4)], 4), (vec![step(1, 4), step(1, 5)], 4), (vec![step(1, 2)], 4), (vec![step(1, 2), step(1, 4)], 4)]
        {
            assert_eq!(gap(&steps, next), None, "{steps:?}");
        }
        assert_eq!(gap(&[step(1, 4), step(2, 90)], 4), None, "a relayer sends the second");
        for (steps, missing) in [(vec![step(1, 5)], "nonce 4"), (vec![step(1, 4), step(1, 6)], "nonce 5")] {
            let (code, detail) = gap(&steps, 4).expect("a gap");
            assert!(code == "nonce_gap" && detail.contains(missing), "{detail}");
        }
    }
}

//! Why a transaction reverted: receipts do not say.

use alloy::primitives::{Address, Bytes};
use clawpay_bindings::{Contracts, OUT_OF_GAS, Revert, forwarded_request};

use crate::{
    error::ApiError,
    node::{CallRequest, Node, Receipt, SentTransaction},
};

/// Tries a reverted transaction's call again, in the block where it was mined and in the one before. Where the forwarder only says that the call
/// failed which it was to make, that call is tried.
pub(crate) async fn why(node: &Node, transaction: SentTransaction, receipt: &Receipt, market: &Contracts) -> Result<Revert, ApiError> {
    let (block, has_run_out) = (receipt.block_number(), receipt.used_up(&transaction));
    let SentTransaction { from, to, input, .. } = transaction;
    let Some(to) = to else { return Ok(Revert::Unknown(Bytes::new())) };
    let (inner, whole) = (forwarded(to, &input, market), CallRequest { from, to, data: input });
    for block in [block, block.saturating_sub(1)] {
        let Some(revert) = node.refusal_in(&whole, block).await? else { continue };
        if let Some(inner) = inner.as_ref().filter(|_| revert.is_of_forwarded())
            && let Some(revert) = node.refusal_in(inner, block).await?
        {
            return Ok(revert);
        }
        return Ok(revert);
    }
    if has_run_out {
        let detail = "it used all the gas that it was given: prepare again, and sign the `gas` that you get then".to_owned();
        return Ok(Revert::Named { code: OUT_OF_GAS, detail });
    }
    Ok(Revert::Unknown(Bytes::new()))
}

/// The call that the forwarder is to make, if that is what a transaction asks for.
pub(crate) fn forwarded(to: Address, input: &Bytes, market: &Contracts) -> Option<CallRequest> {
    let request = forwarded_request(input).filter(|_| to == market.forwarder)?;
    Some(CallRequest { from: request.from, to: request.to, data: request.data })
}

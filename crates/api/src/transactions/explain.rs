//! Why a transaction reverted: receipts do not say.

use alloy::primitives::Bytes;
use clawpay_bindings::{Contracts, Revert, forwarded_request};

use crate::{
    error::ApiError,
    node::{CallRequest, Node, SentTransaction},
};

/// Tries a reverted transaction's call again, in the block where it was mined and in the one before. The forwarder only says that the call
/// failed which it was to make, so that call is tried first.
pub(crate) async fn why(node: &Node, transaction: SentTransaction, block: u64, market: &Contracts) -> Result<Revert, ApiError> {
    let SentTransaction { from, to, input, .. } = transaction;
    let Some(to) = to else { return Ok(Revert::Unknown(Bytes::new())) };
    let request = forwarded_request(&input).filter(|_| to == market.forwarder);
    let forwarded = request.map(|request| CallRequest { from: request.from, to: request.to, data: request.data });
    for call in forwarded.into_iter().chain([CallRequest { from, to, data: input }]) {
        for block in [block, block.saturating_sub(1)] {
            if let Some(revert) = node.refusal_in(&call, block).await? {
                return Ok(revert);
            }
        }
    }
    Ok(Revert::Unknown(Bytes::new()))
}

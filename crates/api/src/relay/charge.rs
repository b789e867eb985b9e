//! What came of the relayer's transactions: what each has cost, and whether a signer has made the operator pay for nothing.

use alloy::primitives::U256;
use clawpay_bindings::{Contracts, Revert, forwarded_request};
use clawpay_domain::Refusal;
use clawpay_store::{RelayCharge, Relayed};

use super::Relayer;
use crate::{
    error::ApiError,
    node::{CallRequest, ChargedTransaction, NodeError},
};

impl Relayer<'_> {
    /// Notes what a mined job has cost; nothing while the node has no receipt of it. Fails when node or database do not answer.
    pub(super) async fn charge(&self, job: &Relayed, market: &Contracts) -> Result<(), ApiError> {
        let Some(charged) = self.charged(job).await? else { return Ok(()) };
        let is_signers_revert = charged.is_reverted() && self.is_signers_doing(job, charged.block_number(), market).await?;
        if is_signers_revert {
            tracing::info!(nonce = job.nonce, signer = %job.job.signer, "a signer has made a relayed transaction revert");
        }
        let wei = charged.wei(U256::from(job.attempt.gas.max_fee));
        Ok(self.purse.notes.charge(self.account(), job.nonce, RelayCharge { wei, is_signers_revert }).await?)
    }

    /// Of the transactions that were made for the job, the one that was mined.
    async fn charged(&self, job: &Relayed) -> Result<Option<ChargedTransaction>, ApiError> {
        if let Some(charged) = self.node.charged(job.attempt.hash).await? {
            return Ok(Some(charged));
        }
        for hash in self.purse.notes.sent_with(self.account(), job.nonce).await? {
            if hash != job.attempt.hash
                && let Some(charged) = self.node.charged(hash).await?
            {
                return Ok(Some(charged));
            }
        }
        Ok(None)
    }

    /// Whether a job that reverted in `block` did so by what its signer did after it was tried out, and not because others were faster: asked of
    /// the contracts as that block left them. Of a block that the node has forgotten, nothing is held against the signer.
    async fn is_signers_doing(&self, job: &Relayed, block: u64, market: &Contracts) -> Result<bool, ApiError> {
        let refusal = async |call: CallRequest| match self.node.refusal_in(&call, block).await {
            Err(NodeError::Refused { .. }) => Ok(None),
            refusal => refusal,
        };
        let (target, data) = (job.job.target, job.job.data.clone());
        let Some(revert) = refusal(CallRequest { from: self.account(), to: target, data: data.clone() }).await? else { return Ok(false) };
        let request = if target == market.forwarder { forwarded_request(&data) } else { None };
        let Some(request) = request else { return Ok(is_payers_doing(&revert)) };
        match revert {
            Revert::RequestExpired { .. } => Ok(false),
            Revert::Named { code: "forwarded_call_failed", .. } => {
                let inner = refusal(CallRequest { from: request.from, to: request.to, data: request.data }).await?;
                Ok(inner.is_some_and(|revert| !matches!(revert, Revert::Refusal(_))))
            }
            // Its nonce is used, and only the signer can sign with that.
            _ => Ok(true),
        }
    }
}

/// Whether a payment that was authorized failed by what its payer did: took the money away, used or cancelled the authorization, or did the same
/// in another way.
const fn is_payers_doing(revert: &Revert) -> bool {
    match revert {
        Revert::Refusal(refusal) => matches!(refusal, Refusal::WrongState { .. }),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use clawpay_domain::{RunId, RunState};

    use super::*;

    #[test]
    fn a_payer_is_not_held_to_what_others_did() {
        let wrong_state = Refusal::WrongState { run: RunId(1), state: RunState::Cancelled, accepted: Vec::new() };
        assert!(is_payers_doing(&Revert::Refusal(wrong_state)));
        assert!(is_payers_doing(&Revert::Reason("FiatTokenV2: authorization is used or canceled".to_owned())));
        assert!(!is_payers_doing(&Revert::Refusal(Refusal::Paused)));
    }
}

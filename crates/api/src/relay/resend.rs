//! Looking after what was taken on, until it is mined for good.

use std::time::Duration;

use clawpay_store::{Chain, Relayed};
use tokio_util::sync::CancellationToken;

use super::{Relayer, attempt};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
};

/// How often the relayer's open jobs are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl Relayer<'_> {
    /// Looks after the relayer's open jobs until the server stops. Any number of servers may: what each does is harmless twice.
    pub(crate) async fn look_after(&self, shutdown: &CancellationToken) {
        loop {
            match self.look().await {
                Ok(()) | Err(ApiError::NothingIndexed) => {}
                Err(error) => error.log(),
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn look(&self) -> Result<(), ApiError> {
        let (node, notes, relayer) = (self.node, self.purse.notes, self.account());
        let open = notes.open_jobs(relayer).await?;
        // A relayer without work asks the node for nothing.
        if open.is_empty() {
            return Ok(());
        }
        let snapshot = snapshot(self.reader).await?;
        let (chain, finalized) = (snapshot.chain, snapshot.indexed.finalized);
        drop(snapshot);
        node.require_chain(chain.chain_id).await?;
        let mined = node.mined_nonce(relayer, None).await?;
        let settled = match finalized {
            Some(finalized) => node.mined_nonce(relayer, Some(finalized)).await?,
            None => 0,
        };
        for (position, job) in open.iter().filter(|job| job.nonce >= mined).enumerate() {
            // All others wait for the first: offering more for them would not help.
            let is_first = position == 0;
            if !(is_first && job.age > self.purse.options.patience && self.raise(&chain, job).await?) {
                self.send_again(job).await?;
            }
        }
        let market = contracts(&chain);
        for job in open.iter().filter(|job| job.nonce < mined) {
            // Looked at once it is mined, and again once that is final: until then a reorganisation may have mined it otherwise.
            if !job.is_charged || job.nonce < settled {
                self.charge(job, &market).await?;
            }
        }
        let looked_at = open.last().map_or(0, |job| job.nonce.saturating_add(1));
        Ok(notes.settle(relayer, settled.min(looked_at)).await?)
    }

    /// Sends what the node has not heard of, or has forgotten.
    async fn send_again(&self, job: &Relayed) -> Result<(), ApiError> {
        if self.node.transaction(job.attempt.hash).await?.is_some() {
            return Ok(());
        }
        if let Err(reason) = self.node.send(&job.attempt.raw).await? {
            tracing::warn!(nonce = job.nonce, reason, "the node does not want a relayed transaction");
        }
        Ok(())
    }

    /// Offers more for what has waited too long. False if it is offered enough, or another server has just done so.
    async fn raise(&self, chain: &Chain, job: &Relayed) -> Result<bool, ApiError> {
        let (node, relayer) = (self.node, self.account());
        let asked = attempt::priced(node.fees(node.head().await?.base_fee).await?)?;
        let Some(gas) = attempt::raised(job.attempt.gas, asked) else { return Ok(false) };
        let raised = attempt::signed(&self.purse.options.key, chain.chain_id, job.nonce, &job.job, gas)?;
        if !self.purse.notes.attempt_again(relayer, job.nonce, job.attempt.hash, &raised).await? {
            return Ok(false);
        }
        tracing::info!(nonce = job.nonce, max_fee = gas.max_fee, "offering more for a relayed transaction");
        if let Err(reason) = node.send(&raised.raw).await? {
            tracing::warn!(nonce = job.nonce, reason, "the node does not want a raised offer");
        }
        Ok(true)
    }
}

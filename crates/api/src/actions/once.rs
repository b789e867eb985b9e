//! Preparing under an idempotency key: what is signed for it can be mined once.
//!
//! The nonces of the first answer are kept, and a client that asks again with the key gets steps with the same ones: the chain takes only one
//! transaction for each. What came of it by any other way (a contract wallet's, a batch's, a relayer's) the index tells by its events.

use std::time::Duration;

use alloy::primitives::{B256, keccak256};
use clawpay_bindings::{CallWithSignature, Contracts};
use clawpay_store::{PinnedRequest, SubmittedTransactions};
use tokio::time::Instant;

use super::{Intent, Prepared, Preparer, past, prepare::Pinned};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
    node::SentTransaction,
};

/// Longest that the index is waited for to show what has just been mined.
const PATIENCE: Duration = Duration::from_secs(3);

/// Pause between two looks at it.
const POLL: Duration = Duration::from_millis(200);

/// What a key leads to.
#[derive(Clone, Debug)]
pub(crate) enum Once {
    /// Steps to sign.
    Prepared(Box<Prepared>),
    /// It was sent already.
    Sent {
        /// The transaction, or one with the nonce that the key stands for.
        hash: B256,
        /// That nonce.
        nonce: u64,
    },
}

impl Preparer<'_> {
    /// The steps that `intent` takes, with the nonces that `key` stands for; or the transaction that did it.
    ///
    /// Fails as [`Preparer::prepare`] does, where the key stands for something else, and where what it stands for cannot be signed any more.
    pub(crate) async fn prepare_once(&self, keys: &SubmittedTransactions, key: &str, intent: &Intent) -> Result<Once, ApiError> {
        if let Some(pinned) = keys.pinned(intent.wallet, key).await? {
            return self.prepare_again(keys, &pinned, intent).await;
        }
        let prepared = Box::pin(self.prepare(intent, None)).await?;
        let new = PinnedRequest {
            request: intent.identity(),
            nonce: prepared.steps.first().map_or(0, |step| step.transaction.nonce),
            steps: u8::try_from(prepared.steps.len()).map_err(|_| ApiError::Internal("an action of more steps than fit a byte"))?,
            forwarder_nonce: prepared.forwarder_nonce(),
            salt: prepared.salt,
            block: prepared.indexed.number,
        };
        match keys.pin(intent.wallet, key, &new).await? {
            Some(pinned) if pinned == new => Ok(Once::Prepared(Box::new(prepared))),
            // The same key came at the same moment, and was answered first.
            Some(pinned) => self.prepare_again(keys, &pinned, intent).await,
            None => Err(ApiError::Internal("a key that was just kept is gone")),
        }
    }

    async fn prepare_again(&self, keys: &SubmittedTransactions, pinned: &PinnedRequest, intent: &Intent) -> Result<Once, ApiError> {
        require_same(pinned, intent)?;
        let (wallet, last) = (intent.wallet, pinned.last_nonce());
        if let Some(hash) = self.done(pinned, intent).await? {
            return Ok(Once::Sent { hash, nonce: last });
        }
        for hash in keys.sent_with(wallet, last).await? {
            let (transaction, receipt) = tokio::try_join!(self.node.transaction(hash), self.node.receipt(hash))?;
            if transaction.is_some() || receipt.is_some() {
                return Ok(Once::Sent { hash, nonce: last });
            }
        }
        let (mined, pending) = tokio::try_join!(self.node.mined_nonce(wallet, None), self.node.next_nonce(wallet))?;
        let spent = || ApiError::KeySpent { nonce: last };
        if mined > last {
            // The index may not show yet what the node has mined.
            return self.wait_until_done(pinned, intent).await?.map(|hash| Once::Sent { hash, nonce: last }).ok_or_else(spent);
        }
        match Box::pin(self.prepare(intent, Some(Pinned { request: pinned, mined }))).await {
            // What waits in the pool has the run, the agent or the money already, as far as the node is concerned.
            Err(ApiError::Refused { .. } | ApiError::Taken { .. } | ApiError::InsufficientUsdc { .. }) if pending > last => {
                Err(ApiError::KeyPending { nonce: last })
            }
            prepared => Ok(Once::Prepared(Box::new(prepared?))),
        }
    }

    /// The transaction that did it since the key came first, as far as the index tells.
    async fn done(&self, pinned: &PinnedRequest, intent: &Intent) -> Result<Option<B256>, ApiError> {
        let done = past::latest(&mut snapshot(self.reader).await?, intent).await?;
        let Some(hash) = done.filter(|done| done.block > pinned.block).map(|done| done.hash) else { return Ok(None) };
        // The same may have been done under another key, or none: then by another nonce or salt.
        let is_ours = match self.node.transaction(hash).await? {
            Some(transaction) if transaction.from == intent.wallet => (pinned.nonce..=pinned.last_nonce()).contains(&transaction.nonce()),
            Some(transaction) => {
                authorized_salt(&transaction, &contracts(&snapshot(self.reader).await?.chain)).is_none_or(|salt| salt == pinned.salt)
            }
            None => false,
        };
        Ok(is_ours.then_some(hash))
    }

    async fn wait_until_done(&self, pinned: &PinnedRequest, intent: &Intent) -> Result<Option<B256>, ApiError> {
        let (head, deadline) = (self.node.head().await?.number, Instant::now() + PATIENCE);
        loop {
            let indexed = snapshot(self.reader).await?.indexed.number;
            let done = self.done(pinned, intent).await?;
            if done.is_some() || indexed >= head || Instant::now() >= deadline {
                return Ok(done);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The salt of the authorization that a transaction pays with, if it pays with one.
fn authorized_salt(transaction: &SentTransaction, market: &Contracts) -> Option<B256> {
    let mut call = CallWithSignature::decode(transaction.to?, &transaction.input, market).ok()?;
    call.authorization_mut().map(|authorization| authorization.salt)
}

/// Refuses another request than the one that the key stands for.
pub(crate) fn require_same(pinned: &PinnedRequest, intent: &Intent) -> Result<(), ApiError> {
    if pinned.request == intent.identity() { Ok(()) } else { Err(ApiError::KeyReused) }
}

impl Intent {
    /// What tells two requests of a wallet apart: all they ask for, but for what was signed.
    fn identity(&self) -> B256 {
        let Self { wallet: _, call, permit: _, nonce, expected, allow_foreign } = self;
        let nonce = nonce.map_or_else(Vec::new, |nonce| nonce.to_be_bytes().to_vec());
        let expected = expected.map_or_else(Vec::new, |word| word.to_be_bytes_vec());
        let parts = [
            super::Verb::of(call).id.as_bytes(),
            &call.clone().without_expectations().calldata(),
            &nonce,
            &expected,
            &[u8::from(*allow_foreign)],
        ];
        // Hashes of one length, so that no part runs into the next.
        keccak256(parts.map(keccak256).concat())
    }
}

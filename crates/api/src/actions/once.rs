//! Preparing under an idempotency key: what is signed for it can be mined once.
//!
//! The nonces of the first answer are kept, and a client that asks again with the key gets steps with the same ones: the chain takes only one
//! transaction for each. What came of it by any other way (a contract wallet's, a batch's, a relayer's, a wallet's that counts by itself) the
//! index tells by its events.

use std::time::Duration;

use alloy::primitives::{Address, B256, keccak256};
use clawpay_bindings::{AttributedCall, Call, CallWithSignature, Contracts, Custody};
use clawpay_store::{PinnedRequest, RelayedCall, SubmittedTransactions};
use tokio::time::{Instant, timeout_at};

use super::{Intent, Prepared, Preparer, Verb, past, prepare::Pinned, proof};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
    node::{Receipt, SentTransaction},
    transactions::{Place, Tracker},
};

/// Longest that the index is waited for to show what has just been mined.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many blocks a reorganisation may have moved an action back.
const MOST_REORGANISED: u64 = 64;

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

/// A request that comes with a key that was kept before.
#[derive(Clone, Copy, Debug)]
struct Again<'a> {
    keys: &'a SubmittedTransactions,
    key: &'a str,
    pinned: &'a PinnedRequest,
    intent: &'a Intent,
}

impl Preparer<'_> {
    /// The steps that `intent` takes, with the nonces that `key` stands for; or the transaction that did it.
    ///
    /// Fails as [`Preparer::prepare`] does, where the key stands for something else, and where what it stands for cannot be signed any more.
    pub(crate) async fn prepare_once(&self, keys: &SubmittedTransactions, key: &str, intent: &Intent) -> Result<Once, ApiError> {
        if let Some(pinned) = keys.pinned(intent.wallet, key).await? {
            return Box::pin(self.prepare_again(Again { keys, key, pinned: &pinned, intent })).await;
        }
        let prepared = Box::pin(self.prepare(intent, None)).await?;
        let new = PinnedRequest {
            request: intent.identity(),
            nonce: prepared.steps.first().map_or(0, |step| step.transaction.nonce),
            steps: u8::try_from(prepared.steps.len()).map_err(|_| ApiError::Internal("an action of more steps than fit a byte"))?,
            forwarder_nonce: prepared.forwarder_nonce(),
            salt: prepared.salt,
            block: prepared.indexed.number,
            block_hash: Some(prepared.indexed.hash),
            done_by: None,
        };
        match keys.pin(intent.wallet, key, &new).await? {
            Some(pinned) if pinned == new => Ok(Once::Prepared(Box::new(prepared))),
            // The same key came at the same moment, and was answered first.
            Some(pinned) => Box::pin(self.prepare_again(Again { keys, key, pinned: &pinned, intent })).await,
            None => Err(ApiError::Internal("a key that was just kept is gone")),
        }
    }

    async fn prepare_again(&self, again: Again<'_>) -> Result<Once, ApiError> {
        let Again { keys, pinned, intent, .. } = again;
        require_same(pinned, intent)?;
        let (wallet, last) = (intent.wallet, pinned.last_nonce());
        let sent = |hash| Once::Sent { hash, nonce: last };
        if let Some(hash) = pinned.done_by
            && self.node.receipt(hash).await?.is_some()
        {
            return Ok(sent(hash));
        }
        let (mined, pending) = self.node.nonces(wallet).await?;
        if mined > last {
            // What used the action's own nonce is the first that may have done it.
            let place = Place { sender: wallet, nonce: last };
            if let Some(hash) = (Tracker { node: self.node, notes: keys }).mined_in(place).await?
                && self.is_same(intent, hash).await?
            {
                return Ok(sent(hash));
            }
            let spent = ApiError::KeySpent {
                nonce: last,
                detail: format!("the key stands for a transaction with the nonce {last}, which another transaction has now"),
            };
            // The index may not show yet what the node has mined.
            return Box::pin(self.wait_until_done(again)).await?.map(sent).ok_or(spent);
        }
        if let Some(hash) = Box::pin(self.done(again, false)).await? {
            return Ok(sent(hash));
        }
        if let Some(hash) = self.relayed(again).await? {
            return Ok(sent(hash));
        }
        for hash in keys.sent_with(wallet, last).await? {
            if self.node.transaction(hash).await?.is_some() {
                return if self.is_same(intent, hash).await? { Ok(sent(hash)) } else { Err(ApiError::KeyPending { nonce: last }) };
            }
        }
        match Box::pin(self.prepare(intent, Some(Pinned { request: pinned, mined }))).await {
            // What waits in the pool has the run, the agent or the money already, as far as the node is concerned.
            Err(ApiError::Refused { .. } | ApiError::Taken { .. } | ApiError::InsufficientUsdc { .. }) if pending > last => {
                Err(ApiError::KeyPending { nonce: last })
            }
            prepared => Ok(Once::Prepared(Box::new(prepared?))),
        }
    }

    /// Whether a transaction that the node knows is this very action of the wallet's: by what it did, or by what it asks for.
    async fn is_same(&self, intent: &Intent, hash: B256) -> Result<bool, ApiError> {
        let market = contracts(&snapshot(self.reader).await?.chain);
        let (transaction, receipt) = self.node.transaction_and_receipt(hash).await?;
        if let Some(receipt) = receipt.filter(Receipt::succeeded) {
            let events = proof::of_receipt(&receipt.logs, &market);
            return Ok(!proof::find(&intent.call, intent.wallet, &events, &market).is_empty());
        }
        Ok(transaction.is_some_and(|transaction| asks_for(intent, transaction.from, transaction.to, &transaction.input, &market)))
    }

    /// The transaction that did it since the key came first, as far as the index tells: by its own nonce, by its own salt, or by an envelope
    /// of another account's. Where its nonce is gone, also by another nonce of the wallet's, which some wallets choose by themselves.
    async fn done(&self, Again { keys, key, pinned, intent }: Again<'_>, is_nonce_gone: bool) -> Result<Option<B256>, ApiError> {
        let mut view = snapshot(self.reader).await?;
        let market = contracts(&view.chain);
        let alike = Box::pin(past::alike(&mut view, intent)).await?;
        let kept = view.block_hash(pinned.block).await?;
        drop(view);
        let is_reorganised = pinned.block_hash.zip(kept).is_some_and(|(then, now)| then != now);
        // The earliest of them is the key's, and later ones are for later keys.
        for past in alike.into_iter().rev() {
            let is_before = past.block <= pinned.block;
            if is_before && !(is_reorganised && past.block.saturating_add(MOST_REORGANISED) > pinned.block) {
                continue;
            }
            let Some(transaction) = self.node.transaction(past.hash).await? else { continue };
            let is_ours = if transaction.from == intent.wallet {
                let nonce = transaction.nonce();
                let is_own = (pinned.nonce..=pinned.last_nonce()).contains(&nonce);
                is_own || is_nonce_gone && !is_before && !keys.is_of_another_key(intent.wallet, key, nonce).await?
            } else {
                let read = transaction.to.map(|to| AttributedCall::read(transaction.from, to, &transaction.input, &market));
                let actor = read.and_then(Result::ok).and_then(|read| read.actor);
                let is_other_actor = actor.is_some_and(|actor| actor != intent.wallet);
                let is_other_salt = authorized_salt(&transaction, &market).is_some_and(|salt| salt != pinned.salt);
                if is_before && !is_other_actor && !is_other_salt {
                    return Err(ApiError::KeySpent {
                        nonce: pinned.last_nonce(),
                        detail: format!(
                            "the chain has been reorganised since the key came, and {} did the same at about that time: if that is the key's, \
                             hand in its hash",
                            past.hash
                        ),
                    });
                }
                !is_other_actor && !is_other_salt
            };
            if is_ours {
                return Ok(Some(past.hash));
            }
        }
        Ok(None)
    }

    /// What a relayer took on for the wallet since the key came first, if it is the key's.
    async fn relayed(&self, Again { keys, key, pinned, intent }: Again<'_>) -> Result<Option<B256>, ApiError> {
        let market = contracts(&snapshot(self.reader).await?.chain);
        let jobs = keys.relayed_since(intent.wallet, key).await?;
        let is_ours = |job: &RelayedCall| {
            salt_in(job.target, &job.data, &market)
                .map_or_else(|| asks_for(intent, Address::ZERO, Some(job.target), &job.data, &market), |salt| salt == pinned.salt)
        };
        Ok(jobs.into_iter().find(is_ours).map(|job| job.hash))
    }

    async fn wait_until_done(&self, again: Again<'_>) -> Result<Option<B256>, ApiError> {
        let (head, deadline) = (self.node.head().await?.number, Instant::now() + PATIENCE);
        let mut moves = self.index.moves();
        loop {
            let indexed = snapshot(self.reader).await?.indexed.number;
            let done = Box::pin(self.done(again, true)).await?;
            let is_over = done.is_some() || indexed >= head;
            if is_over || timeout_at(deadline, moves.reach(indexed.saturating_add(1))).await.is_err() {
                return Ok(done);
            }
        }
    }
}

/// Whether a call asks for this action in the wallet's name.
fn asks_for(intent: &Intent, from: Address, to: Option<Address>, input: &[u8], market: &Contracts) -> bool {
    let read = to.and_then(|to| AttributedCall::read(from, to, input, market).ok());
    read.is_some_and(|read| read.call.is_same_action(&intent.call) && read.actor.is_none_or(|actor| actor == intent.wallet))
}

/// The salt of the authorization that a transaction pays with, if it pays with one.
fn authorized_salt(transaction: &SentTransaction, market: &Contracts) -> Option<B256> {
    salt_in(transaction.to?, &transaction.input, market)
}

fn salt_in(to: Address, input: &[u8], market: &Contracts) -> Option<B256> {
    let mut call = CallWithSignature::decode(to, input, market).ok()?;
    call.authorization_mut().map(|authorization| authorization.salt)
}

/// Refuses another request than the one that the key stands for.
pub(crate) fn require_same(pinned: &PinnedRequest, intent: &Intent) -> Result<(), ApiError> {
    if pinned.request == intent.identity() { Ok(()) } else { Err(ApiError::KeyReused) }
}

impl Intent {
    /// What tells two requests of a wallet apart: all they ask for, but for what was signed.
    pub(super) fn identity(&self) -> B256 {
        let Self { wallet: _, call, permit: _, nonce, expected, allow_foreign } = self;
        let nonce = nonce.map_or_else(Vec::new, |nonce| nonce.to_be_bytes().to_vec());
        let expected = expected.map_or_else(Vec::new, |word| word.to_be_bytes_vec());
        // Both contracts pay credits by the same calldata.
        let contract = if matches!(call, Call::PayCredit { custody: Custody::Stake, .. }) { "-stake" } else { "" };
        let verb = [Verb::of(call).id, contract].concat();
        let parts = [verb.as_bytes(), &call.clone().without_expectations().calldata(), &nonce, &expected, &[u8::from(*allow_foreign)]];
        // Hashes of one length, so that no part runs into the next.
        keccak256(parts.map(keccak256).concat())
    }
}

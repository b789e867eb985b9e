//! What has become of a transaction.

use alloy::primitives::{Address, B256};
use clawpay_bindings::Revert;
use clawpay_store::{IndexedBlock, Reader, Snapshot};

use super::{Place, Tracker, Whereabouts, explain::why, signed::SignedTransaction, track::Located};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
    node::{NodeError, Receipt},
};

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing here has heard of it.
    Unknown,
    /// On its way.
    Pending,
    /// Mined, and not indexed yet.
    Included,
    /// Mined without effect.
    Reverted,
    /// Mined, and its effects are shown.
    Indexed,
    /// Mined in a block that stays.
    Finalized,
    /// Another transaction of the sender's has its place.
    Replaced,
    /// The node has let go of it. Its place is free, so it may still be mined, or sent again.
    Dropped,
}

/// A transaction's standing.
#[derive(Clone, Debug)]
pub(crate) struct TransactionStatus {
    /// Its hash.
    pub hash: B256,
    /// Where it stands.
    pub state: State,
    /// Its place, if it is known.
    pub place: Option<Place>,
    /// The contract it calls, if the node shows it.
    pub to: Option<Address>,
    /// Height and hash of the block it was mined in.
    pub block: Option<(u64, B256)>,
    /// The transaction mined in its place, where it is known.
    pub replaced_by: Option<B256>,
    /// Whether the block in which its place was taken may itself still be replaced.
    pub may_return: bool,
    /// The nonce of its sender that nothing known uses, and that must be used first.
    pub waiting_for_nonce: Option<u64>,
    /// Why it reverted.
    pub reason: Option<Revert>,
    /// The account that the client says it is of, where nothing else is known of it.
    pub account: Option<AccountStanding>,
    /// What the index had come to.
    pub indexed: IndexedBlock,
}

/// What an account's nonces say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountStanding {
    /// The account.
    pub account: Address,
    /// All nonces below this have been used.
    pub next_nonce: u64,
    /// How many transactions of it wait to be mined, one after the other.
    pub waiting: u64,
    /// The transaction that used the last nonce, where it can be found.
    pub last_transaction: Option<B256>,
}

/// Whose transaction it is, as the client says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claimed {
    /// The account.
    pub sender: Option<Address>,
    /// Its place among that account's.
    pub nonce: Option<u64>,
}

impl TransactionStatus {
    /// A transaction of which nothing is known but this.
    pub(crate) const fn new(hash: B256, state: State, indexed: IndexedBlock) -> Self {
        Self {
            hash,
            state,
            place: None,
            to: None,
            block: None,
            replaced_by: None,
            may_return: false,
            waiting_for_nonce: None,
            reason: None,
            account: None,
            indexed,
        }
    }

    /// A transaction that has just been sent, and of which nothing more can be found out at the moment.
    pub(crate) fn sent(transaction: &SignedTransaction, indexed: IndexedBlock) -> Self {
        let SignedTransaction { hash, sender, nonce, to, .. } = transaction;
        let place = Some(Place { sender: *sender, nonce: *nonce });
        Self { place, to: *to, ..Self::new(*hash, State::Pending, indexed) }
    }
}

impl Tracker<'_> {
    /// What has become of the transaction. Fails where the node or the database does not answer.
    pub(crate) async fn status(&self, reader: &Reader, hash: B256, claimed: Claimed) -> Result<TransactionStatus, ApiError> {
        let mut view = snapshot(reader).await?;
        let (chain, indexed) = (view.chain, view.indexed);
        // No view is held while the node is asked.
        drop(view);
        let market = contracts(&chain);
        let hint = claimed.sender.zip(claimed.nonce).map(|(sender, nonce)| Place { sender, nonce });
        let ((), located) =
            tokio::try_join!(async { self.node.require_chain(chain.chain_id).await.map_err(ApiError::from) }, self.locate(hash, hint))?;
        let Located { transaction, place, whereabouts } = located;
        let to = transaction.as_ref().and_then(|transaction| transaction.to);
        let status = |state| TransactionStatus { place, to, ..TransactionStatus::new(hash, state, indexed) };
        Ok(match whereabouts {
            Whereabouts::Mined(receipt) => {
                let block = Some((receipt.block_number(), receipt.block_hash));
                if receipt.succeeded() {
                    if let Some(transaction) = &transaction {
                        self.remember(hash, transaction, &market).await;
                    }
                    view = snapshot(reader).await?;
                    let state = state_of(&mut view, &receipt).await?;
                    return Ok(TransactionStatus { block, indexed: view.indexed, ..status(state) });
                }
                let reason = match transaction {
                    Some(transaction) => Some(why(self.node, transaction, &receipt, &market).await?),
                    None => None,
                };
                TransactionStatus { block, reason, ..status(State::Reverted) }
            }
            Whereabouts::Waiting { for_nonce } => {
                if let Some(transaction) = &transaction {
                    self.remember(hash, transaction, &market).await;
                }
                TransactionStatus { waiting_for_nonce: for_nonce, ..status(State::Pending) }
            }
            Whereabouts::Counted | Whereabouts::LookedAfter => status(State::Pending),
            Whereabouts::Replaced { by } => {
                let may_return = !self.is_settled(place, indexed.finalized).await?;
                TransactionStatus { replaced_by: by, may_return, ..status(State::Replaced) }
            }
            Whereabouts::Dropped => status(State::Dropped),
            Whereabouts::Unknown => {
                let account = match claimed.sender {
                    Some(account) => Some(self.standing(account).await?),
                    None => None,
                };
                TransactionStatus { account, ..status(State::Unknown) }
            }
        })
    }

    /// Whether the place was used in a block that stays.
    async fn is_settled(&self, place: Option<Place>, finalized: Option<u64>) -> Result<bool, NodeError> {
        match place.zip(finalized) {
            Some((Place { sender, nonce }, finalized)) => Ok(self.node.mined_nonce(sender, Some(finalized)).await? > nonce),
            None => Ok(false),
        }
    }

    async fn standing(&self, account: Address) -> Result<AccountStanding, NodeError> {
        let (mined, next) = self.node.nonces(account).await?;
        let last_transaction = match mined.checked_sub(1) {
            Some(last) => self.node.transaction_with_nonce(account, last).await?,
            None => None,
        };
        Ok(AccountStanding { account, next_nonce: mined, waiting: next.saturating_sub(mined), last_transaction })
    }
}

/// It did what it was meant to; the question is what shows it, and whether it stays. Headers without events are forgotten once they are
/// final: no other block can be at their height any more.
async fn state_of(view: &mut Snapshot, receipt: &Receipt) -> Result<State, ApiError> {
    let number = receipt.block_number();
    if number > view.indexed.number {
        return Ok(State::Included);
    }
    let is_final = view.indexed.finalized.is_some_and(|finalized| number <= finalized);
    Ok(match view.block_hash(number).await? {
        Some(kept) if kept != receipt.block_hash => State::Included,
        _ if is_final => State::Finalized,
        Some(_) => State::Indexed,
        None => State::Included,
    })
}

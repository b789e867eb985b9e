//! Where the network has a transaction. "Not there" is never "failed": a wallet that is told so pays a second time. What can be known is
//! known by places: an account uses each nonce once, so whatever used this one tells what became of all others that wanted it.

use alloy::primitives::{Address, B256};
use clawpay_bindings::Contracts;
use clawpay_store::{SubmittedTransaction, SubmittedTransactions};

use super::submit::note;
use crate::{
    error::ApiError,
    node::{Node, Receipt, SentTransaction},
};

/// A place among an account's transactions: one of them at most is mined in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The account.
    pub sender: Address,
    /// The nonce.
    pub nonce: u64,
}

/// Where a transaction is.
#[derive(Clone, Debug)]
pub(crate) enum Whereabouts {
    /// In a block.
    Mined(Receipt),
    /// Among those that wait to be mined.
    Waiting {
        /// The first nonce of its sender that must be used before, and that no transaction known to the node uses.
        for_nonce: Option<u64>,
    },
    /// In a block, by its nonce, whose receipt the node does not show yet.
    Counted,
    /// The node does not know it, its place is free, and a relayer will send it again.
    LookedAfter,
    /// Another transaction has been mined in its place.
    Replaced {
        /// Which, where it can be found.
        by: Option<B256>,
    },
    /// The node has let go of it, and its place is free.
    Dropped,
    /// Nothing here has heard of it.
    Unknown,
}

/// A transaction, and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// As the node shows it, if it does.
    pub transaction: Option<SentTransaction>,
    /// Its place, if it is known.
    pub place: Option<Place>,
    /// Where it is.
    pub whereabouts: Whereabouts,
}

/// What transactions are followed with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracker<'a> {
    /// Knows what is mined and what waits.
    pub node: &'a Node,
    /// Knows what has been sent or seen.
    pub notes: &'a SubmittedTransactions,
}

impl SentTransaction {
    /// Where its sender wants it.
    pub(crate) fn place(&self) -> Place {
        Place { sender: self.from, nonce: self.nonce() }
    }
}

impl Tracker<'_> {
    /// Where the transaction is. `hint` is its place, as the client says: it counts where nothing else is known.
    pub(crate) async fn locate(&self, hash: B256, hint: Option<Place>) -> Result<Located, ApiError> {
        let (transaction, receipt) = self.node.transaction_and_receipt(hash).await?;
        let place = transaction.as_ref().map(SentTransaction::place);
        let located = |place, whereabouts| Located { transaction: transaction.clone(), place, whereabouts };
        if let Some(receipt) = receipt {
            return Ok(located(place, Whereabouts::Mined(receipt)));
        }
        if let Some(place) = place {
            let (mined, next) = self.node.nonces(place.sender).await?;
            if mined > place.nonce {
                return Ok(located(Some(place), self.overtaken(hash, place, true).await?));
            }
            let is_behind_a_gap = mined < place.nonce && next <= place.nonce;
            let for_nonce = is_behind_a_gap.then_some(next.max(mined));
            return Ok(located(Some(place), Whereabouts::Waiting { for_nonce }));
        }
        let noted = self.notes.find(hash).await?.map(|noted| Place { sender: noted.sender, nonce: noted.nonce });
        let Some(place) = noted.or(hint) else { return Ok(located(None, Whereabouts::Unknown)) };
        let (mined, next) = self.node.nonces(place.sender).await?;
        let whereabouts = if mined > place.nonce {
            self.overtaken(hash, place, noted.is_some()).await?
        } else if noted.is_none() {
            Whereabouts::Unknown
        } else if self.notes.is_looked_after(hash).await? {
            Whereabouts::LookedAfter
        } else if next > place.nonce {
            // Another transaction waits in its place, which the wallet may have sent to speed this one up: nothing is to be done until it is mined.
            Whereabouts::Waiting { for_nonce: None }
        } else {
            Whereabouts::Dropped
        };
        Ok(located(Some(place), whereabouts))
    }

    /// Writes down a transaction of the market that waits: should it vanish, it can be told from one that never was.
    pub(crate) async fn remember(&self, hash: B256, transaction: &SentTransaction, market: &Contracts) {
        if transaction.is_of_market(market) {
            let Place { sender, nonce } = transaction.place();
            note(self.notes, &SubmittedTransaction { hash, sender, nonce }).await;
        }
    }

    /// Its place has been used: by itself, a moment ago, or by another, which is noted where the place is not just a client's word.
    async fn overtaken(&self, hash: B256, place: Place, is_noted: bool) -> Result<Whereabouts, ApiError> {
        if let Some(receipt) = self.node.receipt(hash).await? {
            return Ok(Whereabouts::Mined(receipt));
        }
        let by = self.mined_in(place).await?;
        // A node shows that a nonce is used before it shows the receipt of what used it, and nodes behind one address are not of one mind.
        let is_itself = by == Some(hash) || by.is_none() && self.node.transaction(hash).await?.is_some();
        if is_itself {
            return Ok(Whereabouts::Counted);
        }
        if let Some(hash) = by.filter(|_| is_noted) {
            note(self.notes, &SubmittedTransaction { hash, sender: place.sender, nonce: place.nonce }).await;
        }
        Ok(Whereabouts::Replaced { by })
    }

    /// The transaction that was mined in this place: one that was noted, or else one that is found in the chain.
    pub(crate) async fn mined_in(&self, Place { sender, nonce }: Place) -> Result<Option<B256>, ApiError> {
        for noted in self.notes.sent_with(sender, nonce).await? {
            if self.node.receipt(noted).await?.is_some() {
                return Ok(Some(noted));
            }
        }
        Ok(self.node.transaction_with_nonce(sender, nonce).await?)
    }
}

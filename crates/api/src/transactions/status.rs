//! What has become of a transaction. "Not there" is never "failed": somebody who is told so pays a second time.

use alloy::primitives::B256;
use clawpay_store::{IndexedBlock, Snapshot, SubmittedTransaction};

use crate::{
    App,
    error::ApiError,
    http::dto::{
        market::contracts,
        transaction::{Status, TransactionDto},
    },
    node::{Receipt, SentTransaction},
    transactions::explain::why,
};

/// What has become of the transaction, and the block that the index was at.
pub(crate) async fn transaction_status(app: &App, hash: B256) -> Result<(TransactionDto, IndexedBlock), ApiError> {
    let snapshot = app.snapshot().await?;
    let (chain, indexed) = (snapshot.chain, snapshot.indexed);
    drop(snapshot);
    let node = app.node();
    let ((), transaction, receipt) = tokio::try_join!(node.require_chain(chain.chain_id), node.transaction(hash), node.receipt(hash))?;
    let transaction_status = match (transaction, receipt) {
        (transaction, Some(receipt)) if receipt.succeeded() => mined(app, hash, transaction, &receipt).await?,
        (transaction, Some(receipt)) => {
            let reason = match transaction.clone() {
                Some(transaction) => Some(why(node, transaction, receipt.block_number(), &contracts(&chain)).await?),
                None => None,
            };
            TransactionDto::new(hash, Status::Reverted).sent(transaction.as_ref()).mined(&receipt).because(reason)
        }
        (Some(transaction), None) => {
            // Should it vanish, it can be told from one that never was.
            if transaction.is_of_market(&contracts(&chain)) {
                let sent = SubmittedTransaction { hash, sender: transaction.from, nonce: transaction.nonce() };
                app.submitted_transactions().note(&sent).await?;
            }
            TransactionDto::new(hash, Status::Pending).sent(Some(&transaction))
        }
        (None, None) => match app.submitted_transactions().find(hash).await? {
            Some(sent) => vanished(app, &sent, &indexed).await?,
            None => TransactionDto::new(hash, Status::Unknown),
        },
    };
    Ok((transaction_status, indexed))
}

/// It did what it was meant to; the question is who knows, and whether it stays.
async fn mined(app: &App, hash: B256, transaction: Option<SentTransaction>, receipt: &Receipt) -> Result<TransactionDto, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let status = status_of(&mut snapshot, receipt).await?;
    Ok(TransactionDto::new(hash, status).sent(transaction.as_ref()).mined(receipt))
}

/// Headers without events are forgotten once they are final: no other block can be at their height any more.
async fn status_of(snapshot: &mut Snapshot, receipt: &Receipt) -> Result<Status, ApiError> {
    let number = receipt.block_number();
    if number > snapshot.indexed.number {
        return Ok(Status::Included);
    }
    let is_final = snapshot.indexed.finalized.is_some_and(|finalized| number <= finalized);
    Ok(match snapshot.block_hash(number).await? {
        Some(kept) if kept != receipt.block_hash => Status::Included,
        _ if is_final => Status::Finalized,
        Some(_) => Status::Indexed,
        None => Status::Included,
    })
}

/// It was on its way once, and the node does not know it now.
async fn vanished(app: &App, sent: &SubmittedTransaction, indexed: &IndexedBlock) -> Result<TransactionDto, ApiError> {
    let node = app.node();
    let next = node.mined_nonce(sent.sender, None).await?;
    if next <= sent.nonce {
        // A relayer's own is sent again.
        let is_looked_after = app.submitted_transactions().is_looked_after(sent.hash).await?;
        let status = if is_looked_after { Status::Pending } else { Status::Dropped };
        return Ok(TransactionDto::new(sent.hash, status).known(sent));
    }
    let replaced_by = successor(app, sent).await?;
    let is_final = match indexed.finalized {
        Some(finalized) => node.mined_nonce(sent.sender, Some(finalized)).await? > sent.nonce,
        None => false,
    };
    let status = if is_final { Status::Replaced } else { Status::Pending };
    Ok(TransactionDto::new(sent.hash, status).known(sent).replaced_by(replaced_by))
}

/// The transaction that was mined in the place of this one, if it is one that was noted.
async fn successor(app: &App, sent: &SubmittedTransaction) -> Result<Option<B256>, ApiError> {
    for rival in app.submitted_transactions().rivals(sent).await? {
        if app.node().receipt(rival).await?.is_some() {
            return Ok(Some(rival));
        }
    }
    Ok(None)
}

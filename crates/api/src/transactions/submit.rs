//! Sending what wallets signed: it is written down first, so that no crash in between leaves a transaction that this server denies.

use std::time::Duration;

use clawpay_store::{SubmittedTransaction, SubmittedTransactions};

use super::signed::SignedTransaction;
use crate::node::{Node, NodeError};

/// Longest that a note may take: the transaction matters, and the note helps.
pub(crate) const NOTE_PATIENCE: Duration = Duration::from_secs(3);

/// What every transaction uses.
const LEAST_GAS: u64 = 21_000;

/// Writes the transaction down and sends it. One that the node knows already, from an earlier attempt, is as good as sent; of one that it
/// does not take, why. Fails only where the node does not answer: the transaction may then be on its way, and can be handed in again.
pub(crate) async fn submit(
    node: &Node,
    notes: &SubmittedTransactions,
    transaction: &SignedTransaction,
) -> Result<Result<(), String>, NodeError> {
    let is_new = note(notes, &transaction.noted()).await;
    let Err(reason) = node.send(&transaction.raw).await? else { return Ok(Ok(())) };
    // Seldom needed, and so large that each future which waits for it would be as large.
    Box::pin(refused(node, notes, transaction, is_new, reason)).await
}

/// What to make of the node's refusal of a transaction, whose note `is_new` or older.
async fn refused(
    node: &Node,
    notes: &SubmittedTransactions,
    transaction: &SignedTransaction,
    is_new: bool,
    reason: String,
) -> Result<Result<(), String>, NodeError> {
    let (known, receipt) = tokio::try_join!(node.transaction(transaction.hash), node.receipt(transaction.hash))?;
    if known.is_some() || receipt.is_some() {
        return Ok(Ok(()));
    }
    tracing::info!(hash = %transaction.hash, reason, "the node does not take a transaction");
    if is_new {
        forget(notes, transaction).await;
    }
    Ok(Err(why_refused(node, transaction).await?))
}

/// Writes down that a transaction is on its way. A database that refuses the note changes nothing else: true if the note is there, and was
/// not before.
pub(crate) async fn note(notes: &SubmittedTransactions, transaction: &SubmittedTransaction) -> bool {
    match tokio::time::timeout(NOTE_PATIENCE, notes.note(transaction)).await {
        Ok(Ok(is_new)) => return is_new,
        Ok(Err(error)) => tracing::warn!(hash = %transaction.hash, %error, "a transaction could not be written down"),
        Err(_) => tracing::warn!(hash = %transaction.hash, "a transaction was not written down in time"),
    }
    false
}

async fn forget(notes: &SubmittedTransactions, transaction: &SignedTransaction) {
    if let Ok(Err(error)) = tokio::time::timeout(NOTE_PATIENCE, notes.forget(transaction.hash)).await {
        tracing::warn!(hash = %transaction.hash, %error, "a note could not be taken back");
    }
}

/// Why the node does not take a transaction, found out by what it says of the account: its own words are for the log.
async fn why_refused(node: &Node, transaction: &SignedTransaction) -> Result<String, NodeError> {
    let SignedTransaction { sender, nonce, most_it_costs, .. } = transaction;
    let gas_limit = transaction.gas_limit();
    if gas_limit < LEAST_GAS {
        return Ok(format!(
            "its gas limit is {gas_limit}, and none needs less than {LEAST_GAS}: the library that signed it knows `gas` by another name, such as \
             gasLimit; sign it with the `gas` that was prepared"
        ));
    }
    let (mined, next, ether) = tokio::try_join!(node.mined_nonce(*sender, None), node.next_nonce(*sender), node.ether_balance(*sender))?;
    Ok(if *nonce < mined {
        format!(
            "nonce {nonce} of {sender} has been used by another transaction; prepare again (under a new Idempotency-Key, if one was sent), and \
             sign what you get then"
        )
    } else if *nonce < next {
        format!(
            "another transaction of {sender} with nonce {nonce} waits to be mined; prepare again with the next nonce, or offer at least an \
             eighth more for gas to replace it"
        )
    } else if ether < *most_it_costs {
        format!(
            "{sender} has {ether} wei, and the transaction may cost {most_it_costs} wei of gas; send it ether, or, where this server relays \
             (GET /api/config), act by a signature alone"
        )
    } else {
        "its gas limit or its price is not acceptable by now; prepare again, and sign what you get then".to_owned()
    })
}

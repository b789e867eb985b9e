//! Sending what wallets signed: it is written down first, so that no crash in between leaves a transaction that this server denies.

use std::time::Duration;

use clawpay_store::{SubmittedTransaction, SubmittedTransactions};
use futures::FutureExt;

use super::signed::SignedTransaction;
use crate::{
    error::{RefusalReason, SendRefusal},
    node::{Node, NodeError},
};

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
) -> Result<Result<(), SendRefusal>, NodeError> {
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
) -> Result<Result<(), SendRefusal>, NodeError> {
    if is_known_already(&reason) {
        return Ok(Ok(()));
    }
    let (known, receipt) = node.transaction_and_receipt(transaction.hash).await?;
    if known.is_some() || receipt.is_some() {
        return Ok(Ok(()));
    }
    tracing::info!(hash = %transaction.hash, reason, "the node does not take a transaction");
    if is_new {
        forget(notes, transaction).await;
    }
    Ok(Err(why_refused(node, transaction, &reason).await?))
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

/// Why the node does not take a transaction, found out by what it says of the account, and else by `words`, which are for the log alone.
async fn why_refused(node: &Node, transaction: &SignedTransaction, words: &str) -> Result<SendRefusal, NodeError> {
    use RefusalReason as R;
    let SignedTransaction { sender, nonce, most_it_costs, .. } = transaction;
    let gas_limit = transaction.gas_limit();
    if gas_limit < LEAST_GAS {
        return Ok(SendRefusal::gas_too_low(gas_limit, LEAST_GAS));
    }
    let sender = *sender;
    let account = move |node: Node| async move { tokio::try_join!(node.nonces(sender), node.ether_balance(sender)) };
    let ((mined, next), ether) = node.at_one(|node| account(node).boxed()).await?;
    let reason = if *nonce < mined {
        R::NonceUsed
    } else if *nonce < next {
        R::NonceWaiting
    } else if ether < *most_it_costs {
        R::InsufficientFunds
    } else {
        meaning(words)
    };
    let detail = match reason {
        R::NonceUsed => format!(
            "nonce {nonce} of {sender} has been used by another transaction; prepare again (under a new Idempotency-Key, if one was sent), and \
             sign what you get then"
        ),
        R::NonceWaiting => format!(
            "another transaction of {sender} with nonce {nonce} waits to be mined. If it is this action, sent before or sped up, wait for it and \
             hand in its hash: sent again it would be done twice. If it is another, prepare again with the next nonce, or offer at least an \
             eighth more for gas to replace it"
        ),
        R::InsufficientFunds => return Ok(SendRefusal::short_of_ether(sender, ether, *most_it_costs)),
        R::GasTooLow => format!("its gas limit of {gas_limit} is too low; prepare again, and sign the `gas` that you get then"),
        R::GasTooHigh => {
            format!("its gas limit of {gas_limit} is more than a block has; prepare again, and sign the `gas` that you get then")
        }
        R::Underpriced => "it offers too little for gas by now; prepare again, and sign what you get then".to_owned(),
        R::PoolFull => "there is no room for it among those that wait to be mined; hand it in again in a moment".to_owned(),
        R::Other => "its gas limit or its price is not acceptable by now; prepare again, and sign what you get then".to_owned(),
    };
    Ok(SendRefusal { reason, detail })
}

/// Whether a node refuses a transaction because it has it.
fn is_known_already(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["already known", "already imported", "already in pool"].iter().any(|known| words.contains(known))
}

/// What a node means that refuses a transaction. Each program has words of its own for the same.
fn meaning(words: &str) -> RefusalReason {
    use RefusalReason as R;
    const MEANINGS: [(&str, R); 24] = [
        ("nonce too low", R::NonceUsed),
        ("nonce is too low", R::NonceUsed),
        ("old nonce", R::NonceUsed),
        ("replacement", R::NonceWaiting),
        ("insufficient funds", R::InsufficientFunds),
        ("insufficient balance", R::InsufficientFunds),
        ("enough funds", R::InsufficientFunds),
        ("feetoolow", R::Underpriced),
        // Of a limit above the block's.
        ("gas too high", R::GasTooHigh),
        ("intrinsic gas", R::GasTooLow),
        ("gas too low", R::GasTooLow),
        ("out of gas", R::GasTooLow),
        ("block gas limit", R::GasTooHigh),
        ("gas limit is too high", R::GasTooHigh),
        ("gas limit too high", R::GasTooHigh),
        ("underpriced", R::Underpriced),
        ("base fee", R::Underpriced),
        ("basefee", R::Underpriced),
        ("fee too low", R::Underpriced),
        ("gas price too low", R::Underpriced),
        ("fee cap", R::Underpriced),
        ("pool is full", R::PoolFull),
        ("account limit", R::PoolFull),
        ("too many", R::PoolFull),
    ];
    let words = words.to_ascii_lowercase();
    MEANINGS.iter().find(|(said, _)| words.contains(said)).map_or(R::Other, |(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_say_of_a_transaction_is_told_in_words_of_ours() {
        use RefusalReason as R;
        for (words, reason) in [
            ("nonce too low: next nonce 5, tx nonce 4", R::NonceUsed),
            ("replacement transaction underpriced", R::NonceWaiting),
            ("insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1", R::InsufficientFunds),
            ("sender doesn't have enough funds to send tx", R::InsufficientFunds),
            ("intrinsic gas too low: have 20000, want 21000", R::GasTooLow),
            ("exceeds block gas limit", R::GasTooHigh),
            ("intrinsic gas too high -- CallGasCostMoreThanGasLimit", R::GasTooHigh),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", R::Underpriced),
            ("max fee per gas less than block base fee: address 0x, maxFeePerGas: 1, baseFee: 7", R::Underpriced),
            ("FeeTooLow, MaxFeePerGas too low", R::Underpriced),
            ("txpool is full", R::PoolFull),
            ("something that was never seen before", R::Other),
        ] {
            assert_eq!(meaning(words), reason, "{words}");
        }
        assert!(is_known_already("already known") && is_known_already("ALREADY_EXISTS: already known"));
        assert!(!is_known_already("nonce too low") && !is_known_already("unknown transaction type"));
    }
}

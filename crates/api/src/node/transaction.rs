//! Transactions that wallets signed: passing them on and finding them again.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use clawpay_bindings::{Contracts, is_of_market};
use futures::FutureExt;
use serde::Deserialize;

use super::{Node, NodeError, Question, revert};

/// A transaction the node knows, mined or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SentTransaction {
    /// Who signed it.
    pub from: Address,
    /// What it calls; nothing when it creates a contract.
    pub to: Option<Address>,
    /// Calldata.
    pub input: Bytes,
    /// Wei sent along.
    pub value: U256,
    nonce: U64,
    gas: U64,
}

impl SentTransaction {
    /// Its place among its sender's.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonce.to()
    }

    /// Whether users of the market make such transactions.
    pub(crate) fn is_of_market(&self, market: &Contracts) -> bool {
        self.value.is_zero() && self.to.is_some_and(|to| is_of_market(to, &self.input, market))
    }
}

/// A mined transaction's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    status: U64,
    block_number: U64,
    /// Hash of its block.
    pub block_hash: B256,
    gas_used: U64,
    /// What it emitted.
    #[serde(default)]
    pub logs: Vec<ReceiptLog>,
}

/// One log of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ReceiptLog {
    /// Who emitted it.
    pub address: Address,
    /// The event's signature hash, then its indexed arguments.
    pub topics: Vec<B256>,
    /// Its other arguments.
    #[serde(default)]
    pub data: Bytes,
    #[serde(default, rename = "logIndex")]
    log_index: U64,
}

impl Receipt {
    /// Whether its transaction has used its gas up: what a contract is left with after a call of its own that has, is a small part.
    pub(crate) fn used_up(&self, transaction: &SentTransaction) -> bool {
        let (used, limit) = (self.gas_used.to::<u64>(), transaction.gas.to::<u64>());
        used >= limit - limit / 32
    }
}

impl ReceiptLog {
    /// The first of its block.
    #[cfg(test)]
    pub(crate) fn new(address: Address, topics: Vec<B256>, data: Bytes) -> Self {
        Self { address, topics, data, log_index: U64::ZERO }
    }

    /// Its place in its block.
    pub(crate) fn log_index(&self) -> u64 {
        self.log_index.to()
    }
}

impl Receipt {
    /// Whether the transaction did what it was meant to.
    pub(crate) fn succeeded(&self) -> bool {
        self.status == U64::from(1)
    }

    /// Height of its block.
    pub(crate) fn block_number(&self) -> u64 {
        self.block_number.to()
    }
}

impl Node {
    /// Passes a signed transaction on, to several nodes where there are several: one of them may be about to go. The node's own words, which are for the log alone, if it does not want it.
    pub(crate) async fn send(&self, raw: &Bytes) -> Result<Result<(), String>, NodeError> {
        let question = Question::new("eth_sendRawTransaction", (raw,))?;
        Ok(Box::pin(self.pool.ask_several(&question)).await?.map(drop).map_err(|error| revert::beginning(&error.message)))
    }

    /// A transaction, and its outcome once it is mined, if the node has heard of it.
    pub(crate) async fn transaction_and_receipt(&self, hash: B256) -> Result<(Option<SentTransaction>, Option<Receipt>), NodeError> {
        self.at_one(move |node| async move { tokio::try_join!(node.transaction(hash), node.receipt(hash)) }.boxed()).await
    }

    /// A transaction, if the node has heard of it.
    pub(crate) async fn transaction(&self, hash: B256) -> Result<Option<SentTransaction>, NodeError> {
        self.ask("eth_getTransactionByHash", (hash,)).await
    }

    /// A transaction's outcome, once it is mined.
    pub(crate) async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, NodeError> {
        self.ask("eth_getTransactionReceipt", (hash,)).await
    }
}

//! The nonces of an account: each is used once, and which transaction used one tells what became of all others that wanted it.

use alloy::primitives::{Address, B256, U64};
use futures::FutureExt;
use serde::Deserialize;

use super::{Node, NodeError};

/// How many blocks back a transaction is looked for.
const FURTHEST: u64 = 1 << 14;

/// A block's transactions, as far as it matters whose they are.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Block {
    pub(super) hash: Option<B256>,
    pub(super) parent_hash: B256,
    pub(super) transactions: Vec<Placed>,
}

/// One of them. What some chains put into blocks by themselves may lack either.
#[derive(Debug, Deserialize)]
pub(super) struct Placed {
    pub(super) hash: B256,
    from: Option<Address>,
    nonce: Option<U64>,
}

impl Placed {
    /// Its sender, and its place among the sender's.
    pub(super) fn place(&self) -> Option<(Address, u64)> {
        Some((self.from?, self.nonce?.to()))
    }
}

impl Node {
    /// The nonce of the account's next transaction, counting those that wait to be mined.
    pub(crate) async fn next_nonce(&self, account: Address) -> Result<u64, NodeError> {
        let nonce: U64 = self.ask("eth_getTransactionCount", (account, "pending")).await?;
        Ok(nonce.to())
    }

    /// How many of the account's transactions are mined, at the node's head or in `block`: the first nonce that is still free there.
    pub(crate) async fn mined_nonce(&self, account: Address, block: Option<u64>) -> Result<u64, NodeError> {
        let block = block.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"));
        let nonce: U64 = self.ask("eth_getTransactionCount", (account, block)).await?;
        Ok(nonce.to())
    }

    /// How many of the account's transactions are mined, and its next nonce, counting those that wait.
    pub(crate) async fn nonces(&self, account: Address) -> Result<(u64, u64), NodeError> {
        self.at_one(move |node| async move { tokio::try_join!(node.mined_nonce(account, None), node.next_nonce(account)) }.boxed()).await
    }

    /// The mined transaction that used `nonce` of `account`, looked for in the blocks before the node's head. Nothing where the node keeps no
    /// state of the time, and where the nonce was used by an EIP-7702 authorization, which is no transaction of the account's.
    pub(crate) async fn transaction_with_nonce(&self, account: Address, nonce: u64) -> Result<Option<B256>, NodeError> {
        let Some(_turn) = self.search().await else { return Ok(None) };
        let head = self.height().await?;
        let Some(block) = self.block_that_used(account, nonce, head).await? else { return Ok(None) };
        let mut transactions = self.block(block).await?.into_iter().flat_map(|block| block.transactions);
        Ok(transactions.find(|placed| placed.place() == Some((account, nonce))).map(|placed| placed.hash))
    }

    /// The height of the node's head.
    pub(super) async fn height(&self) -> Result<u64, NodeError> {
        let head: U64 = self.ask("eth_blockNumber", ()).await?;
        Ok(head.to())
    }

    /// The block at a height, if the node has come that far.
    pub(super) async fn block(&self, number: u64) -> Result<Option<Block>, NodeError> {
        self.ask("eth_getBlockByNumber", (U64::from(number), true)).await
    }

    /// The block after which `nonce` is not free any more: by strides that double from the head back, then by halves.
    async fn block_that_used(&self, account: Address, nonce: u64, head: u64) -> Result<Option<u64>, NodeError> {
        let (mut used, mut stride) = (head, 1);
        let mut free = loop {
            let before = head.saturating_sub(stride);
            match self.is_used_in(account, nonce, before).await? {
                Some(true) => used = before,
                Some(false) => break before,
                None => return Ok(None),
            }
            if before == 0 || stride >= FURTHEST {
                return Ok(None);
            }
            stride *= 2;
        };
        while used - free > 1 {
            let middle = free + (used - free) / 2;
            match self.is_used_in(account, nonce, middle).await? {
                Some(true) => used = middle,
                Some(false) => free = middle,
                None => return Ok(None),
            }
        }
        Ok(Some(used))
    }

    /// Nothing where the node has forgotten that block's state.
    async fn is_used_in(&self, account: Address, nonce: u64, block: u64) -> Result<Option<bool>, NodeError> {
        match self.mined_nonce(account, Some(block)).await {
            Ok(next) => Ok(Some(next > nonce)),
            Err(NodeError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

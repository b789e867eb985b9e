//! The nonces of an account: each is used once, and which transaction used one tells what became of all others that wanted it.

use alloy::primitives::{Address, B256, U64};
use serde::Deserialize;

use super::{Node, NodeError};

/// How many blocks back a transaction is looked for.
const FURTHEST: u64 = 1 << 14;

/// A block's transactions, as far as it matters whose they are.
#[derive(Debug, Deserialize)]
struct Block {
    transactions: Vec<Placed>,
}

/// One of them. What some chains put into blocks by themselves may lack either.
#[derive(Debug, Deserialize)]
struct Placed {
    hash: B256,
    from: Option<Address>,
    nonce: Option<U64>,
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

    /// The mined transaction that used `nonce` of `account`, looked for in the blocks before the node's head. Nothing where the node keeps no
    /// state of the time, and where the nonce was used by an EIP-7702 authorization, which is no transaction of the account's.
    pub(crate) async fn transaction_with_nonce(&self, account: Address, nonce: u64) -> Result<Option<B256>, NodeError> {
        let Ok(_turn) = self.searches.acquire().await else { return Ok(None) };
        let head: U64 = self.ask("eth_blockNumber", ()).await?;
        let Some(block) = self.block_that_used(account, nonce, head.to()).await? else { return Ok(None) };
        let block: Option<Block> = self.ask("eth_getBlockByNumber", (U64::from(block), true)).await?;
        let mut transactions = block.into_iter().flat_map(|block| block.transactions);
        let is_it = |placed: &Placed| placed.from == Some(account) && placed.nonce == Some(U64::from(nonce));
        Ok(transactions.find(is_it).map(|placed| placed.hash))
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

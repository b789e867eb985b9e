//! The chain as the node sees it: its head, an account's ether, what gas costs.

use alloy::primitives::{Address, B256, U64, U256};
use clawpay_domain::Timestamp;
use serde::Deserialize;

use super::{Node, NodeError, pool::METHOD_NOT_FOUND};

/// What a prepare needs of a header. Fields that only some chains have are optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    number: Option<U64>,
    hash: Option<B256>,
    timestamp: U64,
    base_fee_per_gas: Option<U256>,
}

/// Where the node is, and what the next block will say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Its highest block.
    pub number: u64,
    /// The pending block's timestamp: the "now" of a transaction sent at once.
    pub pending_at: Timestamp,
    /// The pending block's base fee, wei per gas; nothing on a chain without EIP-1559.
    pub base_fee: Option<U256>,
}

/// What a transaction offers for gas, wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fees {
    /// By EIP-1559.
    Dynamic {
        /// At most this in total.
        max_fee: U256,
        /// Of which this is for the block's producer.
        max_priority_fee: U256,
    },
    /// On a chain without a base fee.
    Legacy {
        /// Exactly this.
        gas_price: U256,
    },
}

impl Fees {
    /// The most wei that one gas may cost.
    pub(crate) const fn most(self) -> U256 {
        match self {
            Self::Dynamic { max_fee, .. } => max_fee,
            Self::Legacy { gas_price } => gas_price,
        }
    }

    /// Enough while the base fee doubles.
    pub(crate) fn dynamic(base_fee: U256, max_priority_fee: U256) -> Self {
        let max_fee = base_fee.saturating_mul(U256::from(2)).saturating_add(max_priority_fee);
        Self::Dynamic { max_fee, max_priority_fee }
    }
}

/// Offered to the producer where the node has no opinion: 1 gwei.
const DEFAULT_PRIORITY_FEE: u64 = 1_000_000_000;

impl Node {
    /// The chain that the node is on.
    pub(super) async fn chain_id(&self) -> Result<u64, NodeError> {
        let actual: U64 = self.ask("eth_chainId", ()).await?;
        Ok(actual.to())
    }

    /// Where the node is.
    pub(crate) async fn head(&self) -> Result<Head, NodeError> {
        let (latest, pending) = tokio::try_join!(self.header("latest"), self.header("pending"))?;
        let latest = latest.ok_or(NodeError::Nonsense("eth_getBlockByNumber"))?;
        let number = latest.number.ok_or(NodeError::Nonsense("eth_getBlockByNumber"))?.to::<u64>();
        // Some nodes have no pending block; the next one is then at least as late as the last.
        let pending = pending.unwrap_or(latest);
        Ok(Head {
            number,
            pending_at: Timestamp(pending.timestamp.max(latest.timestamp).to::<u64>()),
            base_fee: pending.base_fee_per_gas.or(latest.base_fee_per_gas),
        })
    }

    /// The hash of a block, if the node has come that far.
    pub(crate) async fn block_hash(&self, number: u64) -> Result<Option<B256>, NodeError> {
        Ok(self.header(&format!("{number:#x}")).await?.and_then(|header| header.hash))
    }

    /// Wei that the account has.
    pub(crate) async fn ether_balance(&self, account: Address) -> Result<U256, NodeError> {
        self.ask("eth_getBalance", (account, "latest")).await
    }

    /// What to offer so that a transaction stays acceptable while the base fee doubles.
    pub(crate) async fn fees(&self, base_fee: Option<U256>) -> Result<Fees, NodeError> {
        match base_fee {
            Some(base_fee) => Ok(Fees::dynamic(base_fee, self.priority_fee().await?)),
            None => self.legacy_fees().await,
        }
    }

    /// What to offer to a block's producer, wei per gas.
    pub(crate) async fn priority_fee(&self) -> Result<U256, NodeError> {
        match self.ask("eth_maxPriorityFeePerGas", ()).await {
            Err(NodeError::Refused { code: METHOD_NOT_FOUND, .. }) => Ok(U256::from(DEFAULT_PRIORITY_FEE)),
            answer => answer,
        }
    }

    /// What to offer on a chain without a base fee.
    pub(crate) async fn legacy_fees(&self) -> Result<Fees, NodeError> {
        Ok(Fees::Legacy { gas_price: self.ask("eth_gasPrice", ()).await? })
    }

    async fn header(&self, block: &str) -> Result<Option<Header>, NodeError> {
        self.ask("eth_getBlockByNumber", (block.to_owned(), false)).await
    }
}

//! A log as a node answers it, and as it is once its place in the chain is certain.

use alloy::primitives::{Address, B256, Bytes, U64};
use serde::Deserialize;

/// Every field that a comparison or a row needs. Read directly, because millions of them are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
    block_number: Option<U64>,
    pub(crate) block_hash: Option<B256>,
    pub(crate) transaction_hash: Option<B256>,
    transaction_index: Option<U64>,
    log_index: Option<U64>,
    #[serde(default)]
    pub(crate) removed: bool,
}

impl Log {
    pub(crate) fn block_number(&self) -> Option<u64> {
        self.block_number.map(|number| number.to())
    }

    pub(crate) fn transaction_index(&self) -> Option<u64> {
        self.transaction_index.map(|index| index.to())
    }

    pub(crate) fn log_index(&self) -> Option<u64> {
        self.log_index.map(|index| index.to())
    }
}

/// A log whose place in the chain is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedLog {
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
    pub(crate) tx_hash: B256,
    pub(crate) tx_index: u64,
    pub(crate) log_index: u64,
    pub(crate) contract: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_with_and_without_its_place() {
        let mined = r#"{"address":"0x5fbdb2315678afecb367f032d93f642f64180aa3","topics":[],"data":"0x0102","blockNumber":"0x10","blockTimestamp":"0x1",
            "blockHash":"0x0000000000000000000000000000000000000000000000000000000000000001","transactionIndex":"0x0","logIndex":"0x1f",
            "transactionHash":"0x0000000000000000000000000000000000000000000000000000000000000002","removed":true}"#;
        let log: Log = serde_json::from_str(mined).unwrap();
        assert_eq!((log.block_number(), log.transaction_index(), log.log_index(), log.removed), (Some(16), Some(0), Some(31), true));
        let pending = r#"{"address":"0x5fbdb2315678afecb367f032d93f642f64180aa3","topics":[],"data":"0x","blockNumber":null,"blockHash":null,
            "transactionHash":null,"transactionIndex":null,"logIndex":null}"#;
        let log: Log = serde_json::from_str(pending).unwrap();
        assert_eq!((log.block_number(), log.block_hash, log.removed), (None, None, false));
    }
}

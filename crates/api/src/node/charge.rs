//! What the chain has charged for a transaction, and what it will.

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256, address},
    sol,
};
use serde::Deserialize;

use super::{Node, NodeError};

/// Where chains of the OP stack say what publishing a transaction's bytes costs; other chains have nothing there.
const DATA_FEE_ORACLE: Address = address!("0x420000000000000000000000000000000000000F");

sol! {
    function getL1Fee(bytes transaction) external view returns (uint256 wei);
}

/// A mined transaction, and what it has cost its sender.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChargedTransaction {
    block_number: U64,
    status: U64,
    gas_used: U256,
    /// Wei per gas; only nodes from before EIP-1559 leave it out.
    effective_gas_price: Option<U256>,
    /// Wei for publishing its bytes, on chains of the OP stack.
    l1_fee: Option<U256>,
}

impl ChargedTransaction {
    /// Height of its block.
    pub(crate) fn block_number(&self) -> u64 {
        self.block_number.to()
    }

    /// Whether it did nothing but cost gas.
    pub(crate) fn is_reverted(&self) -> bool {
        self.status.is_zero()
    }

    /// Wei that it has cost altogether, where it offered `offered` wei per gas.
    pub(crate) fn wei(&self, offered: U256) -> U256 {
        let price = self.effective_gas_price.unwrap_or(offered);
        self.gas_used.saturating_mul(price).saturating_add(self.l1_fee.unwrap_or_default())
    }
}

impl Node {
    /// What a transaction has cost, once it is mined. Fails when the node does not answer.
    pub(crate) async fn charged(&self, hash: B256) -> Result<Option<ChargedTransaction>, NodeError> {
        self.ask("eth_getTransactionReceipt", (hash,)).await
    }

    /// Wei that a signed transaction costs at the moment beside its gas: 0 on chains where that is all. Fails when the node does not answer.
    pub(crate) async fn data_fee(&self, raw: &Bytes) -> Result<U256, NodeError> {
        Ok(self.view(DATA_FEE_ORACLE, &getL1FeeCall { transaction: raw.clone() }).await?.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn charged(l1_fee: serde_json::Value) -> ChargedTransaction {
        let receipt = json!({
            "transactionHash": B256::ZERO, "blockNumber": "0x10", "status": "0x1", "gasUsed": "0x5208", "effectiveGasPrice": "0x3",
            "cumulativeGasUsed": "0xffffff", "logs": [], "l1Fee": l1_fee, "l1GasUsed": "0x640", "l1BaseFeeScalar": "0x8dd"
        });
        serde_json::from_value(receipt).unwrap()
    }

    #[test]
    fn a_transaction_costs_its_gas_at_the_price_paid_and_the_fee_for_its_bytes() {
        assert_eq!(charged(json!("0xde0b6b3a7640000")).wei(U256::MAX), U256::from(1_000_000_000_000_063_000_u64));
        assert_eq!(charged(json!(null)).wei(U256::MAX), U256::from(63_000));
    }

    #[test]
    fn a_receipt_without_a_price_counts_as_offered() {
        let receipt = json!({ "blockNumber": "0x1", "status": "0x0", "gasUsed": "0x5208" });
        let charged: ChargedTransaction = serde_json::from_value(receipt).unwrap();
        assert_eq!((charged.wei(U256::from(2)), charged.is_reverted()), (U256::from(42_000), true));
    }
}

//! A block's receipts, and whether they are those its header stands for.

use alloy::{
    consensus::{self, Eip658Value, ReceiptEnvelope, proofs::calculate_receipt_root},
    primitives::{self, B256, U64},
};
use serde::Deserialize;

use crate::log::Log;

/// What the index reads of a receipt.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) logs: Vec<Log>,
    #[serde(rename = "type")]
    kind: Option<U64>,
    status: Option<U64>,
    cumulative_gas_used: Option<U64>,
}

/// Every log of a block, by its receipts.
#[derive(Debug)]
pub(crate) struct ReceiptLogs {
    pub(crate) logs: Vec<Log>,
    /// Whether the block's hash vouches for them: the receipts hash to their root in its header, that to the block's hash, and each log names the
    /// place it has among them.
    pub(crate) are_proved: bool,
}

/// The root hash of a block's receipts, in order; nothing, if the block has a kind of transaction that Ethereum does not.
pub(super) fn root(receipts: &[Receipt]) -> Option<B256> {
    let receipts: Vec<_> = receipts.iter().map(Receipt::envelope).collect::<Option<_>>()?;
    Some(calculate_receipt_root(&receipts))
}

/// Whether each log names the place it has: root hashes are of the order, and not of what logs say about it.
pub(super) fn are_in_place(receipts: &[Receipt]) -> bool {
    let logs = (0_u64..).zip(receipts).flat_map(|(tx_index, receipt)| receipt.logs.iter().map(move |log| (tx_index, log)));
    (0_u64..).zip(logs).all(|(log_index, (tx_index, log))| log.log_index() == Some(log_index) && log.transaction_index() == Some(tx_index))
}

impl Receipt {
    fn envelope(&self) -> Option<ReceiptEnvelope> {
        let receipt = consensus::Receipt {
            status: Eip658Value::Eip658(self.status? == U64::from(1)),
            cumulative_gas_used: self.cumulative_gas_used?.to(),
            logs: self.logs.iter().map(raw).collect(),
        }
        .with_bloom();
        match self.kind.map_or(0, |kind| kind.to::<u64>()) {
            0 => Some(ReceiptEnvelope::Legacy(receipt)),
            1 => Some(ReceiptEnvelope::Eip2930(receipt)),
            2 => Some(ReceiptEnvelope::Eip1559(receipt)),
            3 => Some(ReceiptEnvelope::Eip4844(receipt)),
            4 => Some(ReceiptEnvelope::Eip7702(receipt)),
            _ => None,
        }
    }
}

/// What a log is hashed as.
fn raw(log: &Log) -> primitives::Log {
    primitives::Log::new_unchecked(log.address, log.topics.clone(), log.data.clone())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, b256};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_block_without_transactions_has_the_root_of_nothing() {
        assert_eq!(root(&[]), Some(b256!("0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")));
    }

    #[test]
    fn receipts_that_ethereum_does_not_have_are_not_judged() {
        let receipt =
            |kind: &str| serde_json::from_value(json!({"logs": [], "type": kind, "status": "0x1", "cumulativeGasUsed": "0x5208"})).unwrap();
        assert!(root(&[receipt("0x2")]).is_some());
        assert_ne!(root(&[receipt("0x2")]), root(&[receipt("0x0")]));
        assert_eq!(root(&[receipt("0x2"), receipt("0x7e")]), None);
        let old = serde_json::from_value(json!({"logs": [], "root": "0x00", "cumulativeGasUsed": "0x5208"})).unwrap();
        assert_eq!(root(&[old]), None);
    }

    #[test]
    fn logs_have_the_places_they_name_or_are_not_proved() {
        let log = |tx: u64, log: u64| {
            json!({
                "address": Address::ZERO, "topics": [], "data": "0x",
                "blockNumber": "0x1", "blockHash": B256::ZERO, "transactionHash": B256::ZERO, "transactionIndex": format!("{tx:#x}"),
                "logIndex": format!("{log:#x}"), "removed": false,
            })
        };
        let are_in_place = |logs: [Vec<serde_json::Value>; 3]| {
            let receipts = logs.map(|logs| serde_json::from_value::<Receipt>(json!({ "logs": logs })).unwrap());
            are_in_place(&receipts)
        };
        assert!(are_in_place([vec![log(0, 0), log(0, 1)], vec![], vec![log(2, 2)]]));
        assert!(!are_in_place([vec![log(0, 0), log(0, 1)], vec![], vec![log(2, 0)]]), "counted anew in each transaction");
        assert!(!are_in_place([vec![log(0, 1)], vec![], vec![]]));
        assert!(!are_in_place([vec![log(0, 0)], vec![], vec![log(1, 1)]]), "of another transaction");
    }
}

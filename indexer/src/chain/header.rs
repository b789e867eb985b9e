//! A block's header, and whether it is the one its hash stands for.

use alloy::{
    consensus,
    primitives::{Address, B64, B256, Bloom, Bytes, U64, U256},
};
use clawpay_domain::Timestamp;
use clawpay_store::{Block, Tags};
use serde::Deserialize;

/// What the index reads of a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Answer")]
pub(crate) struct Header {
    number: u64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    timestamp: u64,
    /// All zero on chains that keep none.
    pub(crate) logs_bloom: Bloom,
    /// Whether the hash follows from the rest; nothing, where the node leaves out what it takes to tell.
    is_genuine: Option<bool>,
    receipts_root: Option<B256>,
}

/// What a node says of its chain.
#[derive(Debug)]
pub(crate) struct Head {
    /// Its highest block.
    pub(crate) header: Header,
    /// How high, and up to where blocks are safe and final.
    pub(crate) tags: Tags,
    /// The block that it calls finalized, which another node behind the same address may have named: on another branch than the highest.
    pub(crate) promised: Option<Block>,
}

impl Header {
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn block(&self) -> Block {
        Block { number: self.number, hash: self.hash, parent_hash: self.parent_hash, timestamp: Timestamp(self.timestamp) }
    }

    /// Whether the header hashes to its hash. It does not where the node mixed two blocks up, and on chains whose headers have fields or an
    /// encoding of their own.
    pub(super) const fn is_genuine(&self) -> Option<bool> {
        self.is_genuine
    }

    /// What its receipts must hash to, as far as the hash vouches for that.
    pub(super) const fn receipts_root(&self) -> Option<B256> {
        match self.is_genuine {
            Some(true) => self.receipts_root,
            Some(false) | None => None,
        }
    }
}

/// A header as nodes send it. What comes without the fields of its time is taken as well, and merely cannot be hashed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    hash: B256,
    number: U64,
    parent_hash: B256,
    timestamp: U64,
    #[serde(default)]
    logs_bloom: Bloom,
    sha3_uncles: Option<B256>,
    miner: Option<Address>,
    state_root: Option<B256>,
    transactions_root: Option<B256>,
    receipts_root: Option<B256>,
    difficulty: Option<U256>,
    gas_limit: Option<U64>,
    gas_used: Option<U64>,
    extra_data: Option<Bytes>,
    mix_hash: Option<B256>,
    nonce: Option<B64>,
    base_fee_per_gas: Option<U64>,
    withdrawals_root: Option<B256>,
    blob_gas_used: Option<U64>,
    excess_blob_gas: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    requests_hash: Option<B256>,
    block_access_list_hash: Option<B256>,
    slot_number: Option<U64>,
}

impl Answer {
    /// What the header hashes to.
    fn hash(&self) -> Option<B256> {
        let header = consensus::Header {
            parent_hash: self.parent_hash,
            ommers_hash: self.sha3_uncles?,
            beneficiary: self.miner?,
            state_root: self.state_root?,
            transactions_root: self.transactions_root?,
            receipts_root: self.receipts_root?,
            logs_bloom: self.logs_bloom,
            difficulty: self.difficulty?,
            number: self.number.to(),
            gas_limit: self.gas_limit?.to(),
            gas_used: self.gas_used?.to(),
            timestamp: self.timestamp.to(),
            extra_data: self.extra_data.clone()?,
            mix_hash: self.mix_hash?,
            nonce: self.nonce?,
            base_fee_per_gas: self.base_fee_per_gas.map(|fee| fee.to()),
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: self.blob_gas_used.map(|gas| gas.to()),
            excess_blob_gas: self.excess_blob_gas.map(|gas| gas.to()),
            parent_beacon_block_root: self.parent_beacon_block_root,
            requests_hash: self.requests_hash,
            block_access_list_hash: self.block_access_list_hash,
            slot_number: self.slot_number.map(|slot| slot.to()),
        };
        Some(header.hash_slow())
    }
}

impl From<Answer> for Header {
    fn from(answer: Answer) -> Self {
        Self {
            number: answer.number.to(),
            hash: answer.hash,
            parent_hash: answer.parent_hash,
            timestamp: answer.timestamp.to(),
            logs_bloom: answer.logs_bloom,
            is_genuine: answer.hash().map(|hash| hash == answer.hash),
            receipts_root: answer.receipts_root,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::hex;
    use serde_json::{Value, json};

    use super::*;

    /// Block 1 of Ethereum's main chain.
    fn first_block() -> Value {
        json!({
            "number": "0x1",
            "hash": "0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6",
            "parentHash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
            "nonce": "0x539bd4979fef1ec4",
            "mixHash": "0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59",
            "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "logsBloom": hex::encode_prefixed([0; 256]),
            "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
            "stateRoot": "0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3",
            "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
            "miner": "0x05a56e2d52c817161883f50c441c3228cfe54d9f",
            "difficulty": "0x3ff800000",
            "totalDifficulty": "0x7ff800000",
            "extraData": "0x476574682f76312e302e302f6c696e75782f676f312e342e32",
            "size": "0x219",
            "gasLimit": "0x1388",
            "gasUsed": "0x0",
            "timestamp": "0x55ba4224",
            "transactions": [],
            "uncles": []
        })
    }

    fn is_genuine(header: &Value) -> Option<bool> {
        serde_json::from_value::<Header>(header.clone()).unwrap().is_genuine()
    }

    #[test]
    fn a_real_header_hashes_to_its_hash() {
        assert_eq!(is_genuine(&first_block()), Some(true));
    }

    #[test]
    fn a_header_with_anything_changed_does_not() {
        let mut bloom = [0; 256];
        bloom[255] = 1;
        for (field, value) in [
            ("timestamp", json!("0x55ba4225")),
            ("number", json!("0x2")),
            ("parentHash", json!(B256::ZERO)),
            ("hash", json!(B256::ZERO)),
            ("receiptsRoot", json!(B256::ZERO)),
            ("logsBloom", json!(hex::encode_prefixed(bloom))),
        ] {
            let mut header = first_block();
            header[field] = value;
            assert_eq!(is_genuine(&header), Some(false), "{field}");
        }
    }

    #[test]
    fn a_header_without_all_its_fields_is_read_and_not_judged() {
        let mut header = first_block();
        header.as_object_mut().unwrap().retain(|field, _| ["number", "hash", "parentHash", "timestamp"].contains(&field.as_str()));
        let read: Header = serde_json::from_value(header).unwrap();
        assert_eq!((read.number(), read.is_genuine()), (1, None));
        assert!(read.logs_bloom.is_zero());
    }
}

//! Every block that any branch of the scripted chain has: with real header hashes, parents, bloom filters and times.

use std::sync::Arc;

use alloy::{
    consensus::{self, ReceiptEnvelope, proofs::calculate_receipt_root},
    primitives::{B64, B256, Bloom, Bytes, Log as RawLog, U256, keccak256},
    rpc::types::{self, Log},
};
use clawpay_bindings::Contracts;
use clawpay_domain::{Parameters, Timestamp};
use clawpay_store::{Block, EventRecord};
use serde_json::{Value, json};

use super::{
    dice::Dice,
    ledger::{Emission, Ledger, LogContext},
    play,
};

/// Seconds since 1970 of block 0.
const BEGINNING: u64 = 1_760_000_000;
/// Gas of each transaction.
pub(crate) const GAS: u64 = 50_000;
const GAS_LIMIT: u64 = 30_000_000;

/// A block of a [`Tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockId(usize);

/// A transaction, wherever it is mined.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    hash: B256,
    emissions: Vec<Emission>,
}

impl Transaction {
    /// Its receipt, in a block in which the transactions before it used this much gas.
    fn receipt(&self, gas_before: u64) -> ReceiptEnvelope {
        let logs = self.emissions.iter().map(|emission| RawLog { address: emission.contract, data: emission.log.clone() }).collect();
        let receipt = consensus::Receipt { status: true.into(), cumulative_gas_used: gas_before + GAS, logs };
        ReceiptEnvelope::Eip1559(receipt.with_bloom())
    }
}

/// What is mined into a block.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// New transactions, this many.
    Played(u64),
    /// These, at this time.
    Mined(Vec<Transaction>, Timestamp),
}

#[derive(Debug)]
pub(crate) struct Mined {
    parent: Option<BlockId>,
    pub(crate) block: Block,
    pub(crate) transactions: Vec<Transaction>,
    /// The header as a node answers it, and written out: nothing is asked for as often.
    pub(crate) header: Value,
    pub(crate) header_text: String,
    /// All logs, the token's too.
    pub(crate) logs: Vec<Log>,
    /// The rows of ours.
    pub(crate) events: Vec<EventRecord>,
    /// All runs and agents after this block.
    pub(crate) ledger: Arc<Ledger>,
}

impl Mined {
    pub(crate) fn transaction_hashes(&self) -> impl Iterator<Item = B256> {
        self.transactions.iter().map(|transaction| transaction.hash)
    }
}

/// Blocks by [`BlockId`], from the first.
#[derive(Debug)]
pub(crate) struct Tree {
    contracts: Contracts,
    blocks: Vec<Mined>,
    transactions: u64,
}

impl Tree {
    /// A chain of one block.
    pub(crate) fn new(contracts: Contracts, parameters: Parameters) -> Self {
        let mut tree = Self { contracts, blocks: Vec::new(), transactions: 0 };
        let ledger = Ledger::new(contracts, parameters);
        tree.seal(None, Timestamp(BEGINNING), 0, Vec::new(), ledger);
        tree
    }

    /// The first block.
    pub(crate) const fn genesis(&self) -> BlockId {
        BlockId(0)
    }

    pub(crate) fn at(&self, id: BlockId) -> &Mined {
        &self.blocks[id.0]
    }

    pub(crate) fn number(&self, id: BlockId) -> u64 {
        self.at(id).block.number
    }

    /// Mines one more block onto `parent`, unlike any other there.
    pub(crate) fn extend(&mut self, dice: &mut Dice, parent: BlockId, content: Content) -> BlockId {
        let ledger = Ledger::clone(&self.at(parent).ledger);
        let after = self.at(parent).block.timestamp.0;
        let (now, transactions) = match content {
            Content::Mined(transactions, at) => (at.max(Timestamp(after + 1)), transactions),
            Content::Played(count) => {
                let pause = if dice.one_in(6) { dice.between(86_400, 9 * 86_400) } else { dice.between(1, 24) };
                let now = Timestamp(after + pause);
                (now, self.play(dice, ledger.clone(), now, count))
            }
        };
        self.seal(Some(parent), now, dice.next(), transactions, ledger)
    }

    /// New transactions, each of which meets what those before it did.
    fn play(&mut self, dice: &mut Dice, mut ledger: Ledger, now: Timestamp, count: u64) -> Vec<Transaction> {
        let place = LogContext { block_number: 0, block_hash: B256::ZERO, timestamp: now, tx_hash: B256::ZERO, tx_index: 0, log_index: 0 };
        let mut transactions = Vec::new();
        for _ in 0..count {
            let emissions = play::transaction(dice, &self.contracts, &ledger, now);
            for emission in emissions.iter().filter(|emission| self.contracts.indexed().contains(&emission.contract)) {
                ledger.enter(emission, &place);
            }
            self.transactions += 1;
            transactions.push(Transaction { hash: keccak256(self.transactions.to_be_bytes()), emissions });
        }
        transactions
    }

    /// The block of a branch at a height, if it reaches there.
    pub(crate) fn ancestor(&self, tip: BlockId, number: u64) -> Option<BlockId> {
        let mut id = tip;
        while self.number(id) > number {
            id = self.at(id).parent?;
        }
        (self.number(id) == number).then_some(id)
    }

    /// The block with this hash on any branch.
    pub(crate) fn by_hash(&self, hash: B256) -> Option<BlockId> {
        self.blocks.iter().position(|mined| mined.block.hash == hash).map(BlockId)
    }

    /// Whether a block has a rival: another one that builds on the same. Of an index's first block nothing below is known to it: that one
    /// gives way also where the rival is of a block below.
    pub(crate) fn has_rival(&self, hash: B256, first_indexed: u64) -> bool {
        let Some(id) = self.by_hash(hash) else { return false };
        let lowest = if self.number(id) == first_indexed { 1 } else { self.number(id) };
        self.branch(id, lowest).into_iter().any(|id| {
            let parent = self.at(id).parent;
            self.blocks.iter().enumerate().any(|(other, mined)| other != id.0 && mined.parent == parent)
        })
    }

    /// The height of the last block that two branches share.
    pub(crate) fn shared(&self, one: BlockId, other: BlockId) -> u64 {
        let height = self.number(one).min(self.number(other));
        (0..=height).rev().find(|&number| self.ancestor(one, number) == self.ancestor(other, number)).unwrap_or_default()
    }

    /// A branch from one height up to its tip.
    pub(crate) fn branch(&self, tip: BlockId, from: u64) -> Vec<BlockId> {
        (from..=self.number(tip)).filter_map(|number| self.ancestor(tip, number)).collect()
    }

    fn seal(
        &mut self,
        parent: Option<BlockId>,
        timestamp: Timestamp,
        salt: u64,
        transactions: Vec<Transaction>,
        mut ledger: Ledger,
    ) -> BlockId {
        let (number, parent_hash) = parent.map_or((0, B256::ZERO), |parent| (self.number(parent) + 1, self.at(parent).block.hash));
        let mut logs_bloom = Bloom::ZERO;
        for emission in transactions.iter().flat_map(|transaction| &transaction.emissions) {
            logs_bloom.accrue_log(&RawLog { address: emission.contract, data: emission.log.clone() });
        }
        let receipts: Vec<_> = (0_u64..).zip(&transactions).map(|(before, transaction)| transaction.receipt(before * GAS)).collect();
        let header = consensus::Header {
            parent_hash,
            receipts_root: calculate_receipt_root(&receipts),
            gas_used: GAS * receipts.len() as u64,
            state_root: keccak256(salt.to_be_bytes()),
            logs_bloom,
            number,
            timestamp: timestamp.0,
            gas_limit: GAS_LIMIT,
            extra_data: Bytes::from(salt.to_be_bytes()),
            difficulty: U256::ZERO,
            nonce: B64::ZERO,
            base_fee_per_gas: Some(7),
            ..consensus::Header::default()
        };
        let hash = header.hash_slow();
        let block = Block { number, hash, parent_hash, timestamp };

        let (mut logs, mut events, mut log_index) = (Vec::new(), Vec::new(), 0);
        for (tx_index, transaction) in (0_u64..).zip(&transactions) {
            for emission in &transaction.emissions {
                let place =
                    LogContext { block_number: number, block_hash: hash, timestamp, tx_hash: transaction.hash, tx_index, log_index };
                if self.contracts.indexed().contains(&emission.contract) {
                    events.push(ledger.enter(emission, &place));
                }
                logs.push(as_answered(emission, &place));
                log_index += 1;
            }
        }
        let hashes: Vec<_> = transactions.iter().map(|transaction| transaction.hash).collect();
        let mut answer = serde_json::to_value(types::Header::new(header)).expect("a header is JSON");
        answer["transactions"] = json!(hashes);
        answer["uncles"] = json!([]);
        let ledger = Arc::new(ledger);
        let header_text = answer.to_string();
        self.blocks.push(Mined { parent, block, transactions, header: answer, header_text, logs, events, ledger });
        BlockId(self.blocks.len() - 1)
    }
}

fn as_answered(emission: &Emission, place: &LogContext) -> Log {
    Log {
        inner: RawLog { address: emission.contract, data: emission.log.clone() },
        block_hash: Some(place.block_hash),
        block_number: Some(place.block_number),
        block_timestamp: Some(place.timestamp.0),
        transaction_hash: Some(place.tx_hash),
        transaction_index: Some(place.tx_index),
        log_index: Some(place.log_index),
        removed: false,
    }
}

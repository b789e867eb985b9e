//! What wallets sign: raw transactions, read.

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes, U256},
};
use clawpay_store::SubmittedTransaction;
use thiserror::Error;

/// The largest nonce that is passed on.
const LAST_NONCE: u64 = (1 << 63) - 1;

/// What a wallet has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Raw transactions in step order, to be sent.
    Transactions(Vec<Bytes>),
    /// The last step's transaction, which the wallet has sent itself, or had sent.
    Sent(B256),
}

/// A signed transaction that can be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedTransaction {
    /// As it was signed.
    pub raw: Bytes,
    /// Its hash.
    pub hash: B256,
    /// Who signed it.
    pub sender: Address,
    /// Its place among the sender's.
    pub nonce: u64,
    /// What it calls; nothing when it creates a contract.
    pub to: Option<Address>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata.
    pub input: Bytes,
    /// Wei that the sender must have for it.
    pub most_it_costs: U256,
}

/// Why bytes are no transaction that can be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unreadable {
    /// They are something else.
    #[error("is not a signed transaction")]
    NotATransaction,
    /// It carries more than a call: blobs, or authority over the account.
    #[error("is of a type that is not passed on: send it yourself, and hand in its hash")]
    Type,
    /// No account counts so far: databases and nodes have signed numbers for it.
    #[error("has nonce {nonce}, which no account reaches")]
    Nonce {
        /// That one.
        nonce: u64,
    },
    /// It is signed by no key.
    #[error("has a signature that is not valid")]
    Signature,
    /// It is for another chain.
    #[error("is for chain {actual}, not chain {expected}")]
    OtherChain {
        /// The market's.
        expected: u64,
        /// The transaction's.
        actual: u64,
    },
    /// It is for every chain.
    #[error("names no chain and could be replayed on any")]
    NoChain,
}

impl SignedTransaction {
    /// Reads a raw transaction for chain `chain_id`. Fails on whatever cannot be passed on.
    pub(crate) fn read(raw: &Bytes, chain_id: u64) -> Result<Self, Unreadable> {
        let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|_| Unreadable::NotATransaction)?;
        match &envelope {
            TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_) => {}
            TxEnvelope::Eip4844(_) | TxEnvelope::Eip7702(_) => return Err(Unreadable::Type),
        }
        match envelope.chain_id() {
            Some(id) if id == chain_id => {}
            Some(actual) => return Err(Unreadable::OtherChain { expected: chain_id, actual }),
            None => return Err(Unreadable::NoChain),
        }
        let nonce = envelope.nonce();
        if nonce > LAST_NONCE {
            return Err(Unreadable::Nonce { nonce });
        }
        let sender = envelope.recover_signer().map_err(|_| Unreadable::Signature)?;
        let gas = U256::from(envelope.gas_limit()).saturating_mul(U256::from(envelope.max_fee_per_gas()));
        Ok(Self {
            raw: raw.clone(),
            hash: *envelope.tx_hash(),
            sender,
            nonce,
            to: envelope.to(),
            value: envelope.value(),
            input: envelope.input().clone(),
            most_it_costs: gas.saturating_add(envelope.value()),
        })
    }

    /// How much gas it may use.
    pub(crate) fn gas_limit(&self) -> u64 {
        TxEnvelope::decode_2718_exact(&self.raw).map_or(0, |envelope| envelope.gas_limit())
    }

    /// As it is written down.
    pub(crate) const fn noted(&self) -> SubmittedTransaction {
        SubmittedTransaction { hash: self.hash, sender: self.sender, nonce: self.nonce }
    }
}

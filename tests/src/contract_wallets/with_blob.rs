//! An account whose calls come in transactions of type 3, with a blob beside them.

use std::time::Duration;

use alloy::{
    consensus::{BlobTransactionSidecar, SignableTransaction, TxEip4844, TxEip4844Variant, TxEip4844WithSidecar, TxEnvelope},
    eips::{
        eip2718::Encodable2718,
        eip4844::{Blob, Bytes48},
    },
    primitives::{Address, Bytes, U256},
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::TransactionReceipt,
    signers::{SignerSync, local::PrivateKeySigner},
    transports::http::reqwest,
};
use anyhow::{Result, bail};
use clawpay_cli::wallet::Wallet;
use url::Url;

use super::{BatchCall, ContractWallet, GAS, receipt_of};

const GWEI: u128 = 1_000_000_000;
/// A node's first blob makes it load what blobs are proved with: seconds of work, and more on a busy machine.
const TAKEN_WITHIN: Duration = Duration::from_secs(120);

/// An account with a key and some ether. A transaction of this type makes one call, so that allowances go before it.
#[derive(Debug)]
pub struct BlobAccount {
    key: PrivateKeySigner,
    wallet: Wallet,
    patient: DynProvider,
}

impl BlobAccount {
    /// A new account; `giver`'s node gives it ether.
    pub async fn new(rpc_url: &Url, giver: &Wallet) -> Result<Self> {
        let key = PrivateKeySigner::random();
        giver.provider().anvil_set_balance(key.address(), U256::from(10_u64.pow(18))).await?;
        let http = reqwest::Client::builder().timeout(TAKEN_WITHIN).build()?;
        let patient = ProviderBuilder::new().disable_recommended_fillers().connect_reqwest(http, rpc_url.clone()).erased();
        Ok(Self { wallet: Wallet::signing(rpc_url, key.clone()).await?, key, patient })
    }

    /// A call in a transaction with a blob, signed and not sent, in the form in which blocks hold it: without the blob.
    pub async fn sign_without_blob(&self, call: &BatchCall) -> Result<Bytes> {
        let TxEip4844WithSidecar { tx, .. } = self.transaction(call).await?;
        self.sign(TxEip4844Variant::TxEip4844(tx))
    }

    async fn transaction(&self, call: &BatchCall) -> Result<TxEip4844WithSidecar> {
        // The commitment to a blob of zeros, and its proof, are the point at infinity.
        let infinity = Bytes48::right_padding_from(&[0xc0]);
        let sidecar = BlobTransactionSidecar::new(vec![Blob::ZERO], vec![infinity], vec![infinity]);
        let provider = self.wallet.provider();
        let tx = TxEip4844 {
            chain_id: provider.get_chain_id().await?,
            nonce: provider.get_transaction_count(self.key.address()).await?,
            gas_limit: GAS,
            max_fee_per_gas: 100 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: call.to,
            value: U256::ZERO,
            access_list: Default::default(),
            blob_versioned_hashes: sidecar.versioned_hashes().collect(),
            max_fee_per_blob_gas: GWEI,
            input: call.data.clone(),
        };
        Ok(TxEip4844WithSidecar { tx, sidecar: sidecar.into() })
    }

    fn sign(&self, transaction: TxEip4844Variant) -> Result<Bytes> {
        let signature = self.key.sign_hash_sync(&transaction.signature_hash())?;
        Ok(TxEnvelope::Eip4844(transaction.into_signed(signature)).encoded_2718().into())
    }
}

impl ContractWallet for BlobAccount {
    fn address(&self) -> Address {
        self.key.address()
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let [before @ .., call] = calls else { bail!("no call to make") };
        for BatchCall { to, data } in before {
            self.wallet.send(*to, data.clone()).await?;
        }
        let signed = self.sign(self.transaction(call).await?.into())?;
        let hash = *self.patient.send_raw_transaction(&signed).await?.tx_hash();
        receipt_of(&self.wallet, hash).await
    }
}

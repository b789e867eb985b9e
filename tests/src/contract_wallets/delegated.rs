//! EIP-7702: an account with a key whose code is another contract's, so that it can batch, and be sponsored.

use alloy::{
    eips::eip7702::{Authorization, SignedAuthorization},
    network::{TransactionBuilder, TransactionBuilder7702},
    primitives::{Address, Bytes, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::{Result, ensure};
use clawpay_cli::wallet::Wallet;
use url::Url;

use super::{
    BatchCall, ContractWallet,
    entry_point::{EntryPoint, batch, successes},
    mined,
};
use crate::npm_artifact::{create, creation_code};

/// An account that sends its batches to itself, each in a transaction of type 4.
#[derive(Debug)]
pub struct DelegatedAccount {
    key: PrivateKeySigner,
    delegate: Address,
    wallet: Wallet,
}

impl DelegatedAccount {
    /// A new account with some ether for gas. `deployer` puts its code on the chain.
    pub async fn new(rpc_url: &Url, deployer: &Wallet) -> Result<Self> {
        let key = PrivateKeySigner::random();
        let ether = U256::from(10_u64.pow(18));
        deployer.provider().anvil_set_balance(key.address(), ether).await?;
        let wallet = Wallet::signing(rpc_url, key.clone()).await?;
        Ok(Self { delegate: delegate(deployer).await?, key, wallet })
    }
}

impl ContractWallet for DelegatedAccount {
    fn address(&self) -> Address {
        self.key.address()
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        // The transaction's own nonce is used up before its authorizations are looked at.
        let authorization = authorize(&self.wallet, &self.key, self.delegate, 1).await?;
        let request =
            TransactionRequest::default().with_to(self.address()).with_input(batch(calls)).with_authorization_list(vec![authorization]);
        mined(&self.wallet, request).await
    }
}

/// An account without ether, whose batches another account pays for and sends, each in a transaction of type 4.
#[derive(Debug)]
pub struct SponsoredAccount {
    key: PrivateKeySigner,
    delegate: Address,
    entry_point: EntryPoint,
}

impl SponsoredAccount {
    /// A new account. The sponsor is the entry point's bundler.
    pub async fn new(entry_point: &EntryPoint) -> Result<Self> {
        let delegate = delegate(entry_point.bundler()).await?;
        Ok(Self { key: PrivateKeySigner::random(), delegate, entry_point: entry_point.clone() })
    }
}

impl ContractWallet for SponsoredAccount {
    fn address(&self) -> Address {
        self.key.address()
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let operation = self.entry_point.operation(self.address(), &self.key, Bytes::new(), calls).await?;
        let authorization = authorize(self.entry_point.bundler(), &self.key, self.delegate, 0).await?;
        let receipt = self.entry_point.bundle(vec![operation], vec![authorization]).await?;
        ensure!(successes(&receipt) == [true], "the operation failed in its bundle");
        Ok(receipt)
    }
}

/// The code that such accounts delegate to.
async fn delegate(deployer: &Wallet) -> Result<Address> {
    create(deployer, creation_code("@account-abstraction/contracts/artifacts/Simple7702Account.json", &[])?).await
}

/// The account's signature that `delegate` is its code. It names the account's nonce, `ahead` of the one that it has now.
async fn authorize(through: &Wallet, key: &PrivateKeySigner, delegate: Address, ahead: u64) -> Result<SignedAuthorization> {
    let provider = through.provider();
    let (chain_id, nonce) = (provider.get_chain_id().await?, provider.get_transaction_count(key.address()).await?);
    let authorization = Authorization { chain_id: U256::from(chain_id), address: delegate, nonce: nonce + ahead };
    let signature = key.sign_hash_sync(&authorization.signature_hash())?;
    Ok(authorization.into_signed(signature))
}

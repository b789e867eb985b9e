//! An account that signs requests which a relayer hands to the market's forwarder.

use alloy::{
    primitives::{Address, U256, aliases::U48},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionReceipt,
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::SolStruct,
};
use anyhow::{Result, bail};
use clawpay_bindings::{Contracts, ERC2771Forwarder, ForwardRequest, forwarder::ERC2771Forwarder::ForwardRequestData, forwarder_domain};
use clawpay_cli::wallet::{Wallet, read};
use url::Url;

use super::{BatchCall, ContractWallet};

const CALL_GAS: u64 = 1_000_000;
const DEADLINE: u64 = u32::MAX as u64;

/// An account with a key and some ether, which it spends on allowances only: the token knows no forwarder.
#[derive(Debug)]
pub struct ForwardedAccount {
    key: PrivateKeySigner,
    wallet: Wallet,
    contracts: Contracts,
    relayer: Wallet,
}

impl ForwardedAccount {
    /// A new account, and the relayer of its requests.
    pub async fn new(rpc_url: &Url, contracts: Contracts, relayer: &Wallet) -> Result<Self> {
        let key = PrivateKeySigner::random();
        relayer.provider().anvil_set_balance(key.address(), U256::from(10_u64.pow(18))).await?;
        let wallet = Wallet::signing(rpc_url, key.clone()).await?;
        Ok(Self { key, wallet, contracts, relayer: relayer.clone() })
    }

    /// A call, signed for the forwarder.
    pub async fn request(&self, call: &BatchCall) -> Result<ForwardRequestData> {
        let provider = self.relayer.provider();
        let nonce = read(provider, self.contracts.forwarder, &ERC2771Forwarder::noncesCall { owner: self.key.address() }).await?;
        let request = ForwardRequest {
            from: self.key.address(),
            to: call.to,
            value: U256::ZERO,
            gas: U256::from(CALL_GAS),
            nonce,
            deadline: U48::from(DEADLINE),
            data: call.data.clone(),
        };
        let domain = forwarder_domain(provider.get_chain_id().await?, self.contracts.forwarder);
        let signature = self.key.sign_hash_sync(&request.eip712_signing_hash(&domain))?;
        Ok(request.submitted(signature.as_bytes().into()))
    }

    /// Has requests executed in one transaction, which leaves out those that cannot be.
    pub async fn relay_what_can_be(&self, requests: Vec<ForwardRequestData>) -> Result<TransactionReceipt> {
        let batch = ERC2771Forwarder::executeBatchCall { requests, refundReceiver: self.relayer.address() };
        self.relayer.call(self.contracts.forwarder, &batch).await
    }
}

impl ContractWallet for ForwardedAccount {
    fn address(&self) -> Address {
        self.key.address()
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let [allowances @ .., call] = calls else { bail!("no call to make") };
        for BatchCall { to, data } in allowances {
            self.wallet.send(*to, data.clone()).await?;
        }
        let execution = ERC2771Forwarder::executeCall { request: self.request(call).await? };
        self.relayer.call(self.contracts.forwarder, &execution).await
    }
}

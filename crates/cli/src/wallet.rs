//! An account that signs and sends transactions, and waits until they are mined.

use std::time::Duration;

use alloy::{
    network::{EthereumWallet, TransactionBuilder},
    primitives::{Address, Bytes, TxHash},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::{
        client::{ClientBuilder, RpcClient},
        types::{TransactionReceipt, TransactionRequest},
    },
    signers::local::{LocalSignerError, MnemonicBuilder, PrivateKeySigner},
    sol_types::SolCall,
    transports::ws::WsConnect,
};
use anyhow::{Context, Result, bail};
use clawpay_indexer::origin;
use url::Url;

use crate::local::MNEMONIC;

/// A node that does not answer a call by then is treated as away.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a transaction may take to be mined.
pub(crate) const MINED_WITHIN: Duration = Duration::from_secs(300);
/// First wait for a receipt, doubled up to the last: a local node mines at once, a real chain takes seconds.
const FIRST_WAIT: Duration = Duration::from_millis(4);
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(1);

/// A connection over HTTP or WebSocket, without an account.
pub async fn connect(rpc_url: &Url) -> Result<DynProvider> {
    Ok(ProviderBuilder::new().disable_recommended_fillers().connect_client(client(rpc_url).await?).erased())
}

async fn client(rpc_url: &Url) -> Result<RpcClient> {
    match rpc_url.scheme() {
        "ws" | "wss" => ClientBuilder::default()
            .ws(WsConnect::new(rpc_url.as_str()))
            .await
            .with_context(|| format!("no node answers at {}", origin(rpc_url))),
        "http" | "https" => {
            let http = alloy::transports::http::reqwest::Client::builder().timeout(CALL_TIMEOUT).build()?;
            Ok(ClientBuilder::default().http_with_client(http, rpc_url.clone()))
        }
        other => bail!("RPC_URL must begin with http, https, ws or wss, not {other}"),
    }
}

/// A connection to a node that answers.
///
/// # Errors
/// It cannot be reached, or does not answer in time.
pub async fn reach(rpc_url: &Url) -> Result<DynProvider> {
    let provider = connect(rpc_url).await?;
    tokio::time::timeout(CALL_TIMEOUT, provider.get_chain_id()).await.context("no answer came")??;
    Ok(provider)
}

/// Whether there is a contract at `address`.
///
/// # Errors
/// The node does not answer.
pub(crate) async fn has_code(provider: &DynProvider, address: Address) -> Result<bool> {
    Ok(!provider.get_code_at(address).await?.is_empty())
}

/// One view call at the latest block.
pub async fn read<C: SolCall>(provider: &DynProvider, to: Address, call: &C) -> Result<C::Return> {
    let answer = provider.call(TransactionRequest::default().with_to(to).with_input(call.abi_encode())).await?;
    C::abi_decode_returns(&answer).with_context(|| format!("{to} gives no answer to {}", C::SIGNATURE))
}

/// The key of account `index` behind anvil's well-known phrase. For local chains only.
pub fn dev_account(index: u32) -> Result<PrivateKeySigner, LocalSignerError> {
    MnemonicBuilder::try_from_phrase_nth(MNEMONIC, index)
}

/// An account on one chain. One at a time may send from it.
#[derive(Clone, Debug)]
pub struct Wallet {
    provider: DynProvider,
    address: Address,
}

impl Wallet {
    /// An account whose key this process holds.
    pub async fn signing(rpc_url: &Url, signer: PrivateKeySigner) -> Result<Self> {
        let address = signer.address();
        let provider = ProviderBuilder::new()
            .disable_recommended_fillers()
            .with_gas_estimation()
            .with_simple_nonce_management()
            .fetch_chain_id()
            .wallet(EthereumWallet::from(signer))
            .connect_client(client(rpc_url).await?)
            .erased();
        Ok(Self { provider, address })
    }

    /// An account whose key the node holds, as a local one does.
    pub async fn unlocked(rpc_url: &Url, address: Address) -> Result<Self> {
        Ok(Self { provider: connect(rpc_url).await?, address })
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The connection it sends through.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Calls `to` and waits; an error if the call reverts.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<TransactionReceipt> {
        self.send(to, call.abi_encode().into()).await.with_context(|| format!("{} failed", C::SIGNATURE))
    }

    /// Sends `calldata` to `to` and waits; an error if the call reverts.
    pub async fn send(&self, to: Address, calldata: Bytes) -> Result<TransactionReceipt> {
        self.complete(TransactionRequest::default().with_to(to).with_input(calldata)).await
    }

    /// Creates a contract at this account's `nonce` and waits; an error if the constructor reverts.
    pub async fn create(&self, code: impl Into<Bytes>, nonce: u64) -> Result<TransactionReceipt> {
        self.complete(TransactionRequest::default().with_deploy_code(code).with_nonce(nonce)).await
    }

    async fn complete(&self, request: TransactionRequest) -> Result<TransactionReceipt> {
        let hash = *self.provider.send_transaction(request.with_from(self.address)).await?.tx_hash();
        let receipt = self.receipt(hash).await?;
        if !receipt.status() {
            bail!("transaction {hash} reverted in block {}", receipt.block_number.unwrap_or_default());
        }
        Ok(receipt)
    }

    async fn receipt(&self, hash: TxHash) -> Result<TransactionReceipt> {
        let poll = async {
            let mut wait = FIRST_WAIT;
            loop {
                if let Some(receipt) = self.provider.get_transaction_receipt(hash).await? {
                    return Ok(receipt);
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LAST_WAIT);
            }
        };
        tokio::time::timeout(MINED_WITHIN, poll)
            .await
            .with_context(|| format!("transaction {hash} is not mined after {} s", MINED_WITHIN.as_secs()))?
    }
}

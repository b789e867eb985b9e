//! Wallets that are contracts, or act through one, as their authors publish them. What they do is mined in transactions that hold more than
//! one call, and most of them are sent by another account.

mod delegated;
mod entry_point;
mod forwarded;
mod safe;
mod smart_account;
mod with_blob;

use std::{future::Future, time::Duration};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes, TxHash},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::wallet::Wallet;

pub use delegated::{DelegatedAccount, SponsoredAccount};
pub use entry_point::{EntryPoint, UserOperation};
pub use forwarded::ForwardedAccount;
pub use safe::Safe;
pub use smart_account::SmartAccount;
pub use with_blob::BlobAccount;

/// Above what any batch here needs. Set by hand: the estimates of nodes do not see through an envelope that hides what fails in it.
const GAS: u64 = 5_000_000;
/// A node that mines at once has mined by then.
const MINED_WITHIN: Duration = Duration::from_secs(20);

/// One call of a batch. None carries ether.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchCall {
    /// The contract called.
    pub to: Address,
    /// Selector and arguments.
    pub data: Bytes,
}

/// A wallet whose calls come in an envelope.
pub trait ContractWallet {
    /// The account that the called contracts see.
    fn address(&self) -> Address;

    /// Makes the calls, in order and in one transaction, and waits. It is an error if one fails.
    fn execute(&self, calls: &[BatchCall]) -> impl Future<Output = Result<TransactionReceipt>>;
}

/// Sends a transaction with a gas limit that is not estimated, and waits; an error if it reverts.
async fn mined(sender: &Wallet, request: TransactionRequest) -> Result<TransactionReceipt> {
    let request = request.with_from(sender.address()).with_gas_limit(GAS);
    let hash = *sender.provider().send_transaction(request).await?.tx_hash();
    receipt_of(sender, hash).await
}

/// Waits until a transaction is mined; an error if it reverts.
async fn receipt_of(sender: &Wallet, hash: TxHash) -> Result<TransactionReceipt> {
    let poll = async {
        loop {
            if let Some(receipt) = sender.provider().get_transaction_receipt(hash).await? {
                return anyhow::Ok(receipt);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let receipt = tokio::time::timeout(MINED_WITHIN, poll).await.with_context(|| format!("{hash} is not mined"))??;
    ensure!(receipt.status(), "{hash} reverted");
    Ok(receipt)
}

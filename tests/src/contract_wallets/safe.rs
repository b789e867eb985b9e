//! A Safe: three owners of whom two sign, executed by an account that is none of them.

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    rpc::types::TransactionReceipt,
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::wallet::{Wallet, read};

use super::{BatchCall, ContractWallet};
use crate::npm_artifact::{create, creation_code};

sol! {
    interface SafeProxyFactory {
        function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce) external returns (address proxy);
    }

    interface SafeSingleton {
        event ExecutionSuccess(bytes32 indexed txHash, uint256 payment);
        event ExecutionFailure(bytes32 indexed txHash, uint256 payment);

        function setup(address[] owners, uint256 threshold, address to, bytes data, address fallbackHandler, address paymentToken,
            uint256 payment, address paymentReceiver) external;
        function nonce() external view returns (uint256);
        function getTransactionHash(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas,
            uint256 gasPrice, address gasToken, address refundReceiver, uint256 nonce) external view returns (bytes32);
        function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas,
            uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) external returns (bool success);
    }

    interface MultiSendCallOnly {
        function multiSend(bytes transactions) external;
    }
}

const OWNERS: usize = 3;
const THRESHOLD: usize = 2;
/// A Safe transaction that names its gas does not revert when the call in it does.
const TOLERANT_GAS: u64 = 500_000;

/// One Safe. It holds no ether, and neither do its owners.
#[derive(Debug)]
pub struct Safe {
    address: Address,
    multi_send: Address,
    owners: Vec<PrivateKeySigner>,
    executor: Wallet,
}

impl Safe {
    /// Puts Safe's contracts on the chain and makes a Safe by them. `executor` pays for all of it.
    pub async fn deploy(executor: &Wallet) -> Result<Self> {
        let singleton = create(executor, artifact("Safe.sol/Safe")?).await?;
        let factory = create(executor, artifact("proxies/SafeProxyFactory.sol/SafeProxyFactory")?).await?;
        let handler = create(executor, artifact("handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler")?).await?;
        let multi_send = create(executor, artifact("libraries/MultiSendCallOnly.sol/MultiSendCallOnly")?).await?;

        let mut owners: Vec<_> = (0..OWNERS).map(|_| PrivateKeySigner::random()).collect();
        // Signatures are checked in the order of their signers' addresses.
        owners.sort_by_key(PrivateKeySigner::address);
        let setup = SafeSingleton::setupCall {
            owners: owners.iter().map(PrivateKeySigner::address).collect(),
            threshold: U256::from(THRESHOLD),
            to: Address::ZERO,
            data: Bytes::new(),
            fallbackHandler: handler,
            paymentToken: Address::ZERO,
            payment: U256::ZERO,
            paymentReceiver: Address::ZERO,
        };
        let creation =
            SafeProxyFactory::createProxyWithNonceCall { singleton, initializer: setup.abi_encode().into(), saltNonce: U256::ZERO };
        let address = read(executor.provider(), factory, &creation).await?;
        executor.call(factory, &creation).await?;
        Ok(Self { address, multi_send, owners, executor: executor.clone() })
    }

    /// Tries calls of which one fails, in a transaction that succeeds all the same.
    pub async fn execute_in_vain(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let receipt = self.execute_with(calls, TOLERANT_GAS).await?;
        ensure!(receipt.decoded_log::<SafeSingleton::ExecutionFailure>().is_some(), "the calls did not fail");
        Ok(receipt)
    }

    async fn execute_with(&self, calls: &[BatchCall], safe_tx_gas: u64) -> Result<TransactionReceipt> {
        let (to, data, operation) = match calls {
            [BatchCall { to, data }] => (*to, data.clone(), 0),
            calls => (self.multi_send, packed(calls), 1),
        };
        let provider = self.executor.provider();
        let (value, safe_tx_gas) = (U256::ZERO, U256::from(safe_tx_gas));
        let hash: B256 = read(
            provider,
            self.address,
            &SafeSingleton::getTransactionHashCall {
                to,
                value,
                data: data.clone(),
                operation,
                safeTxGas: safe_tx_gas,
                baseGas: U256::ZERO,
                gasPrice: U256::ZERO,
                gasToken: Address::ZERO,
                refundReceiver: Address::ZERO,
                nonce: read(provider, self.address, &SafeSingleton::nonceCall {}).await?,
            },
        )
        .await?;
        let signed = self.owners.iter().take(THRESHOLD).map(|owner| Ok(owner.sign_hash_sync(&hash)?.as_bytes()));
        let execution = SafeSingleton::execTransactionCall {
            to,
            value,
            data,
            operation,
            safeTxGas: safe_tx_gas,
            baseGas: U256::ZERO,
            gasPrice: U256::ZERO,
            gasToken: Address::ZERO,
            refundReceiver: Address::ZERO,
            signatures: signed.collect::<Result<Vec<_>>>()?.concat().into(),
        };
        self.executor.call(self.address, &execution).await
    }
}

impl ContractWallet for Safe {
    fn address(&self) -> Address {
        self.address
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let receipt = self.execute_with(calls, 0).await?;
        receipt.decoded_log::<SafeSingleton::ExecutionSuccess>().context("the Safe executed nothing")?;
        Ok(receipt)
    }
}

/// Calldata of `multiSend`: per call its operation, address, value, length and data, unpadded.
fn packed(calls: &[BatchCall]) -> Bytes {
    let mut transactions = Vec::new();
    for BatchCall { to, data } in calls {
        transactions.push(0);
        transactions.extend_from_slice(to.as_slice());
        transactions.extend_from_slice(&U256::ZERO.to_be_bytes::<32>());
        transactions.extend_from_slice(&U256::from(data.len()).to_be_bytes::<32>());
        transactions.extend_from_slice(data);
    }
    MultiSendCallOnly::multiSendCall { transactions: transactions.into() }.abi_encode().into()
}

fn artifact(name: &str) -> Result<Bytes> {
    creation_code(&format!("@safe-global/safe-smart-account/build/artifacts/contracts/{name}.json"), &[])
}

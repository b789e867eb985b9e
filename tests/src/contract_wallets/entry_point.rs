//! ERC-4337's entry point, at the address that it has on every chain, and the account that bundles for it.

use alloy::{
    eips::eip7702::SignedAuthorization,
    network::{TransactionBuilder, TransactionBuilder7702},
    primitives::{Address, B256, Bytes, U256, address, aliases::U192, b256},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolEvent},
};
use anyhow::{Result, ensure};
use clawpay_cli::wallet::{Wallet, read};

use super::{BatchCall, mined};
use crate::npm_artifact::creation_code;

sol! {
    /// What an account's owner signs, and a bundler sends.
    #[derive(Debug)]
    struct UserOperation {
        address sender;
        uint256 nonce;
        bytes initCode;
        bytes callData;
        bytes32 accountGasLimits;
        uint256 preVerificationGas;
        bytes32 gasFees;
        bytes paymasterAndData;
        bytes signature;
    }

    interface EntryPointContract {
        event UserOperationEvent(bytes32 indexed userOpHash, address indexed sender, address indexed paymaster, uint256 nonce, bool success,
            uint256 actualGasCost, uint256 actualGasUsed);

        function getNonce(address sender, uint192 key) external view returns (uint256 nonce);
        function getUserOpHash(UserOperation userOp) external view returns (bytes32);
        function handleOps(UserOperation[] ops, address beneficiary) external;
    }

    /// The batches of the accounts that the entry point's authors publish.
    interface BaseAccount {
        struct AccountCall {
            address target;
            uint256 value;
            bytes data;
        }

        function execute(address target, uint256 value, bytes data) external;
        function executeBatch(AccountCall[] calls) external;
    }
}

/// Version 0.8, on every chain.
const ENTRY_POINT: Address = address!("0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108");
/// Creates contracts at addresses that follow from their code and this salt. Nodes for development come with it.
const DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
const SALT: B256 = b256!("0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9");

const VERIFICATION_GAS: u64 = 1_000_000;
const CALL_GAS: u64 = 1_000_000;

/// The entry point, and a bundler that takes no fee.
#[derive(Clone, Debug)]
pub struct EntryPoint {
    bundler: Wallet,
}

impl EntryPoint {
    /// Puts it on the chain.
    pub async fn deploy(bundler: &Wallet) -> Result<Self> {
        if bundler.provider().get_code_at(ENTRY_POINT).await?.is_empty() {
            let code = creation_code("@account-abstraction/contracts/artifacts/EntryPoint.json", &[])?;
            bundler.send(DEPLOYER, [SALT.as_slice(), &code].concat().into()).await?;
            ensure!(!bundler.provider().get_code_at(ENTRY_POINT).await?.is_empty(), "the entry point is at another address");
        }
        Ok(Self { bundler: bundler.clone() })
    }

    /// The account that sends the bundles.
    pub const fn bundler(&self) -> &Wallet {
        &self.bundler
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        ENTRY_POINT
    }

    /// The calls as an operation of `sender`, signed by `owner`. `init_code` creates the account.
    pub async fn operation(
        &self,
        sender: Address,
        owner: &PrivateKeySigner,
        init_code: Bytes,
        calls: &[BatchCall],
    ) -> Result<UserOperation> {
        let nonce = read(self.bundler.provider(), ENTRY_POINT, &EntryPointContract::getNonceCall { sender, key: U192::ZERO }).await?;
        let mut operation = UserOperation {
            sender,
            nonce,
            initCode: init_code,
            callData: batch(calls),
            accountGasLimits: two_halves(VERIFICATION_GAS, CALL_GAS),
            preVerificationGas: U256::ZERO,
            gasFees: B256::ZERO,
            paymasterAndData: Bytes::new(),
            signature: Bytes::new(),
        };
        let hash = EntryPointContract::getUserOpHashCall { userOp: operation.clone() };
        let hash = read(self.bundler.provider(), ENTRY_POINT, &hash).await?;
        operation.signature = owner.sign_hash_sync(&hash)?.as_bytes().into();
        Ok(operation)
    }

    /// Has operations mined in one transaction, which succeeds whatever becomes of their calls. With authorizations it is of type 4.
    pub async fn bundle(&self, operations: Vec<UserOperation>, authorizations: Vec<SignedAuthorization>) -> Result<TransactionReceipt> {
        let bundle = EntryPointContract::handleOpsCall { ops: operations, beneficiary: self.bundler.address() };
        let mut request = TransactionRequest::default().with_to(ENTRY_POINT).with_input(bundle.abi_encode());
        if !authorizations.is_empty() {
            request.set_authorization_list(authorizations);
        }
        mined(&self.bundler, request).await
    }
}

/// Whether the calls of each operation in a bundle succeeded, in order.
pub(super) fn successes(receipt: &TransactionReceipt) -> Vec<bool> {
    let events = receipt.logs().iter().filter(|log| log.address() == ENTRY_POINT);
    events.filter_map(|log| EntryPointContract::UserOperationEvent::decode_log(&log.inner).ok()).map(|event| event.success).collect()
}

/// Calldata by which an account makes the calls.
pub(super) fn batch(calls: &[BatchCall]) -> Bytes {
    match calls {
        [BatchCall { to, data }] => BaseAccount::executeCall { target: *to, value: U256::ZERO, data: data.clone() }.abi_encode(),
        calls => {
            let each = |BatchCall { to, data }: &BatchCall| BaseAccount::AccountCall { target: *to, value: U256::ZERO, data: data.clone() };
            BaseAccount::executeBatchCall { calls: calls.iter().map(each).collect() }.abi_encode()
        }
    }
    .into()
}

fn two_halves(high: u64, low: u64) -> B256 {
    ((U256::from(high) << 128_usize) | U256::from(low)).into()
}

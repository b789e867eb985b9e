//! An ERC-4337 account, whose first operation creates it.

use alloy::{
    primitives::{Address, Bytes, U256},
    providers::Provider,
    rpc::types::TransactionReceipt,
    signers::local::PrivateKeySigner,
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Result, ensure};
use clawpay_cli::wallet::read;

use super::{
    BatchCall, ContractWallet,
    entry_point::{EntryPoint, UserOperation, successes},
};
use crate::npm_artifact::{create, creation_code};

sol! {
    interface SimpleAccountFactory {
        function createAccount(address owner, uint256 salt) external returns (address);
        function getAddress(address owner, uint256 salt) external view returns (address);
    }
}

/// One account. Neither it nor its owner holds ether.
#[derive(Debug)]
pub struct SmartAccount {
    address: Address,
    owner: PrivateKeySigner,
    factory: Address,
    entry_point: EntryPoint,
}

impl SmartAccount {
    /// An account of a new owner. Its address is known; there is nothing at it before its first operation.
    pub async fn new(entry_point: &EntryPoint) -> Result<Self> {
        let code = creation_code("@account-abstraction/contracts/artifacts/SimpleAccountFactory.json", &[])?;
        let code = [code, entry_point.address().abi_encode().into()].concat();
        let factory = create(entry_point.bundler(), code).await?;
        let owner = PrivateKeySigner::random();
        let question = SimpleAccountFactory::getAddressCall { owner: owner.address(), salt: U256::ZERO };
        let address = read(entry_point.bundler().provider(), factory, &question).await?;
        Ok(Self { address, owner, factory, entry_point: entry_point.clone() })
    }

    /// The calls as an operation, signed.
    pub async fn operation(&self, calls: &[BatchCall]) -> Result<UserOperation> {
        let is_there = !self.entry_point.bundler().provider().get_code_at(self.address).await?.is_empty();
        let init_code = if is_there { Bytes::new() } else { self.creation() };
        self.entry_point.operation(self.address, &self.owner, init_code, calls).await
    }

    /// Tries calls of which one fails, in a bundle that is mined all the same.
    pub async fn execute_in_vain(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let receipt = self.entry_point.bundle(vec![self.operation(calls).await?], Vec::new()).await?;
        ensure!(successes(&receipt) == [false], "the calls did not fail");
        Ok(receipt)
    }

    fn creation(&self) -> Bytes {
        let call = SimpleAccountFactory::createAccountCall { owner: self.owner.address(), salt: U256::ZERO };
        [self.factory.as_slice(), &call.abi_encode()].concat().into()
    }
}

impl ContractWallet for SmartAccount {
    fn address(&self) -> Address {
        self.address
    }

    async fn execute(&self, calls: &[BatchCall]) -> Result<TransactionReceipt> {
        let receipt = self.entry_point.bundle(vec![self.operation(calls).await?], Vec::new()).await?;
        ensure!(successes(&receipt) == [true], "the operation failed in its bundle");
        Ok(receipt)
    }
}

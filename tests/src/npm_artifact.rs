//! Contracts as npm packages ship them: creation code out of a compiler's artifact, and onto a chain.

use std::fs;

use alloy::{
    primitives::{Address, Bytes, hex},
    providers::Provider,
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::{local::Toolbox, wallet::Wallet};
use serde_json::Value;

/// The creation code in `node_modules/<path>`, with the addresses of the libraries it uses put in.
pub(crate) fn creation_code(path: &str, libraries: &[(&str, Address)]) -> Result<Bytes> {
    let path = Toolbox::find()?.root().join("node_modules").join(path);
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
    ensure!(!code.contains('_'), "{} uses a library that is not given", path.display());
    Ok(code.parse()?)
}

/// Creates a contract; its address.
pub(crate) async fn create(creator: &Wallet, code: impl Into<Bytes>) -> Result<Address> {
    let nonce = creator.provider().get_transaction_count(creator.address()).await?;
    creator.create(code.into(), nonce).await?.contract_address.context("the node says no address")
}

//! A wallet that is strict where anvil is lenient: it signs only what any wallet could sign as it stands.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    dyn_abi::TypedData,
    eips::eip2718::Encodable2718,
    hex,
    primitives::{Address, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

const DYNAMIC: [&str; 10] = ["chainId", "data", "from", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "to", "type", "value"];
const LEGACY: [&str; 9] = ["chainId", "data", "from", "gas", "gasPrice", "nonce", "to", "type", "value"];

/// Refuses numbers, leading zeros, `input`, missing and unknown keys, and addresses without their checksum.
pub(super) fn require_signable(transaction: &Value) -> Result<()> {
    let members = transaction.as_object().context("a transaction is an object")?;
    let mut names: Vec<_> = members.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = match members.get("type").and_then(Value::as_str) {
        Some("0x2") => DYNAMIC.as_slice(),
        Some("0x0") => LEGACY.as_slice(),
        other => bail!("type {other:?}"),
    };
    ensure!(names == expected, "{names:?}");
    for (name, value) in members {
        let text = value.as_str().with_context(|| format!("{name} is not a string"))?;
        match name.as_str() {
            "from" | "to" => {
                Address::parse_checksummed(text, None).with_context(|| format!("{name} is {text}"))?;
            }
            "data" => ensure!(text.starts_with("0x") && text.len() % 2 == 0 && hex::decode(text).is_ok(), "data is {text}"),
            _ => {
                quantity(text).with_context(|| format!("{name} is {text}"))?;
            }
        }
    }
    Ok(())
}

/// Signs one prepared transaction.
pub(super) fn sign(transaction: &Value, key: &PrivateKeySigner) -> Result<Bytes> {
    require_signable(transaction)?;
    let text = |name: &str| transaction[name].as_str().context("checked before");
    let number = |name: &str| -> Result<U256> { quantity(text(name)?) };
    ensure!(text("from")?.parse::<Address>()? == key.address(), "this is for {} to sign", text("from")?);
    let (to, input) = (TxKind::Call(text("to")?.parse()?), text("data")?.parse()?);
    let (chain_id, nonce, gas_limit) = (number("chainId")?.to(), number("nonce")?.to(), number("gas")?.to());
    let value = number("value")?;
    let envelope: TxEnvelope = if text("type")? == "0x2" {
        let transaction = TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: number("maxFeePerGas")?.to(),
            max_priority_fee_per_gas: number("maxPriorityFeePerGas")?.to(),
            to,
            value,
            access_list: Default::default(),
            input,
        };
        let signature = key.sign_hash_sync(&transaction.signature_hash())?;
        transaction.into_signed(signature).into()
    } else {
        let transaction = TxLegacy { chain_id: Some(chain_id), nonce, gas_price: number("gasPrice")?.to(), gas_limit, to, value, input };
        let signature = key.sign_hash_sync(&transaction.signature_hash())?;
        transaction.into_signed(signature).into()
    };
    Ok(envelope.encoded_2718().into())
}

/// Signs all steps of a prepared action.
pub(super) fn sign_steps(prepared: &Value, key: &PrivateKeySigner) -> Result<Vec<Bytes>> {
    prepared["steps"].as_array().context("steps")?.iter().map(|step| sign(&step["transaction"], key)).collect()
}

/// Signs typed data as the contracts will check it.
pub(super) fn sign_typed(typed_data: &Value, key: &PrivateKeySigner) -> Result<Bytes> {
    let typed_data: TypedData = serde_json::from_value(typed_data.clone())?;
    Ok(key.sign_hash_sync(&typed_data.eip712_signing_hash()?)?.as_bytes().into())
}

/// The view for `wallet_sendCalls` has the members of EIP-5792 and no others, and the calls of the steps.
pub(super) fn require_same_calls(prepared: &Value) -> Result<()> {
    let (view, steps) = (&prepared["calls"], prepared["steps"].as_array().context("steps")?);
    let transaction = |name: &str| steps.first().map(|step| step["transaction"][name].clone());
    let calls: Vec<_> = steps
        .iter()
        .map(|step| json!({ "to": step["transaction"]["to"], "data": step["transaction"]["data"], "value": step["transaction"]["value"] }))
        .collect();
    let expected = json!({
        "version": "2.0.0",
        "chainId": transaction("chainId"),
        "from": transaction("from"),
        "atomicRequired": false,
        "calls": calls,
    });
    ensure!(view == &expected, "{view:#} is not {expected:#}");
    Ok(())
}

fn quantity(text: &str) -> Result<U256> {
    let digits = text.strip_prefix("0x").context("no 0x")?;
    ensure!(digits == "0" || !digits.is_empty() && !digits.starts_with('0'), "not minimal");
    ensure!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "not lower-case hex");
    Ok(U256::from_str_radix(digits, 16)?)
}

#[test]
fn the_strict_wallet_refuses_what_strict_wallets_refuse() {
    let good = json!({
        "chainId": "0x7a69", "from": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        "data": "0xabcd", "value": "0x0", "gas": "0x5208", "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "nonce": "0x0",
        "type": "0x2",
    });
    require_signable(&good).unwrap();
    for (name, value) in [
        ("nonce", json!(0)),
        ("nonce", json!("0x00")),
        ("nonce", json!("0")),
        ("gas", json!("0x05208")),
        ("gas", json!("0x")),
        ("gas", json!("0x5A")),
        ("gasLimit", json!("0x5208")),
        ("input", json!("0xabcd")),
        ("to", json!("0x70997970c51812dc3a010c7d01b50e0d17dc79c8")),
        ("data", json!("0xabc")),
        ("type", json!("0x02")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(require_signable(&bad).is_err(), "{bad}");
    }
    let mut bad = good;
    bad.as_object_mut().unwrap().remove("nonce");
    assert!(require_signable(&bad).is_err());
}

/// The most wei that a prepared transaction costs by itself.
pub(super) fn most_it_costs(transaction: &Value) -> Result<u128> {
    let hex =
        |name: &str| Ok::<_, anyhow::Error>(u128::from_str_radix(transaction[name].as_str().context("hex")?.trim_start_matches("0x"), 16)?);
    Ok(hex("gas")? * hex("maxFeePerGas")?)
}

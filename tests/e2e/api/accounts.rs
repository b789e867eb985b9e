//! What is offered to accounts of each kind: signatures only to those that can make them.

use alloy::{
    primitives::{Address, Bytes, hex},
    providers::ext::AnvilApi,
};
use anyhow::Result;
use clawpay_api::RelayOptions;
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::key;
use serde_json::{Value, json};

use super::served::{Served, with};

const RELAYER: u32 = 8;

/// Answers `isValidSignature` with its selector, and reverts for everything else.
const CONSENTING: [u8; 32] = hex!("5f3560e01c631626ba7e146011575f5ffd5b631626ba7e60e01b5f5260205ff3");

/// Answers everything with nothing.
const STOP: [u8; 1] = hex!("00");

/// A proxy to `target`, whose own code names none of its functions (ERC-1167).
fn proxy(target: Address) -> Vec<u8> {
    [&hex!("363d3d373d3d3d363d73")[..], target.as_slice(), &hex!("5af43d82803e903d91602b57fd5bf3")[..]].concat()
}

/// The code of an account that has delegated to `target` (EIP-7702).
fn delegated(target: Address) -> Vec<u8> {
    [&hex!("ef0100")[..], target.as_slice()].concat()
}

#[tokio::test]
async fn signatures_are_offered_only_to_accounts_that_can_make_them() -> Result<()> {
    let served = Served::start_with(|config| config.relay = Some(RelayOptions::new(key(RELAYER)))).await?;
    let node = served.stack.provider();
    let (consenting, silent) = (Address::repeat_byte(0xc1), Address::repeat_byte(0xc2));
    node.anvil_set_code(consenting, Bytes::from(CONSENTING.to_vec())).await?;
    node.anvil_set_code(silent, Bytes::from(STOP.to_vec())).await?;
    let deadline = (served.stack.now().await? + Seconds::days(30)).0;
    let deadline =
        time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;

    let none: Option<Vec<u8>> = None;
    for (number, (what, code, by_key, for_contracts)) in [
        ("a key", none, true, true),
        ("a contract that says nothing of signatures", Some(STOP.to_vec()), false, false),
        ("a contract that does", Some(CONSENTING.to_vec()), false, true),
        ("a proxy of one that does", Some(proxy(consenting)), false, true),
        ("a proxy of one that does not", Some(proxy(silent)), false, false),
        ("a key that has delegated to a contract that says nothing of signatures", Some(delegated(silent)), true, false),
        ("a key that has delegated to a contract that does", Some(delegated(consenting)), true, true),
        ("a key that has delegated to a proxy of one that does", Some(delegated(Address::repeat_byte(0xc3))), true, true),
    ]
    .into_iter()
    .enumerate()
    {
        let account = Address::repeat_byte(u8::try_from(number)? + 0x51);
        node.anvil_set_code(Address::repeat_byte(0xc3), Bytes::from(proxy(consenting))).await?;
        if let Some(code) = code {
            node.anvil_set_code(account, Bytes::from(code)).await?;
        }
        served.stack.mint(account, Usdc::whole(105)).await?;
        served.settle().await?;

        let offer = json!({ "posterAddress": account, "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://x" });
        let paid = served.prepare("/api/runs", &offer).await?;
        assert_eq!(paid["steps"][0]["typedData"].is_object(), for_contracts, "{what}: a permit");
        let authorization = paid["typedData"]["primaryType"] == "ReceiveWithAuthorization";
        assert_eq!(authorization, for_contracts, "{what}: an authorization");
        assert!(for_contracts || paid["typedData"] == Value::Null, "{what}: {paid:#}");

        let body = with(&json!({ "walletAddress": account }), "agentURI", json!("ipfs://a"));
        let free = served.prepare("/api/agents/register", &body).await?;
        assert_eq!(free["typedData"]["primaryType"] == "ForwardRequest", by_key, "{what}: a request");
        assert!(by_key || free["typedData"] == Value::Null, "{what}: {free:#}");
    }
    Ok(())
}

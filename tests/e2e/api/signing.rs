//! Signing instead of sending: permits and gasless requests, as three wallets' libraries sign them.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use alloy::{
    hex,
    primitives::{Address, Bytes, U256},
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_api::RelayOptions;
use clawpay_bindings::{CallWithSignature, ERC2771Forwarder, forwarder::ERC2771Forwarder::ForwardRequestData};
use clawpay_cli::local::Toolbox;
use clawpay_domain::Usdc;
use clawpay_tests::key;
use serde_json::{Value, json};

use super::{
    served::{Served, account, signer, with},
    strict_wallet::{sign_steps, sign_typed},
};

const RELAYER: u32 = 8;

async fn relaying() -> Result<Served> {
    Served::start_with(|config| config.relay = Some(RelayOptions::new(key(RELAYER)))).await
}

/// Signs with alloy, viem and MetaMask's library, which must all sign the same and recover the signer from it.
fn signed_by_all(typed_data: &Value, key: &PrivateKeySigner) -> Result<Bytes> {
    let ours = sign_typed(typed_data, key)?;
    let script = Toolbox::find()?.root().join("tests/wallets/sign.mjs");
    let mut node = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let input = json!({ "key": hex::encode_prefixed(key.to_bytes()), "typedData": typed_data });
    node.stdin.take().context("stdin")?.write_all(input.to_string().as_bytes())?;
    let output = node.wait_with_output()?;
    ensure!(output.status.success(), "the wallets' libraries failed");
    let theirs: Value = serde_json::from_slice(&output.stdout)?;
    for wallet in ["viem", "metamask"] {
        let answer = &theirs[wallet];
        ensure!(answer["signature"] == json!(ours), "{wallet} signs {answer}, alloy {ours}");
        ensure!(answer["account"].as_str().context("account")?.parse::<Address>()? == key.address(), "{wallet} recovers {answer}");
    }
    Ok(ours)
}

fn offer(deadline: &str) -> Value {
    json!({ "posterAddress": account(1), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://wörk", "maxRevisions": 1 })
}

pub(super) async fn in_a_month(served: &Served) -> Result<String> {
    let at = served.stack.now().await?.0 + 30 * 86_400;
    Ok(time::OffsetDateTime::from_unix_timestamp(at.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?)
}

#[tokio::test]
async fn a_permit_takes_the_place_of_the_allowance() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    let id = served.act(1, "/api/agents/register", &with(&signer(1), "agentURI", json!("ipfs://a"))).await?["agent"]["id"].clone();
    let deadline = in_a_month(&served).await?;
    let draft = served.act(1, "/api/runs", &with(&offer(&deadline), "draft", json!(true))).await?["run"]["bountyId"].clone();
    let stake = with(&signer(1), "amount", json!("20000000"));
    for (path, body, state) in [
        ("/api/runs".to_owned(), offer(&deadline), "OPEN"),
        (format!("/api/runs/{draft}/fund"), signer(1), "OPEN"),
        (format!("/api/agents/{id}/stake"), stake, ""),
    ] {
        let prepared = served.prepare(&path, &body).await?;
        let steps = prepared["steps"].as_array().unwrap();
        assert_eq!((steps.len(), &steps[0]["id"], steps[1].get("typedData")), (2, &json!("allowance"), None));
        let typed_data = &steps[0]["typedData"];
        assert_eq!(typed_data["primaryType"], "Permit");
        let permit = json!({ "deadline": typed_data["message"]["deadline"], "signature": signed_by_all(typed_data, &key(1))? });

        let paid = with(&body, "permit", permit);
        let prepared = served.prepare(&path, &paid).await?;
        assert_eq!(prepared["steps"].as_array().unwrap().len(), 1, "{prepared:#}");
        let signed = json!(sign_steps(&prepared, &key(1))?);
        let done = served.post(&path, &with(&paid, "signedTransactions", signed)).await?;
        assert_eq!((done.status.as_u16(), &done.body["success"]), (200, &json!(true)), "{:#}", done.body);
        assert!(state.is_empty() || done.body["run"]["state"] == state, "{:#}", done.body);

        // A client that has lost its answer asks again, and is told where to look instead of paying twice.
        let used = served.post(&path, &paid).await?;
        if path == "/api/runs" || path.ends_with("/stake") {
            used.require_field(422, "permit_refused", "permit")?;
            let subject = if path == "/api/runs" { format!("run {};", done.body["run"]["bountyId"]) } else { format!("agent {id};") };
            let detail = used.body["detail"].as_str().context("detail")?;
            assert!(detail.contains("used already") && detail.contains(&subject), "{detail}");
        } else {
            used.require(409, "wrong_state")?;
        }
    }
    assert_eq!(served.stack.actor(1).await?.balance().await?, Usdc::whole(1_000 - 20 - 21));
    Ok(())
}

/// The forms in which devices sign the same: with 0 or 1 in the last place, and in 64 bytes.
fn forms(signature: &Bytes) -> [Bytes; 3] {
    let parity = signature[64] - 27;
    let mut bare = signature.to_vec();
    bare[64] = parity;
    let mut compact = signature[..64].to_vec();
    compact[32] |= parity << 7;
    [signature.clone(), bare.into(), compact.into()]
}

#[tokio::test]
async fn what_a_device_signs_in_its_own_form_is_taken() -> Result<()> {
    let served = Served::start_with(|config| {
        // One registration in each form.
        config.relay = Some(RelayOptions { signer_registrations_per_day: 3, ..RelayOptions::new(key(RELAYER)) });
    })
    .await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    let deadline = in_a_month(&served).await?;
    let mut runs = 0;
    for form in 0..3 {
        let prepared = served.prepare("/api/runs", &offer(&deadline)).await?;
        let typed_data = &prepared["steps"][0]["typedData"];
        let signature = forms(&sign_typed(typed_data, &key(1))?)[form].clone();
        let permit = json!({ "deadline": typed_data["message"]["deadline"], "signature": signature });
        served.act(1, "/api/runs", &with(&offer(&deadline), "permit", permit)).await?;
        runs += 1;
        // An authorization of what it costs, and a request to the forwarder.
        let draft = json!({ "walletAddress": account(1), "agentURI": "ipfs://a" });
        for (path, body) in [("/api/runs", offer(&deadline)), ("/api/agents/register", draft)] {
            let prepared = served.prepare(path, &body).await?;
            let signature = forms(&sign_typed(&prepared["typedData"], &key(1))?)[form].clone();
            let taken = served.post("/api/relay", &with(&prepared["relay"], "signature", json!(signature))).await?;
            assert_eq!(taken.status.as_u16(), 202, "{path} {form}: {:#}", taken.body);
            let done = served.post(path, &with(&body, "transactionHash", taken.body["transactionHash"].clone())).await?;
            assert_eq!(done.status.as_u16(), 200, "{path} {form}: {:#}", done.body);
            runs += usize::from(path == "/api/runs");
        }
        let consent = json!({ "walletAddress": account(1), "newWallet": account(2) });
        let wanted = served.post("/api/agents/1/wallet", &consent).await?.body;
        let signature = forms(&sign_typed(&wanted["consent"], &key(2))?)[form].clone();
        let given = json!({ "deadline": wanted["consent"]["message"]["deadline"], "signature": signature });
        served.prepare("/api/agents/1/wallet", &with(&consent, "consent", given)).await?;
    }
    assert_eq!(served.read("/api/stats").await?["runs"], runs);
    Ok(())
}

#[tokio::test]
async fn a_permit_that_does_not_pay_is_refused() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    let body = offer(&in_a_month(&served).await?);
    let typed_data = served.prepare("/api/runs", &body).await?["steps"][0]["typedData"].clone();
    let permit = |deadline: &Value, signature: &str| json!({ "deadline": deadline, "signature": signature });
    let deadline = &typed_data["message"]["deadline"];
    let others = sign_typed(&typed_data, &key(2))?.to_string();
    let refused = served.post("/api/runs", &with(&body, "permit", permit(deadline, &others))).await?;
    refused.require_field(422, "permit_refused", "permit")?;
    let late = with(&body, "permit", permit(&json!("1"), &others));
    served.post("/api/runs", &late).await?.require_field(422, "permit_refused", "permit")?;

    let draft = served.act(1, "/api/runs", &with(&body, "draft", json!(true))).await?["run"]["bountyId"].clone();
    let cancel = with(&signer(1), "permit", permit(deadline, &others));
    served.post(&format!("/api/runs/{draft}/cancel"), &cancel).await?.require_field(400, "unknown_field", "permit")?;
    let drafted = with(&with(&body, "draft", json!(true)), "permit", permit(deadline, &others));
    served.post("/api/runs", &drafted).await?.require_field(400, "unknown_field", "permit")?;
    for (member, value, field) in [
        ("deadline", json!(1), "permit.deadline"),
        ("deadline", json!("-1"), "permit.deadline"),
        ("signature", json!("zz"), "permit.signature"),
    ] {
        let bad = with(&permit(deadline, &others), member, value);
        served.post("/api/runs", &with(&body, "permit", bad)).await?.require_field(400, "invalid_value", field)?;
    }
    let more = with(&permit(deadline, &others), "nonce", json!("1"));
    served.post("/api/runs", &with(&body, "permit", more)).await?.require_field(400, "unknown_field", "nonce")?;
    Ok(())
}

#[tokio::test]
async fn where_nothing_is_relayed_there_is_nothing_to_sign_for_it() -> Result<()> {
    let served = Served::start().await?;
    let body = with(&signer(1), "agentURI", json!("ipfs://a"));
    let prepared = served.prepare("/api/agents/register", &body).await?;
    assert_eq!((&prepared["typedData"], prepared.get("relay")), (&Value::Null, None));
    Ok(())
}

#[tokio::test]
async fn one_signature_is_offered_for_every_verb_but_a_bare_draft() -> Result<()> {
    let served = relaying().await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    served.settle().await?;
    let contracts = served.stack.deployment.contracts;
    let offer = offer(&in_a_month(&served).await?);

    let drafted = served.prepare("/api/runs", &with(&offer, "draft", json!(true))).await?;
    assert_eq!(drafted["typedData"], Value::Null, "a draft costs nobody anything but the relayer");

    let prepared = served.prepare("/api/runs", &offer).await?;
    assert_eq!(prepared["typedData"]["primaryType"], "ReceiveWithAuthorization");
    assert_eq!(prepared["typedData"]["message"]["value"], "10500000");
    let signature = signed_by_all(&prepared["typedData"], &key(1))?;
    let (to, data): (Address, Bytes) = serde_json::from_value(json!([prepared["relay"]["call"]["to"], prepared["relay"]["call"]["data"]]))?;
    let mut call = CallWithSignature::decode(to, &data, &contracts)?;
    call.authorization_mut().context("an authorization")?.signature = signature;
    let relayer = served.stack.actor(RELAYER).await?;
    let receipt = relayer.wallet().send(to, call.calldata()).await?;
    let by_hash = with(&offer, "transactionHash", json!(receipt.transaction_hash));
    let posted = served.post("/api/runs", &by_hash).await?;
    assert_eq!((posted.status.as_u16(), &posted.body["run"]["state"]), (200, &json!("OPEN")), "{:#}", posted.body);
    let others = with(&by_hash, "posterAddress", json!(account(3)));
    served.post("/api/runs", &others).await?.require_field(400, "not_this_action", "transactionHash")?;

    let path = format!("/api/runs/{}/claim", posted.body["run"]["bountyId"]);
    let claim = with(&signer(2), "agentId", json!(agent.0));
    let prepared = served.prepare(&path, &claim).await?;
    assert_eq!(prepared["typedData"]["primaryType"], "ForwardRequest");
    let signature = signed_by_all(&prepared["typedData"], &key(2))?;
    let request = &prepared["relay"]["request"];
    let text = |name: &str| request[name].as_str().context("a text");
    let request = ForwardRequestData {
        from: text("from")?.parse()?,
        to: text("to")?.parse()?,
        value: U256::from_str_radix(text("value")?, 10)?,
        gas: U256::from_str_radix(text("gas")?, 10)?,
        deadline: text("deadline")?.parse()?,
        data: text("data")?.parse()?,
        signature,
    };
    let execute = ERC2771Forwarder::executeCall { request }.abi_encode();
    let receipt = relayer.wallet().send(contracts.forwarder, execute.into()).await?;
    let claimed = served.post(&path, &with(&claim, "transactionHash", json!(receipt.transaction_hash))).await?;
    assert_eq!((claimed.status.as_u16(), &claimed.body["run"]["claimedBy"]), (200, &json!(agent.0)), "{:#}", claimed.body);
    Ok(())
}

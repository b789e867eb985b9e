//! Asking twice: what is signed under one key can be mined once, and what was done before is said.

use alloy::{
    primitives::{Address, B256},
    providers::{Provider, ext::AnvilApi},
};
use anyhow::{Context, Result};
use clawpay_api::RelayOptions;
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::key;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    served::{Answer, Served, account, signer, with},
    strict_wallet::{sign_steps, sign_typed},
};

const RELAYER: u32 = 8;

async fn offer(served: &Served) -> Result<Value> {
    let deadline = (served.stack.now().await? + Seconds::days(30)).0;
    let deadline =
        time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;
    Ok(json!({ "posterAddress": account(1), "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://QmContent" }))
}

async fn post(served: &Served, path: &str, body: &Value, key: &str) -> Result<Answer> {
    served.send(served.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn prepare(served: &Served, path: &str, body: &Value, key: &str) -> Result<Value> {
    let answer = post(served, path, body, key).await?;
    anyhow::ensure!(answer.status.as_u16() == 202 && answer.body["status"] == "signature_required", "{:#}", answer.body);
    Ok(answer.body)
}

fn nonces(prepared: &Value) -> Vec<Value> {
    prepared["steps"].as_array().map(|steps| steps.iter().map(|step| step["transaction"]["nonce"].clone()).collect()).unwrap_or_default()
}

#[tokio::test]
async fn what_is_signed_twice_under_one_key_is_mined_once() -> Result<()> {
    let served = Served::start().await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    served.settle().await?;
    let offer = offer(&served).await?;
    let first = prepare(&served, "/api/runs", &offer, "order 7").await?;
    let second = prepare(&served, "/api/runs", &offer, "order 7").await?;
    assert_eq!((nonces(&first).len(), nonces(&first)), (2, nonces(&second)));
    // The same again, meant to be a second run.
    prepare(&served, "/api/runs", &offer, "order 8").await?;
    let other = with(&offer, "reward", json!("200000000"));
    post(&served, "/api/runs", &other, "order 7").await?.require(422, "idempotency_key_reused")?;
    // Another wallet's keys are its own.
    let others = json!({ "walletAddress": account(2), "agentURI": "ipfs://a" });
    prepare(&served, "/api/agents/register", &others, "order 7").await?;

    // The allowance is mined, and the client forgets the rest: what is left keeps its nonce.
    let node = served.stack.provider();
    let (one, two) = (sign_steps(&first, &key(1))?, sign_steps(&second, &key(1))?);
    node.send_raw_transaction(&one[0]).await?.get_receipt().await?;
    served.settle().await?;
    let left = prepare(&served, "/api/runs", &offer, "order 7").await?;
    assert_eq!(nonces(&left), nonces(&first)[1..]);

    // Sent by the wallet itself, and never heard of by the server.
    let receipt = node.send_raw_transaction(&one[1]).await?.get_receipt().await?;
    let done = post(&served, "/api/runs", &offer, "order 7").await?;
    assert_eq!((done.status.as_u16(), &done.body["success"]), (200, &json!(true)), "{:#}", done.body);
    assert_eq!(done.body["transactionHash"], json!(receipt.transaction_hash));
    assert_eq!(done.body["run"]["bountyId"], 1);
    post(&served, "/api/runs", &offer, "order 8").await?.require(409, "idempotency_key_spent")?;
    assert!(node.send_raw_transaction(&two[1]).await.is_err(), "its nonce is used");
    served.settle().await?;
    assert_eq!(served.read("/api/stats").await?["runs"], 1);

    // Without the key it is another run, and the answer says so.
    let repeated = served.prepare("/api/runs", &offer).await?;
    assert_eq!(repeated["warningCodes"], json!(["REPEATED"]), "{repeated:#}");
    assert!(repeated["warnings"][0].as_str().context("a warning")?.contains("run 1;"), "{repeated:#}");
    served.stack.warp(Seconds(3_601)).await?;
    served.settle().await?;
    assert_eq!(served.prepare("/api/runs", &offer).await?["warningCodes"], json!([]));
    Ok(())
}

#[tokio::test]
async fn a_key_whose_nonce_another_transaction_has_is_spent() -> Result<()> {
    let served = Served::start().await?;
    let body = with(&signer(2), "agentURI", json!("ipfs://a"));
    let path = "/api/agents/register";
    prepare(&served, path, &body, "k").await?;
    let wallet = served.stack.actor(2).await?;
    wallet.wallet().send(account(2), Default::default()).await?;
    served.settle().await?;
    let spent = post(&served, path, &body, "k").await?;
    spent.require(409, "idempotency_key_spent")?;
    assert_eq!(spent.body["nonce"], 0);
    assert_eq!(served.read("/api/agents").await?["pagination"]["total"], 0);
    let prepared = prepare(&served, path, &body, "l").await?;
    let signed = with(&body, "signedTransactions", json!(sign_steps(&prepared, &key(2))?));
    assert_eq!(post(&served, path, &signed, "l").await?.status.as_u16(), 200);
    let done = post(&served, path, &body, "l").await?;
    assert_eq!((done.status.as_u16(), &done.body["agent"]["id"]), (200, &json!(1)), "{:#}", done.body);

    for bad in ["", &"x".repeat(129), "a\tb"] {
        post(&served, path, &body, bad).await?.require_field(400, "invalid_value", "idempotency-key")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_key_whose_transaction_waits_in_the_pool_is_not_prepared_again() -> Result<()> {
    let served = Served::start().await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    let run = served.stack.funded_actor(1, Usdc::whole(100)).await?.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/claim");
    let body = with(&signer(2), "agentId", json!(agent.0));
    let prepared = prepare(&served, &path, &body, "k").await?;
    let node = served.stack.provider();
    node.anvil_set_auto_mine(false).await?;
    let _sent = node.send_raw_transaction(&sign_steps(&prepared, &key(2))?[0]).await?;
    post(&served, &path, &body, "k").await?.require(409, "idempotency_key_pending")?;
    served.stack.mine(1).await?;
    served.settle().await?;
    let done = post(&served, &path, &body, "k").await?;
    assert_eq!((done.status.as_u16(), &done.body["run"]["claimedBy"]), (200, &json!(agent.0)), "{:#}", done.body);
    Ok(())
}

#[tokio::test]
async fn one_authorization_is_offered_under_one_key_and_relayed_once() -> Result<()> {
    let served = Served::start_with(|config| config.relay = Some(RelayOptions::new(key(RELAYER)))).await?;
    served.stack.mint(account(1), Usdc::whole(1_000)).await?;
    served.settle().await?;
    let offer = offer(&served).await?;
    let first = prepare(&served, "/api/runs", &offer, "k").await?;
    let second = prepare(&served, "/api/runs", &offer, "k").await?;
    let nonce = |prepared: &Value| prepared["typedData"]["message"]["nonce"].clone();
    assert!(nonce(&first).is_string());
    assert_eq!(nonce(&first), nonce(&second));
    assert_ne!(nonce(&first), nonce(&prepare(&served, "/api/runs", &offer, "l").await?));
    let relayed = with(&first["relay"], "signature", json!(sign_typed(&first["typedData"], &key(1))?));
    let taken = served.post("/api/relay", &relayed).await?;
    let hash: B256 = taken.body["transactionHash"].as_str().context("transactionHash")?.parse()?;
    served.post("/api/runs", &with(&offer, "transactionHash", json!(hash))).await?;
    let done = post(&served, "/api/runs", &offer, "k").await?;
    assert_eq!((done.status.as_u16(), &done.body["transactionHash"]), (200, &json!(hash)), "{:#}", done.body);
    Ok(())
}

#[tokio::test]
async fn a_signer_that_counts_for_itself_prepares_several_actions_in_a_row() -> Result<()> {
    let served = Served::start().await?;
    let path = "/api/agents/register";
    let body = |uri: &str, nonce: u64| with(&with(&signer(2), "agentURI", json!(uri)), "nonce", json!(nonce));
    let node = served.stack.provider();
    let mut signed = Vec::new();
    for (nonce, uri) in ["ipfs://a", "ipfs://b", "ipfs://c"].into_iter().enumerate() {
        let prepared = served.prepare(path, &body(uri, nonce.try_into()?)).await?;
        assert_eq!(nonces(&prepared), [json!(format!("{nonce:#x}"))]);
        signed.extend(sign_steps(&prepared, &key(2))?);
    }
    for raw in &signed {
        node.send_raw_transaction(raw).await?.get_receipt().await?;
    }
    served.settle().await?;
    assert_eq!(served.read("/api/agents").await?["pagination"]["total"], 3);
    served.post(path, &body("ipfs://d", 2)).await?.require_field(400, "invalid_value", "nonce")?;
    for bad in [json!("3"), json!(-1), json!(1.5), json!(1_u64 << 53)] {
        let bad = with(&body("ipfs://d", 3), "nonce", bad);
        served.post(path, &bad).await?.require_field(400, "invalid_value", "nonce")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_wallet_is_warned_of_what_waits_and_of_gas_that_it_cannot_pay() -> Result<()> {
    let served = Served::start().await?;
    let path = "/api/agents/register";
    let poor = json!({ "walletAddress": Address::repeat_byte(0x51), "agentURI": "ipfs://a" });
    let prepared = served.prepare(path, &poor).await?;
    assert_eq!(prepared["warningCodes"], json!(["SHORT_OF_ETHER"]), "{prepared:#}");
    assert!(prepared["warnings"][0].as_str().context("a warning")?.contains("has 0 wei"), "{prepared:#}");

    let body = with(&signer(2), "agentURI", json!("ipfs://a"));
    let steps = sign_steps(&served.prepare(path, &body).await?, &key(2))?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let _waits = served.stack.provider().send_raw_transaction(&steps[0]).await?;
    assert_eq!(served.prepare(path, &body).await?["warningCodes"], json!(["WAITING"]));
    served.stack.mine(1).await?;
    served.settle().await?;
    assert_eq!(served.prepare(path, &body).await?["warningCodes"], json!(["REPEATED"]));
    Ok(())
}

//! Passing transactions on, and telling what became of them.

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{B256, Bytes, U256, keccak256},
    providers::{Provider, ext::AnvilApi},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{Call, TestUSDC};
use clawpay_domain::Usdc;
use clawpay_tests::{Indexer, key};
use serde_json::{Value, json};

use super::{
    served::{Answer, Served, account, signer, with},
    strict_wallet::sign,
};

/// A prepared registration of account `index`, to be signed as it is or changed.
async fn registration(served: &Served, index: u32) -> Result<Value> {
    let body = with(&signer(index), "agentURI", json!("ipfs://agent"));
    Ok(served.prepare("/api/agents/register", &body).await?["steps"][0]["transaction"].clone())
}

async fn hand_in(served: &Served, raw: &Bytes) -> Result<Answer> {
    served.post("/api/transactions", &json!({ "signedTransaction": raw })).await
}

async fn standing(served: &Served, hash: B256) -> Result<Value> {
    served.read(&format!("/api/transactions/{hash}")).await
}

async fn require_status(served: &Served, hash: B256, status: &str) -> Result<Value> {
    let standing = standing(served, hash).await?;
    ensure!(standing["status"] == status && standing["transactionHash"] == json!(hash), "wanted {status}, got {standing:#}");
    ensure!(standing["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{standing:#}");
    Ok(standing)
}

#[tokio::test]
async fn a_transaction_of_the_market_is_passed_on_once() -> Result<()> {
    let served = Served::start().await?;
    let raw = sign(&registration(&served, 1).await?, &key(1))?;
    let answer = hand_in(&served, &raw).await?;
    assert_eq!(answer.status.as_u16(), 202, "{:#}", answer.body);
    let hash = keccak256(&raw);
    served.settle().await?;
    let head = served.stack.head().await?;

    let indexed = require_status(&served, hash, "indexed").await?;
    assert_eq!((&indexed["from"], &indexed["nonce"]), (&json!(account(1).to_checksum(None)), &json!(0)));
    assert_eq!((&indexed["blockNumber"], &indexed["reason"], &indexed["replacedBy"]), (&json!(head), &Value::Null, &Value::Null));
    let again = hand_in(&served, &raw).await?;
    assert_eq!((again.status.as_u16(), &again.body["status"]), (202, &json!("indexed")));
    assert_eq!(served.stack.head().await?, head, "it is not sent twice");

    // anvil calls a block final that lies 64 deep.
    served.stack.mine(70).await?;
    served.settle().await?;
    require_status(&served, hash, "finalized").await?;
    require_status(&served, B256::repeat_byte(7), "unknown").await?;
    for bad in ["0x12", "7", "0xzz"] {
        served.get(&format!("/api/transactions/{bad}")).await?.require_field(400, "invalid_value", "hash")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_none_of_the_markets_is_not_passed_on() -> Result<()> {
    let served = Served::start().await?;
    let contracts = served.stack.deployment.contracts;
    let good = registration(&served, 1).await?;
    let head = served.stack.head().await?;
    let to_token = |call: Vec<u8>| {
        let transaction = with(&good, "to", json!(contracts.usdc.to_checksum(None)));
        with(&transaction, "data", json!(Bytes::from(call).to_string()))
    };
    let value = U256::from(1);
    for (what, transaction) in [
        ("another chain", with(&good, "chainId", json!("0x1"))),
        ("a stranger", with(&good, "to", json!(account(9).to_checksum(None)))),
        ("ether", with(&good, "value", json!("0x1"))),
        ("a view", with(&good, "data", json!("0x18160ddd"))),
        ("nothing", with(&good, "data", json!("0x"))),
        ("a transfer", to_token(TestUSDC::transferCall { to: account(9), value }.abi_encode())),
        ("an allowance for a stranger", to_token(TestUSDC::approveCall { spender: account(9), value }.abi_encode())),
    ] {
        let refused = hand_in(&served, &sign(&transaction, &key(1))?).await?;
        refused.require_field(403, "foreign_transaction", "signedTransaction").map_err(|error| error.context(what))?;
    }
    for (what, body, code) in [
        ("garbage", json!({ "signedTransaction": "0x02c0" }), "invalid_transaction"),
        ("nothing", json!({ "signedTransaction": "0x" }), "invalid_transaction"),
        ("no hex", json!({ "signedTransaction": "zz" }), "invalid_value"),
        ("no body", json!({}), "missing_field"),
    ] {
        let refused = served.post("/api/transactions", &body).await?;
        refused.require_field(400, code, "signedTransaction").map_err(|error| error.context(what))?;
    }
    for nonce in ["0x8000000000000000", "0xffffffffffffffff"] {
        let refused = hand_in(&served, &sign(&with(&good, "nonce", json!(nonce)), &key(1))?).await?;
        refused.require_field(400, "invalid_transaction", "signedTransaction")?;
        ensure!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("no account reaches")), "{:#}", refused.body);
    }
    let of_nobody = format!("/api/transactions/{}?wallet={}&nonce={}", B256::ZERO, account(1), 1_u64 << 63);
    served.get(&of_nobody).await?.require_field(400, "invalid_value", "nonce")?;
    let more = json!({ "signedTransaction": sign(&good, &key(1))?, "force": true });
    served.post("/api/transactions", &more).await?.require_field(400, "unknown_field", "force")?;
    let plain = served.request(reqwest::Method::POST, "/api/transactions").body("{}");
    served.send(plain).await?.require(415, "unsupported_media_type")?;
    assert_eq!(served.stack.head().await?, head, "nothing was sent");

    let allowance = Call::ApproveUsdc { spender: contracts.agent_stake, amount: Usdc::whole(20) }.calldata();
    let passed = hand_in(&served, &sign(&to_token(allowance.into()), &key(1))?).await?;
    assert_eq!(passed.status.as_u16(), 202, "{:#}", passed.body);

    // The nonce is taken by now, and the node says so.
    let refused = hand_in(&served, &sign(&good, &key(1))?).await?;
    refused.require(422, "transaction_refused")?;
    assert!(refused.body["detail"].as_str().context("detail")?.contains("under a new Idempotency-Key"), "{}", refused.body);
    Ok(())
}

#[tokio::test]
async fn a_gas_limit_that_no_transaction_does_with_is_named() -> Result<()> {
    let served = Served::start().await?;
    let good = registration(&served, 1).await?;
    // Libraries that look for `gasLimit` sign 0.
    for (gas, limit) in [("0x0", "its gas limit is 0,"), ("0x5207", "its gas limit is 20999,")] {
        let refused = hand_in(&served, &sign(&with(&good, "gas", json!(gas)), &key(1))?).await?;
        refused.require(422, "transaction_refused")?;
        let detail = refused.body["detail"].as_str().context("detail")?;
        assert!(detail.contains(limit) && detail.contains("gasLimit"), "{detail}");
    }
    served.stack.provider().anvil_set_balance(account(2), U256::from(1)).await?;
    let poor = hand_in(&served, &sign(&with(&good, "from", json!(account(2).to_checksum(None))), &key(2))?).await?;
    poor.require(422, "transaction_refused")?;
    let detail = poor.body["detail"].as_str().context("detail")?;
    assert!(detail.contains("has 1 wei") && detail.contains("GET /api/config") && !detail.contains("typedData"), "{detail}");
    Ok(())
}

#[tokio::test]
async fn what_waits_is_pending_and_what_is_mined_waits_for_the_index() -> Result<()> {
    let mut served = Served::start().await?;
    let raw = sign(&registration(&served, 1).await?, &key(1))?;
    let hash = keccak256(&raw);
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let answer = hand_in(&served, &raw).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (202, &json!("pending")), "{:#}", answer.body);
    served.indexer.take().context("an indexer")?.stop().await??;
    served.stack.mine(1).await?;
    let included = require_status(&served, hash, "included").await?;
    assert_eq!(included["blockNumber"], served.stack.head().await?);
    served.indexer = Some(Indexer::start(served.stack.index_config(), &served.stack.database_url()?)?);
    served.settle().await?;
    require_status(&served, hash, "indexed").await?;
    Ok(())
}

#[tokio::test]
async fn what_vanishes_is_dropped_until_its_place_is_taken_for_good() -> Result<()> {
    let served = Served::start().await?;
    let provider = served.stack.provider();
    let transaction = registration(&served, 1).await?;
    provider.anvil_set_auto_mine(false).await?;
    // One is handed in here, one is sent by its wallet and asked for.
    let (first, seen) = (sign(&transaction, &key(1))?, sign(&registration(&served, 2).await?, &key(2))?);
    assert_eq!(hand_in(&served, &first).await?.body["status"], "pending");
    let _sent = provider.send_raw_transaction(&seen).await?;
    for raw in [&first, &seen] {
        require_status(&served, keccak256(raw), "pending").await?;
        provider.anvil_drop_transaction(keccak256(raw)).await?;
        require_status(&served, keccak256(raw), "dropped").await?;
    }

    let other =
        sign(&with(&transaction, "data", json!(Call::Register { agent_uri: "ipfs://other".into() }.calldata().to_string())), &key(1))?;
    assert_eq!(hand_in(&served, &other).await?.status.as_u16(), 202);
    // Another waits in its place, which may be the same action, sped up.
    require_status(&served, keccak256(&first), "pending").await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    let doubtful = require_status(&served, keccak256(&first), "replaced").await?;
    assert_eq!(doubtful["replacedBy"], json!(keccak256(&other)), "{doubtful:#}");
    ensure!(doubtful["detail"].as_str().is_some_and(|detail| detail.contains("if that block were replaced")), "{doubtful:#}");
    served.stack.mine(70).await?;
    served.settle().await?;
    let replaced = require_status(&served, keccak256(&first), "replaced").await?;
    assert_eq!(replaced["replacedBy"], json!(keccak256(&other)));
    ensure!(replaced["detail"].as_str().is_some_and(|detail| detail.contains("for good")), "{replaced:#}");
    require_status(&served, keccak256(&seen), "dropped").await?;
    require_status(&served, keccak256(&other), "finalized").await?;
    Ok(())
}

#[tokio::test]
async fn a_reverted_transaction_says_why() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/cancel");
    let late = sign(&served.prepare(&path, &signer(1)).await?["steps"][0]["transaction"], &key(1))?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    assert_eq!(hand_in(&served, &late).await?.body["status"], "pending");
    // An account whose transaction comes first in the block.
    let block = served.stack.provider().get_block_by_number(BlockNumberOrTag::Latest).await?.context("a block")?;
    ensure!(block.header.number > 0);
    served.stack.provider().anvil_drop_transaction(keccak256(&late)).await?;
    served.stack.provider().anvil_set_auto_mine(true).await?;
    let nonce_after = sign(&with(&served.prepare(&path, &signer(1)).await?["steps"][0]["transaction"], "nonce", json!("0x3")), &key(1))?;
    let _first = served.stack.provider().send_raw_transaction(&late).await?;
    let answer = hand_in(&served, &nonce_after).await?;
    assert_eq!(answer.status.as_u16(), 202, "{:#}", answer.body);
    served.settle().await?;
    let reverted = require_status(&served, keccak256(&nonce_after), "reverted").await?;
    assert_eq!(reverted["reason"]["code"], "wrong_state", "{reverted:#}");
    assert!(reverted["reason"]["detail"].as_str().is_some_and(|detail| detail.contains("is CANCELLED")), "{reverted:#}");
    Ok(())
}

//! Keys and hashes in the hands of others: what a wallet did is told to that wallet, once for each key, whatever strangers hand in.

use alloy::{
    primitives::{B256, Bytes, keccak256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::anvil::{ReorgOptions, TransactionData},
};
use anyhow::{Context, Result, ensure};
use clawpay_api::RelayOptions;
use clawpay_bindings::AgentRegistry;
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::key;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    served::{Answer, Served, account, signer, with},
    strict_wallet::{sign, sign_steps, sign_typed},
};

const POSTER: u32 = 1;
const WORKER: u32 = 2;
const STRANGER: u32 = 4;
const RELAYER: u32 = 8;

async fn funded(relays: bool) -> Result<(Served, Value)> {
    let served = Served::start_with(|config| config.relay = relays.then(|| RelayOptions::new(key(RELAYER)))).await?;
    served.stack.mint(account(POSTER), Usdc::whole(1_000)).await?;
    served.settle().await?;
    let deadline = (served.stack.now().await? + Seconds::days(30)).0;
    let deadline =
        time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;
    let offer = json!({ "posterAddress": account(POSTER), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://QmContent" });
    Ok((served, offer))
}

async fn post(served: &Served, path: &str, body: &Value, key: &str) -> Result<Answer> {
    served.send(served.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

/// The steps that a key stands for, signed.
async fn signed(served: &Served, path: &str, body: &Value, name: &str, wallet: u32) -> Result<Value> {
    let prepared = post(served, path, body, name).await?.body;
    ensure!(prepared["status"] == "signature_required", "{prepared:#}");
    Ok(json!(sign_steps(&prepared, &key(wallet))?))
}

/// The same steps with later nonces, signed.
fn signed_later(prepared: &Value, by: u64, wallet: u32) -> Result<Value> {
    let mut raw = Vec::new();
    for step in prepared["steps"].as_array().context("steps")? {
        let nonce = step["transaction"]["nonce"].as_str().context("nonce")?.trim_start_matches("0x").to_owned();
        let later = format!("{:#x}", u64::from_str_radix(&nonce, 16)? + by);
        raw.push(sign(&with(&step["transaction"], "nonce", json!(later)), &key(wallet))?);
    }
    Ok(json!(raw))
}

fn require_done(answer: &Answer) -> Result<()> {
    ensure!(answer.status.as_u16() == 200 && answer.body["success"] == true, "{} {:#}", answer.status, answer.body);
    Ok(())
}

#[tokio::test]
async fn steps_signed_with_other_nonces_are_not_done_once_more_under_the_key() -> Result<()> {
    let (served, offer) = funded(false).await?;
    let prepared = post(&served, "/api/runs", &offer, "k").await?.body;
    let own = with(&offer, "signedTransactions", json!(sign_steps(&prepared, &key(POSTER))?));
    let later = with(&offer, "signedTransactions", signed_later(&prepared, 2, POSTER)?);
    let refused = post(&served, "/api/runs", &later, "k").await?;
    refused.require_field(400, "not_this_action", "signedTransactions")?;
    let done = post(&served, "/api/runs", &own, "k").await?;
    require_done(&done)?;
    post(&served, "/api/runs", &later, "k").await?.require(400, "not_this_action")?;
    // A key that comes with the signed steps first stands for these from then on.
    let other = with(&offer, "reward", json!("11000000"));
    let prepared = served.prepare("/api/runs", &other).await?;
    let first = with(&other, "signedTransactions", json!(sign_steps(&prepared, &key(POSTER))?));
    require_done(&post(&served, "/api/runs", &first, "m").await?)?;
    let second = with(&other, "signedTransactions", signed_later(&prepared, 2, POSTER)?);
    post(&served, "/api/runs", &second, "m").await?.require(400, "not_this_action")?;
    served.settle().await?;
    assert_eq!(served.read("/api/stats").await?["runs"], 2);
    // What is under the key is what it was.
    let again = post(&served, "/api/runs", &offer, "k").await?;
    require_done(&again)?;
    assert_eq!(again.body["transactionHash"], done.body["transactionHash"]);
    Ok(())
}

#[tokio::test]
async fn a_stranger_that_hands_in_a_wallets_hash_takes_nothing_from_it() -> Result<()> {
    let (served, offer) = funded(false).await?;
    let raw = signed(&served, "/api/runs", &offer, "mine", POSTER).await?;
    let mined = with(&offer, "signedTransactions", raw.clone());
    let hash = served.post("/api/runs", &mined).await?.body["transactionHash"].clone();
    let stolen = with(&offer, "transactionHash", hash.clone());
    require_done(&post(&served, "/api/runs", &stolen, "a stranger's").await?)?;
    for body in [&mined, &stolen, &offer] {
        let answer = post(&served, "/api/runs", body, "mine").await?;
        require_done(&answer)?;
        assert_eq!(answer.body["transactionHash"], hash);
    }
    Ok(())
}

#[tokio::test]
async fn a_wallet_that_chooses_its_own_nonce_is_told_what_it_did() -> Result<()> {
    let (served, offer) = funded(false).await?;
    let body = with(&signer(WORKER), "agentURI", json!("ipfs://a"));
    let path = "/api/agents/register";
    let prepared = post(&served, path, &body, "k").await?.body;
    let wallet = served.stack.actor(WORKER).await?;
    wallet.wallet().send(account(WORKER), Default::default()).await?;
    // The wallet passes the nonce by that it was given.
    let raw = signed_later(&prepared, 1, WORKER)?;
    let sent = served.post("/api/transactions", &json!({ "signedTransaction": raw[0] })).await?;
    served.settle().await?;
    for body in [&body, &with(&body, "transactionHash", sent.body["transactionHash"].clone()), &body] {
        let done = post(&served, path, body, "k").await?;
        require_done(&done)?;
        assert_eq!((&done.body["agent"]["id"], &done.body["transactionHash"]), (&json!(1), &sent.body["transactionHash"]));
    }
    // Of another key's nonce it is not taken for this one's.
    post(&served, "/api/runs", &offer, "other").await?;
    Ok(())
}

#[tokio::test]
async fn what_was_mined_before_a_key_came_is_not_the_keys() -> Result<()> {
    let (served, _) = funded(false).await?;
    let (_, agent) = served.stack.staked_agent(WORKER).await?;
    served.stack.mint(account(WORKER), Usdc::whole(10)).await?;
    served.settle().await?;
    let path = format!("/api/agents/{agent}/stake");
    let body = with(&signer(WORKER), "amount", json!("1000000"));
    let done = served.act(WORKER, &path, &body).await?;
    ensure!(post(&served, &path, &body, "later").await?.body["status"] == "signature_required");
    let old = with(&body, "transactionHash", done["transactionHash"].clone());
    post(&served, &path, &old, "later").await?.require_field(400, "not_this_action", "transactionHash")?;
    require_done(&served.post(&path, &old).await?)?;
    // Two contracts pay credits by the same call.
    let pay = |contract: &str| json!({ "walletAddress": account(WORKER), "recipient": account(WORKER), "contract": contract });
    let raw = json!([sign_steps(&served.prepare(&path, &body).await?, &key(WORKER))?.pop()]);
    post(&served, "/api/credits/pay", &with(&pay("escrow"), "signedTransactions", raw), "c").await?.require(400, "not_this_action")?;
    Ok(())
}

#[tokio::test]
async fn anothers_finalize_is_neither_a_strangers_nor_a_keys() -> Result<()> {
    let (served, offer) = funded(false).await?;
    served.act(POSTER, "/api/runs", &offer).await?;
    let (worker, agent) = served.stack.staked_agent(WORKER).await?;
    worker.claim(clawpay_domain::RunId(1), agent).await?;
    worker.submit(clawpay_domain::RunId(1), "ipfs://work").await?;
    served.stack.warp(Seconds::days(7)).await?;
    served.settle().await?;
    let path = "/api/runs/1/finalize";
    ensure!(post(&served, path, &signer(STRANGER), "k").await?.body["status"] == "signature_required");
    let done = served.act(WORKER, path, &signer(WORKER)).await?;
    let claimed = with(&signer(STRANGER), "transactionHash", done["transactionHash"].clone());
    served.post(path, &claimed).await?.require(400, "not_this_action")?;
    let invented = with(&signer(STRANGER), "transactionHash", json!(B256::repeat_byte(0xab)));
    let answer = served.post(path, &invented).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["success"]), (202, &json!(false)), "{:#}", answer.body);
    post(&served, path, &signer(STRANGER), "k").await?.require(409, "wrong_state")?;
    Ok(())
}

#[tokio::test]
async fn an_agents_wallet_at_its_registration_or_sale_was_not_set_by_its_owner() -> Result<()> {
    let (served, _) = funded(false).await?;
    let registered = served.act(WORKER, "/api/agents/register", &with(&signer(WORKER), "agentURI", json!("ipfs://a"))).await?;
    let seller = served.stack.actor(WORKER).await?;
    let registry = served.stack.deployment.contracts.agent_registry;
    let sale = AgentRegistry::transferFromCall { from: account(WORKER), to: account(STRANGER), tokenId: alloy::primitives::U256::ONE };
    let sold = seller.wallet().call(registry, &sale).await?;
    served.settle().await?;
    let ask = async |wallet: u32, new_wallet: Value, hash: Value| {
        served.post("/api/agents/1/wallet", &with(&with(&signer(wallet), "newWallet", new_wallet), "transactionHash", hash)).await
    };
    let hash = registered["transactionHash"].clone();
    for wallet in [WORKER, STRANGER] {
        ask(wallet, json!(account(WORKER)), hash.clone()).await?.require(400, "not_this_action")?;
        ask(wallet, Value::Null, json!(sold.transaction_hash)).await?.require(400, "not_this_action")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_delivery_that_was_answered_is_no_new_one() -> Result<()> {
    let (served, offer) = funded(false).await?;
    served.act(POSTER, "/api/runs", &offer).await?;
    let (worker, agent) = served.stack.staked_agent(WORKER).await?;
    worker.claim(clawpay_domain::RunId(1), agent).await?;
    served.settle().await?;
    let submit = with(&signer(WORKER), "deliverableURI", json!("ipfs://work"));
    let done = served.act(WORKER, "/api/runs/1/submit", &submit).await?;
    assert_eq!(done["message"], "Work submitted successfully.");
    let revise = with(&signer(POSTER), "feedback", json!("More."));
    served.act(POSTER, "/api/runs/1/request-revision", &revise).await?;
    let old = with(&submit, "transactionHash", done["transactionHash"].clone());
    let answer = served.post("/api/runs/1/submit", &old).await?;
    assert_eq!(answer.body["message"], "Work submitted successfully. But changes have been asked for since then.");
    // Under a key that came after it, it is not the answer.
    ensure!(post(&served, "/api/runs/1/submit", &submit, "second").await?.body["status"] == "signature_required");
    post(&served, "/api/runs/1/submit", &old, "second").await?.require(400, "not_this_action")?;
    Ok(())
}

#[tokio::test]
async fn what_is_relayed_under_a_key_is_not_prepared_again() -> Result<()> {
    let (served, offer) = funded(true).await?;
    let prepared = post(&served, "/api/runs", &offer, "k").await?.body;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let relayed = with(&prepared["relay"], "signature", json!(sign_typed(&prepared["typedData"], &key(POSTER))?));
    let hash = served.post("/api/relay", &relayed).await?.body["transactionHash"].clone();
    let again = async { post(&served, "/api/runs", &offer, "k").await };
    let mined = async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        served.stack.mine(1).await
    };
    let (again, mined) = tokio::join!(again, mined);
    mined?;
    let again = again?;
    require_done(&again)?;
    assert_eq!(again.body["transactionHash"], hash);
    assert_eq!(served.read("/api/stats").await?["runs"], 1);
    Ok(())
}

/// Sends what was signed as a wallet does that sends by itself; the hash of the last.
async fn send_by_itself(served: &Served, signed: &Value) -> Result<Value> {
    let signed: Vec<Bytes> = serde_json::from_value(signed.clone())?;
    for raw in &signed {
        let _sent = served.stack.provider().send_raw_transaction(raw).await?;
    }
    served.settle().await?;
    Ok(json!(keccak256(signed.last().context("nothing signed")?)))
}

#[tokio::test]
async fn of_two_orders_alike_each_is_told_under_its_own_key() -> Result<()> {
    let (served, offer) = funded(false).await?;
    let draft = with(&offer, "draft", json!(true));
    let mut sent = Vec::new();
    for name in ["first", "second"] {
        let raw = signed(&served, "/api/runs", &draft, name, POSTER).await?;
        sent.push((name, send_by_itself(&served, &raw).await?));
    }
    for (name, hash) in sent.into_iter().rev() {
        let answer = post(&served, "/api/runs", &draft, name).await?;
        require_done(&answer)?;
        assert_eq!(answer.body["transactionHash"], hash, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn strangers_who_do_the_same_do_not_push_out_what_a_key_stands_for() -> Result<()> {
    let (served, _) = funded(false).await?;
    let (_, agent) = served.stack.staked_agent(WORKER).await?;
    for wallet in [WORKER, STRANGER] {
        served.stack.mint(account(wallet), Usdc::whole(10)).await?;
    }
    served.settle().await?;
    let path = format!("/api/agents/{agent}/stake");
    let body = with(&signer(WORKER), "amount", json!("1000000"));
    let hash = send_by_itself(&served, &signed(&served, &path, &body, "k", WORKER).await?).await?;
    // As many deposits for the same agent as a look at the past would hold, and then some.
    let foreign = with(&with(&signer(STRANGER), "amount", json!("1000000")), "allowForeign", json!(true));
    let stranger = served.stack.actor(STRANGER).await?;
    let contracts = served.stack.deployment.contracts;
    let allowed = clawpay_bindings::TestUSDC::approveCall { spender: contracts.agent_stake, value: alloy::primitives::U256::MAX };
    stranger.wallet().call(contracts.usdc, &allowed).await?;
    let small = with(&foreign, "amount", json!("1"));
    for _ in 0..30 {
        served.act(STRANGER, &path, &small).await?;
    }
    let answer = post(&served, &path, &body, "k").await?;
    require_done(&answer)?;
    assert_eq!(answer.body["transactionHash"], hash);
    Ok(())
}

#[tokio::test]
async fn what_a_reorganisation_moved_before_its_key_is_the_keys_all_the_same() -> Result<()> {
    let (served, offer) = funded(false).await?;
    let draft = with(&offer, "draft", json!(true));
    served.stack.mine(3).await?;
    served.settle().await?;
    let raw: Vec<Bytes> = serde_json::from_value(signed(&served, "/api/runs", &draft, "k", POSTER).await?)?;
    // The branch that wins has the draft in the block that the key came at.
    let moved = vec![(TransactionData::Raw(raw[0].clone()), 0)];
    served.stack.provider().anvil_reorg(ReorgOptions { depth: 2, tx_block_pairs: moved }).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    let answer = post(&served, "/api/runs", &draft, "k").await?;
    require_done(&answer)?;
    assert_eq!(answer.body["transactionHash"], json!(keccak256(&raw[0])));
    assert_eq!(served.read("/api/stats").await?["runs"], 1);
    Ok(())
}

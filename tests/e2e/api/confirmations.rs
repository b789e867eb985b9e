//! Handing in what was signed: only this very action counts, and "not yet" never becomes "failed".

use std::time::Duration;

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    providers::{Provider, ext::AnvilApi},
};
use anyhow::Result;
use clawpay_bindings::{Call, TestUSDC};
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_tests::key;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::Connection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    served::{Served, account, signer, with},
    signing::in_a_month,
    strict_wallet::{most_it_costs, sign, sign_steps},
};

/// An open run of account 1, and an agent of account 2 that may claim it.
async fn claimable(served: &Served) -> Result<(RunId, AgentId)> {
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    Ok((run, agent))
}

fn claim(agent: AgentId, wallet: u32) -> Value {
    json!({ "agentId": agent.0, "walletAddress": account(wallet) })
}

fn transaction_hash(raw: &Bytes) -> B256 {
    keccak256(raw)
}

#[tokio::test]
async fn a_transaction_that_is_not_this_action_is_refused_and_not_sent() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let contracts = served.stack.deployment.contracts;
    let path = format!("/api/runs/{run}/claim");
    let body = claim(agent, 2);
    let prepared = served.prepare(&path, &body).await?["steps"][0]["transaction"].clone();
    let head = served.stack.head().await?;

    let hex = |bytes: Bytes| json!(bytes.to_string());
    let to = |address: Address| json!(address.to_checksum(None));
    let claim_of = |run, agent| Call::Claim { run: RunId(run), agent: AgentId(agent), expected_terms: U256::ZERO }.calldata();
    let transfer = alloy::sol_types::SolCall::abi_encode(&TestUSDC::transferCall { to: account(9), value: U256::from(1) });
    for (what, name, value) in [
        ("another run", "data", hex(claim_of(run.0 + 1, agent.0))),
        ("another agent", "data", hex(claim_of(run.0, agent.0 + 1))),
        ("another verb", "data", hex(Call::Start { run }.calldata())),
        ("no verb", "data", json!("0xdeadbeef")),
        ("nothing", "data", json!("0x")),
        ("another contract", "to", to(contracts.agent_stake)),
        ("a stranger", "to", to(account(9))),
        ("another chain", "chainId", json!("0x1")),
        ("ether", "value", json!("0x1")),
    ] {
        let raw = sign(&with(&prepared, name, value), &key(2))?;
        let answer = served.post(&path, &with(&body, "signedTransactions", json!([raw]))).await?;
        answer.require_field(400, "not_this_action", "signedTransactions").map_err(|error| error.context(what))?;
    }
    let stolen = with(&with(&prepared, "to", to(contracts.usdc)), "data", hex(transfer.into()));
    let others = with(&prepared, "from", to(account(3)));
    let allowance = Call::ApproveUsdc { spender: contracts.run_escrow, amount: Usdc::whole(1) };
    let allowance = with(&with(&prepared, "to", to(contracts.usdc)), "data", hex(allowance.calldata()));
    let claim = sign(&prepared, &key(2))?;
    for (what, signed) in [
        ("a transfer", json!([sign(&stolen, &key(2))?])),
        ("somebody else's signature", json!([sign(&others, &key(3))?])),
        ("an allowance nobody needs", json!([sign(&allowance, &key(2))?, claim])),
        ("an allowance alone", json!([sign(&allowance, &key(2))?])),
        ("the call twice", json!([claim, claim])),
        ("garbage", json!(["0x02c0"])),
        ("no bytes", json!(["0x"])),
        ("trailing bytes", json!([format!("{claim}00")])),
    ] {
        let answer = served.post(&path, &with(&body, "signedTransactions", signed)).await?;
        answer.require_field(400, "not_this_action", "signedTransactions").map_err(|error| error.context(what))?;
    }
    assert_eq!(served.stack.head().await?, head, "nothing was sent");

    // What wallets append to calldata changes nothing.
    let attributed = with(&prepared, "data", json!(format!("{}8021", prepared["data"].as_str().unwrap())));
    let answer = served.post(&path, &with(&body, "signedTransactions", json!([sign(&attributed, &key(2))?]))).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["success"]), (200, &json!(true)), "{:#}", answer.body);
    Ok(())
}

#[tokio::test]
async fn the_steps_of_a_payment_must_be_its_allowance_and_its_call() -> Result<()> {
    let served = Served::start().await?;
    claimable(&served).await?;
    let contracts = served.stack.deployment.contracts;
    let deadline = served.read("/api/runs/1").await?["deadline"].clone();
    let body = json!({ "posterAddress": account(1), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://a" });
    let prepared = served.prepare("/api/runs", &body).await?;
    let signed = sign_steps(&prepared, &key(1))?;

    for (field, value) in [
        ("reward", json!("10000001")),
        ("ipfsHash", json!("ipfs://b")),
        ("maxRevisions", json!(2)),
        ("deadline", json!("2030-01-01T00:00:00Z")),
        ("draft", json!(true)),
    ] {
        let other = with(&with(&body, field, value), "signedTransactions", json!(signed));
        served.post("/api/runs", &other).await?.require(400, "not_this_action").map_err(|error| error.context(field))?;
    }
    let for_another = Call::ApproveUsdc { spender: contracts.agent_stake, amount: Usdc::whole(100) };
    let step = with(&prepared["steps"][0]["transaction"], "data", json!(for_another.calldata().to_string()));
    let answer = served.post("/api/runs", &with(&body, "signedTransactions", json!([sign(&step, &key(1))?, signed[1]]))).await?;
    answer.require(400, "not_this_action")?;
    let backwards = with(&body, "signedTransactions", json!([signed[1], signed[0]]));
    served.post("/api/runs", &backwards).await?.require(400, "not_this_action")?;

    // A wallet may have been told to allow more.
    let generous = Call::ApproveUsdc { spender: contracts.run_escrow, amount: Usdc::whole(500) };
    let step = with(&prepared["steps"][0]["transaction"], "data", json!(generous.calldata().to_string()));
    let answer = served.post("/api/runs", &with(&body, "signedTransactions", json!([sign(&step, &key(1))?, signed[1]]))).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["run"]["state"]), (200, &json!("OPEN")), "{:#}", answer.body);
    Ok(())
}

#[tokio::test]
async fn handing_in_twice_does_nothing_twice() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    let signed = sign_steps(&prepared, &key(2))?;
    let body = with(&claim(agent, 2), "signedTransactions", json!(signed));
    let first = served.post(&path, &body).await?;
    let head = served.stack.head().await?;
    let second = served.post(&path, &body).await?;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    assert_eq!(first.body, second.body);
    assert_eq!(served.stack.head().await?, head);
    let by_hash = with(&claim(agent, 2), "transactionHash", json!(transaction_hash(&signed[0])));
    assert_eq!(served.post(&path, &by_hash).await?.body, first.body);
    Ok(())
}

#[tokio::test]
async fn a_wallet_may_send_by_itself_and_hand_in_the_hash() -> Result<()> {
    let served = Served::start_with(|config| config.confirmation_wait = Duration::from_secs(1)).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    let raw = sign(&prepared["steps"][0]["transaction"], &key(2))?;
    let hash = transaction_hash(&raw);
    let body = with(&claim(agent, 2), "transactionHash", json!(hash));

    let unknown = served.post(&path, &body).await?;
    assert_eq!((unknown.status.as_u16(), &unknown.body["status"], &unknown.body["success"]), (202, &json!("unknown"), &json!(false)));
    assert_eq!((&unknown.body["transactionHash"], &unknown.body["run"]["state"]), (&json!(hash), &json!("OPEN")));

    let _sent = served.stack.provider().send_raw_transaction(&raw).await?;
    let done = served.post(&path, &body).await?;
    assert_eq!((done.status.as_u16(), &done.body["run"]["state"]), (200, &json!("CLAIMED")), "{:#}", done.body);

    let other = with(&claim(agent, 2), "transactionHash", served.read("/api/runs/1").await?["txHash"].clone());
    served.post(&path, &other).await?.require_field(400, "not_this_action", "transactionHash")?;
    let start = with(&signer(2), "transactionHash", json!(hash));
    served.post(&format!("/api/runs/{run}/start"), &start).await?.require_field(400, "not_this_action", "transactionHash")?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_reverts_is_explained() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let (_, rival) = served.stack.staked_agent(3).await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    served.act(3, &path, &claim(rival, 3)).await?;

    let raw = sign(&prepared["steps"][0]["transaction"], &key(2))?;
    let receipt = served.stack.provider().send_raw_transaction(&raw).await?.get_receipt().await?;
    for (name, value) in [("signedTransactions", json!([raw])), ("transactionHash", json!(transaction_hash(&raw)))] {
        let refused = served.post(&path, &with(&claim(agent, 2), name, value)).await?;
        refused.require(422, "transaction_reverted")?;
        assert_eq!(refused.body["reason"]["code"], "wrong_state", "{:#}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains("is CLAIMED, not OPEN"), "{:#}", refused.body);
        assert_eq!(
            (&refused.body["transactionHash"], &refused.body["blockNumber"]),
            (&json!(transaction_hash(&raw)), &json!(receipt.block_number))
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_would_revert_is_not_sent() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let (_, rival) = served.stack.staked_agent(3).await?;
    let other = served.stack.actor(1).await?.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    served.act(3, &path, &claim(rival, 3)).await?;
    let nonce = served.stack.provider().get_transaction_count(account(2)).await?;

    let late = sign(&prepared["steps"][0]["transaction"], &key(2))?;
    let refused = served.post(&path, &with(&claim(agent, 2), "signedTransactions", json!([late]))).await?;
    refused.require(400, "wrong_state")?;
    let status = served.get(&format!("/api/transactions/{}", transaction_hash(&late))).await?;
    assert_eq!(status.body["status"], "unknown", "{:#}", status.body);

    // With less gas than it needs.
    let path = format!("/api/runs/{other}/claim");
    let mut transaction = served.prepare(&path, &claim(agent, 2)).await?["steps"][0]["transaction"].clone();
    let gas = u64::from_str_radix(transaction["gas"].as_str().unwrap().trim_start_matches("0x"), 16)?;
    transaction["gas"] = json!(format!("{:#x}", gas / 2));
    let short = sign(&transaction, &key(2))?;
    let refused = served.post(&path, &with(&claim(agent, 2), "signedTransactions", json!([short]))).await?;
    refused.require(422, "transaction_refused")?;
    assert_eq!(refused.body["reason"], "gas_too_low", "{:#}", refused.body);
    assert_eq!(served.stack.provider().get_transaction_count(account(2)).await?, nonce, "the wallet has paid for nothing");

    // Sent by the wallet itself it uses its gas up, and the answer says that this is why.
    served.stack.provider().send_raw_transaction(&short).await?.get_receipt().await?;
    let reverted = served.post(&path, &with(&claim(agent, 2), "transactionHash", json!(transaction_hash(&short)))).await?;
    reverted.require(422, "transaction_reverted")?;
    assert_eq!(reverted.body["reason"]["code"], "out_of_gas", "{:#}", reverted.body);
    served.act(2, &path, &claim(agent, 2)).await?;
    Ok(())
}

#[tokio::test]
async fn of_two_steps_none_is_sent_where_the_last_could_not_be() -> Result<()> {
    let served = Served::start().await?;
    served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let deadline = in_a_month(&served).await?;
    let offer = json!({ "posterAddress": account(1), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://a" });
    let prepared = served.prepare("/api/runs", &offer).await?;
    let (steps, provider) = (sign_steps(&prepared, &key(1))?, served.stack.provider());
    let nonce = provider.get_transaction_count(account(1)).await?;
    let mut last = prepared["steps"][1]["transaction"].clone();
    last["gas"] = json!("0xea60");
    let hand_in = async |steps: &[Bytes]| served.post("/api/runs", &with(&offer, "signedTransactions", json!(steps))).await;
    let short = hand_in(&[steps[0].clone(), sign(&last, &key(1))?]).await?;
    short.require(422, "transaction_refused")?;
    assert_eq!(short.body["reason"], "gas_too_low", "{:#}", short.body);

    // Ether for the first, and not for both.
    let ether = provider.get_balance(account(1)).await?;
    let first = most_it_costs(&prepared["steps"][0]["transaction"])?;
    provider.anvil_set_balance(account(1), U256::from(first + 1)).await?;
    let poor = hand_in(&steps).await?;
    poor.require(422, "transaction_refused")?;
    assert_eq!(poor.body["reason"], "insufficient_funds", "{:#}", poor.body);
    assert_eq!(provider.get_transaction_count(account(1)).await?, nonce, "an allowance alone is of no use");
    provider.anvil_set_balance(account(1), ether).await?;
    assert_eq!(hand_in(&steps).await?.status.as_u16(), 200);
    Ok(())
}

#[tokio::test]
async fn what_a_wallet_has_done_already_is_not_paid_for_again() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    let mut again = prepared["steps"][0]["transaction"].clone();
    let done = served.post(&path, &with(&claim(agent, 2), "signedTransactions", json!(sign_steps(&prepared, &key(2))?))).await?;
    let nonce = served.stack.provider().get_transaction_count(account(2)).await?;
    again["nonce"] = json!(format!("{nonce:#x}"));
    let again = served.post(&path, &with(&claim(agent, 2), "signedTransactions", json!([sign(&again, &key(2))?]))).await?;
    assert_eq!((again.status.as_u16(), &again.body["transactionHash"]), (200, &done.body["transactionHash"]), "{:#}", again.body);
    assert_eq!(served.stack.provider().get_transaction_count(account(2)).await?, nonce);
    Ok(())
}

#[tokio::test]
async fn hashes_that_nobody_sent_keep_no_wallet_from_preparing() -> Result<()> {
    const CONNECTIONS: u32 = 4;
    let served = Served::start_with(|config| config.database.connections = CONNECTIONS.try_into().unwrap()).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    // Whoever waits for a transaction of a run looks at what has happened to it; who prepares a claim does not.
    let mut blocker = sqlx::PgConnection::connect(&served.stack.database_url()?).await?;
    sqlx::raw_sql("BEGIN; LOCK TABLE events").execute(&mut blocker).await?;
    let invented: Vec<_> = (0..20_u8).map(|nth| with(&claim(agent, 2), "transactionHash", json!(B256::repeat_byte(nth)))).collect();
    let waiting = join_all(invented.iter().map(|body| served.post(&path, body)));
    let preparing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..5 {
            served.prepare(&path, &claim(agent, 2)).await?;
        }
        served.read("/readyz").await
    };
    tokio::select! {
        _all = waiting => anyhow::bail!("they did not wait"),
        prepared = preparing => prepared?,
    };
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_not_mined_or_not_indexed_yet_is_pending() -> Result<()> {
    let mut served = Served::start_with(|config| config.confirmation_wait = Duration::from_secs(1)).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    let signed = with(&claim(agent, 2), "signedTransactions", json!(sign_steps(&prepared, &key(2))?));

    served.stack.provider().anvil_set_auto_mine(false).await?;
    let waiting = served.post(&path, &signed).await?;
    assert_eq!((waiting.status.as_u16(), &waiting.body["status"]), (202, &json!("pending")), "{:#}", waiting.body);
    assert_eq!(waiting.body.get("blockNumber"), None);
    let hash = waiting.body["transactionHash"].clone();

    served.indexer.take().unwrap().stop().await??;
    served.stack.mine(1).await?;
    let mined = served.post(&path, &with(&claim(agent, 2), "transactionHash", hash.clone())).await?;
    assert_eq!((mined.status.as_u16(), &mined.body["status"]), (202, &json!("pending")), "{:#}", mined.body);
    assert_eq!(mined.body["blockNumber"], served.stack.head().await?);
    assert_eq!(mined.body["run"]["state"], "OPEN");

    let url = served.stack.database_url()?;
    served.indexer = Some(clawpay_tests::Indexer::start(served.stack.index_config(), &url)?);
    served.settle().await?;
    for body in [with(&claim(agent, 2), "transactionHash", hash), signed] {
        let done = served.post(&path, &body).await?;
        assert_eq!((done.status.as_u16(), &done.body["run"]["state"]), (200, &json!("CLAIMED")), "{:#}", done.body);
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_the_node_does_not_want_says_why() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    served.stack.actor(2).await?.register("ipfs://takes the nonce").await?;
    let signed = with(&claim(agent, 2), "signedTransactions", json!(sign_steps(&prepared, &key(2))?));
    let refused = served.post(&path, &signed).await?;
    refused.require(422, "transaction_refused")?;
    assert!(refused.body["detail"].as_str().unwrap().contains("nonce"), "{:#}", refused.body);
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_does_not_wait_for_a_block() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent, 2)).await?;
    let signed = with(&claim(agent, 2), "signedTransactions", json!(sign_steps(&prepared, &key(2))?));
    served.stack.provider().anvil_set_auto_mine(false).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}{path}", listener.local_addr()?);
    let shutdown = CancellationToken::new();
    let config = clawpay_api::Config::new(served.stack.rpc_url(), served.stack.database_url()?);
    let server = tokio::spawn(clawpay_api::serve(listener, config, shutdown.clone()));
    let waiting = tokio::spawn(reqwest::Client::new().post(url).json(&signed).send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(3), server).await???;
    assert_eq!(waiting.await??.status().as_u16(), 202);
    Ok(())
}

//! Transactions that wallets speed up, cancel, leave out or never send: what became of each is told at once, and nothing is waited for that
//! cannot come.

use std::time::{Duration, Instant};

use alloy::{
    primitives::{Address, B256, Bytes, U256, aliases::U48, keccak256},
    providers::{Provider, ext::AnvilApi},
    rpc::types::{
        TransactionRequest,
        anvil::{ReorgOptions, TransactionData},
    },
    signers::SignerSync,
    sol_types::{SolCall, SolStruct},
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{Call, ERC2771Forwarder, ForwardRequest, forwarder::ERC2771Forwarder::ForwardRequestData, forwarder_domain};
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_tests::{Indexer, Stack, key};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{
    node_proxy::{NodeProxy, Oddity},
    served::{Answer, Served, account, signer, with},
    strict_wallet::{sign, sign_steps},
};

/// Far below the thirty seconds that are waited for what may still come.
const AT_ONCE: Duration = Duration::from_secs(10);

/// An open run of account 1, and an agent of account 2 that may claim it.
async fn claimable(served: &Served) -> Result<(RunId, AgentId)> {
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    Ok((run, agent))
}

fn claim(agent: AgentId) -> Value {
    json!({ "agentId": agent.0, "walletAddress": account(2) })
}

fn handing_in(body: &Value, hash: B256) -> Value {
    with(body, "transactionHash", json!(hash))
}

/// The same transaction, at twice the price.
fn dearer(transaction: &Value) -> Result<Value> {
    let mut transaction = transaction.clone();
    for name in ["maxFeePerGas", "maxPriorityFeePerGas"] {
        let price = u128::from_str_radix(transaction[name].as_str().context("a price")?.trim_start_matches("0x"), 16)?;
        transaction[name] = json!(format!("{:#x}", price * 2));
    }
    Ok(transaction)
}

/// A transaction in the place of this one that does nothing.
fn cancelling(transaction: &Value) -> Result<Value> {
    Ok(with(&with(&dearer(transaction)?, "to", transaction["from"].clone()), "data", json!("0x")))
}

async fn send(served: &Served, raw: &Bytes) -> Result<B256> {
    let _sent = served.stack.provider().send_raw_transaction(raw).await?;
    Ok(keccak256(raw))
}

fn require_waiting(answer: &Answer, status: &str, hash: B256) -> Result<()> {
    let Answer { status: code, body, .. } = answer;
    ensure!(code.as_u16() == 202 && body["status"] == status && body["success"] == false, "wanted {status}, got {code} {body:#}");
    ensure!(body["transactionHash"] == json!(hash) && body["run"]["state"] == "OPEN", "{body:#}");
    Ok(())
}

fn require_done_by(answer: &Answer, done_by: B256, replaces: B256) -> Result<()> {
    let Answer { status, body, .. } = answer;
    ensure!(status.as_u16() == 200 && body["success"] == true && body["run"]["state"] == "CLAIMED", "{status} {body:#}");
    ensure!(body["transactionHash"] == json!(done_by) && body["replaces"] == json!(replaces), "{body:#}");
    ensure!(body["message"].as_str().is_some_and(|message| message.contains(&done_by.to_string())), "{body:#}");
    Ok(())
}

#[tokio::test]
async fn a_claim_that_was_sped_up_is_done_by_its_successor() -> Result<()> {
    let served = Served::start_with(|config| config.confirmation_wait = Duration::from_secs(2)).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let transaction = served.prepare(&path, &claim(agent)).await?["steps"][0]["transaction"].clone();
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let first = sign(&transaction, &key(2))?;
    let waiting = served.post(&path, &with(&claim(agent), "signedTransactions", json!([first]))).await?;
    require_waiting(&waiting, "pending", keccak256(&first))?;

    let second = send(&served, &sign(&dearer(&transaction)?, &key(2))?).await?;
    // While the dearer one waits in its place, nothing has been let go of: a wallet that is told so does it twice.
    require_waiting(&served.post(&path, &handing_in(&claim(agent), keccak256(&first))).await?, "pending", keccak256(&first))?;
    assert_eq!(served.read(&format!("/api/transactions/{}", keccak256(&first))).await?["status"], "pending");
    served.stack.mine(1).await?;
    served.settle().await?;
    for body in [handing_in(&claim(agent), keccak256(&first)), with(&claim(agent), "signedTransactions", json!([first]))] {
        require_done_by(&served.post(&path, &body).await?, second, keccak256(&first))?;
    }
    let standing = served.read(&format!("/api/transactions/{}", keccak256(&first))).await?;
    assert_eq!((&standing["status"], &standing["replacedBy"]), (&json!("replaced"), &json!(second)), "{standing:#}");
    Ok(())
}

#[tokio::test]
async fn a_key_whose_transaction_was_sped_up_is_answered_alike_each_time() -> Result<()> {
    let served = Served::start_with(|config| config.confirmation_wait = Duration::from_secs(2)).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let keyed = async |body: &Value| served.send(served.request(Method::POST, &path).header("Idempotency-Key", "claim 1").json(body)).await;
    let transaction = keyed(&claim(agent)).await?.body["steps"][0]["transaction"].clone();
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let first = sign(&transaction, &key(2))?;
    let hash = keccak256(&first);
    require_waiting(&keyed(&with(&claim(agent), "signedTransactions", json!([first]))).await?, "pending", hash)?;
    let second = send(&served, &sign(&dearer(&transaction)?, &key(2))?).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    // A client that has lost the first answer asks for it again.
    for _ in 0..2 {
        require_done_by(&keyed(&handing_in(&claim(agent), hash)).await?, second, hash)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_claim_that_was_sped_up_before_the_api_saw_it_is_done_all_the_same() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let transaction = served.prepare(&path, &claim(agent)).await?["steps"][0]["transaction"].clone();
    let never_seen = keccak256(sign(&transaction, &key(2))?);
    let second = send(&served, &sign(&dearer(&transaction)?, &key(2))?).await?;
    served.settle().await?;
    let asked_at = Instant::now();
    require_done_by(&served.post(&path, &handing_in(&claim(agent), never_seen)).await?, second, never_seen)?;
    assert!(asked_at.elapsed() < AT_ONCE, "{:?}", asked_at.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_cancelled_transaction_is_told_apart_from_one_that_waits() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let transaction = served.prepare(&path, &claim(agent)).await?["steps"][0]["transaction"].clone();
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let raw = sign(&transaction, &key(2))?;
    let hash = keccak256(&raw);
    let sent = served.post("/api/transactions", &json!({ "signedTransaction": raw })).await?;
    assert_eq!((sent.status.as_u16(), &sent.body["status"]), (202, &json!("pending")), "{:#}", sent.body);

    // The wallet cancels by itself, and blocks go by before anyone asks.
    let cancel = send(&served, &sign(&cancelling(&transaction)?, &key(2))?).await?;
    served.stack.mine(21).await?;
    let asked_at = Instant::now();
    let answer = served.post(&path, &handing_in(&claim(agent), hash)).await?;
    assert!(asked_at.elapsed() < AT_ONCE, "{:?}", asked_at.elapsed());
    require_waiting(&answer, "replaced", hash)?;
    assert_eq!(answer.body["replacedBy"], json!(cancel), "{:#}", answer.body);
    let standing = served.read(&format!("/api/transactions/{hash}")).await?;
    assert_eq!((&standing["status"], &standing["replacedBy"]), (&json!("replaced"), &json!(cancel)), "{standing:#}");

    // Sending it again is refused, and says what to do.
    let refused = served.post(&path, &with(&claim(agent), "signedTransactions", json!([raw]))).await?;
    refused.require(422, "transaction_refused")?;
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains("prepare again")), "{:#}", refused.body);
    Ok(())
}

#[tokio::test]
async fn a_hash_that_no_node_knows_is_unknown_after_three_seconds() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let hash = B256::repeat_byte(7);
    let asked_at = Instant::now();
    let answer = served.post(&path, &handing_in(&claim(agent), hash)).await?;
    let waited = asked_at.elapsed();
    assert!((Duration::from_secs(3)..AT_ONCE).contains(&waited), "{waited:?}");
    require_waiting(&answer, "unknown", hash)?;

    // A hash names no account; its client may.
    let transaction = served.prepare(&path, &claim(agent)).await?["steps"][0]["transaction"].clone();
    let nonce = u64::from_str_radix(transaction["nonce"].as_str().context("a nonce")?.trim_start_matches("0x"), 16)?;
    let used = send(&served, &sign(&cancelling(&transaction)?, &key(2))?).await?;
    let ask = |query: String| format!("/api/transactions/{hash}{query}");
    let nothing = served.read(&ask(String::new())).await?;
    assert_eq!((&nothing["status"], nothing.get("account")), (&json!("unknown"), None), "{nothing:#}");
    let told = served.read(&ask(format!("?wallet={}", account(2)))).await?;
    assert_eq!(told["status"], "unknown");
    let account_of = json!({
        "address": account(2).to_checksum(None),
        "nextNonce": nonce + 1,
        "waiting": 0,
        "lastTransaction": used,
    });
    assert_eq!(told["account"], account_of, "{told:#}");
    let taken = served.read(&ask(format!("?wallet={}&nonce={nonce}", account(2)))).await?;
    assert_eq!((&taken["status"], &taken["replacedBy"]), (&json!("replaced"), &json!(used)), "{taken:#}");
    let free = served.read(&ask(format!("?wallet={}&nonce={}", account(2), nonce + 1))).await?;
    assert_eq!(free["status"], "unknown", "{free:#}");
    served.get(&ask("?nonce=1".to_owned())).await?.require_field(400, "invalid_value", "nonce")?;
    Ok(())
}

#[tokio::test]
async fn what_the_node_has_let_go_of_is_dropped() -> Result<()> {
    let served = Served::start_with(|config| config.confirmation_wait = Duration::from_secs(1)).await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent)).await?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let raw = sign_steps(&prepared, &key(2))?.remove(0);
    let hash = keccak256(&raw);
    require_waiting(&served.post(&path, &with(&claim(agent), "signedTransactions", json!([raw]))).await?, "pending", hash)?;
    served.stack.provider().anvil_drop_transaction(hash).await?;
    require_waiting(&served.post(&path, &handing_in(&claim(agent), hash)).await?, "dropped", hash)?;
    Ok(())
}

#[tokio::test]
async fn what_a_reorganisation_takes_out_is_dropped_or_replaced_and_can_be_sent_again() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let prepared = served.prepare(&path, &claim(agent)).await?;
    let raw = sign_steps(&prepared, &key(2))?.remove(0);
    let hash = keccak256(&raw);
    let signed = with(&claim(agent), "signedTransactions", json!([raw]));
    ensure!(served.post(&path, &signed).await?.body["status"] == "done");
    let reorganise = async |instead: Vec<(TransactionData, u64)>| -> Result<()> {
        served.stack.provider().anvil_reorg(ReorgOptions { depth: 1, tx_block_pairs: instead }).await?;
        // A node may keep what it takes out of a block, or not.
        served.stack.provider().anvil_drop_all_transactions().await?;
        served.stack.mine(1).await?;
        served.settle().await
    };
    reorganise(Vec::new()).await?;
    require_waiting(&served.post(&path, &handing_in(&claim(agent), hash)).await?, "dropped", hash)?;
    assert_eq!(served.read(&format!("/api/transactions/{hash}")).await?["status"], "dropped");
    ensure!(served.post(&path, &signed).await?.body["status"] == "done");

    let cancelled = sign(&cancelling(&prepared["steps"][0]["transaction"])?, &key(2))?;
    reorganise(vec![(TransactionData::Raw(cancelled.clone()), 0)]).await?;
    let answer = served.post(&path, &handing_in(&claim(agent), hash)).await?;
    require_waiting(&answer, "replaced", hash)?;
    assert_eq!(answer.body["replacedBy"], json!(keccak256(&cancelled)));
    Ok(())
}

#[tokio::test]
async fn a_step_whose_earlier_step_was_left_out_is_refused_and_not_sent() -> Result<()> {
    let served = Served::start().await?;
    claimable(&served).await?;
    let deadline = served.read("/api/runs/1").await?["deadline"].clone();
    let body = json!({ "posterAddress": account(1), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://a" });
    let prepared = served.prepare("/api/runs", &body).await?;
    let signed = sign_steps(&prepared, &key(1))?;
    let head = served.stack.head().await?;
    let refused = served.post("/api/runs", &with(&body, "signedTransactions", json!([signed[1]]))).await?;
    refused.require_field(400, "nonce_gap", "signedTransactions")?;
    let first = prepared["steps"][0]["transaction"]["nonce"].as_str().context("a nonce")?;
    let first = u64::from_str_radix(first.trim_start_matches("0x"), 16)?;
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.contains(&format!("nonce {first} of"))), "{:#}", refused.body);
    let waiting = served.stack.provider().get_transaction_by_hash(keccak256(&signed[1])).await?;
    assert!(waiting.is_none() && served.stack.head().await? == head, "it was sent");

    // Sent by the wallet itself it waits for the other, and says so at once; the other may still come.
    let behind = send(&served, &signed[1]).await?;
    let asked_at = Instant::now();
    let answer = served.post("/api/runs", &handing_in(&body, behind)).await?;
    assert!(asked_at.elapsed() < AT_ONCE, "{:?}", asked_at.elapsed());
    assert_eq!((answer.status.as_u16(), &answer.body["status"]), (202, &json!("pending")), "{:#}", answer.body);
    assert_eq!(answer.body["waitingForNonce"], first, "{:#}", answer.body);
    let standing = served.read(&format!("/api/transactions/{behind}")).await?;
    assert_eq!((&standing["status"], &standing["waitingForNonce"]), (&json!("pending"), &json!(first)), "{standing:#}");

    // The first step is not the action, and is told from it.
    let allowance = send(&served, &signed[0]).await?;
    let wrong = served.post("/api/runs", &handing_in(&body, allowance)).await?;
    wrong.require_field(400, "not_this_action", "transactionHash")?;
    assert!(wrong.body["detail"].as_str().is_some_and(|detail| detail.contains("step 1 of 2")), "{:#}", wrong.body);
    let done = served.post("/api/runs", &handing_in(&body, behind)).await?;
    assert_eq!((done.status.as_u16(), &done.body["run"]["state"]), (200, &json!("OPEN")), "{:#}", done.body);
    Ok(())
}

/// A signed request to the forwarder, of account 1.
fn request(served: &Served, nonce: u64, deadline: u64, to: Address, call: &Call) -> Result<ForwardRequestData> {
    let deployment = served.stack.deployment;
    let request = ForwardRequest {
        from: account(1),
        to,
        value: U256::ZERO,
        gas: U256::from(1_000_000),
        nonce: U256::from(nonce),
        deadline: U48::from(deadline),
        data: call.calldata(),
    };
    let hash = request.eip712_signing_hash(&forwarder_domain(deployment.chain_id, deployment.contracts.forwarder));
    Ok(request.submitted(key(1).sign_hash_sync(&hash)?.as_bytes().into()))
}

#[tokio::test]
async fn alike_actions_of_one_transaction_are_each_answered_once() -> Result<()> {
    let served = Served::start().await?;
    let contracts = served.stack.deployment.contracts;
    let offer = served.stack.offer(Usdc::whole(10)).await?;
    let deadline = served.stack.now().await?.0 + 600;
    let create = Call::Create(offer.clone());
    let requests = (0..2).map(|nonce| request(&served, nonce, deadline, contracts.run_escrow, &create)).collect::<Result<Vec<_>>>()?;
    let batch = ERC2771Forwarder::executeBatchCall { requests, refundReceiver: Address::ZERO }.abi_encode();
    // Another account sends them.
    let transaction = TransactionRequest::default().from(account(5)).to(contracts.forwarder).input(Bytes::from(batch).into());
    let receipt = served.stack.provider().send_transaction(transaction).await?.get_receipt().await?;
    served.settle().await?;

    let deadline = rfc3339(offer.deadline.0)?;
    let body = json!({
        "posterAddress": account(1),
        "reward": offer.reward.0.to_string(),
        "deadline": deadline,
        "ipfsHash": str::from_utf8(&offer.content_uri)?,
        "maxRevisions": offer.max_revisions,
        "draft": true,
    });
    let mut answered = Vec::new();
    for _ in 0..4 {
        let answer = served.post("/api/runs", &handing_in(&body, receipt.transaction_hash)).await?;
        assert_eq!((answer.status.as_u16(), &answer.body["run"]["state"]), (200, &json!("DRAFT")), "{:#}", answer.body);
        answered.push(answer.body["run"]["bountyId"].as_u64().context("an id")?);
    }
    assert_eq!(answered, [1, 2, 1, 2]);
    let funded = with(&body, "draft", json!(false));
    let wrong = served.post("/api/runs", &handing_in(&funded, receipt.transaction_hash)).await?;
    wrong.require_field(400, "not_this_action", "transactionHash")?;
    assert!(wrong.body["detail"].as_str().is_some_and(|detail| detail.contains("ask with `draft`")), "{:#}", wrong.body);
    Ok(())
}

/// Seconds as RFC 3339.
fn rfc3339(seconds: u64) -> Result<String> {
    let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds)?)?;
    Ok(at.format(&time::format_description::well_known::Rfc3339)?)
}

#[tokio::test]
async fn a_database_that_refuses_the_note_changes_neither_answer_nor_transaction() -> Result<()> {
    let served = Served::start().await?;
    let (run, agent) = claimable(&served).await?;
    let mut database = PgConnection::connect(&served.stack.database_url()?).await?;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON sent FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .execute(&mut database)
    .await?;
    let path = format!("/api/runs/{run}/claim");
    let claimed = served.act(2, &path, &claim(agent)).await?;
    assert_eq!(claimed["run"]["state"], "CLAIMED");

    let start = served.prepare(&format!("/api/runs/{run}/start"), &signer(2)).await?;
    let raw = sign_steps(&start, &key(2))?.remove(0);
    let sent = served.post("/api/transactions", &json!({ "signedTransaction": raw })).await?;
    assert_eq!(sent.status.as_u16(), 202, "{:#}", sent.body);
    served.settle().await?;
    assert_eq!(served.read(&format!("/api/runs/{run}")).await?["state"], "IN_PROGRESS");

    // Nor does one that does not answer: the note is given up.
    sqlx::raw_sql("DROP TRIGGER refuse ON sent").execute(&mut database).await?;
    let mut lock = database.begin().await?;
    sqlx::raw_sql("LOCK TABLE sent IN SHARE MODE").execute(&mut *lock).await?;
    let asked_at = Instant::now();
    let submitted = served.act(2, &format!("/api/runs/{run}/submit"), &with(&signer(2), "deliverableURI", json!("ipfs://done"))).await?;
    assert_eq!(submitted["run"]["state"], "SUBMITTED");
    assert!(asked_at.elapsed() < AT_ONCE, "{:?}", asked_at.elapsed());
    Ok(())
}

#[tokio::test]
async fn what_is_sent_is_written_down_before_it_is_sent() -> Result<()> {
    let stack = Stack::with_database().await?;
    let proxy = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |config| config.rpc_url = proxy.url.clone()).await?;
    served.indexer = Some(indexer);
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let raw = sign_steps(&served.prepare(&path, &claim(agent)).await?, &key(2))?.remove(0);
    let hash = keccak256(&raw);

    proxy.turn(Oddity::SendsNothing);
    served.post(&path, &with(&claim(agent), "signedTransactions", json!([raw]))).await?.require(503, "node_unavailable")?;
    proxy.turn(Oddity::None);
    let standing = served.read(&format!("/api/transactions/{hash}")).await?;
    assert_eq!((&standing["status"], &standing["from"]), (&json!("dropped"), &json!(account(2).to_checksum(None))), "{standing:#}");
    let again = served.post(&path, &with(&claim(agent), "signedTransactions", json!([raw]))).await?;
    assert_eq!(again.status.as_u16(), 200, "{:#}", again.body);

    // What the node refuses leaves nothing behind.
    let taken =
        sign(&cancelling(&served.prepare(&format!("/api/runs/{run}/start"), &signer(2)).await?["steps"][0]["transaction"])?, &key(2))?;
    let start = sign_steps(&served.prepare(&format!("/api/runs/{run}/start"), &signer(2)).await?, &key(2))?.remove(0);
    send(&served, &taken).await?;
    let refused = served.post("/api/transactions", &json!({ "signedTransaction": start })).await?;
    refused.require(422, "transaction_refused")?;
    let standing = served.read(&format!("/api/transactions/{}", keccak256(&start))).await?;
    assert_eq!(standing["status"], "unknown", "{standing:#}");
    Ok(())
}

#[tokio::test]
async fn a_node_that_counts_a_transaction_before_it_shows_its_receipt_replaces_nothing() -> Result<()> {
    let stack = Stack::with_database().await?;
    let proxy = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |config| config.rpc_url = proxy.url.clone()).await?;
    served.indexer = Some(indexer);
    let (run, agent) = claimable(&served).await?;
    let path = format!("/api/runs/{run}/claim");
    let raw = sign_steps(&served.prepare(&path, &claim(agent)).await?, &key(2))?.remove(0);
    let hash = keccak256(&raw);
    proxy.turn(Oddity::LateReceipts);
    let shown = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let standing = served.read(&format!("/api/transactions/{hash}")).await;
        proxy.turn(Oddity::None);
        standing
    };
    let body = with(&claim(agent), "signedTransactions", json!([raw]));
    let (answer, standing) = tokio::join!(served.post(&path, &body), shown);
    let (answer, standing) = (answer?, standing?);
    assert_eq!(standing["status"], "pending", "{standing:#}");
    assert_eq!((answer.status.as_u16(), &answer.body["success"]), (200, &json!(true)), "{:#}", answer.body);
    Ok(())
}

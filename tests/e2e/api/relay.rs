//! The relayer: it sends what was signed, once, and nothing else; and loses none of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
    providers::{Provider, ext::AnvilApi},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_api::{Config, RelayOptions};
use clawpay_bindings::{Call, ERC2771Forwarder, TestUSDC};
use clawpay_domain::Usdc;
use clawpay_store::{GasOffer, RelayAttempt, RelayJob, SubmittedTransactions};
use clawpay_tests::{Api, key};
use serde_json::{Value, json};

use super::{
    served::{Answer, Served, account, signer, with},
    strict_wallet::sign_typed,
};
use crate::indexer::number;

pub(super) const RELAYER: u32 = 8;

/// Longest for a job to be taken on.
const FOREVER: Duration = Duration::from_secs(60);

pub(super) async fn relaying(configure: impl FnOnce(&mut RelayOptions)) -> Result<Served> {
    let mut options = RelayOptions::new(key(RELAYER));
    configure(&mut options);
    Served::start_with(|config: &mut Config| config.relay = Some(options)).await
}

/// A key of its own, with USDC and without ether.
pub(super) async fn newcomer(served: &Served) -> Result<PrivateKeySigner> {
    let key = PrivateKeySigner::random();
    served.stack.mint(key.address(), Usdc::whole(200)).await?;
    Ok(key)
}

pub(super) fn registration(wallet: Address) -> Value {
    json!({ "walletAddress": wallet, "agentURI": "ipfs://agent" })
}

/// What to post once the typed data of a prepared answer is signed.
pub(super) fn signed(prepared: &Value, key: &PrivateKeySigner) -> Result<Value> {
    Ok(with(&prepared["relay"], "signature", json!(sign_typed(&prepared["typedData"], key)?)))
}

pub(super) async fn register(served: &Served, key: &PrivateKeySigner) -> Result<Value> {
    signed(&served.prepare("/api/agents/register", &registration(key.address())).await?, key)
}

/// What the wallet has to post to register, as a server offers it that sets no limits to one signer.
pub(super) async fn registering(served: &mut Served, wallet: &PrivateKeySigner) -> Result<Value> {
    let unlimited = unlimited(served).await?;
    let limited = std::mem::replace(&mut served.api, unlimited);
    let body = register(served, wallet).await;
    served.api = limited;
    body
}

async fn unlimited(served: &Served) -> Result<Api> {
    const NONE: u32 = u32::MAX;
    let options = RelayOptions::new(key(RELAYER));
    let options = RelayOptions { signer_per_day: NONE, signer_registrations_per_day: NONE, signer_reverts_per_day: NONE, ..options };
    Api::start(Config { relay: Some(options), ..Config::new(served.stack.rpc_url(), served.stack.database_url()?) }).await
}

pub(super) async fn post(served: &Served, body: &Value) -> Result<Answer> {
    served.post("/api/relay", body).await
}

pub(super) async fn accepted(served: &Served, body: &Value) -> Result<B256> {
    let answer = post(served, body).await?;
    ensure!(answer.status.as_u16() == 202, "{} {:#}", answer.status, answer.body);
    Ok(answer.body["transactionHash"].as_str().context("transactionHash")?.parse()?)
}

pub(super) async fn sent_by_relayer(served: &Served) -> Result<u64> {
    Ok(served.stack.provider().get_transaction_count(account(RELAYER)).await?)
}

/// Waits until the transaction, or one in its place, is mined.
pub(super) async fn until_mined(served: &Served, hash: B256) -> Result<B256> {
    let mut hash = hash;
    for _ in 0..200 {
        let standing = served.read(&format!("/api/transactions/{hash}")).await?;
        match standing["status"].as_str().context("status")? {
            "indexed" | "finalized" => return Ok(hash),
            "pending" | "included" | "replaced" => {}
            _ => anyhow::bail!("{standing:#}"),
        }
        if let Some(successor) = standing["replacedBy"].as_str() {
            hash = successor.parse()?;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{hash} is not mined")
}

#[tokio::test]
async fn what_is_posted_twice_is_sent_once() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    let body = register(&served, &wallet).await?;
    let hash = accepted(&served, &body).await?;
    until_mined(&served, hash).await?;
    assert_eq!(accepted(&served, &body).await?, hash);
    assert_eq!(sent_by_relayer(&served).await?, 1);
    let agents = served.read(&format!("/api/agents?account={}", wallet.address())).await?;
    assert_eq!(agents["pagination"]["total"], 1);
    assert_eq!(served.stack.provider().get_balance(wallet.address()).await?, U256::ZERO);

    // The wallet's next request is another one.
    until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
    assert_eq!(sent_by_relayer(&served).await?, 2);
    Ok(())
}

#[tokio::test]
async fn errands_that_come_at_once_get_one_nonce_each() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let other = {
        let mut config = Config::new(served.stack.rpc_url(), served.stack.database_url()?);
        config.relay = Some(RelayOptions::new(key(RELAYER)));
        Api::start(config).await?
    };
    let mut bodies = Vec::new();
    for _ in 0..8 {
        bodies.push(register(&served, &newcomer(&served).await?).await?);
    }
    // Two servers on one database, and each errand posted to both, again and again where a busy machine keeps it waiting.
    let http = reqwest::Client::new();
    let post = async |api: &Api, body: &Value| -> Result<String> {
        let started = Instant::now();
        loop {
            let answer = http.post(format!("{}api/relay", api.url())).json(body).send().await?;
            let status = answer.status();
            let answer: Value = answer.json().await?;
            if status == 202 {
                return Ok(answer["transactionHash"].as_str().context("transactionHash")?.to_owned());
            }
            let is_late = ["database_unavailable", "overdue"].contains(&answer["code"].as_str().unwrap_or_default());
            ensure!(is_late && started.elapsed() < FOREVER, "{status} {answer:#}");
        }
    };
    let posts = bodies.iter().flat_map(|body| [served.api(), &other].map(|api| post(api, body)));
    let hashes: BTreeSet<_> = futures::future::try_join_all(posts).await?.into_iter().collect();
    assert_eq!(hashes.len(), bodies.len());
    for hash in hashes {
        until_mined(&served, hash.parse()?).await?;
    }
    assert_eq!(sent_by_relayer(&served).await?, 8);
    let url = served.stack.database_url()?;
    assert_eq!(number(&url, "SELECT count(*) FROM relayed").await?, 8);
    assert_eq!(number(&url, "SELECT max(nonce) FROM relayed").await?, 7);
    Ok(())
}

#[tokio::test]
async fn the_relayer_is_nobodys_errand_boy() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    let contracts = served.stack.deployment.contracts;
    let body = register(&served, &wallet).await?;
    let prepared = served.prepare("/api/agents/register", &registration(wallet.address())).await?;
    // The request with other members, signed as it then stands.
    let resigned = |name: &str, value: Value| -> Result<Value> {
        let mut prepared = prepared.clone();
        prepared["typedData"]["message"][name] = value.clone();
        prepared["relay"]["request"][name] = value;
        signed(&prepared, &wallet)
    };
    let to = |to: Address| json!(to.to_checksum(None));
    let data = |data: Bytes| json!(data.to_string());
    let both = |target: Address, call: Bytes| -> Result<Value> {
        let mut prepared = prepared.clone();
        for part in ["/typedData/message", "/relay/request"] {
            let part = prepared.pointer_mut(part).context("a part")?;
            part["to"] = to(target);
            part["data"] = data(call.clone());
        }
        signed(&prepared, &wallet)
    };
    let draft = Call::Create(served.stack.offer(Usdc::whole(1)).await?).calldata();
    let transfer = TestUSDC::transferCall { to: account(9), value: U256::from(1) }.abi_encode();
    let allowance = Call::ApproveUsdc { spender: contracts.run_escrow, amount: Usdc::whole(1) }.calldata();
    for (what, body) in [
        ("ether", resigned("value", json!("1"))?),
        ("a stranger", both(account(9), Bytes::new())?),
        ("a bare draft", both(contracts.run_escrow, draft)?),
        ("a transfer", both(contracts.usdc, transfer.into())?),
        ("an allowance", both(contracts.usdc, allowance)?),
        ("a view", both(contracts.run_escrow, Bytes::from_static(&[0x8d, 0xa5, 0xcb, 0x5b]))?),
        ("the forwarder itself", both(contracts.forwarder, Bytes::from_static(&[1, 2, 3, 4]))?),
    ] {
        post(&served, &body).await?.require(403, "not_relayable").map_err(|error| error.context(what))?;
    }
    let now = served.stack.now().await?.0;
    for (what, deadline) in [("over", now - 1), ("too far away", now + 3_600)] {
        let refused = post(&served, &resigned("deadline", json!(deadline.to_string()))?).await?;
        refused.require_field(400, "relay_deadline_out_of_range", "request.deadline").map_err(|error| error.context(what))?;
    }
    let refused = post(&served, &resigned("gas", json!("1500001"))?).await?;
    refused.require(422, "relay_gas_too_high")?;
    assert_eq!(refused.body["limit"], 1_500_000);

    let others = with(&body, "signature", json!(sign_typed(&prepared["typedData"], &key(3))?));
    let mut changed = body.clone();
    changed["request"]["gas"] = json!("1000000");
    let short = with(&body, "signature", json!("0x1234"));
    for body in [others, changed, short] {
        post(&served, &body).await?.require_field(400, "invalid_signature", "signature")?;
    }

    let mut both_kinds = body.clone();
    both_kinds["call"] = json!({ "to": account(1), "data": "0x" });
    post(&served, &both_kinds).await?.require_field(400, "invalid_value", "call")?;
    post(&served, &json!({ "signature": "0x" })).await?.require_field(400, "missing_field", "request")?;
    post(&served, &json!({ "request": body["request"] })).await?.require_field(400, "missing_field", "signature")?;
    let mut nonce = body.clone();
    nonce["request"]["nonce"] = json!("0");
    post(&served, &nonce).await?.require_field(400, "unknown_field", "nonce")?;
    let mut far = body.clone();
    far["request"]["deadline"] = json!("18446744073709551615");
    post(&served, &far).await?.require_field(400, "invalid_value", "request.deadline")?;

    // Addresses cost nothing: a wallet that registers at the operator's cost has something to stake.
    let poor = PrivateKeySigner::random();
    let mut of_poor = prepared.clone();
    for part in ["/typedData/message", "/relay/request"] {
        of_poor.pointer_mut(part).context("a part")?["from"] = json!(poor.address().to_checksum(None));
    }
    let refused = post(&served, &signed(&of_poor, &poor)?).await?;
    refused.require(422, "insufficient_usdc")?;
    assert_eq!((&refused.body["asked"], &refused.body["available"]), (&json!("20000000"), &json!("0")));
    assert_eq!(sent_by_relayer(&served).await?, 0);

    // Two requests for one thing: the second would revert, and says why.
    let (_, agent) = served.stack.staked_agent(2).await?;
    let run = served.stack.funded_actor(1, Usdc::whole(100)).await?.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let claim = with(&signer(2), "agentId", json!(agent.0));
    let path = format!("/api/runs/{run}/claim");
    let late = signed(&served.prepare(&path, &claim).await?, &key(2))?;
    served.stack.actor(2).await?.claim(run, agent).await?;
    let refused = post(&served, &late).await?;
    refused.require(400, "wrong_state")?;
    Ok(())
}

#[tokio::test]
async fn an_authorization_is_relayed_for_what_it_is_for() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    let agent = {
        let hash = accepted(&served, &register(&served, &wallet).await?).await?;
        until_mined(&served, hash).await?;
        served.read(&format!("/api/agents?account={}", wallet.address())).await?["agents"][0]["id"].clone()
    };
    let path = format!("/api/agents/{agent}/stake");
    let stake = json!({ "walletAddress": wallet.address(), "amount": "20000000" });
    let prepared = served.prepare(&path, &stake).await?;
    let body = signed(&prepared, &wallet)?;
    let with_signature = {
        let mut body = body.clone();
        let contracts = served.stack.deployment.contracts;
        let bytes: Bytes = body["call"]["data"].as_str().context("data")?.parse()?;
        let mut call = clawpay_bindings::CallWithSignature::decode(contracts.agent_stake, &bytes, &contracts)?;
        call.authorization_mut().context("an authorization")?.signature = Bytes::from_static(&[1; 65]);
        body["call"]["data"] = json!(call.calldata().to_string());
        body
    };
    post(&served, &with_signature).await?.require_field(400, "invalid_value", "call.data")?;
    let others = with(&body, "signature", json!(sign_typed(&prepared["typedData"], &key(3))?));
    post(&served, &others).await?.require(422, "reverted_with_reason")?;
    let elsewhere = {
        let mut body = body.clone();
        body["call"]["to"] = json!(served.stack.deployment.contracts.run_escrow.to_checksum(None));
        body
    };
    post(&served, &elsewhere).await?.require(403, "not_relayable")?;
    let permit = {
        let permit = clawpay_bindings::SignedPermit { deadline: U256::MAX, signature: Bytes::new() };
        let call = Call::Stake { agent: clawpay_domain::AgentId(1), amount: Usdc::whole(20) };
        let call = clawpay_bindings::CallWithSignature::with_permit(&call, permit).context("stakes are paid")?;
        let to = served.stack.deployment.contracts.agent_stake.to_checksum(None);
        json!({ "call": { "to": to, "data": call.calldata() }, "signature": "0x" })
    };
    post(&served, &permit).await?.require(403, "not_relayable")?;

    let hash = accepted(&served, &body).await?;
    let done = served.post(&path, &with(&stake, "transactionHash", json!(hash))).await?;
    assert_eq!((done.status.as_u16(), &done.body["agent"]["stakedAmount"]), (200, &json!("20000000")), "{:#}", done.body);
    assert_eq!(accepted(&served, &body).await?, hash, "the same authorization is the same transaction");
    assert_eq!(sent_by_relayer(&served).await?, 2);
    Ok(())
}

#[tokio::test]
async fn what_relaying_costs_is_bounded() -> Result<()> {
    let mut served = relaying(|options| options.signer_per_day = 1).await?;
    let wallet = newcomer(&served).await?;
    until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
    let again = registering(&mut served, &wallet).await?;
    let refused = post(&served, &again).await?;
    refused.require(429, "relay_quota_exceeded")?;
    assert_eq!((&refused.headers["retry-after"], &refused.body["limit"]), (&reqwest::header::HeaderValue::from(3_600), &json!(1)));
    accepted(&served, &register(&served, &newcomer(&served).await?).await?).await?;

    let start = async |options| {
        Api::start(Config { relay: Some(options), ..Config::new(served.stack.rpc_url(), served.stack.database_url()?) }).await
    };
    let body = register(&served, &newcomer(&served).await?).await?;
    let budget = start(RelayOptions { budget_per_day: U256::from(1_000_000), ..RelayOptions::new(key(RELAYER)) }).await?;
    let penniless = start(RelayOptions::new(PrivateKeySigner::random())).await?;
    let off = Api::start(Config::new(served.stack.rpc_url(), served.stack.database_url()?)).await?;
    for (api, status, code) in
        [(&budget, 503, "relay_budget_exhausted"), (&penniless, 503, "relay_out_of_funds"), (&off, 404, "relay_disabled")]
    {
        let request = reqwest::Client::new().post(format!("{}api/relay", api.url())).json(&body);
        served.send(request).await?.require(status, code)?;
    }
    accepted(&served, &body).await?;
    Ok(())
}

/// An errand that a server wrote down just before it was killed.
async fn written_down_and_not_sent(served: &Served, body: &Value) -> Result<B256> {
    let request = &body["request"];
    let text = |name: &str| request[name].as_str().context("a text");
    let data = ERC2771Forwarder::executeCall {
        request: clawpay_bindings::forwarder::ERC2771Forwarder::ForwardRequestData {
            from: text("from")?.parse()?,
            to: text("to")?.parse()?,
            value: U256::ZERO,
            gas: text("gas")?.parse()?,
            deadline: text("deadline")?.parse()?,
            data: text("data")?.parse()?,
            signature: serde_json::from_value(body["signature"].clone())?,
        },
    };
    let data = Bytes::from(data.abi_encode());
    let forwarder = served.stack.deployment.contracts.forwarder;
    let job = RelayJob {
        posted: alloy::primitives::keccak256(&data),
        signed: B256::random(),
        signer: text("from")?.parse()?,
        target: forwarder,
        data: data.clone(),
        gas: 1_000_000,
        data_fee: U256::ZERO,
        is_registration: false,
    };
    let submitted_transactions = SubmittedTransactions::new(&served.stack.database_url()?)?;
    let turn = submitted_transactions.relay_turn().await?;
    let mut lane = submitted_transactions.nonce_lock(&turn, account(RELAYER)).await?;
    let nonce = lane.next_nonce(sent_by_relayer(served).await?).await?;
    let transaction = TxEip1559 {
        chain_id: served.stack.deployment.chain_id,
        nonce,
        gas_limit: job.gas,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(forwarder),
        input: data,
        ..Default::default()
    };
    let signature = key(RELAYER).sign_hash_sync(&transaction.signature_hash())?;
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    let gas = GasOffer { max_fee: 10_000_000_000, priority_fee: Some(1) };
    let attempt = RelayAttempt { gas, hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() };
    ensure!(lane.take_on(nonce, &job, &attempt).await?);
    Ok(attempt.hash)
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_loses_nothing_and_repeats_nothing() -> Result<()> {
    let served = Served::start().await?;
    served.stack.provider().anvil_set_auto_mine(true).await?;
    let relaying = async || {
        let mut config = Config::new(served.stack.rpc_url(), served.stack.database_url()?);
        config.relay = Some(RelayOptions::new(key(RELAYER)));
        Api::start(config).await
    };
    // Prepared by a server that relays, and gone before the posts.
    let mut bodies = Vec::new();
    {
        let api = relaying().await?;
        for _ in 0..3 {
            let wallet = newcomer(&served).await?;
            let request = reqwest::Client::new().post(format!("{}api/agents/register", api.url())).json(&registration(wallet.address()));
            bodies.push(signed(&served.send(request).await?.body, &wallet)?);
        }
    }
    let first = written_down_and_not_sent(&served, &bodies[0]).await?;
    let second = written_down_and_not_sent(&served, &bodies[1]).await?;
    assert_eq!(sent_by_relayer(&served).await?, 0);

    let api = relaying().await?;
    for hash in [first, second] {
        until_mined(&served, hash).await?;
    }
    assert_eq!(sent_by_relayer(&served).await?, 2);
    // What the client posts again, because it had no answer, is what was sent; what it had not posted takes the next nonce.
    for (body, hash) in bodies.iter().zip([Some(first), Some(second), None]) {
        let request = reqwest::Client::new().post(format!("{}api/relay", api.url())).json(body);
        let answer = served.send(request).await?;
        ensure!(answer.status.as_u16() == 202, "{:#}", answer.body);
        ensure!(hash.is_none_or(|hash| answer.body["transactionHash"] == json!(hash)), "{:#}", answer.body);
    }
    served.settle().await?;
    assert_eq!(sent_by_relayer(&served).await?, 3);
    assert_eq!(served.read("/api/agents").await?["pagination"]["total"], 3);

    // What the node forgets is sent again.
    let wallet = newcomer(&served).await?;
    let prepared = {
        let request = reqwest::Client::new().post(format!("{}api/agents/register", api.url())).json(&registration(wallet.address()));
        served.send(request).await?.body
    };
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let request = reqwest::Client::new().post(format!("{}api/relay", api.url())).json(&signed(&prepared, &wallet)?);
    let hash: B256 = served.send(request).await?.body["transactionHash"].as_str().context("transactionHash")?.parse()?;
    served.stack.provider().anvil_drop_transaction(hash).await?;
    assert_eq!(served.read(&format!("/api/transactions/{hash}")).await?["status"], "pending", "it is looked after");
    for _ in 0..100 {
        if served.stack.provider().get_transaction_by_hash(hash).await?.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    served.stack.provider().anvil_set_auto_mine(true).await?;
    served.stack.mine(1).await?;
    until_mined(&served, hash).await?;
    assert_eq!(sent_by_relayer(&served).await?, 4);
    Ok(())
}

#[tokio::test]
async fn what_waits_too_long_is_offered_more_for_and_keeps_its_place() -> Result<()> {
    let served = relaying(|options| options.patience = Duration::from_secs(1)).await?;
    let wallet = newcomer(&served).await?;
    let path = "/api/agents/register";
    let body = registration(wallet.address());
    let posted = signed(&served.prepare(path, &body).await?, &wallet)?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let first = accepted(&served, &posted).await?;
    let url = served.stack.database_url()?;
    for _ in 0..200 {
        if number(&url, "SELECT count(*) FROM sent").await? >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(number(&url, "SELECT count(*) FROM relayed").await?, 1, "one job");
    assert_eq!(number(&url, "SELECT count(DISTINCT nonce) FROM sent").await?, 1, "one place");
    served.stack.provider().anvil_set_auto_mine(true).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    assert_eq!(sent_by_relayer(&served).await?, 1);
    let mined = until_mined(&served, first).await?;
    assert_ne!(mined, first);

    // The client knows the first transaction only, and is told the outcome all the same.
    let done = served.post(path, &with(&body, "transactionHash", json!(first))).await?;
    assert_eq!((done.status.as_u16(), &done.body["success"]), (200, &json!(true)), "{:#}", done.body);
    assert_eq!(done.body["transactionHash"], json!(mined));
    assert_eq!(accepted(&served, &posted).await?, mined);
    Ok(())
}

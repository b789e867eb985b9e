//! What the relayer pays for: what a verb needs, what the chain charged, and nothing that costs its signer nothing for long.

use std::time::Duration;

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes, U256, address},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_api::{Config, RelayOptions};
use clawpay_bindings::{Call, CallWithSignature, ERC2771Forwarder, forwarder::ERC2771Forwarder::ForwardRequestData};
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::{Api, key};
use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{
    node_proxy::{NodeProxy, Oddity},
    relay::{RELAYER, accepted, newcomer, post, register, registering, registration, relaying, sent_by_relayer, signed, until_mined},
    served::{Served, account, signer, with},
    signing::in_a_month,
    strict_wallet::most_it_costs,
};
use crate::indexer::{number, text};

/// The prepared request with other calldata, and room to execute it.
fn reworded(prepared: &Value, data: &Bytes, wallet: &PrivateKeySigner) -> Result<Value> {
    let mut prepared = prepared.clone();
    for part in ["/typedData/message", "/relay/request"] {
        let part = prepared.pointer_mut(part).context("a part")?;
        part["data"] = json!(data.to_string());
        part["gas"] = json!("1400000");
    }
    signed(&prepared, wallet)
}

fn calldata(prepared: &Value) -> Result<Bytes> {
    Ok(prepared["relay"]["request"]["data"].as_str().context("data")?.parse()?)
}

/// The same market, served by a relayer with other limits.
async fn with_limits(served: &mut Served, configure: impl FnOnce(&mut RelayOptions)) -> Result<()> {
    let mut options = RelayOptions::new(key(RELAYER));
    configure(&mut options);
    let config = Config { relay: Some(options), ..Config::new(served.stack.rpc_url(), served.stack.database_url()?) };
    served.api = Api::start(config).await?;
    Ok(())
}

/// Waits until a query answers something else than 0.
async fn until(url: &str, sql: &'static str) -> Result<i64> {
    for _ in 0..200 {
        match number(url, sql).await? {
            0 => tokio::time::sleep(Duration::from_millis(100)).await,
            some => return Ok(some),
        }
    }
    anyhow::bail!("still 0: {sql}")
}

#[tokio::test]
async fn no_byte_is_relayed_that_a_contract_does_not_read() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    let prepared = served.prepare("/api/agents/register", &registration(wallet.address())).await?;
    let exact = calldata(&prepared)?;
    for noise in [1, 32, 28_000] {
        let noisy = Bytes::from([exact.as_ref(), &vec![0xa5; noise]].concat());
        let refused = post(&served, &reworded(&prepared, &noisy, &wallet)?).await?;
        refused.require(403, "not_relayable").map_err(|error| error.context(noise))?;
        assert!(refused.body["detail"].as_str().unwrap_or_default().contains(&format!("{noise} bytes follow")), "{:#}", refused.body);
    }

    // A permit that is not needed is passed over by the contract, whatever is written in it; so is what a contract wallet signs with.
    let (actor, agent) = served.stack.staked_agent(2).await?;
    served.settle().await?;
    let contracts = served.stack.deployment.contracts;
    let path = format!("/api/agents/{agent}/stake");
    let stake = json!({ "walletAddress": actor.address(), "amount": "20000000" });
    served.stack.mint(actor.address(), Usdc::whole(100)).await?;
    let prepared = served.prepare(&path, &stake).await?;
    let long = json!(Bytes::from(vec![0xa5; 8_000]).to_string());
    let refused = post(&served, &with(&prepared["relay"], "signature", long)).await?;
    refused.require(403, "not_relayable")?;
    assert!(refused.body["detail"].as_str().unwrap_or_default().contains("4096 bytes"), "{:#}", refused.body);
    let mut trailing = signed(&prepared, &key(2))?;
    let data = trailing["call"]["data"].as_str().context("data")?.to_owned();
    trailing["call"]["data"] = json!(format!("{data}00"));
    post(&served, &trailing).await?.require(403, "not_relayable")?;
    let permit = clawpay_bindings::SignedPermit { deadline: U256::MAX, signature: Bytes::from(vec![0xa5; 8_000]) };
    let permit = CallWithSignature::with_permit(&Call::Stake { agent, amount: Usdc::whole(20) }, permit).context("stakes are paid")?;
    // As a request of any verb stands, to the stakes and with that permit.
    let mut request = served.prepare("/api/agents/register", &registration(actor.address())).await?;
    for part in ["/typedData/message", "/relay/request"] {
        request.pointer_mut(part).context("a part")?["to"] = json!(contracts.agent_stake.to_checksum(None));
    }
    post(&served, &reworded(&request, &permit.calldata(), &key(2))?).await?.require(403, "not_relayable")?;
    assert_eq!(sent_by_relayer(&served).await?, 0);
    accepted(&served, &signed(&prepared, &key(2))?).await?;
    Ok(())
}

#[tokio::test]
async fn registrations_have_a_share_of_their_own() -> Result<()> {
    let mut served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    // A long description is sent by its owner.
    let long = json!({ "walletAddress": wallet.address(), "agentURI": format!("data:,{}", "x".repeat(1_350)) });
    assert_eq!(served.prepare("/api/agents/register", &long).await?["typedData"], Value::Null);
    let prepared = served.prepare("/api/agents/register", &registration(wallet.address())).await?;
    let described = Call::Register { agent_uri: format!("data:,{}", "x".repeat(251)) }.calldata();
    post(&served, &reworded(&prepared, &described, &wallet)?).await?.require(403, "not_relayable")?;
    // Of one signer.
    for _ in 0..2 {
        until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
    }
    let body = registering(&mut served, &wallet).await?;
    let refused = post(&served, &body).await?;
    refused.require(429, "relay_quota_exceeded")?;
    assert_eq!(refused.body["limit"], 2);
    assert!(refused.body["detail"].as_str().unwrap_or_default().contains("registrations"), "{:#}", refused.body);

    // Of all signers, a quarter of the budget: here less than one more, and more than another verb.
    let (actor, agent) = served.stack.staked_agent(2).await?;
    served.stack.mint(actor.address(), Usdc::whole(100)).await?;
    served.settle().await?;
    let other = newcomer(&served).await?;
    let body = register(&served, &other).await?;
    let step = &served.prepare("/api/agents/register", &registration(other.address())).await?["steps"][0]["transaction"];
    let cost = most_it_costs(step)?;
    until(&served.stack.database_url()?, "SELECT (count(*) FILTER (WHERE charged IS NULL) = 0)::integer::bigint FROM relayed").await?;
    let spent = text(&served.stack.database_url()?, "SELECT sum(coalesce(charged, gas::numeric * max_fee))::text FROM relayed").await?;
    let spent: u128 = spent.parse()?;
    with_limits(&mut served, |options| options.budget_per_day = U256::from((spent + cost / 2) * 4)).await?;
    let refused = post(&served, &body).await?;
    refused.require(503, "relay_budget_exhausted")?;
    assert!(refused.body["detail"].as_str().unwrap_or_default().contains("registrations"), "{:#}", refused.body);
    assert_eq!(served.prepare("/api/agents/register", &registration(other.address())).await?["typedData"], Value::Null);
    let stake = json!({ "walletAddress": actor.address(), "amount": "20000000" });
    let prepared = served.prepare(&format!("/api/agents/{agent}/stake"), &stake).await?;
    accepted(&served, &signed(&prepared, &key(2))?).await?;
    assert_eq!(served.read("/api/config").await?["relaying"], true);
    Ok(())
}

#[tokio::test]
async fn what_a_job_costs_is_what_its_receipt_says() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let url = served.stack.database_url()?;
    let wallet = newcomer(&served).await?;
    let hash = until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
    let receipt = served.stack.provider().get_transaction_receipt(hash).await?.context("a receipt")?;
    let charged = until(&url, "SELECT coalesce(sum(charged), 0)::bigint FROM relayed").await?;
    assert_eq!(u128::try_from(charged)?, u128::from(receipt.gas_used) * receipt.effective_gas_price);
    assert!(number(&url, "SELECT (gas::numeric * max_fee)::bigint FROM relayed").await? > charged, "until then, the most that it may cost");
    Ok(())
}

#[tokio::test]
async fn the_fee_for_publishing_bytes_elsewhere_counts_too() -> Result<()> {
    // As OP-stack chains do: an oracle tells the fee, and receipts name what was taken. This oracle says 4 gwei to every question.
    let oracle = Bytes::from_static(&[0x63, 0xee, 0x6b, 0x28, 0x00, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]);
    let mut served = relaying(|_| ()).await?;
    served.stack.provider().anvil_set_code(address!("0x420000000000000000000000000000000000000F"), oracle).await?;
    let proxy = NodeProxy::start(served.stack.rpc_url(), Oddity::PublishesElsewhere).await?;
    let config = Config::new(proxy.url.clone(), served.stack.database_url()?);
    served.api = Api::start(Config { relay: Some(RelayOptions::new(key(RELAYER))), ..config }).await?;
    let url = served.stack.database_url()?;
    let wallet = newcomer(&served).await?;
    let hash = until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
    assert_eq!(number(&url, "SELECT data_fee::bigint FROM relayed").await?, 5_000_000_000, "it may rise by a quarter");
    let receipt = served.stack.provider().get_transaction_receipt(hash).await?.context("a receipt")?;
    let charged = until(&url, "SELECT coalesce(sum(charged), 0)::bigint FROM relayed").await?;
    assert_eq!(u128::try_from(charged)?, u128::from(receipt.gas_used) * receipt.effective_gas_price + 7_000_000_000);
    Ok(())
}

/// Has another account execute the request in the block that the relayer's transaction is in, ahead of it.
async fn executed_directly(served: &Served, body: &Value) -> Result<()> {
    let request = &body["request"];
    let text = |name: &str| request[name].as_str().context("a text");
    let data = ERC2771Forwarder::executeCall {
        request: ForwardRequestData {
            from: text("from")?.parse()?,
            to: text("to")?.parse()?,
            value: U256::ZERO,
            gas: text("gas")?.parse()?,
            deadline: text("deadline")?.parse()?,
            data: text("data")?.parse()?,
            signature: serde_json::from_value(body["signature"].clone())?,
        },
    };
    ahead(served, account(3), served.stack.deployment.contracts.forwarder, data.abi_encode().into()).await
}

/// Sends a transaction at a price that puts it ahead of the relayer's.
async fn ahead(served: &Served, from: Address, to: Address, data: Bytes) -> Result<()> {
    let request = TransactionRequest::default().with_from(from).with_to(to).with_input(data).with_gas_limit(1_000_000);
    let request = request.with_max_fee_per_gas(500_000_000_000).with_max_priority_fee_per_gas(400_000_000_000);
    let _waits = served.stack.provider().send_transaction(request).await?;
    Ok(())
}

#[tokio::test]
async fn a_signer_that_uses_its_nonce_directly_pays_with_its_share() -> Result<()> {
    let mut served = relaying(|options| options.signer_reverts_per_day = 1).await?;
    let (wallet, url) = (newcomer(&served).await?, served.stack.database_url()?);
    served.settle().await?;
    let body = register(&served, &wallet).await?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let hash = accepted(&served, &body).await?;
    executed_directly(&served, &body).await?;
    served.stack.mine(1).await?;
    served.stack.provider().anvil_set_auto_mine(true).await?;
    let receipt = served.stack.provider().get_transaction_receipt(hash).await?.context("a receipt")?;
    ensure!(!receipt.status(), "the direct one came first");
    until(&url, "SELECT count(*) FROM relayed WHERE is_signers_revert").await?;
    served.settle().await?;
    let body = registering(&mut served, &wallet).await?;
    let refused = post(&served, &body).await?;
    refused.require(429, "relay_quota_exceeded")?;
    assert!(refused.body["detail"].as_str().unwrap_or_default().contains("reverted"), "{:#}", refused.body);
    // It cost something, and others are relayed as before.
    let charged = number(&url, "SELECT charged::bigint FROM relayed").await?;
    assert_eq!(u128::try_from(charged)?, u128::from(receipt.gas_used) * receipt.effective_gas_price);
    accepted(&served, &register(&served, &newcomer(&served).await?).await?).await?;
    Ok(())
}

#[tokio::test]
async fn who_was_only_slower_is_relayed_on() -> Result<()> {
    let served = relaying(|options| options.signer_reverts_per_day = 1).await?;
    let url = served.stack.database_url()?;
    let (_, slow) = served.stack.staked_agent(2).await?;
    let (_, fast) = served.stack.staked_agent(4).await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    let next = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let claim = with(&signer(2), "agentId", json!(slow.0));
    let body = signed(&served.prepare(&format!("/api/runs/{run}/claim"), &claim).await?, &key(2))?;
    let faster = with(&signer(4), "agentId", json!(fast.0));
    let faster = served.prepare(&format!("/api/runs/{run}/claim"), &faster).await?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let hash = accepted(&served, &body).await?;
    let data = faster["steps"][0]["transaction"]["data"].as_str().context("data")?.parse()?;
    ahead(&served, account(4), served.stack.deployment.contracts.run_escrow, data).await?;
    served.stack.mine(1).await?;
    served.stack.provider().anvil_set_auto_mine(true).await?;
    let receipt = served.stack.provider().get_transaction_receipt(hash).await?.context("a receipt")?;
    ensure!(!receipt.status(), "the other came first");
    until(&url, "SELECT count(*) FROM relayed WHERE charged IS NOT NULL").await?;
    served.settle().await?;
    assert_eq!(number(&url, "SELECT count(*) FROM relayed WHERE is_signers_revert").await?, 0);
    let body = signed(&served.prepare(&format!("/api/runs/{next}/claim"), &claim).await?, &key(2))?;
    accepted(&served, &body).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_not_paid_for_is_not_offered() -> Result<()> {
    let mut served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    let body = registration(wallet.address());
    let config = served.read("/api/config").await?;
    assert_eq!((&config["relaying"], &config["relayingExhausted"]), (&json!(true), &json!(false)));
    assert!(served.prepare("/api/agents/register", &body).await?["typedData"].is_object());
    for (what, configure) in [
        ("a budget", (|options: &mut RelayOptions| options.budget_per_day = U256::from(1_000_000)) as fn(&mut RelayOptions)),
        ("ether", |options| options.key = PrivateKeySigner::random()),
    ] {
        with_limits(&mut served, configure).await?;
        let mut answer = served.get("/api/config").await?;
        // A node that answers late leaves it open for a moment.
        for _ in 0..20 {
            if answer.body["relayingExhausted"] == true {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            answer = served.get("/api/config").await?;
        }
        assert_eq!((&answer.body["relaying"], &answer.body["relayingExhausted"]), (&json!(false), &json!(true)), "{what}");
        assert!(!answer.headers.contains_key("etag"), "{what}: it may change without a block");
        // The transaction is prepared all the same.
        let prepared = served.prepare("/api/agents/register", &body).await?;
        assert_eq!((&prepared["typedData"], prepared["steps"].as_array().map(Vec::len)), (&Value::Null, Some(1)), "{what}");
    }

    // What is used up on this server is not offered by it any more from the next prepare on.
    with_limits(&mut served, |_| ()).await?;
    let prepared = served.prepare("/api/agents/register", &body).await?;
    let step = &prepared["steps"][0]["transaction"];
    let budget = U256::from(most_it_costs(step)? * 8);
    with_limits(&mut served, |options| options.budget_per_day = budget).await?;
    let other = newcomer(&served).await?.address();
    served.stack.provider().anvil_set_auto_mine(false).await?;
    assert!(served.prepare("/api/agents/register", &registration(other)).await?["typedData"].is_object());
    accepted(&served, &signed(&prepared, &wallet)?).await?;
    assert_eq!(served.prepare("/api/agents/register", &registration(other)).await?["typedData"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn what_would_not_be_relayed_for_its_signer_is_not_offered() -> Result<()> {
    let served = relaying(|options| options.signer_per_day = 3).await?;
    let (poor, wallet) = (PrivateKeySigner::random(), newcomer(&served).await?);
    served.settle().await?;
    let is_offered = async |path: &str, body: &Value| -> Result<bool> { Ok(served.prepare(path, body).await?["typedData"].is_object()) };
    assert!(!is_offered("/api/agents/register", &registration(poor.address())).await?, "it has no stake");
    for _ in 0..2 {
        assert!(is_offered("/api/agents/register", &registration(wallet.address())).await?);
        until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;
        served.settle().await?;
    }
    assert!(!is_offered("/api/agents/register", &registration(wallet.address())).await?, "it has registered twice");
    let offer =
        json!({ "posterAddress": wallet.address(), "reward": "10000000", "deadline": in_a_month(&served).await?, "ipfsHash": "ipfs://a" });
    let prepared = served.prepare("/api/runs", &offer).await?;
    until_mined(&served, accepted(&served, &signed(&prepared, &wallet)?).await?).await?;
    served.settle().await?;
    assert!(!is_offered("/api/runs", &offer).await?, "it has had its share");
    assert!(is_offered("/api/runs", &with(&offer, "posterAddress", json!(newcomer(&served).await?.address()))).await?);
    Ok(())
}

#[tokio::test]
async fn what_is_offered_is_paid_for() -> Result<()> {
    let mut served = relaying(|_| ()).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    let offer =
        json!({ "posterAddress": wallet.address(), "reward": "10000000", "deadline": in_a_month(&served).await?, "ipfsHash": "ipfs://a" });
    let whole = served.prepare("/api/runs", &offer).await?;
    let step = whole["steps"].as_array().and_then(|steps| steps.last()).context("steps")?;
    let cost = most_it_costs(&step["transaction"])?;
    // From less than the verb costs by itself to more than it costs when it is relayed.
    let mut offered = 0;
    for tenths in [9, 11, 13, 15, 17, 19] {
        with_limits(&mut served, |options| options.budget_per_day = U256::from(cost * tenths / 10)).await?;
        let prepared = served.prepare("/api/runs", &offer).await?;
        if prepared["typedData"].is_object() {
            offered += 1;
            assert_eq!(served.read("/api/config").await?["relaying"], true, "{tenths}");
            until_mined(&served, accepted(&served, &signed(&prepared, &wallet)?).await?).await?;
            break;
        }
    }
    assert_eq!(offered, 1, "it is never offered");
    Ok(())
}

#[tokio::test]
async fn of_one_signer_no_more_is_on_its_way_than_may_revert() -> Result<()> {
    let served = relaying(|options| options.signer_reverts_per_day = 2).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let post_run =
        json!({ "posterAddress": wallet.address(), "reward": "10000000", "deadline": in_a_month(&served).await?, "ipfsHash": "ipfs://a" });
    let mut bodies = Vec::new();
    for _ in 0..3 {
        bodies.push(signed(&served.prepare("/api/runs", &post_run).await?, &wallet)?);
    }
    accepted(&served, &bodies[0]).await?;
    accepted(&served, &bodies[1]).await?;
    let refused = post(&served, &bodies[2]).await?;
    refused.require(429, "relay_quota_exceeded")?;
    assert!(refused.body["detail"].as_str().unwrap_or_default().contains("at a time"), "{:#}", refused.body);
    served.stack.mine(1).await?;
    accepted(&served, &bodies[2]).await?;
    Ok(())
}

#[tokio::test]
async fn stakes_that_cost_next_to_nothing_are_not_relayed() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let (_, agent) = served.stack.staked_agent(2).await?;
    let wallet = newcomer(&served).await?;
    served.settle().await?;
    let path = format!("/api/agents/{agent}/stake");
    let stake = |amount: &str| json!({ "walletAddress": wallet.address(), "amount": amount, "allowForeign": true });
    let enough = served.prepare(&path, &stake("10000000")).await?;
    let little = served.prepare(&path, &stake("9999999")).await?;
    assert!(enough["relay"].is_object() && little.get("relay").is_none_or(Value::is_null), "{little:#}");
    // Nor is one that was put together from what was offered for more.
    let body = signed(&enough, &wallet)?;
    let less: Value = serde_json::from_str(&body.to_string().replace("0000989680", "000098967f"))?;
    ensure!(less != body, "{body:#}");
    post(&served, &less).await?.require(403, "not_relayable")?;
    accepted(&served, &body).await?;
    Ok(())
}

#[tokio::test]
async fn what_can_be_done_once_is_paid_for_once_however_many_ask_at_the_same_time() -> Result<()> {
    let served = relaying(|_| ()).await?;
    let (actor, agent) = served.stack.staked_agent(2).await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    actor.claim(run, agent).await?;
    // Past the agent's time and the poster's precedence.
    served.stack.warp(Seconds::days(15)).await?;
    served.settle().await?;
    let path = format!("/api/runs/{run}/slash");
    let mut bodies = Vec::new();
    for _ in 0..6 {
        let stranger = PrivateKeySigner::random();
        bodies.push(signed(&served.prepare(&path, &json!({ "walletAddress": stranger.address() })).await?, &stranger)?);
    }
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let answers = try_join_all(bodies.iter().map(|body| post(&served, body))).await?;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 1, "{statuses:?}");
    for refused in answers.iter().filter(|answer| answer.status != 202) {
        refused.require(409, "wrong_state")?;
    }
    served.stack.mine(1).await?;
    assert_eq!(sent_by_relayer(&served).await?, 1);
    Ok(())
}

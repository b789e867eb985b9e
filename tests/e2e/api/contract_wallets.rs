//! Wallets that nobody here wrote: what they do comes in envelopes of their own. The market's own events in the receipt are the proof, so that
//! the hash of any of them is an outcome, and an envelope that succeeded around a call that did not is none.

use alloy::{
    primitives::{B256, U256},
    providers::Provider,
    rpc::types::TransactionReceipt,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_bindings::{AgentRegistry, Call};
use clawpay_cli::deploy::{self, Plan};
use clawpay_domain::{RunId, Usdc};
use clawpay_tests::{
    OPERATOR,
    contract_wallets::{
        BatchCall, BlobAccount, ContractWallet, DelegatedAccount, EntryPoint, ForwardedAccount, Safe, SmartAccount, SponsoredAccount,
    },
};
use serde_json::{Value, json};

use super::served::{Answer, Served, account, with};

/// Pays for what others' wallets do, and is no party to it.
const EXECUTOR: u32 = 6;
const POSTER: u32 = 1;
const WORKER: u32 = 2;

/// The calls of a prepared action, as wallets take them that batch.
fn calls_of(prepared: &Value) -> Result<Vec<BatchCall>> {
    let calls = prepared["calls"]["calls"].as_array().context("calls")?;
    calls.iter().map(|call| Ok(BatchCall { to: text(call, "to")?.parse()?, data: text(call, "data")?.parse()? })).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{name} is not a text in {value}"))
}

/// Hands in the hash of what was mined.
async fn hand_in(served: &Served, path: &str, body: &Value, hash: B256) -> Result<Answer> {
    served.post(path, &with(body, "transactionHash", json!(hash))).await
}

/// Hands in the hash of what was mined, which must be answered as done, and the same when asked again.
async fn done(served: &Served, path: &str, body: &Value, receipt: &TransactionReceipt) -> Result<Value> {
    let hash = receipt.transaction_hash;
    let answer = hand_in(served, path, body, hash).await?;
    ensure!(answer.status == 200 && answer.body["success"] == true, "{path}: {} {:#}", answer.status, answer.body);
    ensure!(answer.body["transactionHash"] == json!(hash), "{:#}", answer.body);
    ensure!(answer.body["blockNumber"] == json!(receipt.block_number), "{:#}", answer.body);
    let again = hand_in(served, path, body, hash).await?;
    ensure!(again.body == answer.body, "{path}: asked again, {} {:#}", again.status, again.body);
    Ok(answer.body)
}

/// Prepares an action, lets the wallet do all its calls as it does them, and hands in what was mined.
async fn act(served: &Served, wallet: &impl ContractWallet, path: &str, body: &Value) -> Result<Value> {
    let prepared = served.prepare(path, body).await?;
    let receipt = wallet.execute(&calls_of(&prepared)?).await.with_context(|| format!("{path} was not executed"))?;
    done(served, path, body, &receipt).await
}

fn signer(wallet: &impl ContractWallet) -> Value {
    json!({ "walletAddress": wallet.address() })
}

/// The body of `POST /api/runs`, claimable for 30 days.
async fn offer(served: &Served, wallet: &impl ContractWallet, content: &str) -> Result<Value> {
    let deadline = i64::try_from(served.stack.now().await?.0 + 30 * 86_400)?;
    let deadline = time::OffsetDateTime::from_unix_timestamp(deadline)?.format(&time::format_description::well_known::Rfc3339)?;
    Ok(json!({ "posterAddress": wallet.address(), "reward": "100000000", "deadline": deadline, "ipfsHash": content }))
}

/// Registers an agent and stakes for it; its id.
async fn become_agent(served: &Served, wallet: &impl ContractWallet) -> Result<Value> {
    served.stack.mint(wallet.address(), Usdc::whole(20)).await?;
    let registered = act(served, wallet, "/api/agents/register", &with(&signer(wallet), "agentURI", json!("ipfs://card"))).await?;
    let id = registered["agent"]["id"].clone();
    let agent = served.read(&format!("/api/agents/{id}")).await?;
    ensure!(agent["owner"] == json!(wallet.address().to_checksum(None)), "{agent:#}");

    let stake = with(&signer(wallet), "amount", json!("20000000"));
    let staked = act(served, wallet, &format!("/api/agents/{id}/stake"), &stake).await?;
    ensure!(staked["agent"] == json!({ "id": id, "status": "PROVISIONAL", "stakedAmount": "20000000", "hasMinStake": true }), "{staked:#}");
    Ok(id)
}

/// An agent's life, and a poster's, in one wallet: from nothing to paid, and from an offer to work accepted.
async fn live(served: &Served, wallet: &impl ContractWallet) -> Result<()> {
    let owner = json!(wallet.address().to_checksum(None));
    let stranger = served.stack.funded_actor(POSTER, Usdc::whole(1_000)).await?;
    let run = stranger.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;

    let agent = become_agent(served, wallet).await?;
    let claimed = act(served, wallet, &format!("/api/runs/{run}/claim"), &with(&signer(wallet), "agentId", agent.clone())).await?;
    ensure!(claimed["run"]["state"] == "CLAIMED" && claimed["run"]["claimedByWallet"] == owner, "{claimed:#}");
    ensure!(claimed["message"] == "Run claimed successfully." && claimed["agent"]["id"] == agent, "{claimed:#}");
    let started = act(served, wallet, &format!("/api/runs/{run}/start"), &signer(wallet)).await?;
    ensure!(started["run"]["state"] == "IN_PROGRESS", "{started:#}");
    let work = with(&signer(wallet), "deliverableURI", json!("ipfs://work"));
    let submitted = act(served, wallet, &format!("/api/runs/{run}/submit"), &work).await?;
    ensure!(submitted["run"]["state"] == "SUBMITTED" && submitted["run"]["deliverableHash"] == "ipfs://work", "{submitted:#}");
    stranger.approve(run).await?;
    served.settle().await?;
    let unstake = with(&signer(wallet), "amount", json!("20000000"));
    let unstaked = act(served, wallet, &format!("/api/agents/{agent}/unstake"), &unstake).await?;
    ensure!(unstaked["agent"]["stakedAmount"] == "0", "{unstaked:#}");

    // 30 USDC are what it staked and what it has earned.
    served.stack.mint(wallet.address(), Usdc::whole(75)).await?;
    let created = act(served, wallet, "/api/runs", &offer(served, wallet, "ipfs://offer").await?).await?;
    ensure!(created["run"]["state"] == "OPEN" && created["run"]["posterAddress"] == owner, "{created:#}");
    ensure!(created["run"]["ipfsHash"] == "ipfs://offer", "{created:#}");
    let run = RunId(created["run"]["bountyId"].as_u64().context("bountyId")?);
    let (worker, agent) = served.stack.staked_agent(WORKER).await?;
    worker.claim(run, agent).await?;
    worker.submit(run, "ipfs://first").await?;
    served.settle().await?;
    let feedback = with(&signer(wallet), "feedback", json!("Please add tests."));
    let revised = act(served, wallet, &format!("/api/runs/{run}/request-revision"), &feedback).await?;
    ensure!(revised["run"]["state"] == "REVISION_REQUESTED", "{revised:#}");
    worker.submit(run, "ipfs://second").await?;
    served.settle().await?;
    let approved = act(served, wallet, &format!("/api/runs/{run}/approve"), &signer(wallet)).await?;
    ensure!(approved["run"]["state"] == "APPROVED", "{approved:#}");

    let draft = with(&offer(served, wallet, "ipfs://draft").await?, "draft", json!(true));
    let drafted = act(served, wallet, "/api/runs", &draft).await?;
    let cancelled = act(served, wallet, &format!("/api/runs/{}/cancel", drafted["run"]["bountyId"]), &signer(wallet)).await?;
    ensure!(cancelled["run"]["state"] == "CANCELLED", "{cancelled:#}");
    Ok(())
}

/// A Safe with enough USDC for two runs of [`offer`].
async fn rich_safe(served: &Served) -> Result<Safe> {
    let safe = Safe::deploy(served.stack.actor(EXECUTOR).await?.wallet()).await?;
    served.stack.mint(safe.address(), Usdc::whole(210)).await?;
    Ok(safe)
}

#[tokio::test]
async fn a_safe_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let safe = Safe::deploy(served.stack.actor(EXECUTOR).await?.wallet()).await?;
    live(&served, &safe).await
}

#[tokio::test]
async fn a_delegated_account_that_batches_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let deployer = served.stack.actor(EXECUTOR).await?;
    let account = DelegatedAccount::new(&served.stack.rpc_url(), deployer.wallet()).await?;
    live(&served, &account).await
}

#[tokio::test]
async fn a_delegated_account_that_is_sponsored_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let entry_point = EntryPoint::deploy(served.stack.actor(EXECUTOR).await?.wallet()).await?;
    live(&served, &SponsoredAccount::new(&entry_point).await?).await
}

#[tokio::test]
async fn an_account_whose_operations_are_bundled_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let entry_point = EntryPoint::deploy(served.stack.actor(EXECUTOR).await?.wallet()).await?;
    live(&served, &SmartAccount::new(&entry_point).await?).await
}

#[tokio::test]
async fn an_account_whose_requests_are_forwarded_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let relayer = served.stack.actor(EXECUTOR).await?;
    let account = ForwardedAccount::new(&served.stack.rpc_url(), served.stack.deployment.contracts, relayer.wallet()).await?;
    live(&served, &account).await
}

#[tokio::test]
async fn an_account_that_sends_blobs_along_is_an_agent_and_a_poster() -> Result<()> {
    let served = Served::start().await?;
    let giver = served.stack.actor(EXECUTOR).await?;
    let account = BlobAccount::new(&served.stack.rpc_url(), giver.wallet()).await?;
    live(&served, &account).await?;

    // What the API is to send must be a plain call.
    let body = with(&signer(&account), "agentURI", json!("ipfs://another"));
    let calls = calls_of(&served.prepare("/api/agents/register", &body).await?)?;
    let unsent = json!([account.sign_without_blob(&calls[0]).await?]);
    let answer = served.post("/api/agents/register", &with(&body, "signedTransactions", unsent)).await?;
    answer.require_field(400, "not_this_action", "signedTransactions")?;
    let receipt = account.execute(&calls).await?;
    let other = with(&body, "agentURI", json!("ipfs://a third"));
    require_words(&hand_in(&served, "/api/agents/register", &other, receipt.transaction_hash).await?)
}

#[tokio::test]
async fn what_a_safe_did_is_not_that_of_the_agents_next_owner() -> Result<()> {
    let served = Served::start().await?;
    let poster = served.stack.funded_actor(POSTER, Usdc::whole(1_000)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    let safe = rich_safe(&served).await?;
    let agent = become_agent(&served, &safe).await?;
    act(&served, &safe, &format!("/api/runs/{run}/claim"), &with(&signer(&safe), "agentId", agent.clone())).await?;
    let started = act(&served, &safe, &format!("/api/runs/{run}/start"), &signer(&safe)).await?;
    let work = |wallet: Value| with(&wallet, "deliverableURI", json!("ipfs://work"));
    let submitted = act(&served, &safe, &format!("/api/runs/{run}/submit"), &work(signer(&safe))).await?;
    let id = U256::from(agent.as_u64().context("an id")?);
    let sale = AgentRegistry::transferFromCall { from: safe.address(), to: account(WORKER), tokenId: id };
    safe.execute(&[BatchCall { to: served.stack.deployment.contracts.agent_registry, data: sale.abi_encode().into() }]).await?;
    served.settle().await?;
    let buyer = json!({ "walletAddress": account(WORKER) });
    for (verb, body, receipt) in [("start", buyer.clone(), started), ("submit", work(buyer), submitted)] {
        let hash = receipt["transactionHash"].as_str().context("a hash")?.parse()?;
        let answer = hand_in(&served, &format!("/api/runs/{run}/{verb}"), &body, hash).await?;
        answer.require(400, "not_this_action")?;
    }
    Ok(())
}

#[tokio::test]
async fn two_equal_runs_of_one_batch_are_answered_one_by_one() -> Result<()> {
    let served = Served::start().await?;
    let safe = rich_safe(&served).await?;
    let body = offer(&served, &safe, "ipfs://twice").await?;
    let calls = calls_of(&served.prepare("/api/runs", &body).await?)?;
    let receipt = safe.execute(&[calls.clone(), calls].concat()).await?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let answer = hand_in(&served, "/api/runs", &body, receipt.transaction_hash).await?;
        ensure!(answer.status == 200 && answer.body["run"]["state"] == "OPEN", "{} {:#}", answer.status, answer.body);
        ids.push(answer.body["run"]["bountyId"].as_u64());
    }
    assert_eq!(ids, [Some(1), Some(2)]);
    let third = hand_in(&served, "/api/runs", &body, receipt.transaction_hash).await?;
    assert!(third.status == 200 && ids.contains(&third.body["run"]["bountyId"].as_u64()), "{} {:#}", third.status, third.body);
    Ok(())
}

#[tokio::test]
async fn two_unlike_runs_of_one_batch_are_told_apart_by_what_they_say() -> Result<()> {
    let served = Served::start().await?;
    let safe = rich_safe(&served).await?;
    let (first, second) = (offer(&served, &safe, "ipfs://first").await?, offer(&served, &safe, "ipfs://second").await?);
    let mut calls = calls_of(&served.prepare("/api/runs", &first).await?)?;
    calls.extend(calls_of(&served.prepare("/api/runs", &second).await?)?);
    let receipt = safe.execute(&calls).await?;
    // The later of the two first.
    for (body, id) in [(&second, 2), (&first, 1)] {
        let created = done(&served, "/api/runs", body, &receipt).await?;
        assert_eq!((&created["run"]["bountyId"], &created["run"]["ipfsHash"]), (&json!(id), &body["ipfsHash"]));
    }
    for (name, other) in [("ipfsHash", json!("ipfs://third")), ("reward", json!("100000001")), ("maxRevisions", json!(1))] {
        let answer = hand_in(&served, "/api/runs", &with(&first, name, other), receipt.transaction_hash).await?;
        answer.require_field(400, "not_this_action", "transactionHash")?;
    }
    Ok(())
}

#[tokio::test]
async fn what_two_accounts_do_in_one_bundle_is_told_to_each() -> Result<()> {
    let served = Served::start().await?;
    let entry_point = EntryPoint::deploy(served.stack.actor(EXECUTOR).await?.wallet()).await?;
    let accounts = [SmartAccount::new(&entry_point).await?, SmartAccount::new(&entry_point).await?];
    let mut operations = Vec::new();
    for account in &accounts {
        let body = with(&signer(account), "agentURI", json!("ipfs://same card"));
        let calls = calls_of(&served.prepare("/api/agents/register", &body).await?)?;
        operations.push(account.operation(&calls).await?);
    }
    let receipt = entry_point.bundle(operations, Vec::new()).await?;
    for (account, id) in accounts.iter().zip([1, 2]) {
        let body = with(&signer(account), "agentURI", json!("ipfs://same card"));
        let registered = done(&served, "/api/agents/register", &body, &receipt).await?;
        assert_eq!(registered["agent"]["id"], id, "{registered:#}");
    }
    let others = json!({ "walletAddress": account(POSTER), "agentURI": "ipfs://same card" });
    let answer = hand_in(&served, "/api/agents/register", &others, receipt.transaction_hash).await?;
    answer.require_field(400, "not_this_action", "transactionHash")?;
    Ok(())
}

/// The refusal of an envelope that succeeded around a call that did not happen.
fn require_nothing_happened(answer: &Answer) -> Result<()> {
    answer.require_field(400, "not_this_action", "transactionHash")?;
    let detail = text(&answer.body, "detail")?;
    ensure!(detail.contains("was mined") && detail.contains("did not happen"), "{detail}");
    Ok(())
}

#[tokio::test]
async fn an_envelope_around_a_call_that_failed_is_no_success_and_nothing_to_wait_for() -> Result<()> {
    let served = Served::start().await?;
    let executor = served.stack.actor(EXECUTOR).await?;
    let contracts = served.stack.deployment.contracts;
    let safe = Safe::deploy(executor.wallet()).await?;
    let smart = SmartAccount::new(&EntryPoint::deploy(executor.wallet()).await?).await?;
    let forwarded = ForwardedAccount::new(&served.stack.rpc_url(), contracts, executor.wallet()).await?;
    let agents = [become_agent(&served, &safe).await?, become_agent(&served, &smart).await?, become_agent(&served, &forwarded).await?];
    let poster = served.stack.funded_actor(POSTER, Usdc::whole(1_000)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(10)).await?).await?;
    let (rival, rivals) = served.stack.staked_agent(WORKER).await?;
    served.settle().await?;

    let path = format!("/api/runs/{run}/claim");
    let bodies = [signer(&safe), signer(&smart), signer(&forwarded)];
    let bodies: Vec<_> = bodies.iter().zip(agents).map(|(body, agent)| with(body, "agentId", agent)).collect();
    let mut calls = Vec::new();
    for body in &bodies {
        calls.push(calls_of(&served.prepare(&path, body).await?)?);
    }
    rival.claim(run, rivals).await?;
    served.settle().await?;

    let request = forwarded.request(&calls[2][0]).await?;
    let receipts = [
        safe.execute_in_vain(&calls[0]).await?,
        smart.execute_in_vain(&calls[1]).await?,
        forwarded.relay_what_can_be(vec![request]).await?,
    ];
    for (body, receipt) in bodies.iter().zip(&receipts) {
        let answer = hand_in(&served, &path, body, receipt.transaction_hash).await?;
        require_nothing_happened(&answer).with_context(|| body.to_string())?;
        let told = served.read(&format!("/api/transactions/{}", receipt.transaction_hash)).await?;
        assert_ne!(told["status"], "pending", "{told:#}");
    }
    Ok(())
}

/// The refusal of what is not this action, which says more than that.
fn require_words(answer: &Answer) -> Result<()> {
    answer.require_field(400, "not_this_action", "transactionHash")?;
    let detail = text(&answer.body, "detail")?;
    ensure!(detail.len() > 40, "{detail}");
    Ok(())
}

#[tokio::test]
async fn a_transaction_without_this_outcome_is_refused_in_words() -> Result<()> {
    let served = Served::start().await?;
    let safe = rich_safe(&served).await?;
    let body = offer(&served, &safe, "ipfs://work").await?;
    let calls = calls_of(&served.prepare("/api/runs", &body).await?)?;
    let registry = served.stack.deployment.contracts.agent_registry;
    let register = BatchCall { to: registry, data: Call::Register { agent_uri: "ipfs://a".into() }.calldata() };
    for (what, receipt) in [
        ("the allowance alone", safe.execute(&calls[..1]).await?),
        ("another verb", safe.execute(&[register]).await?),
        ("money to a stranger", served.stack.actor(OPERATOR).await?.mint(account(9), Usdc::whole(1)).await?),
    ] {
        let answer = hand_in(&served, "/api/runs", &body, receipt.transaction_hash).await?;
        require_words(&answer).context(what)?;
        let told = served.read(&format!("/api/transactions/{}", receipt.transaction_hash)).await?;
        ensure!(told["status"] == "indexed", "{what}: {told:#}");
    }
    Ok(())
}

#[tokio::test]
async fn the_events_of_another_market_prove_nothing_here() -> Result<()> {
    let served = Served::start().await?;
    let safe = rich_safe(&served).await?;
    let operator = served.stack.actor(OPERATOR).await?;
    let plan = Plan { usdc: Some(served.stack.deployment.contracts.usdc), ..Plan::default() };
    let other = deploy::deploy(operator.wallet(), &plan, |_| ()).await?.contracts;
    let ours = served.stack.deployment.contracts;

    let body = offer(&served, &safe, "ipfs://elsewhere").await?;
    let mut calls = calls_of(&served.prepare("/api/runs", &body).await?)?;
    calls[0].data = Call::ApproveUsdc { spender: other.run_escrow, amount: Usdc(U256::MAX) }.calldata();
    ensure!(calls[1].to == ours.run_escrow, "{calls:?}");
    calls[1].to = other.run_escrow;
    let receipt = safe.execute(&calls).await?;
    let answer = hand_in(&served, "/api/runs", &body, receipt.transaction_hash).await?;
    require_words(&answer)?;
    let logs = served.stack.provider().get_transaction_receipt(receipt.transaction_hash).await?.context("a receipt")?;
    ensure!(logs.logs().iter().any(|log| log.address() == other.run_escrow), "the other market has seen it");
    Ok(())
}

//! What the market and its accounts have and owe: `/api/config`, `/api/stats` and `/api/wallets`, beside what the contracts say.

use alloy::{primitives::U256, providers::Provider};
use anyhow::Result;
use clawpay_bindings::{RunEscrow, TestUSDC};
use clawpay_domain::{NewRun, Seconds, Usdc};
use clawpay_tests::{OPERATOR, Stack};
use serde_json::{Value, json};

use super::served::{Served, account};
use crate::indexer::assert_equals_fresh;

/// What `contract` has, by the token's own word.
async fn has(stack: &Stack, contract: alloy::primitives::Address) -> Result<String> {
    let usdc = stack.deployment.contracts.usdc;
    let balance: U256 = clawpay_cli::wallet::read(stack.provider(), usdc, &TestUSDC::balanceOfCall { account: contract }).await?;
    Ok(balance.to_string())
}

#[tokio::test]
async fn what_the_contracts_have_is_what_they_owe_and_reorgs_take_both_back() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let contracts = stack.deployment.contracts;
    let operator = stack.actor(OPERATOR).await?;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let offer = async |reward| stack.offer(Usdc::whole(reward)).await;
    let deliver = async |reward| -> Result<()> {
        let run = poster.post(offer(reward).await?).await?;
        worker.claim(run, agent).await?;
        worker.submit(run, "ipfs://work").await?;
        poster.approve(run).await?;
        Ok(())
    };
    poster.post(offer(100).await?).await?;
    deliver(40).await?;
    operator.wallet().call(contracts.run_escrow, &RunEscrow::collectFeesCall {}).await?;
    let kept = stack.provider().raw_request::<_, U256>("evm_snapshot".into(), ()).await?;

    // A payout that the token refuses is owed, until it is collected.
    operator.wallet().call(contracts.usdc, &TestUSDC::blacklistCall { account: account(2) }).await?;
    deliver(60).await?;
    operator.wallet().call(contracts.run_escrow, &RunEscrow::pauseCall {}).await?;
    served.settle().await?;
    let same = async |owes: u64| -> Result<()> {
        let stats = served.read("/api/stats").await?;
        let (escrow, stake) = (&stats["holdings"]["runEscrow"], &stats["holdings"]["agentStake"]);
        assert_eq!((&escrow["has"], &escrow["owes"]), (&json!(has(stack, contracts.run_escrow).await?), &json!(owes.to_string())));
        assert_eq!(escrow["has"], escrow["owes"]);
        assert_eq!((&stake["has"], &stake["owes"]), (&json!(has(stack, contracts.agent_stake).await?), &json!("20000000")));
        Ok(())
    };
    // 105 are escrowed, 3 are fees, 60 a credit.
    same(168_000_000).await?;
    let credits = async || Ok::<Value, anyhow::Error>(served.read(&format!("/api/wallets/{}", account(2))).await?["credits"].clone());
    assert_eq!(credits().await?, json!({ "runEscrow": "60000000", "agentStake": "0" }));
    assert_eq!(served.read("/api/config").await?["paused"], true);
    operator.wallet().call(contracts.usdc, &TestUSDC::unBlacklistCall { account: account(2) }).await?;
    operator.wallet().call(contracts.run_escrow, &RunEscrow::payCreditCall { account: account(2) }).await?;
    operator.wallet().call(contracts.run_escrow, &RunEscrow::unpauseCall {}).await?;
    served.settle().await?;
    same(108_000_000).await?;
    assert_eq!(credits().await?, json!({ "runEscrow": "0", "agentStake": "0" }));
    assert_eq!(served.read("/api/config").await?["paused"], false);

    // None of that has happened on the branch that takes its place.
    stack.provider().raw_request::<_, bool>("evm_revert".into(), (kept,)).await?;
    stack.mine(40).await?;
    served.settle().await?;
    same(105_000_000).await?;
    assert_eq!(credits().await?, json!({ "runEscrow": "0", "agentStake": "0" }));
    assert_equals_fresh(stack, &stack.database_url()?, "fresh").await?;
    Ok(())
}

#[tokio::test]
async fn the_history_has_every_day_and_its_sums_are_those_of_the_runs() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let first = poster.post(stack.offer(Usdc::whole(10)).await?).await?;
    poster.draft(stack.offer(Usdc::whole(10)).await?).await?;
    stack.warp(Seconds::days(3)).await?;
    worker.claim(first, agent).await?;
    worker.submit(first, "ipfs://work").await?;
    poster.approve(first).await?;
    let late = poster.post(stack.offer(Usdc::whole(20)).await?).await?;
    worker.claim(late, agent).await?;
    stack.warp(Seconds::days(8)).await?;
    poster.slash(late).await?;
    served.settle().await?;
    let stats = served.read("/api/stats?days=12").await?;
    let history = stats["history"].as_array().unwrap();
    let column = |name: &str| -> Vec<u64> { history.iter().map(|day| day[name].as_u64().unwrap()).collect() };
    assert_eq!(history.len(), 12);
    assert_eq!(column("created"), [2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(column("funded"), [1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(column("claimed"), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(column("approved"), [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(column("slashed"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!((&history[3]["volume"], &history[11]["volume"]), (&json!("10000000"), &json!("0")));
    assert!(history.iter().all(|day| day["day"].as_str().unwrap().ends_with("T00:00:00.000Z")), "{history:?}");
    let today = &served.read("/api/status").await?["indexedBlock"]["timestamp"];
    assert_eq!(history[11]["day"].as_str().unwrap()[..10], today.as_str().unwrap()[..10]);
    assert_eq!(served.read("/api/stats").await?["history"].as_array().unwrap().len(), 30);
    for days in ["0", "367", "-1", ""] {
        served.get(&format!("/api/stats?days={days}")).await?.require_field(400, "invalid_value", "days")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_config_says_what_wallets_ask_first() -> Result<()> {
    let served = Served::start().await?;
    let config = served.read("/api/config").await?;
    assert_eq!(config["token"], json!({ "symbol": "USDC", "decimals": 6 }));
    assert_eq!((&config["chainName"], &config["explorer"]), (&Value::Null, &Value::Null), "nobody knows a local chain");
    assert_eq!((&config["paused"], &config["relaying"]), (&json!(false), &json!(false)));
    Ok(())
}

#[tokio::test]
async fn a_wallet_is_shown_with_its_agents_and_what_waits_for_it() -> Result<()> {
    let served = Served::start().await?;
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    let offer = async |days| -> Result<NewRun> {
        Ok(NewRun { deadline: stack.now().await? + Seconds::days(days), ..stack.offer(Usdc::whole(10)).await? })
    };
    let expiring = poster.post(offer(2).await?).await?;
    let draft = poster.draft(offer(30).await?).await?;
    let submitted = poster.post(offer(30).await?).await?;
    worker.claim(submitted, agent).await?;
    worker.submit(submitted, "ipfs://work").await?;
    poster.post(offer(40).await?).await?;
    stack.warp(Seconds::days(3)).await?;
    stack.mint(worker.address(), Usdc::whole(1)).await?;
    let held = poster.post(offer(30).await?).await?;
    worker.stake(agent, Usdc::whole(1)).await?;
    worker.claim(held, agent).await?;
    served.settle().await?;
    let waiting = async |index: u32| -> Result<Vec<(u64, String)>> {
        let wallet = served.read(&format!("/api/wallets/{}", account(index))).await?;
        let waiting = wallet["waiting"].as_array().unwrap().iter();
        let shown = waiting.map(|item| (item["run"]["bountyId"].as_u64().unwrap(), item["waitsFor"].as_str().unwrap().to_owned()));
        Ok(shown.collect())
    };
    let named = |turns: &[(clawpay_domain::RunId, &str)]| -> Vec<(u64, String)> {
        turns.iter().map(|(run, verb)| (run.0, (*verb).to_owned())).collect()
    };
    assert_eq!(waiting(1).await?, named(&[(expiring, "cancel"), (submitted, "approve"), (draft, "fund")]));
    assert_eq!(waiting(2).await?, named(&[(held, "submit")]));
    assert_eq!(waiting(3).await?, []);
    let wallet = served.read(&format!("/api/wallets/{}", account(2))).await?;
    assert_eq!((&wallet["nodeAnswered"], &wallet["usdc"]), (&json!(true), &json!(worker.balance().await?.0.to_string())));
    assert_eq!(wallet["nextNonce"], stack.provider().get_transaction_count(account(2)).await?);
    assert_eq!(wallet["ether"], stack.provider().get_balance(account(2)).await?.to_string());
    assert_eq!(wallet["allowances"], json!({ "runEscrow": "0", "agentStake": "0" }));
    assert_eq!((&wallet["agents"][0]["id"], &wallet["moreAgents"], &wallet["moreRuns"]), (&json!(agent.0), &Value::Null, &Value::Null));

    // A week later each waits for the other.
    stack.warp(Seconds::days(8)).await?;
    served.settle().await?;
    assert_eq!(waiting(1).await?, named(&[(expiring, "cancel"), (submitted, "approve"), (held, "slash"), (draft, "fund")]));
    assert_eq!(waiting(2).await?, named(&[(submitted, "finalize")]));
    Ok(())
}

#[tokio::test]
async fn without_the_node_reads_go_on_and_say_so() -> Result<()> {
    let stack = Stack::with_database().await?;
    let indexer = clawpay_tests::Indexer::start(stack.index_config(), &stack.database_url()?)?;
    stack.staked_agent(2).await?;
    stack.until_indexed(&stack.database_url()?).await?;
    let served = Served::unindexed(stack, |config| config.rpc_url = "http://127.0.0.1:1".parse().expect("a URL")).await?;
    let wallet = served.read(&format!("/api/wallets/{}", account(2))).await?;
    assert_eq!(wallet["nodeAnswered"], false);
    for name in ["usdc", "ether", "allowances", "nextNonce"] {
        assert_eq!(wallet.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!((&wallet["agents"][0]["stakedAmount"], &wallet["credits"]["runEscrow"]), (&json!("20000000"), &json!("0")));
    let stats = served.read("/api/stats").await?;
    assert_eq!(stats["holdings"]["agentStake"], json!({ "has": null, "owes": "20000000" }));
    assert_eq!(served.read("/api/config").await?["token"], json!({ "symbol": null, "decimals": 6 }));
    indexer.stop().await?.map_err(Into::into)
}

//! How often the node is asked: for each thing that is prepared, and while requests wait.

use std::{collections::BTreeMap, time::Duration};

use alloy::providers::ext::AnvilApi;
use anyhow::{Result, ensure};
use clawpay_api::RelayOptions;
use clawpay_domain::{RunId, Usdc};
use clawpay_tests::{DatabaseProxy, Indexer, Stack, key};
use futures::future::{join_all, try_join_all};
use reqwest::Client;
use serde_json::{Value, json};

use super::{
    node_proxy::{Asked, NodeProxy, Oddity},
    served::{Served, account, signer, with},
    strict_wallet::sign_steps,
};

/// An account of the node that sends nothing else.
const RELAYER: u32 = 9;

/// A served market whose API reaches its node through a proxy.
async fn behind_a_proxy(configure: impl FnOnce(&mut clawpay_api::Config)) -> Result<(Served, NodeProxy)> {
    let stack = Stack::with_database().await?;
    let proxy = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |config| {
        config.rpc_url = proxy.url.clone();
        configure(config);
    })
    .await?;
    served.indexer = Some(indexer);
    Ok((served, proxy))
}

/// Round trips and calls, without those of looks in the background, each of which asks for the height.
fn trips(asked: &Asked) -> (usize, usize) {
    let looks = asked.calls.get("eth_blockNumber").copied().unwrap_or_default();
    (asked.requests - looks, asked.count() - 2 * looks)
}

/// One of each kind of run that verbs start from, posted by account 1 and held by agent 1 of account 2; and a body for each verb.
async fn verbs(served: &Served) -> Result<Vec<(String, Value)>> {
    let stack = &served.stack;
    let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    stack.mint(worker.address(), Usdc::whole(100)).await?;
    worker.stake(agent, Usdc::whole(20)).await?;
    let offer = stack.offer(Usdc::whole(10)).await?;
    let draft = poster.draft(offer.clone()).await?;
    let open = poster.post(offer.clone()).await?;
    let claimed = poster.post(offer.clone()).await?;
    worker.claim(claimed, agent).await?;
    served.settle().await?;
    let deadline = served.read(&format!("/api/runs/{open}")).await?["deadline"].clone();
    let create = json!({ "posterAddress": account(1), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://a" });
    let of_run = |run: RunId, verb: &str| format!("/api/runs/{run}/{verb}");
    let of_agent = |verb: &str| format!("/api/agents/{agent}/{verb}");
    let worker = signer(2);
    Ok(vec![
        ("/api/runs".to_owned(), create.clone()),
        ("/api/runs".to_owned(), with(&create, "draft", json!(true))),
        (of_run(draft, "fund"), signer(1)),
        (of_run(draft, "cancel"), signer(1)),
        (of_run(open, "claim"), with(&worker, "agentId", json!(agent.0))),
        (of_run(claimed, "start"), worker.clone()),
        ("/api/agents/register".to_owned(), with(&worker, "agentURI", json!("ipfs://b"))),
        (of_agent("stake"), with(&worker, "amount", json!("5000000"))),
        (of_agent("unstake"), with(&worker, "amount", json!("1000000"))),
        (of_agent("uri"), with(&worker, "agentURI", json!("ipfs://c"))),
        (of_agent("metadata"), with(&with(&worker, "key", json!("k")), "text", json!("v"))),
        (of_agent("wallet"), with(&worker, "newWallet", json!(account(3)))),
    ])
}

async fn count_prepares(relay: bool) -> Result<()> {
    let (served, proxy) = behind_a_proxy(|config| config.relay = relay.then(|| RelayOptions::new(key(RELAYER)))).await?;
    let verbs = verbs(&served).await?;
    let mut more = BTreeMap::new();
    for (path, body) in verbs {
        proxy.asked();
        let answer = served.post(&path, &body).await?;
        let asked = proxy.asked();
        ensure!(answer.status.as_u16() == 202, "{path}: {:#}", answer.body);
        let (trips, calls) = trips(&asked);
        eprintln!("{path:32} relay {relay:5}: {trips:2} round trips, {calls:2} calls");
        if trips > 2 {
            more.insert((path, body.to_string()), asked);
        }
    }
    ensure!(more.is_empty(), "more than two round trips: {more:#?}");
    Ok(())
}

#[tokio::test]
async fn a_prepare_takes_two_round_trips_to_the_node() -> Result<()> {
    count_prepares(false).await
}

#[tokio::test]
async fn a_prepare_that_may_be_relayed_takes_two_round_trips_to_the_node() -> Result<()> {
    count_prepares(true).await
}

async fn prepare_without_batches(oddity: Oddity) -> Result<()> {
    let (served, proxy) = behind_a_proxy(|_| ()).await?;
    let verbs = verbs(&served).await?;
    proxy.turn(oddity);
    for (path, body) in &verbs {
        let answer = served.post(path, body).await?;
        ensure!(answer.status.as_u16() == 202, "{path}: {:#}", answer.body);
    }
    proxy.asked();
    served.prepare(&verbs[0].0, &verbs[0].1).await?;
    let asked = proxy.asked();
    ensure!(asked.count() > 0 && asked.requests == asked.count(), "a batch was tried again: {asked:?}");
    Ok(())
}

#[tokio::test]
async fn a_node_that_takes_no_batches_is_asked_one_by_one() -> Result<()> {
    prepare_without_batches(Oddity::NoBatches).await
}

#[tokio::test]
async fn a_node_that_answers_a_batch_by_one_error_is_asked_one_by_one() -> Result<()> {
    prepare_without_batches(Oddity::OneErrorForBatches).await
}

/// How many wait at once.
const WAITERS: usize = 200;

#[tokio::test]
async fn all_who_wait_for_a_transaction_cost_the_node_one_question_for_each_block() -> Result<()> {
    let (served, proxy) = behind_a_proxy(|config| {
        config.confirmation_wait = Duration::from_secs(60);
        config.database.acquire_timeout = Duration::from_secs(20);
    })
    .await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let run = poster.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let cancel = format!("/api/runs/{run}/cancel");
    let prepared = served.prepare(&cancel, &signer(1)).await?;
    let raw = sign_steps(&prepared, &key(1))?.remove(0);
    served.stack.provider().anvil_set_auto_mine(false).await?;
    let sent = served.post("/api/transactions", &json!({ "signedTransaction": raw })).await?;
    let body = with(&signer(1), "transactionHash", sent.body["transactionHash"].clone());

    proxy.asked();
    let waiting = join_all((0..WAITERS).map(|_| served.post(&cancel, &body)));
    let watched = async {
        // All of them have begun to wait once, for three seconds, the node was asked for nothing but blocks, and in the background how it is.
        let (mut quiet, mut tries) = (0, 0);
        while quiet < 6 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let asked = proxy.asked();
            let count = |method: &str| asked.calls.get(method).copied().unwrap_or_default();
            let others = asked.count() - ["eth_getBlockByNumber", "eth_blockNumber", "eth_chainId"].map(count).iter().sum::<usize>();
            quiet = if others == 0 && count("eth_chainId") <= count("eth_blockNumber") { quiet + 1 } else { 0 };
            tries += 1;
            ensure!(tries < 80, "the node is asked on and on: {asked:?}");
        }
        // The account's own transaction stays behind: these blocks have nothing of it.
        let started = std::time::Instant::now();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let asked = proxy.asked();
        let looks = started.elapsed().as_millis() / 500 + 2;
        eprintln!("{WAITERS} who wait for {:?}: {asked:?}", started.elapsed());
        ensure!((asked.count() as u128) <= 2 * looks, "{asked:?}");
        served.stack.mine(1).await?;
        anyhow::Ok(())
    };
    let (answers, watched) = tokio::join!(waiting, watched);
    watched?;
    let asked = proxy.asked();
    eprintln!("{WAITERS} who are answered: {asked:?}");
    for answer in answers {
        let answer = answer?;
        ensure!(answer.status.as_u16() == 200 && answer.body["success"] == true, "{:#}", answer.body);
    }
    ensure!(asked.count() < WAITERS / 5, "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn invented_hashes_are_looked_for_when_they_come_and_once_more() -> Result<()> {
    const HASHES: usize = 20;
    let (served, proxy) = behind_a_proxy(|config| config.database.acquire_timeout = Duration::from_secs(20)).await?;
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    let run = poster.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let cancel = format!("/api/runs/{run}/cancel");
    let body = |number: usize| with(&signer(1), "transactionHash", json!(format!("0x{number:064x}")));
    proxy.asked();
    let answers = try_join_all((1..=HASHES).map(async |number| served.post(&cancel, &body(number)).await)).await?;
    let asked = proxy.asked();
    eprintln!("{HASHES} invented hashes: {asked:?}");
    for answer in answers {
        ensure!((answer.status.as_u16(), &answer.body["status"]) == (202, &json!("unknown")), "{:#}", answer.body);
    }
    let of_blocks = |method: &str| asked.calls.get(method).copied().unwrap_or_default();
    let of_hashes = asked.count() - of_blocks("eth_getBlockByNumber") - of_blocks("eth_blockNumber");
    ensure!(of_hashes <= 8 * HASHES, "{asked:?}");
    Ok(())
}

#[tokio::test]
async fn reads_that_wait_for_a_block_ask_the_database_together() -> Result<()> {
    const READS: usize = 40;
    let stack = Stack::with_database().await?;
    let proxy = DatabaseProxy::start(&stack.database_url()?).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |config| {
        config.database_url = proxy.url().to_owned();
        config.database.acquire_timeout = Duration::from_secs(20);
    })
    .await?;
    served.indexer = Some(indexer);
    served.settle().await?;
    let block = served.stack.head().await? + 5;
    let before = proxy.requests();
    let url = format!("{}api/runs?minBlock={block}", served.api().url());
    let client = Client::new();
    let answers = try_join_all((0..READS).map(|_| client.get(&url).send())).await?;
    ensure!(answers.iter().all(|answer| answer.status().as_u16() == 412));
    let asked = proxy.requests() - before;
    eprintln!("{READS} reads that wait: {asked} requests to the database");
    ensure!(asked < 20 * READS, "{asked} requests to the database");
    Ok(())
}

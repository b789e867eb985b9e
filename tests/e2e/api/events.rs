//! Telling agents what happens: nothing is left out, nothing told twice, and what is taken back is taken back.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    primitives::U256,
    providers::{Provider, ext::AnvilApi},
    rpc::types::{TransactionRequest, anvil::ReorgOptions},
    sol_types::SolCall,
};
use anyhow::{Context, Result, bail, ensure};
use clawpay_api::Config;
use clawpay_bindings::AgentRegistry;
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_tests::{Api, Clawpay, Indexer, Stack};
use serde_json::{Value, json};

use super::served::{Served, account};
use crate::indexer::{execute, feed_differs, number, trade};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client of the stream, that reads it as browsers do.
pub(super) struct Listener {
    response: reqwest::Response,
    buffer: String,
    comments: usize,
    /// The last id heard.
    last: Option<u64>,
    /// Why the stream ended, as it said.
    ended: Option<String>,
}

impl Listener {
    pub(super) async fn open(api: &Api, query: &str, last: Option<u64>) -> Result<Self> {
        let mut request = reqwest::Client::new().get(api.url().join(&format!("api/events{query}"))?);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await?;
        ensure!(response.status() == 200, "{}", response.text().await?);
        ensure!(response.headers()["content-type"] == "text/event-stream", "{:?}", response.headers());
        let mut listener = Self { response, buffer: String::new(), comments: 0, last, ended: None };
        // The first block of lines says that the server listens, and where it is.
        let first = listener.block().await?.context("a first block")?;
        ensure!(field(&first, "retry").as_deref() == Some("1000") && field(&first, "event").as_deref() == Some("position"), "{first}");
        let position: u64 = field(&first, "id").context("an id")?.parse()?;
        ensure!(field(&first, "data") == Some(json!({ "kind": "position", "id": position }).to_string()), "{first}");
        ensure!(last.is_none_or(|last| last == position), "{position} is not {last:?}");
        listener.last = Some(position);
        Ok(listener)
    }

    /// The next block of lines that ends with an empty one; nothing at the end of the stream. Comments may stand before and in it.
    async fn block(&mut self) -> Result<Option<String>> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                self.comments += block.lines().filter(|line| line.starts_with(':')).count();
                return Ok(Some(block));
            }
            match self.response.chunk().await? {
                Some(bytes) => self.buffer.push_str(std::str::from_utf8(&bytes)?),
                None => {
                    ensure!(self.buffer.lines().all(|line| line.starts_with(':')), "half a block: {}", self.buffer);
                    return Ok(None);
                }
            }
        }
    }

    /// The next event; nothing at the end of the stream.
    async fn next(&mut self) -> Result<Option<Value>> {
        let found = async {
            loop {
                let Some(block) = self.block().await? else { return Ok(None) };
                let item: Value =
                    serde_json::from_str(&field(&block, "data").context("a block without data, on which readers of JSON fail")?)?;
                if field(&block, "event").as_deref() == Some("end") {
                    ensure!(item["kind"] == "end" && item["id"].as_u64() == field(&block, "id").and_then(|id| id.parse().ok()), "{block}");
                    self.ended = item["reason"].as_str().map(str::to_owned);
                    continue;
                }
                ensure!(field(&block, "event").is_none() && self.ended.is_none(), "{block}");
                let id: u64 = field(&block, "id").context("an id")?.parse()?;
                ensure!(item["id"] == id, "{item:#}");
                ensure!(self.last.is_none_or(|last| id > last), "{id} after {:?}", self.last);
                self.last = Some(id);
                return Ok(Some(item));
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => bail!("nothing was told for {PATIENCE:?}"),
        }
    }

    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<Value>> {
        let mut items = Vec::with_capacity(count);
        while items.len() < count {
            let item =
                self.next().await?.with_context(|| format!("the stream ended after {} of {count}: {:?}", items.len(), self.ended))?;
            items.push(item);
        }
        Ok(items)
    }
}

/// A field of a block of lines.
fn field(block: &str, name: &str) -> Option<String> {
    block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

fn ids(items: &[Value]) -> Vec<u64> {
    items.iter().filter_map(|item| item["id"].as_u64()).collect()
}

/// Without what changes after it was told.
fn unchanging(items: &[Value]) -> Vec<Value> {
    let mut items = items.to_vec();
    items.iter_mut().for_each(|item| item["finality"] = Value::Null);
    items
}

fn kinds(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["type"].as_str()).collect()
}

/// How many events are in the index at `url`.
pub(super) async fn events_of(url: &str) -> Result<usize> {
    Ok(number(url, "SELECT count(*) FROM events").await?.try_into()?)
}

/// An API over the stack's database, without an indexer.
async fn api(stack: &Stack) -> Result<Api> {
    Api::start(Config::new(stack.rpc_url(), stack.database_url()?)).await
}

#[tokio::test]
async fn everything_is_told_in_order_from_the_beginning_and_as_it_happens() -> Result<()> {
    let served = Served::start().await?;
    let url = served.stack.database_url()?;
    let other = api(&served.stack).await?;
    let mut now = Listener::open(&other, "", None).await?;
    let before = events_of(&url).await?;
    trade(&served.stack).await?;
    served.settle().await?;
    let count = events_of(&url).await?;
    assert!(count > 15);

    // One process tells it as it happens, the other one from its database.
    let live = now.take(count - before).await?;
    let mut late = Listener::open(served.api(), "?after=0", None).await?;
    let told = late.take(count).await?;
    assert_eq!(live, told[before..]);
    assert_eq!(ids(&told), (1..=u64::try_from(count)?).collect::<Vec<_>>());
    assert!(told.iter().all(|item| item["kind"] == "event" && item["retracts"].is_null()));

    let timeline = served.read("/api/runs/1/events").await?;
    let of_run: Vec<_> = told.iter().filter(|item| item["runId"] == 1).collect();
    assert_eq!(of_run.len(), timeline["events"].as_array().context("events")?.len());
    for (item, event) in of_run.iter().zip(timeline["events"].as_array().context("events")?) {
        for (name, value) in event.as_object().context("an event")? {
            assert_eq!(&item[name], value, "{name}");
        }
        assert_eq!(item["posterAddress"], json!(account(1).to_checksum(None)));
    }
    let staked = told.iter().find(|item| item["type"] == "Staked").context("a stake")?;
    assert_eq!((&staked["data"]["amount"], &staked["agentId"]), (&json!("20000000"), &json!(1)), "{staked:#}");

    // A client that comes back is told what it has not heard; its header counts, not the address it came with.
    let seen = told[count / 2]["id"].as_u64();
    let mut back = Listener::open(&other, "?after=0&lastEventId=0", seen).await?;
    assert_eq!(back.take(count - count / 2 - 1).await?, told[count / 2 + 1..]);
    // One that cannot set headers says it in the address, beside the one it came with at first.
    let mut polyfilled = Listener::open(&other, &format!("?after=0&lastEventId={}", seen.context("an id")?), None).await?;
    assert_eq!(polyfilled.take(count - count / 2 - 1).await?, told[count / 2 + 1..]);
    // A market in which nothing happens for a while.
    tokio::time::sleep(Duration::from_secs(4)).await;
    served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(3)).await?).await?;
    for listener in [&mut now, &mut late, &mut back] {
        assert_eq!(kinds(&listener.take(1).await?), ["RunCreated"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_listener_hears_of_what_it_asked_for() -> Result<()> {
    let served = Served::start().await?;
    trade(&served.stack).await?;
    served.settle().await?;
    let all = Listener::open(served.api(), "?after=0", None).await?.take(events_of(&served.stack.database_url()?).await?).await?;
    let wanted = |keep: &dyn Fn(&Value) -> bool| all.iter().filter(|item| keep(item)).cloned().collect::<Vec<_>>();
    let poster = account(1).to_checksum(None);
    for (query, expected) in [
        ("runId=1".to_owned(), wanted(&|item| item["runId"] == 1)),
        ("agentId=1".to_owned(), wanted(&|item| item["agentId"] == 1 || item["claimedBy"] == 1)),
        (format!("poster={poster}"), wanted(&|item| item["posterAddress"] == json!(poster))),
        ("type=RunClaimed,RunSlashed".to_owned(), wanted(&|item| item["type"] == "RunClaimed" || item["type"] == "RunSlashed")),
        ("type=RunClaimed&agentId=2".to_owned(), wanted(&|item| item["type"] == "RunClaimed" && item["agentId"] == 2)),
        (format!("wallet={poster}&type=RunCreated"), wanted(&|item| item["type"] == "RunCreated")),
    ] {
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query}");
        let mut listener = Listener::open(served.api(), &format!("?after=0&{query}"), None).await?;
        assert_eq!(listener.take(expected.len()).await?, expected, "{query}");
        let polled = served.read(&format!("/api/events?after=0&wait=0&{query}")).await?;
        assert_eq!(polled["events"], json!(expected), "{query}");
        assert_eq!(polled["lastEventId"], json!(all.len()), "{query}");
    }
    for (query, field) in [
        ("runId=x", "runId"),
        ("agentId=-1", "agentId"),
        ("poster=0x12", "poster"),
        ("wallet=0x12", "wallet"),
        ("type=Claimed", "type"),
        ("wait=31", "wait"),
        ("wait=x", "wait"),
        ("after=-1", "after"),
        ("lastEventId=x", "lastEventId"),
    ] {
        served.get(&format!("/api/events?{query}")).await?.require_field(400, "invalid_value", field)?;
    }
    served.get("/api/events?run=1").await?.require_field(400, "unknown_field", "run")?;
    // A client that has seen nothing may say so by an empty header.
    let nothing_yet = served.request(reqwest::Method::GET, "/api/events?wait=0&after=0").header("last-event-id", "");
    assert_eq!(served.send(nothing_yet).await?.body, served.read("/api/events?wait=0&after=0").await?);
    let odd = served.request(reqwest::Method::GET, "/api/events?wait=0").header("last-event-id", "x");
    served.send(odd).await?.require_field(400, "invalid_value", "Last-Event-ID")?;
    for query in ["after=999999&wait=0", "after=999999"] {
        let refused = served.get(&format!("/api/events?{query}")).await?;
        refused.require(409, "unknown_event_id")?;
        assert_eq!((&refused.body["firstEventId"], &refused.body["lastEventId"]), (&json!(1), &json!(all.len())));
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_asks_again_and_again_misses_nothing() -> Result<()> {
    let served = Served::start().await?;
    let start = served.read("/api/events?wait=0").await?;
    assert_eq!(start["events"], json!([]), "without an id, what has been is not told");
    let first = start["lastEventId"].as_u64().context("lastEventId")?;
    let url = format!("{}api/events?after={first}&wait=30", served.api().url());
    let waiting = tokio::spawn(async move { reqwest::get(url).await?.json::<Value>().await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    trade(&served.stack).await?;
    served.settle().await?;
    let answer = tokio::time::timeout(PATIENCE, waiting).await???;
    assert!(!answer["events"].as_array().context("events")?.is_empty());
    let mut heard = answer["events"].as_array().cloned().context("events")?;
    let mut last = answer["lastEventId"].as_u64().context("lastEventId")?;
    loop {
        let answer = served.read(&format!("/api/events?after={last}&wait=0")).await?;
        let more = answer["events"].as_array().context("events")?;
        if more.is_empty() {
            break;
        }
        heard.extend_from_slice(more);
        last = answer["lastEventId"].as_u64().context("lastEventId")?;
    }
    assert_eq!(ids(&heard), (first + 1..=u64::try_from(events_of(&served.stack.database_url()?).await?)?).collect::<Vec<_>>());
    Ok(())
}

/// What is there, from what was told: each event that no later retraction takes back, under its place in the chain.
fn replayed(items: &[Value]) -> Result<BTreeMap<(u64, u64), Value>> {
    let mut there = BTreeMap::new();
    let mut told = BTreeMap::new();
    for item in items {
        let place = (item["blockNumber"].as_u64().context("blockNumber")?, item["logIndex"].as_u64().context("logIndex")?);
        match item["retracts"].as_u64() {
            None => {
                ensure!(there.insert(place, item.clone()).is_none(), "told twice: {item:#}");
                told.insert(item["id"].as_u64(), place);
            }
            Some(id) => {
                let taken_back = told.remove(&Some(id)).context("what was never told is taken back")?;
                ensure!(taken_back == place, "{item:#}");
                let event = there.remove(&place).context("taken back twice")?;
                for name in ["type", "runId", "agentId", "transactionHash", "blockHash", "data", "timestamp", "posterAddress"] {
                    ensure!(item[name] == event[name], "{name} of {item:#} is not that of {event:#}");
                }
            }
        }
    }
    Ok(there)
}

#[tokio::test]
async fn a_reorg_takes_back_what_was_told_and_tells_what_is_there_now() -> Result<()> {
    let served = Served::start().await?;
    let url = served.stack.database_url()?;
    trade(&served.stack).await?;
    served.settle().await?;
    let mut live = Listener::open(served.api(), "?after=0", None).await?;
    let mut heard = live.take(events_of(&url).await?).await?;
    // The poster's last run is taken back with its creation, and the same number is another account's afterwards.
    served.stack.provider().anvil_reorg(ReorgOptions { depth: 8, tx_block_pairs: Vec::new() }).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    let other = served.stack.funded_actor(4, Usdc::whole(100)).await?;
    other.post(served.stack.offer(Usdc::whole(5)).await?).await?;
    served.settle().await?;

    let last = number(&url, "SELECT max(seq) FROM feed").await?.try_into()?;
    while live.last != Some(last) {
        heard.extend(live.take(1).await?);
    }
    let retractions = heard.iter().filter(|item| item["kind"] == "retraction").count();
    assert!(retractions >= 3, "{heard:#?}");
    assert_eq!(ids(&heard), (1..=last).collect::<Vec<_>>(), "no gap, nothing twice");
    let there = replayed(&heard)?;
    assert_eq!(there.len(), events_of(&url).await?);
    assert_eq!(feed_differs(&url).await?, 0);

    // Whoever comes later is told the same history, also of what is not there any more.
    let late = Listener::open(&api(&served.stack).await?, "?after=0", None).await?.take(heard.len()).await?;
    assert_eq!(unchanging(&late), unchanging(&heard));
    Ok(())
}

/// Whom one thing that is told concerns.
#[derive(Clone, Debug, Default)]
struct Concerned {
    poster: Option<String>,
    /// The agent that holds the run, and the wallet that claimed it.
    holder: Option<(u64, String)>,
    owner: Option<String>,
    named: Vec<String>,
}

/// Whether a filter concerns what is told.
type Concerns = Box<dyn Fn(&Value, &Concerned) -> bool>;

/// A listener to everything, who finds out whom it concerns from nothing but what was told before.
#[derive(Default)]
struct Onlooker {
    told: BTreeMap<u64, Concerned>,
    posters: BTreeMap<u64, String>,
    holders: BTreeMap<u64, (u64, String)>,
    /// The owners of each agent, under the ids by which they were told.
    owners: BTreeMap<u64, BTreeMap<u64, String>>,
}

impl Onlooker {
    fn hear(&mut self, item: &Value) -> Result<Concerned> {
        let id = item["id"].as_u64().context("an id")?;
        let (run, agent) = (item["runId"].as_u64(), item["agentId"].as_u64());
        let text = |name: &str| item["data"][name].as_str().map(str::to_owned).with_context(|| format!("{name} of {item:#}"));
        if let Some(retracted) = item["retracts"].as_u64() {
            match (item["type"].as_str(), run, agent) {
                (Some("RunClaimed"), Some(run), _) => _ = self.holders.remove(&run),
                (Some("Transfer"), _, Some(agent)) => _ = self.owners.get_mut(&agent).and_then(|owners| owners.remove(&retracted)),
                _ => {}
            }
            return self.told.get(&retracted).cloned().context("what was never told is taken back");
        }
        let owner =
            |owners: &BTreeMap<u64, BTreeMap<u64, String>>, agent| owners.get(&agent)?.last_key_value().map(|(_, owner)| owner.clone());
        let mut named: Vec<String> = Vec::new();
        if let Some(data) = item["data"].as_object() {
            named.extend(
                data.values().filter_map(Value::as_str).filter(|text| text.len() == 42 && text.starts_with("0x")).map(str::to_owned),
            );
        }
        match (item["type"].as_str(), run, agent) {
            (Some("RunCreated"), Some(run), _) => _ = self.posters.insert(run, text("poster")?),
            (Some("RunClaimed"), Some(run), Some(agent)) => _ = self.holders.insert(run, (agent, text("wallet")?)),
            (Some("Transfer"), _, Some(agent)) => {
                named.extend(owner(&self.owners, agent));
                self.owners.entry(agent).or_default().insert(id, text("to")?);
            }
            _ => {}
        }
        let holder = run.and_then(|run| self.holders.get(&run).cloned());
        let owner = agent.or(holder.as_ref().map(|(agent, _)| *agent)).and_then(|agent| owner(&self.owners, agent));
        let concerned = Concerned { poster: run.and_then(|run| self.posters.get(&run).cloned()), holder, owner, named };
        self.told.insert(id, concerned.clone());
        Ok(concerned)
    }
}

async fn transfer_agent(stack: &Stack, agent: u64, from: u32, to: u32) -> Result<()> {
    let (from, to) = (account(from), account(to));
    let call = AgentRegistry::transferFromCall { from, to, tokenId: U256::from(agent) };
    let request = TransactionRequest::default().from(from).to(stack.deployment.contracts.agent_registry).input(call.abi_encode().into());
    let receipt = stack.provider().send_transaction(request).await?.get_receipt().await?;
    ensure!(receipt.status(), "the agent was not handed over");
    Ok(())
}

#[tokio::test]
async fn an_agent_a_poster_and_a_wallet_hear_of_all_that_is_theirs_live_and_later_and_when_it_is_taken_back() -> Result<()> {
    let served = Served::start().await?;
    let url = served.stack.database_url()?;
    let address = |index| account(index).to_checksum(None);
    let filters: Vec<(String, Concerns)> = vec![
        (String::new(), Box::new(|_, _| true)),
        ("agentId=1".to_owned(), Box::new(|item, of| item["agentId"] == 1 || of.holder.as_ref().is_some_and(|(agent, _)| *agent == 1))),
        ("agentId=2".to_owned(), Box::new(|item, of| item["agentId"] == 2 || of.holder.as_ref().is_some_and(|(agent, _)| *agent == 2))),
        (format!("poster={}", address(1)), Box::new(move |_, of| of.poster == Some(address(1)))),
    ];
    let of_wallet = |index: u32| -> (String, Concerns) {
        let wallet = address(index);
        let query = format!("wallet={wallet}");
        let concerns = move |_: &Value, of: &Concerned| {
            [&of.poster, &of.owner].contains(&&Some(wallet.clone()))
                || of.holder.as_ref().is_some_and(|(_, claimant)| *claimant == wallet)
                || of.named.contains(&wallet)
        };
        (query, Box::new(concerns))
    };
    // A poster, two agents' owners, one that one of the agents is handed to, and one that has nothing to do with any of it.
    let filters: Vec<_> = filters.into_iter().chain([1, 2, 3, 5, 7].map(of_wallet)).collect();
    let mut live = Vec::new();
    for (query, _) in &filters {
        live.push(Listener::open(served.api(), &format!("?after=0&{query}"), None).await?);
    }

    trade(&served.stack).await?;
    served.settle().await?;
    let (poster, worker) = (served.stack.actor(1).await?, served.stack.funded_actor(2, Usdc::whole(1)).await?);
    worker.stake(AgentId(1), Usdc::whole(1)).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(50)).await?).await?;
    worker.claim(run, AgentId(1)).await?;
    transfer_agent(&served.stack, 1, 2, 5).await?;
    worker.start(run).await?;
    worker.submit(run, "ipfs://soon-gone").await?;
    poster.request_revision(run, "louder").await?;
    served.settle().await?;
    // The claim stays and the owner does not; then the claim goes as well, and another agent has the run.
    served.stack.provider().anvil_reorg(ReorgOptions { depth: 4, tx_block_pairs: Vec::new() }).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    worker.submit(run, "ipfs://gone-as-well").await?;
    served.settle().await?;
    served.stack.provider().anvil_reorg(ReorgOptions { depth: 7, tx_block_pairs: Vec::new() }).await?;
    served.stack.mine(1).await?;
    served.settle().await?;
    let other = served.stack.funded_actor(3, Usdc::whole(40)).await?;
    other.stake(AgentId(2), Usdc::whole(40)).await?;
    other.claim(run, AgentId(2)).await?;
    other.submit(run, "ipfs://there").await?;
    transfer_agent(&served.stack, 2, 3, 5).await?;
    poster.request_revision(run, "softer").await?;
    served.settle().await?;

    let last: u64 = number(&url, "SELECT max(seq) FROM feed").await?.try_into()?;
    let all = live[0].take(last.try_into()?).await?;
    assert_eq!(ids(&all), (1..=last).collect::<Vec<_>>());
    let mut onlooker = Onlooker::default();
    let concerned = all.iter().map(|item| onlooker.hear(item)).collect::<Result<Vec<_>>>()?;
    for (item, concerned) in all.iter().zip(&concerned) {
        let claimed_by = json!({ "agent": item["claimedBy"], "wallet": item["claimedByWallet"] });
        let (agent, wallet) = concerned.holder.clone().unzip();
        assert_eq!(claimed_by, json!({ "agent": agent, "wallet": wallet }), "{item:#}");
    }
    for ((query, concerns), listener) in filters.iter().zip(&mut live).skip(1) {
        let wanted: Vec<Value> = all.iter().zip(&concerned).filter(|(item, of)| concerns(item, of)).map(|(item, _)| item.clone()).collect();
        assert!(wanted.len() < all.len(), "{query}");
        let heard = listener.take(wanted.len()).await?;
        assert_eq!(unchanging(&heard), unchanging(&wanted), "{query}, live");
        let late = Listener::open(served.api(), &format!("?after=0&{query}"), None).await?.take(wanted.len()).await?;
        assert_eq!(unchanging(&late), unchanging(&wanted), "{query}, later");
        let polled = served.read(&format!("/api/events?after=0&wait=0&{query}")).await?;
        assert_eq!(ids(polled["events"].as_array().context("events")?), ids(&wanted), "{query}, asked for");
        if query == "agentId=1" {
            for kind in ["RunClaimed", "RunStarted", "RunSubmitted", "RevisionRequested", "RunApproved", "RunFinalized", "Unstaked"] {
                assert!(kinds(&wanted).contains(&kind), "{kind}");
            }
            let is_taken_back = |kind: &str| wanted.iter().any(|item| item["kind"] == "retraction" && item["type"] == kind);
            assert!(["RunClaimed", "RunStarted", "RevisionRequested"].into_iter().all(is_taken_back));
        }
    }
    Ok(())
}

#[tokio::test]
async fn killing_the_indexer_in_between_leaves_no_gap_and_no_repeat() -> Result<()> {
    let (stack, url) = Stack::and_database().await?;
    let directory = clawpay_tests::scratch()?;
    let deployment = directory.path().join("deployment.json");
    std::fs::write(&deployment, serde_json::to_string(&stack.deployment)?)?;
    let (rpc_url, file) = (stack.rpc_url().to_string(), deployment.to_string_lossy().into_owned());
    let settings = [("DATABASE_URL", url.as_str()), ("RPC_URL", rpc_url.as_str()), ("CLAWPAY_DEPLOYMENT", file.as_str())];
    let index = || Clawpay::start(&["index"], directory.path(), settings);

    let mut running = index()?;
    stack.until_indexed(&url).await?;
    let api = api(&stack).await?;
    let mut listener = Listener::open(&api, "?after=0", None).await?;
    let mut heard = Vec::new();
    for round in 0..4_u64 {
        let poster = stack.funded_actor(1, Usdc::whole(100)).await?;
        let offer = stack.offer(Usdc::whole(1)).await?;
        for _ in 0..6 {
            poster.draft(offer.clone()).await?;
        }
        // Dropping it kills it, wherever it is.
        if round % 2 == 1 {
            stack.until_indexed(&url).await?;
        }
        drop(running);
        if round % 2 == 1 {
            stack.provider().anvil_reorg(ReorgOptions { depth: 4, tx_block_pairs: Vec::new() }).await?;
        }
        poster.draft(offer).await?;
        running = index()?;
        // The listener breaks off as well, somewhere, and comes back.
        heard.extend(listener.take(2).await?);
        let last = listener.last;
        drop(listener);
        stack.until_indexed(&url).await?;
        listener = Listener::open(&api, "", last).await?;
    }
    let last = number(&url, "SELECT max(seq) FROM feed").await?.try_into()?;
    while listener.last != Some(last) {
        heard.extend(listener.take(1).await?);
    }
    assert_eq!(ids(&heard), (1..=last).collect::<Vec<_>>());
    assert!(heard.iter().any(|item| item["kind"] == "retraction"));
    assert_eq!(replayed(&heard)?.len(), events_of(&url).await?);
    assert_eq!(feed_differs(&url).await?, 0);
    drop(running);
    Ok(())
}

#[tokio::test]
async fn what_an_older_indexer_wrote_is_told_anew() -> Result<()> {
    let mut served = Served::start().await?;
    let url = served.stack.database_url()?;
    trade(&served.stack).await?;
    served.settle().await?;
    let count = events_of(&url).await?;
    let mut listener = Listener::open(served.api(), "?after=0", None).await?;
    listener.take(count).await?;
    served.indexer.take().context("an indexer")?.stop().await??;
    // As an older version leaves it: the cursor has moved, and nobody was told.
    execute(&url, "UPDATE cursor SET feed_hash = NULL").await?;
    served.indexer = Some(Indexer::start(served.stack.index_config(), &url)?);
    served.stack.mine(1).await?;
    served.settle().await?;

    assert_eq!(listener.next().await?, None, "numbers mean something else now");
    assert_eq!(listener.ended.as_deref(), Some("restarted"));
    for after in [1, count] {
        served.get(&format!("/api/events?after={after}&wait=0")).await?.require(409, "unknown_event_id")?;
    }
    let told = Listener::open(served.api(), "?after=0", None).await?.take(count).await?;
    assert_eq!(ids(&told), (u64::try_from(count + 2)?..u64::try_from(2 * count + 2)?).collect::<Vec<_>>());
    assert_eq!(feed_differs(&url).await?, 0);
    Ok(())
}

#[tokio::test]
async fn listeners_are_few_enough_and_kept_short_enough_and_let_go_at_the_end() -> Result<()> {
    let served = Served::start_with(|config| {
        config.events.per_address = Some(2);
        config.events.lifetime = Duration::from_secs(3);
        config.events.heartbeat = Duration::from_millis(200);
    })
    .await?;
    let mut first = Listener::open(served.api(), "", None).await?;
    let second = Listener::open(served.api(), "", None).await?;
    for query in ["", "?wait=1"] {
        let refused = served.get(&format!("/api/events{query}")).await?;
        refused.require(429, "too_many_listeners")?;
        assert_eq!((&refused.body["limit"], &refused.headers["retry-after"]), (&json!(2), &reqwest::header::HeaderValue::from(1)));
    }
    drop(second);
    let mut again = Listener::open(served.api(), "", None).await;
    for _ in 0..100 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = Listener::open(served.api(), "", None).await;
    }
    again?;
    assert_eq!(first.next().await?, None, "a stream ends when its time is over");
    assert_eq!(first.ended.as_deref(), Some("lifetime"));
    assert!(first.comments > 3, "{} heartbeats", first.comments);

    let mut last = Listener::open(served.api(), "", None).await?;
    served.api().tell_to_stop();
    assert_eq!(last.next().await?, None, "a stream ends when the server stops");
    assert_eq!(last.ended.as_deref(), Some("shutdown"));
    Ok(())
}

#[tokio::test]
async fn a_filter_finds_what_lies_far_back() -> Result<()> {
    let served = Served::start().await?;
    let url = served.stack.database_url()?;
    served.stack.actor(1).await?.draft(served.stack.offer(Usdc::whole(1)).await?).await?;
    served.stack.actor(2).await?.register("ipfs://a").await?;
    served.settle().await?;
    // Several pages of other things lie between.
    let more = "WITH last AS (SELECT * FROM events ORDER BY block_number DESC, log_index DESC LIMIT 1), made AS (
                  INSERT INTO events SELECT block_number, log_index + n, block_hash, tx_hash, tx_index, contract, topics, data, name, NULL, 1,
                                            refusal FROM last, generate_series(1, 1500) n RETURNING block_number, log_index)
                INSERT INTO feed (seq, block_number, log_index)
                SELECT (SELECT feed FROM cursor) + row_number() OVER (ORDER BY log_index), block_number, log_index FROM made";
    execute(&url, more).await?;
    execute(&url, "UPDATE cursor SET feed = (SELECT max(seq) FROM feed)").await?;
    let run = RunId(1);
    let found = served.read(&format!("/api/events?after=0&wait=0&runId={run}")).await?;
    assert_eq!(kinds(found["events"].as_array().context("events")?), ["RunCreated"]);
    assert!(found["lastEventId"].as_u64() > Some(1_500));
    let all = served.read("/api/events?after=0&wait=0").await?;
    assert_eq!(all["events"].as_array().context("events")?.len(), 256);
    Ok(())
}

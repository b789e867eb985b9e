//! The examples in the API's description are what a market answers: this one is played anew, and each of its answers compared with the one
//! that is committed. With `CLAWPAY_WRITE_EXAMPLES=1` they are written instead.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use alloy::{primitives::Address, providers::ext::AnvilApi};
use anyhow::{Context, Result, ensure};
use clawpay_api::{PublicUrl, RelayOptions};
use clawpay_bindings::TestUSDC;
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::{OPERATOR, key};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    served::{Served, account, signer, with},
    strict_wallet::{sign_steps, sign_typed},
};

const POSTER: u32 = 1;
const WORKER: u32 = 2;
const HELPER: u32 = 3;
const NEWCOMER: u32 = 5;
const RELAYER: u32 = 8;

/// What was asked with and answered, by operation.
struct Book<'a> {
    served: &'a Served,
    examples: BTreeMap<String, Map<String, Value>>,
}

impl<'a> Book<'a> {
    fn note(&mut self, name: &str, part: &str, value: &Value) {
        self.examples.entry(name.to_owned()).or_default().insert(part.to_owned(), value.clone());
    }

    /// Has a verb done, and notes what it is asked with.
    async fn act(&mut self, operation: &str, index: u32, path: &str, body: Value) -> Result<Value> {
        self.note(operation, "request", &body);
        self.served.act(index, path, &body).await
    }

    /// Reads, and notes the answer.
    async fn read(&mut self, operation: &str, path: &str) -> Result<Value> {
        let answer = self.served.read(path).await?;
        self.note(operation, "response", &answer);
        Ok(answer)
    }

    /// Reads what is no JSON, and notes the first line that begins with `with`.
    async fn read_text(&mut self, operation: &str, path: &str, with: &str) -> Result<()> {
        let text = self.served.request(Method::GET, path).send().await?.error_for_status()?.text().await?;
        let line = text.lines().find(|line| line.starts_with(with));
        self.note(operation, "response", &json!(line.with_context(|| format!("{path} has no line with {with}"))?));
        Ok(())
    }

    /// Posts, and notes both.
    async fn post(&mut self, operation: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.served.post(path, body).await?;
        ensure!(answer.status.as_u16() == 202, "{path}: {} {:#}", answer.status, answer.body);
        self.note(operation, "request", body);
        self.note(operation, "response", &answer.body);
        Ok(answer.body)
    }
}

/// A run's path.
fn of_run(run: u64, verb: &str) -> String {
    format!("/api/runs/{run}/{verb}")
}

async fn registered(book: &mut Book<'_>) -> Result<u64> {
    let worker = signer(WORKER);
    let registration = with(&worker, "agentURI", json!("ipfs://QmAgent"));
    let agent = book.act("registerAgent", WORKER, "/api/agents/register", registration).await?["agent"]["id"].as_u64().context("id")?;
    let of_agent = |verb: &str| format!("/api/agents/{agent}/{verb}");
    book.act("stake", WORKER, &of_agent("stake"), with(&worker, "amount", json!("21000000"))).await?;
    let less = with(&worker, "amount", json!("1000000"));
    let done = book.act("unstake", WORKER, &of_agent("unstake"), less).await?;
    book.note("ActionDone", "response", &done);
    book.act("setAgentURI", WORKER, &of_agent("uri"), with(&worker, "agentURI", json!("https://agent.example/card.json"))).await?;
    let metadata = with(&with(&worker, "key", json!("model")), "text", json!("haiku-writer 2"));
    book.act("setAgentMetadata", WORKER, &of_agent("metadata"), metadata).await?;
    let wallet = with(&worker, "newWallet", json!(account(HELPER)));
    let wanted = book.served.post(&of_agent("wallet"), &wallet).await?.body;
    ensure!(wanted["status"] == "consent_required", "{wanted:#}");
    let consent =
        json!({ "deadline": wanted["consent"]["message"]["deadline"], "signature": sign_typed(&wanted["consent"], &key(HELPER))? });
    book.act("setAgentWallet", WORKER, &of_agent("wallet"), with(&wallet, "consent", consent)).await?;
    Ok(agent)
}

/// A run that is paid, after a revision.
async fn paid(book: &mut Book<'_>, offer: &Value, agent: u64) -> Result<()> {
    let (poster, worker) = (signer(POSTER), signer(WORKER));
    book.act("createRun", POSTER, "/api/runs", offer.clone()).await?;
    book.served.settle().await?;
    book.read("listRuns", "/api/runs?state=OPEN&limit=1").await?;
    book.read("getFeed", "/feed.json").await?;
    book.read("getClaimEligibility", &format!("/api/runs/1/claim-eligibility?agentId={agent}")).await?;
    book.act("claimRun", WORKER, &of_run(1, "claim"), with(&worker, "agentId", json!(agent))).await?;
    book.act("startRun", WORKER, &of_run(1, "start"), worker.clone()).await?;
    let delivery = with(&worker, "deliverableURI", json!("ipfs://QmDelivery"));
    book.act("submitWork", WORKER, &of_run(1, "submit"), delivery.clone()).await?;
    book.act("requestRevision", POSTER, &of_run(1, "request-revision"), with(&poster, "feedback", json!("The third line is short.")))
        .await?;
    book.served.act(WORKER, &of_run(1, "submit"), &delivery).await?;
    book.read("getRun", "/api/runs/1").await?;
    let approved = book.act("approveRun", POSTER, &of_run(1, "approve"), poster).await?;
    let hash = approved["transactionHash"].as_str().context("transactionHash")?;
    book.read("getTransaction", &format!("/api/transactions/{hash}")).await?;
    Ok(())
}

/// A draft that is funded and cancelled.
async fn cancelled(book: &mut Book<'_>, offer: &Value) -> Result<()> {
    let poster = signer(POSTER);
    let draft = with(&with(offer, "draft", json!(true)), "ipfsHash", json!("ipfs://QmWork"));
    let prepared = book.served.prepare("/api/runs", &draft).await?;
    book.note("ActionNotDone", "response", &prepared);
    book.served.act(POSTER, "/api/runs", &draft).await?;
    book.served.settle().await?;
    book.read("getRunEvents", "/api/runs/2/events").await?;
    book.read("getRunActions", &format!("/api/runs/2/actions?wallet={}", account(POSTER))).await?;
    book.read("listen", "/api/events?runId=2&wait=0&after=0").await?;
    book.act("fundRun", POSTER, &of_run(2, "fund"), poster.clone()).await?;
    book.act("cancelRun", POSTER, &of_run(2, "cancel"), poster).await?;
    Ok(())
}

/// Runs that end in other ways: rejected, approved by silence while the token refuses the agent's wallet, and slashed.
async fn ended(book: &mut Book<'_>, offer: &Value, agent: u64) -> Result<()> {
    let (served, poster, worker) = (book.served, signer(POSTER), signer(WORKER));
    let claim = with(&worker, "agentId", json!(agent));
    let submit = with(&worker, "deliverableURI", json!("ipfs://QmDelivery"));
    for run in 3..=5 {
        served.act(POSTER, "/api/runs", &with(offer, "maxRevisions", json!(0))).await?;
        served.act(WORKER, &of_run(run, "claim"), &claim).await?;
        if run < 5 {
            served.act(WORKER, &of_run(run, "submit"), &submit).await?;
        }
        if run == 3 {
            book.act("rejectRun", POSTER, &of_run(run, "reject"), poster.clone()).await?;
        }
    }
    served.stack.warp(Seconds::days(7)).await?;
    let operator = served.stack.actor(OPERATOR).await?;
    let usdc = served.stack.deployment.contracts.usdc;
    operator.wallet().call(usdc, &TestUSDC::blacklistCall { account: account(WORKER) }).await?;
    served.settle().await?;
    book.act("finalizeRun", HELPER, &of_run(4, "finalize"), signer(HELPER)).await?;
    operator.wallet().call(usdc, &TestUSDC::unBlacklistCall { account: account(WORKER) }).await?;
    let credit = with(&with(&signer(WORKER), "recipient", json!(account(WORKER))), "contract", json!("escrow"));
    book.act("payCredit", WORKER, "/api/credits/pay", credit).await?;
    book.act("slashRun", POSTER, &of_run(5, "slash"), poster).await?;
    Ok(())
}

/// An agent that is registered without ether, and another by a transaction that is passed on.
async fn passed_on(book: &mut Book<'_>) -> Result<()> {
    let registration = with(&signer(NEWCOMER), "agentURI", json!("ipfs://QmOther"));
    let prepared = book.served.prepare("/api/agents/register", &registration).await?;
    let signed = with(&prepared["relay"], "signature", json!(sign_typed(&prepared["typedData"], &key(NEWCOMER))?));
    // What is answered at once does not depend on how soon it is mined.
    book.served.stack.provider().anvil_set_auto_mine(false).await?;
    let relayed = book.post("relay", "/api/relay", &signed).await?;
    let hash = relayed["transactionHash"].as_str().context("transactionHash")?;
    book.served.stack.mine(1).await?;
    book.served.settle().await?;
    ensure!(book.served.read(&format!("/api/transactions/{hash}")).await?["status"] == "indexed");
    let prepared = book.served.prepare("/api/agents/register", &registration).await?;
    let raw = sign_steps(&prepared, &key(NEWCOMER))?.pop().context("a step")?;
    book.post("sendTransaction", "/api/transactions", &json!({ "signedTransaction": raw })).await?;
    book.served.stack.provider().anvil_set_auto_mine(true).await?;
    book.served.stack.mine(1).await?;
    Ok(())
}

async fn read_the_rest(book: &mut Book<'_>, agent: u64) -> Result<()> {
    book.read("listAgents", "/api/agents?status=FROZEN&limit=1").await?;
    book.read("getAgent", &format!("/api/agents/{agent}")).await?;
    book.read("getStake", &format!("/api/agents/{agent}/stake")).await?;
    book.read("listPosters", "/api/posters?limit=1").await?;
    book.read("getPoster", &format!("/api/posters/{}", account(POSTER))).await?;
    book.read("getWallet", &format!("/api/wallets/{}", account(4))).await?;
    book.read("getConfig", "/api/config").await?;
    book.read("getStats", "/api/stats?days=1").await?;
    book.read("getStatus", "/api/status").await?;
    book.read("getHealth", "/healthz").await?;
    book.read("getReadiness", "/readyz").await?;
    book.read_text("getLlmsTxt", "/llms.txt", "# ").await?;
    book.read_text("getSkill", "/skill.md", "description: ").await?;
    Ok(())
}

async fn play(served: &Served) -> Result<BTreeMap<String, Map<String, Value>>> {
    let mint = async |account: Address, usdc| served.stack.mint(account, Usdc::whole(usdc)).await;
    mint(account(POSTER), 1_000).await?;
    mint(account(WORKER), 21).await?;
    mint(account(NEWCOMER), 20).await?;
    served.settle().await?;
    let mut book = Book { served, examples: BTreeMap::new() };
    let agent = registered(&mut book).await?;
    let deadline = (served.stack.now().await? + Seconds::days(30)).0;
    let deadline = time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?;
    let offer = json!({
        "posterAddress": account(POSTER),
        "reward": "12000000",
        "deadline": deadline.format(&time::format_description::well_known::Rfc3339)?,
        "ipfsHash": "data:application/json,{\"title\":\"A haiku about escrow\",\"tags\":[\"haiku\"]}",
    });
    paid(&mut book, &offer, agent).await?;
    cancelled(&mut book, &offer).await?;
    ended(&mut book, &offer, agent).await?;
    passed_on(&mut book).await?;
    served.settle().await?;
    read_the_rest(&mut book, agent).await?;
    Ok(book.examples)
}

/// What is another each time the market is played stands for its kind: times, hashes, bytes, and numbers that the machine has a say in.
fn without_chance(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = if CHANCE.contains(&name.as_str()) { json!(kind(value)) } else { without_chance(value) };
                (name.clone(), value)
            };
            members.iter().map(member).collect()
        }
        Value::Array(items) => items.iter().map(without_chance).collect(),
        Value::String(text) => json!(without_times(text)),
        _ => value.clone(),
    }
}

/// Members whose value is another each time: gas depends on how many bytes of a time are zero.
const CHANCE: [&str; 5] = ["stalenessMs", "uptimeSeconds", "deadline", "gas", "maxFeePerGas"];

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A text in which each time stands for any time, and hex of 32 bytes or more for any.
fn without_times(text: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(bytes) = text.strip_prefix("0x").filter(|bytes| bytes.len() >= 64 && is_hex(bytes)) {
        return if bytes.len() == 64 { "a hash".to_owned() } else { format!("{} bytes", bytes.len() / 2) };
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20").filter(|_| rest.len() >= TIME.len()) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let length = [TIME, DATE].into_iter().find(|form| is_like(from, form)).map_or(2, str::len);
        plain.push_str(if length == 2 { "20" } else { "a time" });
        rest = &from[length..];
    }
    plain + rest
}

const TIME: &str = "0000-00-00T00:00:00.000Z";
const DATE: &str = "0000-00-00T00:00:00Z";

fn is_like(text: &str, form: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit();
    text.len() >= form.len() && text.bytes().zip(form.bytes()).all(|(byte, like)| if digit(like) { digit(byte) } else { byte == like })
}

#[tokio::test]
async fn every_operation_has_an_example_that_a_market_gives() -> Result<()> {
    let served = Served::start_with(|config| {
        config.relay = Some(RelayOptions::new(key(RELAYER)));
        config.public_url = PublicUrl::parse("https://market.example/").unwrap();
    })
    .await?;
    let played = play(&served).await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/api/openapi-examples.json");
    if std::env::var_os("CLAWPAY_WRITE_EXAMPLES").is_some() {
        let mut text = "{".to_owned();
        for (position, (name, example)) in played.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(text, "{comma}\n{}:{}", json!(name), json!(example))?;
        }
        fs::write(&file, text + "\n}\n")?;
        return Ok(());
    }
    let committed: BTreeMap<String, Map<String, Value>> = serde_json::from_str(&fs::read_to_string(&file)?)?;
    for (name, example) in &played {
        let (seen, said) = (without_chance(&json!(example)), without_chance(&json!(committed.get(name))));
        assert_eq!(seen, said, "{name}: run this test with CLAWPAY_WRITE_EXAMPLES=1, look at what differs, and commit it");
    }
    assert_eq!(played.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());

    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    for operation in document["paths"].as_object().context("paths")?.values().flat_map(|path| path.as_object().unwrap().values()) {
        let id = operation["operationId"].as_str().context("operationId")?;
        // The description cannot hold itself.
        assert!(id == "getOpenApi" || operation.to_string().contains("\"example\":"), "{id} has no example");
    }
    Ok(())
}

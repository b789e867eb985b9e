//! What the operator keeps from being shown is not, wherever it is asked for; and wallets that have money in it act on.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clawpay_api::{Config, Hidden};
use clawpay_domain::{AgentId, NewRun, RunId, Usdc};
use clawpay_tests::{Api, Clawpay, Database, Stack, bulk_runs, empty_index, scratch};
use reqwest::{Client, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use super::events::{Listener, events_of};
use super::served::{Answer, Served, account, signer, with};

const WITHIN: Duration = Duration::from_secs(30);

/// Only hidden runs and agents have this word in what strangers wrote for them.
const UNMENTIONABLE: &str = "unmentionable";

/// A market, served as it is and without what a file hides.
///
/// Account 1 posts runs 1, 2, 4 and 5, and account 3, which is hidden, run 3. Run 2 is hidden: agent 1 has delivered it. Agents 2 to 4 are hidden: the
/// owner of agent 2, which has delivered run 5, is; agent 3 is named itself; and the wallet of agent 4 is an account that is.
struct Market {
    hiding: Served,
    plain: Api,
    _directory: TempDir,
}

const SHOWN: AgentId = AgentId(1);

/// Inline content with this title.
fn content(title: &str) -> String {
    format!("data:application/json,%7B%22title%22:%22{title}%22,%22tags%22:[%22order%22]%7D")
}

/// A file that hides.
fn file(directory: &TempDir, text: &str) -> Result<Hidden> {
    let path = directory.path().join("hidden");
    std::fs::write(&path, text)?;
    Ok(Hidden::read(path)?)
}

async fn deliver(stack: &Stack, run: RunId, owner: u32, agent: AgentId, uri: &str) -> Result<()> {
    let worker = stack.actor(owner).await?;
    worker.claim(run, agent).await?;
    worker.submit(run, uri).await?;
    Ok(())
}

impl Market {
    async fn start() -> Result<Self> {
        let mut served = Served::start().await?;
        let stack = &served.stack;
        let poster = stack.funded_actor(1, Usdc::whole(1_000)).await?;
        let shunned = stack.funded_actor(3, Usdc::whole(1_000)).await?;
        let (worker, first) = stack.staked_agent(2).await?;
        let (_, second) = stack.staked_agent(4).await?;
        let third = worker.register(&format!("ipfs://{UNMENTIONABLE}")).await?;
        let fourth = stack.actor(5).await?.register(&format!("ipfs://{UNMENTIONABLE}")).await?;
        ensure!((first, second, third, fourth) == (SHOWN, AgentId(2), AgentId(3), AgentId(4)));
        let offer = stack.offer(Usdc::whole(100)).await?;
        let told = |title: &str| NewRun { content_uri: content(title).into_bytes().into(), ..offer.clone() };
        poster.post(offer.clone()).await?;
        let hidden = poster.post(told(&format!("page {UNMENTIONABLE}"))).await?;
        shunned.post(told(UNMENTIONABLE)).await?;
        poster.post(told("page")).await?;
        let held = poster.post(offer.clone()).await?;
        deliver(stack, hidden, 2, first, &format!("ipfs://{UNMENTIONABLE}")).await?;
        deliver(stack, held, 4, second, "ipfs://work").await?;
        served.settle().await?;
        // As if the wallet had agreed: an indexer is not asked for what it has indexed.
        let mut connection = PgConnection::connect(&stack.database_url()?).await?;
        let wallet = account(6).as_slice().to_vec();
        sqlx::query("UPDATE agents SET wallet = $1 WHERE id = 4").bind(wallet).execute(&mut connection).await?;

        let directory = scratch()?;
        let text = format!(
            "# by order\nrun 2 order 11\naccount {} order 12\naccount {} order 13\nagent 3 order 14\naccount {} order 15\n",
            account(3),
            account(4).to_string().to_lowercase(),
            account(6)
        );
        let mut config = Config::new(stack.rpc_url(), stack.database_url()?);
        config.hidden = file(&directory, &text)?;
        let plain = std::mem::replace(&mut served.api, Api::start(config).await?);
        Ok(Self { hiding: served, plain, _directory: directory })
    }

    /// What the server that hides nothing answers.
    async fn plain(&self, path: &str) -> Result<(StatusCode, Value)> {
        let answer = reqwest::get(self.plain.url().join(path.trim_start_matches('/'))?).await?;
        Ok((answer.status(), answer.json().await?))
    }
}

fn numbers(list: &Value, items: &str, name: &str) -> Vec<u64> {
    list[items].as_array().into_iter().flatten().filter_map(|item| item[name].as_u64()).collect()
}

fn require_hidden(answer: &Answer, order: u32) -> Result<()> {
    let detail = answer.require(451, "hidden")?.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.ends_with(&format!(": order {order}")) && answer.body["title"] == "Unavailable For Legal Reasons", "{:#}", answer.body);
    ensure!(!answer.headers.contains_key("etag"), "{:?}", answer.headers);
    Ok(())
}

#[tokio::test]
async fn whatever_is_read_by_number_or_address_is_451_with_its_reason_where_it_is_hidden() -> Result<()> {
    let market = Market::start().await?;
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let paths = document["paths"].as_object().context("paths")?;
    let reads = paths.iter().filter(|(path, item)| path.contains('{') && item.get("get").is_some()).map(|(path, _)| path.as_str());
    let mut families = 0;
    for path in reads.filter(|path| *path != "/api/transactions/{hash}") {
        let query = match path.rsplit('/').next() {
            Some("claim-eligibility") => "?agentId=1".to_owned(),
            Some("actions") => format!("?wallet={}", account(9)),
            _ => String::new(),
        };
        let (shown, hidden) = match path.split('/').nth(2) {
            Some("runs") => ("4".to_owned(), vec![("2".to_owned(), 11), ("3".to_owned(), 12)]),
            Some("agents") => ("1".to_owned(), vec![("2".to_owned(), 13), ("3".to_owned(), 14), ("4".to_owned(), 15)]),
            _ => (account(1).to_string(), vec![(account(3).to_string(), 12), (account(4).to_string().to_lowercase(), 13)]),
        };
        let of = |subject: &str| path.replace("{id}", subject).replace("{address}", subject) + &query;
        market.hiding.read(&of(&shown)).await?;
        for (subject, order) in hidden {
            let path = of(&subject);
            require_hidden(&market.hiding.get(&path).await?, order).context(path.clone())?;
            let (status, body) = market.plain(&path).await?;
            ensure!(status == StatusCode::OK, "{path}: {body:#}");
        }
        families += 1;
    }
    ensure!(families == 8, "{families}");
    require_hidden(&market.hiding.get("/api/runs/4/claim-eligibility?agentId=2").await?, 13)?;
    market.hiding.get("/api/runs/99").await?.require(404, "run_not_found")?;
    Ok(())
}

#[tokio::test]
async fn who_has_money_in_a_hidden_run_is_told_its_deadlines_and_none_of_its_words() -> Result<()> {
    let market = Market::start().await?;
    let wordless = |run: &Value| {
        let words = [&run["content"], &run["deliverableHash"], &run["feedback"]];
        ensure!(run["ipfsHash"] == "" && words.iter().all(|word| word.is_null()), "{run:#}");
        ensure!(run["reviewBy"].is_string() && run["reward"] == "100000000" && run["progressWord"].is_string(), "{run:#}");
        Ok(())
    };
    for party in [1, 2] {
        let actions = market.hiding.read(&format!("/api/runs/2/actions?wallet={}", account(party))).await?;
        wordless(&actions["run"])?;
    }
    let wallet = market.hiding.read(&format!("/api/wallets/{}", account(1))).await?;
    let waiting = wallet["waiting"].as_array().context("waiting")?;
    let run = |id: u64| waiting.iter().map(|waits| &waits["run"]).find(|run| run["bountyId"] == id).context("a run that waits");
    wordless(run(2)?)?;
    ensure!(run(5)?["deliverableHash"] == "ipfs://work", "{wallet:#}");
    Ok(())
}

#[tokio::test]
async fn lists_searches_and_the_feed_leave_out_what_is_hidden_and_totals_do_not() -> Result<()> {
    let market = Market::start().await?;
    let (first, shunned, owner) = (account(1), account(3), account(4));
    for (query, expected) in [
        (String::new(), vec![5, 4, 1]),
        ("sort=reward_asc".to_owned(), vec![1, 4, 5]),
        ("state=SUBMITTED".to_owned(), vec![5]),
        ("claimable=true&sort=oldest".to_owned(), vec![1, 4]),
        (format!("poster={shunned}"), vec![]),
        (format!("q={shunned}"), vec![]),
        (format!("q={first}"), vec![5, 4, 1]),
        ("q=2".to_owned(), vec![]),
        ("q=page".to_owned(), vec![4]),
        ("tag=order".to_owned(), vec![4]),
        ("q=data:application/json".to_owned(), vec![4]),
        (format!("q={UNMENTIONABLE}"), vec![]),
        ("agentId=1".to_owned(), vec![]),
        ("agentId=2".to_owned(), vec![5]),
    ] {
        let list = market.hiding.read(&format!("/api/runs?{query}")).await?;
        assert_eq!(numbers(&list, "runs", "bountyId"), expected, "{query}");
        let (_, plain) = market.plain(&format!("/api/runs?{query}")).await?;
        assert_eq!(list["pagination"]["total"], plain["pagination"]["total"], "{query}");
        ensure!(!list.to_string().contains(UNMENTIONABLE), "{list:#}");
    }
    for (query, expected) in [(String::new(), vec![1]), (format!("account={owner}"), vec![]), (format!("account={}", account(2)), vec![1])]
    {
        let list = market.hiding.read(&format!("/api/agents?{query}")).await?;
        assert_eq!(numbers(&list, "agents", "id"), expected, "{query}");
    }
    let posters = market.hiding.read("/api/posters").await?;
    let posters: Vec<&Value> = posters["posters"].as_array().context("posters")?.iter().map(|poster| &poster["address"]).collect();
    assert_eq!(posters, [&json!(first.to_checksum(None))]);
    let wallet = market.hiding.read(&format!("/api/wallets/{}", account(2))).await?;
    assert_eq!(numbers(&wallet, "agents", "id"), [1]);
    let feed = market.hiding.read("/feed.json").await?;
    let claimable: Vec<&Value> = feed["items"].as_array().context("items")?.iter().map(|item| &item["_clawpay"]["bountyId"]).collect();
    assert_eq!(claimable, [&json!(4), &json!(1)]);

    let (_, stats) = market.plain("/api/stats").await?;
    assert_eq!(market.hiding.read("/api/stats").await?, stats);
    let (_, status) = market.plain("/api/status").await?;
    assert_eq!(market.hiding.read("/api/status").await?["finalizedState"], status["finalizedState"]);
    Ok(())
}

/// Bulk runs, and a server that hides some of them, beside one that hides none.
struct Shelf {
    _database: Database,
    _directory: TempDir,
    hiding: Api,
    plain: Api,
    http: Client,
}

/// Runs on the shelf.
const RUNS: u64 = 150;

impl Shelf {
    async fn hiding(text: &str) -> Result<Self> {
        let database = Database::start()?;
        empty_index(&database.url()).await?;
        bulk_runs(&database.url(), 1..=RUNS).await?;
        let directory = scratch()?;
        let config = Config::new("http://127.0.0.1:1".parse()?, database.url());
        let hiding = Api::start(Config { hidden: file(&directory, text)?, ..config.clone() }).await?;
        Ok(Self { _database: database, _directory: directory, hiding, plain: Api::start(config).await?, http: Client::new() })
    }

    async fn read(&self, api: &Api, path: &str) -> Result<Value> {
        let answer = self.http.get(api.url().join(path)?).send().await?;
        ensure!(answer.status() == 200, "{path}: {} {}", answer.status(), answer.text().await?);
        Ok(answer.json().await?)
    }

    /// Each item's name along the cursors of a list, there and back. No more parts are read than the list has items, and one beyond them.
    async fn along(&self, api: &Api, list: &str, query: &str, limit: u32, name: &str) -> Result<[Vec<Value>; 2]> {
        let items = |part: &Value| -> Vec<Value> { part[list].as_array().unwrap().iter().map(|item| item[name].clone()).collect() };
        let (mut there, mut back) = (Vec::new(), Vec::new());
        let mut part = self.read(api, &format!("api/{list}?{query}&limit={limit}")).await?;
        for parts in 1.. {
            ensure!(parts <= RUNS + 1, "{list}?{query} does not end");
            there.extend(items(&part));
            let Some(next) = part["pagination"]["next"].as_str() else { break };
            part = self.read(api, &format!("api/{list}?cursor={next}&limit={limit}")).await?;
        }
        for parts in 1.. {
            ensure!(parts <= RUNS + 1, "{list}?{query} does not end backwards");
            back.splice(0..0, items(&part));
            let Some(previous) = part["pagination"]["previous"].as_str() else { break };
            part = self.read(api, &format!("api/{list}?cursor={previous}&limit={limit}")).await?;
        }
        Ok([there, back])
    }
}

#[tokio::test]
async fn cursors_and_pages_pass_over_what_is_hidden_and_miss_and_repeat_nothing_else() -> Result<()> {
    let is_named = |run: u64| run.is_multiple_of(7) || (40..=75).contains(&run) || run == RUNS;
    // Bulk run 10 is posted by account 11.
    let poster = format!("0x{:040x}", 11);
    let mut text: String = (1..=RUNS).filter(|run| is_named(*run)).map(|run| format!("run {run} x\n")).collect();
    text.push_str(&format!("account {poster} x\n"));
    let shelf = Shelf::hiding(&text).await?;
    let is_shown = |run: &Value| run.as_u64().is_some_and(|run| !is_named(run) && run != 10);
    for (query, limit) in [
        ("", 1),
        ("", 7),
        ("sort=oldest", 20),
        ("sort=reward_desc", 3),
        ("sort=deadline_asc&claimable=false", 9),
        ("state=APPROVED&minReward=300", 4),
        ("state=OPEN,CLAIMED&sort=reward_asc", 2),
    ] {
        let [all, _] = shelf.along(&shelf.plain, "runs", query, 100, "bountyId").await?;
        let shown: Vec<Value> = all.iter().filter(|run| is_shown(run)).cloned().collect();
        ensure!(shown.len() < all.len(), "{query}");
        let [there, back] = shelf.along(&shelf.hiding, "runs", query, limit, "bountyId").await?;
        assert_eq!(there, shown, "{query}");
        assert_eq!(back, shown, "{query}, backwards");
        let mut by_page = Vec::new();
        for page in 1..=all.len().div_ceil(limit.try_into()?) {
            let part = shelf.read(&shelf.hiding, &format!("api/runs?{query}&limit={limit}&page={page}")).await?;
            by_page.extend(part["runs"].as_array().context("runs")?.iter().map(|run| run["bountyId"].clone()));
            ensure!(part["pagination"]["total"] == all.len() && part["pagination"]["totalPages"].is_u64(), "{part:#}");
        }
        assert_eq!(by_page, shown, "{query}, by page");
    }
    let [all, _] = shelf.along(&shelf.plain, "posters", "sort=created_desc", 100, "address").await?;
    let shown: Vec<Value> =
        all.iter().filter(|account| account.as_str().is_none_or(|account| account.to_lowercase() != poster)).cloned().collect();
    assert_eq!(all.len(), shown.len() + 1);
    for posters in shelf.along(&shelf.hiding, "posters", "sort=created_desc", 1, "address").await? {
        assert_eq!(posters, shown);
    }
    Ok(())
}

/// Whether something the feed tells is of what [`Market`] hides.
fn is_hidden(item: &Value) -> bool {
    match item["runId"].as_u64() {
        Some(run) => [2, 3].contains(&run) || item["posterAddress"] == json!(account(3).to_checksum(None)),
        None => item["agentId"].as_u64().is_some_and(|agent| agent != SHOWN.0),
    }
}

fn ids(items: &[Value]) -> Vec<u64> {
    items.iter().filter_map(|item| item["id"].as_u64()).collect()
}

#[tokio::test]
async fn streams_and_long_polls_leave_out_what_is_hidden_and_go_on_behind_it() -> Result<()> {
    let market = Market::start().await?;
    let (served, url) = (&market.hiding, market.hiding.stack.database_url()?);
    let all = Listener::open(&market.plain, "?after=0", None).await?.take(events_of(&url).await?).await?;
    let shown: Vec<Value> = all.iter().filter(|item| !is_hidden(item)).cloned().collect();
    let hidden: Vec<u64> = ids(&all.iter().filter(|item| is_hidden(item)).cloned().collect::<Vec<_>>());
    ensure!(hidden.len() > 10 && shown.len() > 10, "{} of {}", hidden.len(), all.len());
    // Its poster hears of the delivery by a hidden agent.
    ensure!(shown.iter().any(|item| item["type"] == "RunSubmitted" && item["claimedBy"] == 2), "{shown:#?}");
    let told = Listener::open(served.api(), "?after=0", None).await?.take(shown.len()).await?;
    assert_eq!(ids(&told), ids(&shown));
    ensure!(!json!(told).to_string().contains(UNMENTIONABLE));

    let last = all.last().and_then(|item| item["id"].as_u64()).context("events")?;
    for after in &hidden {
        let rest: Vec<u64> = ids(&shown).into_iter().filter(|id| id > after).collect();
        let back = Listener::open(served.api(), "", Some(*after)).await?.take(rest.len()).await?;
        assert_eq!(ids(&back), rest, "after {after}");
        let poll = served.read(&format!("/api/events?after={after}&wait=0")).await?;
        assert_eq!(ids(poll["events"].as_array().context("events")?), rest, "after {after}");
        assert_eq!(poll["lastEventId"], last, "after {after}");
    }
    let poll = served.read("/api/events?after=0&runId=2&wait=0").await?;
    assert_eq!((&poll["events"], &poll["lastEventId"]), (&json!([]), &json!(last)));

    // As it happens: what is hidden is not told, and the next thing is.
    let mut now = Listener::open(served.api(), "", Some(last)).await?;
    let shunned = served.stack.actor(3).await?;
    let offer = served.stack.offer(Usdc::whole(3)).await?;
    shunned.draft(offer.clone()).await?;
    served.settle().await?;
    served.stack.actor(1).await?.draft(offer).await?;
    let next = now.take(1).await?;
    assert_eq!((&next[0]["type"], &next[0]["runId"], &next[0]["id"]), (&json!("RunCreated"), &json!(7), &json!(last + 2)));
    Ok(())
}

#[tokio::test]
async fn verbs_of_what_is_hidden_are_prepared_and_confirmed_as_ever() -> Result<()> {
    let directory = scratch()?;
    let text = format!("run 1 x\nagent 1 x\naccount {} x\n", account(3));
    let hidden = file(&directory, &text)?;
    let served = Served::start_with(|config| config.hidden = hidden).await?;
    let stack = &served.stack;
    stack.funded_actor(1, Usdc::whole(1_000)).await?;
    stack.funded_actor(3, Usdc::whole(1_000)).await?;
    let (_, agent) = stack.staked_agent(2).await?;
    served.settle().await?;
    let deadline = (stack.now().await? + clawpay_domain::Seconds::days(30)).0;
    let deadline =
        time::OffsetDateTime::from_unix_timestamp(deadline.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;
    let offer =
        |poster: u32| json!({ "posterAddress": account(poster), "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://x" });

    let posted = served.act(1, "/api/runs", &offer(1)).await?;
    assert_eq!((&posted["run"]["bountyId"], &posted["run"]["state"], &posted["run"]["ipfsHash"]), (&json!(1), &json!("OPEN"), &json!("")));
    require_451(&served, "/api/runs/1").await?;
    require_451(&served, "/api/agents/1").await?;
    let body = with(&signer(2), "agentId", json!(agent.0));
    let prepared = served.prepare("/api/runs/1/claim", &body).await?;
    assert_eq!((&prepared["run"]["bountyId"], &prepared["run"]["ipfsHash"]), (&json!(1), &json!("")));
    let mut last = Value::Null;
    for (index, verb, body, state) in [
        (2, "claim", body, "CLAIMED"),
        (2, "submit", with(&signer(2), "deliverableURI", json!("ipfs://work")), "SUBMITTED"),
        (1, "request-revision", with(&signer(1), "feedback", json!("again")), "REVISION_REQUESTED"),
        (2, "submit", with(&signer(2), "deliverableURI", json!("ipfs://work2")), "SUBMITTED"),
        (1, "approve", signer(1), "APPROVED"),
    ] {
        last = served.act(index, &format!("/api/runs/1/{verb}"), &body).await?;
        let run = &last["run"];
        ensure!(
            run["state"] == state && run["ipfsHash"] == "" && run["deliverableHash"].is_null() && run["feedback"].is_null(),
            "{last:#}"
        );
    }
    let hash = last["transactionHash"].as_str().context("a hash")?;
    let transaction = served.read(&format!("/api/transactions/{hash}")).await?;
    ensure!(transaction["status"] == "indexed", "{transaction:#}");
    // Of a hidden poster.
    let posted = served.act(3, "/api/runs", &offer(3)).await?;
    assert_eq!(posted["run"]["bountyId"], 2);
    require_451(&served, "/api/runs/2").await?;
    let cancelled = served.act(3, "/api/runs/2/cancel", &signer(3)).await?;
    assert_eq!(cancelled["run"]["state"], "CANCELLED");
    let unstaked = served.act(2, "/api/agents/1/unstake", &with(&signer(2), "amount", json!("1"))).await?;
    assert_eq!(unstaked["agent"]["id"], 1);
    Ok(())
}

async fn require_451(served: &Served, path: &str) -> Result<()> {
    served.get(path).await?.require(451, "hidden")?;
    Ok(())
}

/// Waits until `path` answers `status`.
async fn until(http: &Client, url: &str, status: u16) -> Result<()> {
    let started = Instant::now();
    loop {
        let answer = http.get(url).send().await?.status();
        if answer == status {
            return Ok(());
        }
        ensure!(started.elapsed() < WITHIN, "{url} still answers {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// `clawpay serve` with a file that hides.
fn serve(directory: &Path, rpc_url: &str, database_url: &str, port: &str) -> Result<Clawpay> {
    let file = directory.join("hidden").to_string_lossy().into_owned();
    let settings = [("DATABASE_URL", database_url), ("RPC_URL", rpc_url), ("CLAWPAY_API_PORT", port), ("CLAWPAY_HIDE", file.as_str())];
    Clawpay::start(&["serve"], directory, settings)
}

#[tokio::test]
async fn a_file_that_changes_is_read_anew_and_one_that_becomes_bad_changes_nothing() -> Result<()> {
    let database = Database::start()?;
    empty_index(&database.url()).await?;
    bulk_runs(&database.url(), 1..=3).await?;
    let (directory, port) = (scratch()?, clawpay_cli::local::free_port()?.to_string());
    let write = |text: &str| std::fs::write(directory.path().join("hidden"), text);
    write("# nothing\n")?;
    let mut process = serve(directory.path(), "http://127.0.0.1:1", &database.url(), &port)?;
    process.until_it_says("Serving the API", WITHIN).await?;
    let (http, url) = (Client::new(), format!("http://127.0.0.1:{port}/api/runs"));
    let first = format!("{url}/1");
    until(&http, &first, 200).await?;
    let list = http.get(&url).send().await?;
    let tag = list.headers()["etag"].clone();
    let known = async || anyhow::Ok(http.get(&url).header(header::IF_NONE_MATCH, &tag).send().await?);
    assert_eq!(known().await?.status(), StatusCode::NOT_MODIFIED);

    write("run 1 by order\n")?;
    until(&http, &first, 451).await?;
    // No block has come, and yet the answer is another one.
    let list = known().await?;
    assert_eq!(list.status(), StatusCode::OK);
    assert_eq!(numbers(&list.json().await?, "runs", "bountyId"), [3, 2]);

    write("run 1 by order\nrun one by order\n")?;
    process.until_it_says("CLAWPAY_HIDE has changed and cannot be used", WITHIN).await?;
    ensure!(process.output().contains("line 2: expected a number after `run`"), "{}", process.output());
    until(&http, &first, 451).await?;
    std::fs::remove_file(directory.path().join("hidden"))?;
    process.until_it_says("cannot be read", WITHIN).await?;
    until(&http, &first, 451).await?;

    std::fs::write(directory.path().join("next"), "run 2 by order\n")?;
    std::fs::rename(directory.path().join("next"), directory.path().join("hidden"))?;
    until(&http, &first, 200).await?;
    until(&http, &format!("{url}/2"), 451).await?;
    process.require_running()
}

#[tokio::test]
async fn a_bad_file_is_an_error_at_the_start_that_names_the_line_and_what_is_expected() -> Result<()> {
    let directory = scratch()?;
    let path = directory.path().join("hidden");
    let refused = async || -> Result<String> {
        let port = clawpay_cli::local::free_port()?.to_string();
        let mut process = serve(directory.path(), "http://127.0.0.1:1", "postgres://127.0.0.1:1/nothing", &port)?;
        let status = process.end(WITHIN).await?;
        let said = process.output();
        ensure!(status.code() == Some(1) && said.contains("CLAWPAY_HIDE"), "{status}: {said}");
        Ok(said)
    };
    let said = refused().await?;
    ensure!(said.contains(&*path.to_string_lossy()) && said.contains("cannot be read"), "{said}");
    for (text, words) in [
        ("run 1 x\n\nposter 0x12 x\n", "line 3: expected `run 17 REASON`"),
        ("# x\nrun 1\n", "line 2: expected a reason"),
        ("run 1 x\nrun 1 y\n", "line 2: names what line 1 names already"),
    ] {
        std::fs::write(&path, text)?;
        let said = refused().await?;
        ensure!(said.contains(words), "{said}");
    }
    std::fs::write(&path, "#".repeat(1024 * 1024 + 1))?;
    let said = refused().await?;
    ensure!(said.contains("more than 1048576 bytes"), "{said}");
    std::fs::remove_file(&path)?;
    std::fs::create_dir(&path)?;
    let said = refused().await?;
    ensure!(said.contains("is no file"), "{said}");
    Ok(())
}

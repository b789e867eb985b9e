//! Keys in the addresses of what is behind the API: errors repeat them, and neither an answer nor a line of the log does.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use clawpay_cli::local::free_port;
use clawpay_domain::Usdc;
use clawpay_tests::{Clawpay, Indexer, Stack, key, scratch};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::{
    node_proxy::{KEY, Leak, NodeProxy, Oddity},
    served::{Served, account, signer, with},
    strict_wallet::{sign_steps, sign_typed},
};

const WITHIN: Duration = Duration::from_secs(30);

/// Requests on their way at once.
const CONCURRENTLY: usize = 6;

/// Calls that take longer than this tell nothing more: what they wait for does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a wallet has signed.
struct Signed {
    /// A transaction.
    transaction: Value,
    /// A body of `POST /api/relay`.
    relay: Value,
}

/// A body with which each verb gets as far as the node. A path of the description that is not here fails the test.
fn body(path: &str, signed: &Signed) -> Result<Value> {
    let (poster, agent) = (signer(1), signer(2));
    Ok(match path {
        "/api/runs" => {
            json!({ "posterAddress": account(1), "reward": "10000000", "deadline": "2027-11-01T00:00:00Z", "ipfsHash": "ipfs://a" })
        }
        "/api/runs/{id}/claim" => with(&agent, "agentId", json!(1)),
        "/api/runs/{id}/submit" => with(&agent, "deliverableURI", json!("ipfs://b")),
        "/api/runs/{id}/request-revision" => with(&poster, "feedback", json!("more")),
        "/api/runs/{id}/fund"
        | "/api/runs/{id}/cancel"
        | "/api/runs/{id}/approve"
        | "/api/runs/{id}/reject"
        | "/api/runs/{id}/slash"
        | "/api/runs/{id}/finalize" => poster,
        "/api/runs/{id}/start" => agent,
        "/api/agents/register" | "/api/agents/{id}/uri" => with(&agent, "agentURI", json!("ipfs://c")),
        "/api/agents/{id}/stake" | "/api/agents/{id}/unstake" => with(&agent, "amount", json!("1000000")),
        "/api/agents/{id}/wallet" => with(&agent, "newWallet", json!(account(3))),
        "/api/agents/{id}/metadata" => with(&with(&agent, "key", json!("k")), "text", json!("v")),
        "/api/credits/pay" => with(&with(&agent, "recipient", json!(account(2))), "contract", json!("escrow")),
        "/api/transactions" => json!({ "signedTransaction": signed.transaction }),
        "/api/relay" => signed.relay.clone(),
        path => anyhow::bail!("say what to send to {path}"),
    })
}

/// Asks every path that the description has, and answers everything that was answered.
async fn ask_everything(base: &Url, signed: &Signed) -> Result<Vec<(String, StatusCode, String)>> {
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let client = Client::builder().timeout(PATIENCE).build()?;
    let hash = json!(format!("0x{}", "ab".repeat(32)));
    let mut requests = Vec::new();
    for (path, methods) in document["paths"].as_object().context("paths")? {
        let at = path.replace("{id}", "1").replace("{hash}", hash.as_str().unwrap()).replace("{address}", &account(2).to_string());
        for method in methods.as_object().context("methods")?.keys() {
            if method == "get" {
                let query = match path.as_str() {
                    "/api/events" => "?wait=0",
                    "/api/runs/{id}/claim-eligibility" => "?agentId=1",
                    "/api/runs/{id}/actions" => "?wallet=0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
                    _ => "",
                };
                requests.push((Method::GET, format!("{at}{query}"), None));
                continue;
            }
            let plain = body(path, signed)?;
            let is_verb = plain.get("walletAddress").or(plain.get("posterAddress")).is_some();
            if is_verb {
                requests.push((Method::POST, at.clone(), Some(with(&plain, "transactionHash", hash.clone()))));
                requests.push((Method::POST, at.clone(), Some(with(&plain, "signedTransactions", json!([signed.transaction])))));
            }
            requests.push((Method::POST, at.clone(), Some(plain)));
        }
    }
    let asked = requests.into_iter().map(async |(method, path, body)| -> Result<_> {
        let mut request = client.request(method.clone(), base.join(&path)?);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), format!("{:?}", response.headers()));
        Ok((format!("{method} {path} {body:?}"), status, headers + &response.text().await?))
    });
    // Not all at once: what is asked is what counts, and not how many connections there are.
    stream::iter(asked).buffered(CONCURRENTLY).try_collect().await
}

fn require_silence(answers: &[(String, StatusCode, String)], secret: &str) -> Result<()> {
    for (asked, _, answer) in answers {
        ensure!(!answer.contains(secret) && !answer.contains("node.example"), "{asked}: {answer}");
    }
    Ok(())
}

/// The API as operators run it, behind a proxy before its node.
async fn serve(served: &Served, proxy: &NodeProxy, directory: &Path) -> Result<(Clawpay, Url)> {
    let (port, database, node) = (free_port()?.to_string(), served.stack.database_url()?, proxy.keyed_url()?);
    let settings = [
        ("DATABASE_URL", database.as_str()),
        ("RPC_URL", node.as_str()),
        ("CLAWPAY_API_PORT", port.as_str()),
        // An account of the local node that no other test sends from.
        ("CLAWPAY_RELAYER_KEY", "0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
    ];
    let mut api = Clawpay::start(&["serve"], directory, settings)?;
    api.until_it_says("serving the market", WITHIN).await?;
    Ok((api, format!("http://127.0.0.1:{port}/").parse()?))
}

#[tokio::test]
async fn no_answer_and_no_line_of_the_log_repeats_what_a_node_or_a_database_says() -> Result<()> {
    let stack = Stack::with_database().await?;
    let proxy = NodeProxy::start(stack.rpc_url(), Oddity::None).await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let mut served = Served::unindexed(stack, |_| ()).await?;
    served.indexer = Some(indexer);
    let poster = served.stack.funded_actor(1, Usdc::whole(1_000)).await?;
    served.stack.staked_agent(2).await?;
    poster.draft(served.stack.offer(Usdc::whole(10)).await?).await?;
    served.settle().await?;
    let directory = scratch()?;
    let (mut api, base) = serve(&served, &proxy, directory.path()).await?;
    let request = Client::new().post(base.join("api/runs/1/cancel")?).json(&signer(1));
    let prepared: Value = request.send().await?.error_for_status()?.json().await?;
    let relay = with(&prepared["relay"], "signature", json!(sign_typed(&prepared["typedData"], &key(1))?));
    let signed = Signed { transaction: json!(sign_steps(&prepared, &key(1))?[0]), relay };
    for leak in [Leak::Error, Leak::Revert, Leak::Data, Leak::Status, Leak::Nonsense] {
        proxy.turn(Oddity::Leaks(leak));
        let answers = ask_everything(&base, &signed).await?;
        require_silence(&answers, KEY).with_context(|| format!("{leak:?}"))?;
        let is_nodes = |(_, status, answer): &&(String, StatusCode, String)| *status == 503 && answer.contains("node_unavailable");
        ensure!(answers.iter().filter(is_nodes).count() > 20, "{leak:?}: the node was hardly asked: {answers:#?}");
    }
    proxy.turn(Oddity::None);

    // The database says its own password, to whichever question.
    let url = served.stack.database_url()?;
    let password = Url::parse(&url)?.password().context("a password")?.to_owned();
    let mut database = PgConnection::connect(&url).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "CREATE FUNCTION leak() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no route to {url} for {password}'; END $$;
         ALTER TABLE cursor RENAME TO kept_cursor;
         CREATE VIEW cursor AS SELECT * FROM kept_cursor WHERE leak()"
    )))
    .execute(&mut database)
    .await?;
    let answers = ask_everything(&base, &signed).await?;
    require_silence(&answers, &password)?;
    let is_databases = |(_, _, answer): &&(String, StatusCode, String)| answer.contains("database_unavailable");
    ensure!(answers.iter().filter(is_databases).count() > 20, "the database was hardly asked: {answers:#?}");

    api.signal("INT")?;
    ensure!(api.end(WITHIN).await?.success());
    let log = api.output();
    ensure!(!log.contains(KEY) && !log.contains(&password), "{log}");
    ensure!(log.contains("upstream https://node.example(hidden) failed"), "the node's words are not in the log: {log}");
    ensure!(log.contains("no route to postgres://"), "the database's words are not in the log: {log}");
    Ok(())
}

//! `make try-clients`: a real market is served, and each client that was generated from the API's description claims, delivers and has approved
//! a run of its own. What the client's types say, its driver relies on: `tools/clients` has compiled it.

use std::{
    path::Path,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use alloy::{hex, signers::local::PrivateKeySigner};
use anyhow::{Context, Result, ensure};
use clawpay_api::Config;
use clawpay_cli::{local::Toolbox, output::progress};
use clawpay_domain::{AgentId, RunId, Usdc};
use clawpay_tests::{Api, Indexer, Stack, key};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

/// A client: what generated it, and what drives it.
struct Client {
    generator: &'static str,
    program: &'static str,
    driver: &'static str,
}

const NODE: &str = "node";
const PYTHON: &str = "../../target/tools/client-venv/bin/python";

const CLIENTS: [Client; 5] = [
    Client { generator: "openapi-typescript", program: NODE, driver: "compiled/openapi_typescript.js" },
    Client { generator: "orval", program: NODE, driver: "compiled/orval.js" },
    Client { generator: "openapi-generator typescript-fetch", program: NODE, driver: "compiled/typescript_fetch.js" },
    Client { generator: "openapi-python-client", program: PYTHON, driver: "openapi_python_client.py" },
    Client { generator: "openapi-generator python", program: PYTHON, driver: "openapi_generator_python.py" },
];

/// Posts all runs.
const POSTER: u32 = 1;
/// Owns the first client's agent; each client acts by the account after that of the one before.
const FIRST_WORKER: u32 = 2;

/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(format_args!("try-clients: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let stack = Stack::with_database().await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    let poster = stack.funded_actor(POSTER, Usdc::whole(1_000)).await?;
    let mut parts = Vec::new();
    for (client, worker) in CLIENTS.iter().zip(FIRST_WORKER..) {
        let (_, agent) = stack.staked_agent(worker).await?;
        let run = poster.post(stack.offer(Usdc::whole(10)).await?).await?;
        parts.push((client, worker, agent, run));
    }
    stack.until_indexed(&stack.database_url()?).await?;
    let api = Api::start(Config::new(stack.rpc_url(), stack.database_url()?)).await?;

    let directory = Toolbox::find()?.root().join("tests/clients");
    let mut failed = 0;
    let url = api.url().as_str().trim_end_matches('/');
    // Each client approves by the poster's wallet, whose nonces come one after the other.
    for (client, worker, agent, run) in parts {
        let told = json!({ "url": url, "run": run, "agent": agent, "posterKey": secret(&key(POSTER)), "workerKey": secret(&key(worker)) });
        let started = Instant::now();
        let done = match drive(client, &directory, &told).await {
            Ok(()) => require_approved(url, run, agent).await,
            failure => failure,
        };
        match done {
            Ok(()) => progress(format_args!("{:36} run {run} paid in {:.1} s", client.generator, started.elapsed().as_secs_f32())),
            Err(error) => {
                failed += 1;
                progress(format_args!("{:36} FAILED: {error:#}", client.generator));
            }
        }
    }
    api.stop().await?;
    indexer.stop().await??;
    ensure!(failed == 0, "{failed} of {} generated clients failed", CLIENTS.len());
    Ok(())
}

/// A key, as the drivers' libraries take it. It is one of a local node's, and known to all.
fn secret(key: &PrivateKeySigner) -> String {
    hex::encode_prefixed(key.to_bytes())
}

/// Runs a driver to its end, which must be a good one.
async fn drive(client: &Client, directory: &Path, told: &Value) -> Result<()> {
    let mut driver = Command::new(client.program)
        .arg(client.driver)
        .current_dir(directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}: `make try-clients` installs it", client.program))?;
    let mut input = driver.stdin.take().context("a pipe")?;
    input.write_all(told.to_string().as_bytes()).await?;
    drop(input);
    let output = tokio::time::timeout(PATIENCE, driver.wait_with_output()).await.context("the driver does not end")??;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} {words}", output.status);
    Ok(())
}

/// What the client said is what happened.
async fn require_approved(url: &str, run: RunId, agent: AgentId) -> Result<()> {
    let shown: Value = reqwest::get(format!("{url}/api/runs/{run}")).await?.error_for_status()?.json().await?;
    ensure!(shown["state"] == "APPROVED" && shown["claimedBy"] == json!(agent), "{shown:#}");
    Ok(())
}

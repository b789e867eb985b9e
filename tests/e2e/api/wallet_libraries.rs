//! The README's blocks for wallets' libraries, run as they stand there: each plays a run from the stake to the payment.

use std::{path::PathBuf, process::Stdio, time::Duration};

use alloy::hex;
use anyhow::{Context, Result, ensure};
use clawpay_api::RelayOptions;
use clawpay_cli::local::Toolbox;
use clawpay_domain::Usdc;
use clawpay_tests::key;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{
    served::{Served, account, signer, with},
    strict_wallet::sign_steps,
};

const POSTER: u32 = 1;
const WORKER: u32 = 2;
const RELAYER: u32 = 8;
/// The libraries that leave the sending to the API.
const SIGNS_ONLY: [&str; 3] = ["viem", "ethers", "eth-account"];
/// Interpreters start slowly on a busy machine, and a block may be waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(120);

/// What a block is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    JavaScript,
    Python,
}

impl Language {
    /// The fence that begins a block, and the comment that names it.
    const fn heads(self) -> (&'static str, &'static str) {
        match self {
            Self::JavaScript => ("```js\n", "// "),
            Self::Python => ("```python\n", "# "),
        }
    }
}

/// The README's section on wallets' libraries.
fn section() -> Result<String> {
    let readme = std::fs::read_to_string(Toolbox::find()?.root().join("README.md"))?;
    let (_, from) = readme.split_once("\n## With your wallet library\n").context("no such section")?;
    Ok(from.split_once("\n## ").context("nothing after it")?.0.to_owned())
}

/// Its blocks in one language, by the names in their first lines.
fn blocks(section: &str, language: Language) -> Result<Vec<(String, String)>> {
    let (fence, comment) = language.heads();
    let inside = section.split(fence).skip(1).map(|rest| rest.split_once("```").context("a block without an end"));
    inside
        .map(|block| {
            let text = block?.0;
            let name = text.lines().next().and_then(|line| line.strip_prefix(comment)).context("a block without a name")?;
            Ok((name.to_owned(), text.to_owned()))
        })
        .collect()
}

fn block(language: Language, name: &str) -> Result<String> {
    let blocks = blocks(&section()?, language)?;
    blocks.into_iter().find(|(named, _)| named == name).map(|(_, text)| text).with_context(|| format!("no block {name}"))
}

/// A program made of a library's block, acting for one account.
struct Client {
    _directory: TempDir,
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Starts one. It ends with the value.
    fn start(served: &Served, language: Language, name: &str, index: u32) -> Result<Self> {
        let root = Toolbox::find()?.root().to_owned();
        let script = |script: &str| std::fs::read_to_string(root.join("tests/wallets").join(script));
        let (program, file, before, after) = match language {
            Language::JavaScript => (PathBuf::from("node"), "play.mjs", script("ethereum.mjs")?, script("play.mjs")?),
            Language::Python => (root.join("target/tools/wallet-venv/bin/python"), "play.py", String::new(), script("play.py")?),
        };
        let text = [before, block(language, name)?, block(language, "two calls")?, after].join("\n");
        // Below the root, where Node looks for packages.
        let directory = tempfile::tempdir_in(root.join("target"))?;
        let file = directory.path().join(file);
        std::fs::write(&file, text)?;
        let mut process = Command::new(&program)
            .arg(file)
            .env("API", served.api().url().as_str().trim_end_matches('/'))
            .env("RPC_URL", served.stack.rpc_url().as_str())
            .env("PRIVATE_KEY", hex::encode_prefixed(key(index).to_bytes()))
            .env("ACCOUNT", account(index).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}: `make test-rust` installs it", program.display()))?;
        let input = process.stdin.take().context("stdin")?;
        let output = BufReader::new(process.stdout.take().context("stdout")?).lines();
        Ok(Self { _directory: directory, _process: process, input, output })
    }

    /// One line of what to do, one line of answer.
    async fn ask(&mut self, question: &Value) -> Result<Value> {
        self.input.write_all(format!("{question}\n").as_bytes()).await?;
        let line = tokio::time::timeout(ANSWERS_WITHIN, self.output.next_line()).await.context("no answer")??;
        Ok(serde_json::from_str(&line.with_context(|| format!("the script ended at {question}"))?)?)
    }

    /// An action, which must come out.
    async fn act(&mut self, way: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.ask(&json!([way, path, body])).await?;
        ensure!(answer["success"] == true, "{way} {path}: {answer:#}");
        Ok(answer)
    }
}

/// Plays a run by a library: with transactions, with a permit, and with both kinds of signatures that are relayed.
async fn play(language: Language, name: &str) -> Result<()> {
    let served = Served::start_with(|config| config.relay = Some(RelayOptions::new(key(RELAYER)))).await?;
    served.stack.mint(account(POSTER), Usdc::whole(1_000)).await?;
    served.stack.mint(account(WORKER), Usdc::whole(20)).await?;
    let mut poster = Client::start(&served, language, name, POSTER)?;
    let mut worker = Client::start(&served, language, name, WORKER)?;

    let registered = worker.act("act", "/api/agents/register", &with(&signer(WORKER), "agentURI", json!("ipfs://card"))).await?;
    let id = registered["agent"]["id"].clone();
    let stake = with(&signer(WORKER), "amount", json!("20000000"));
    let staked = worker.act("withPermit", &format!("/api/agents/{id}/stake"), &stake).await?;
    ensure!(staked["agent"]["stakedAmount"] == "20000000", "{staked:#}");

    let deadline = i64::try_from(served.stack.now().await?.0 + 30 * 86_400)?;
    let deadline = time::OffsetDateTime::from_unix_timestamp(deadline)?.format(&time::format_description::well_known::Rfc3339)?;
    let offer = json!({ "posterAddress": account(POSTER), "reward": "10000000", "deadline": deadline, "ipfsHash": "ipfs://wörk" });
    let created = poster.act("act", "/api/runs", &offer).await?;
    let run = format!("/api/runs/{}", created["run"]["bountyId"]);
    let claimed = worker.act("relayed", &format!("{run}/claim"), &with(&signer(WORKER), "agentId", id)).await?;
    ensure!(claimed["run"]["state"] == "CLAIMED", "{claimed:#}");
    let work = with(&signer(WORKER), "deliverableURI", json!("ipfs://done"));
    worker.act("act", &format!("{run}/submit"), &work).await?;
    let approved = poster.act("act", &format!("{run}/approve"), &signer(POSTER)).await?;
    ensure!(approved["run"]["state"] == "APPROVED", "{approved:#}");
    let another = poster.act("relayed", "/api/runs", &with(&offer, "ipfsHash", json!("ipfs://another"))).await?;
    ensure!(another["run"]["state"] == "OPEN", "{another:#}");
    assert_eq!(served.stack.actor(WORKER).await?.balance().await?, Usdc::whole(10));

    if SIGNS_ONLY.contains(&name) {
        signs_what_is_prepared(&served, &mut poster, &offer).await?;
    }
    Ok(())
}

/// The bytes are the same that any other wallet signs, on chains with a base fee and on those without.
async fn signs_what_is_prepared(served: &Served, client: &mut Client, offer: &Value) -> Result<()> {
    let prepared = served.prepare("/api/runs", offer).await?;
    let mut legacy = prepared.clone();
    for step in legacy["steps"].as_array_mut().context("steps")? {
        let transaction = step["transaction"].as_object_mut().context("a transaction")?;
        transaction.remove("maxPriorityFeePerGas");
        let price = transaction.remove("maxFeePerGas").context("maxFeePerGas")?;
        transaction.insert("gasPrice".to_owned(), price);
        transaction.insert("type".to_owned(), json!("0x0"));
    }
    for prepared in [prepared, legacy] {
        let signed = client.ask(&json!(["signed", prepared])).await?;
        assert_eq!(signed["signedTransactions"], json!(sign_steps(&prepared, &key(POSTER))?));
    }
    Ok(())
}

#[tokio::test]
async fn a_run_is_played_by_viem() -> Result<()> {
    play(Language::JavaScript, "viem").await
}

#[tokio::test]
async fn a_run_is_played_by_ethers() -> Result<()> {
    play(Language::JavaScript, "ethers").await
}

#[tokio::test]
async fn a_run_is_played_by_a_wallet_that_speaks_json_rpc() -> Result<()> {
    play(Language::JavaScript, "window.ethereum").await
}

#[tokio::test]
async fn a_run_is_played_by_eth_account() -> Result<()> {
    play(Language::Python, "eth-account").await
}

#[tokio::test]
async fn a_run_is_played_by_web3_py() -> Result<()> {
    play(Language::Python, "web3.py").await
}

#[test]
fn every_block_for_a_library_is_played() -> Result<()> {
    let section = section()?;
    let names = |language| Ok::<_, anyhow::Error>(blocks(&section, language)?.into_iter().map(|(name, _)| name).collect::<Vec<_>>());
    assert_eq!(names(Language::JavaScript)?, ["two calls", "viem", "ethers", "window.ethereum"]);
    assert_eq!(names(Language::Python)?, ["two calls", "eth-account", "web3.py"]);
    assert_eq!(section.matches("\n```").count(), 2 * 7, "a block in no language that is played");
    Ok(())
}

//! A whole market played by programs that know nothing but the OpenAPI document, HTTP and a wallet key.

use std::{collections::BTreeSet, time::Duration};

use alloy::{
    primitives::{Address, U256},
    providers::{Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result, bail, ensure};
use clawpay_api::RelayOptions;
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::key;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{
    served::{Served, with},
    strict_wallet::{sign_steps, sign_typed},
};

/// How a wallet's will reaches the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Signed transactions are handed to the verb.
    Plain,
    /// One signature is handed to the relayer.
    Gasless,
    /// Signed transactions are passed on one by one, and asked after.
    Raw,
}

/// A program that has read the document.
struct Program {
    http: Client,
    server: String,
    document: Value,
    way: Way,
}

impl Program {
    async fn read_the_document(server: &str, way: Way) -> Result<Self> {
        let http = Client::new();
        let document = http.get(format!("{server}openapi.json")).send().await?.error_for_status()?.json().await?;
        Ok(Self { http, server: server.trim_end_matches('/').to_owned(), document, way })
    }

    /// The method and path of an operation, with its path's parameter filled in.
    fn operation(&self, id: &str, parameter: Option<&str>) -> Result<(Method, String)> {
        for (path, item) in self.document["paths"].as_object().context("paths")? {
            for (method, operation) in item.as_object().context("a path")? {
                if operation["operationId"] == id {
                    let path = match (path.split_once('{'), parameter) {
                        (None, None) => path.clone(),
                        (Some((before, rest)), Some(value)) => {
                            let (_, after) = rest.split_once('}').context("a parameter")?;
                            format!("{before}{value}{after}")
                        }
                        _ => bail!("{path} takes another number of parameters"),
                    };
                    return Ok((method.to_uppercase().parse()?, path));
                }
            }
        }
        bail!("the document has no operation {id}")
    }

    async fn ask(&self, id: &str, parameter: Option<&str>, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let (method, path) = self.operation(id, parameter)?;
        let mut request = self.http.request(method, format!("{}{path}", self.server));
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        Ok((response.status(), response.json().await?))
    }

    async fn read(&self, id: &str, parameter: Option<&str>) -> Result<Value> {
        let (status, body) = self.ask(id, parameter, None).await?;
        ensure!(status == 200, "{id}: {status} {body:#}");
        Ok(body)
    }

    /// Has a verb done by the wallet of `key`, and answers once it is done.
    async fn act(&self, verb: &str, subject: Option<&str>, body: &Value, key: &PrivateKeySigner) -> Result<()> {
        let (status, prepared) = self.ask(verb, subject, Some(body)).await?;
        ensure!(status == 202 && prepared["status"] == "signature_required", "{verb}: {status} {prepared:#}");
        let answer = match self.way {
            Way::Plain => with(body, "signedTransactions", json!(sign_steps(&prepared, key)?)),
            Way::Gasless => {
                let posted = with(&prepared["relay"], "signature", json!(sign_typed(&prepared["typedData"], key)?));
                let (status, relayed) = self.ask("relay", None, Some(&posted)).await?;
                ensure!(status == 202, "{verb}: {status} {relayed:#}");
                with(body, "transactionHash", relayed["transactionHash"].clone())
            }
            Way::Raw => {
                for raw in sign_steps(&prepared, key)? {
                    let (status, sent) = self.ask("sendTransaction", None, Some(&json!({ "signedTransaction": raw }))).await?;
                    ensure!(status == 202, "{verb}: {status} {sent:#}");
                    self.until_indexed(sent["transactionHash"].as_str().context("transactionHash")?).await?;
                }
                return Ok(());
            }
        };
        let (status, done) = self.ask(verb, subject, Some(&answer)).await?;
        ensure!(status == 200 && done["success"] == true, "{verb}: {status} {done:#}");
        Ok(())
    }

    async fn until_indexed(&self, hash: &str) -> Result<()> {
        for _ in 0..300 {
            let standing = self.read("getTransaction", Some(hash)).await?;
            match standing["status"].as_str() {
                Some("indexed" | "finalized") => return Ok(()),
                Some("pending" | "included") => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => bail!("{standing:#}"),
            }
        }
        bail!("{hash} is not indexed")
    }

    async fn state_of(&self, run: &str) -> Result<String> {
        Ok(self.read("getRun", Some(run)).await?["state"].as_str().context("state")?.to_owned())
    }

    /// Posts a run of 100 USDC, and answers its number.
    async fn post_run(&self, poster: &PrivateKeySigner, deadline: &str) -> Result<String> {
        let body = json!({ "posterAddress": poster.address(), "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://QmWork" });
        self.act("createRun", None, &body, poster).await?;
        let newest = self.read("listRuns", None).await?["runs"][0].clone();
        ensure!(newest["posterAddress"] == json!(poster.address().to_checksum(None)) && newest["state"] == "OPEN", "{newest:#}");
        Ok(newest["bountyId"].to_string())
    }
}

fn wallet(key: &PrivateKeySigner) -> Value {
    json!({ "walletAddress": key.address() })
}

/// Two runs, one paid after a revision and one finalized, and a third that ends in a slash.
async fn play(served: &Served, program: &Program, [poster, worker, stranger]: [&PrivateKeySigner; 3]) -> Result<()> {
    program.act("registerAgent", None, &with(&wallet(worker), "agentURI", json!("ipfs://QmAgent")), worker).await?;
    let agents = program.read("listAgents", None).await?;
    let agent =
        agents["agents"].as_array().context("agents")?.iter().find(|agent| agent["owner"] == json!(worker.address().to_checksum(None)));
    let agent = agent.context("the new agent")?["id"].to_string();
    program.act("stake", Some(&agent), &with(&wallet(worker), "amount", json!("20000000")), worker).await?;
    let claim = with(&wallet(worker), "agentId", agent.parse()?);

    let now = served.stack.now().await?.0 + Seconds::days(30).0;
    let deadline = time::OffsetDateTime::from_unix_timestamp(now.try_into()?)?.format(&time::format_description::well_known::Rfc3339)?;
    let paid = program.post_run(poster, &deadline).await?;
    program.act("claimRun", Some(&paid), &claim, worker).await?;
    program.act("submitWork", Some(&paid), &with(&wallet(worker), "deliverableURI", json!("ipfs://QmFirst")), worker).await?;
    program.act("requestRevision", Some(&paid), &with(&wallet(poster), "feedback", json!("Please add tests.")), poster).await?;
    program.act("submitWork", Some(&paid), &with(&wallet(worker), "deliverableURI", json!("ipfs://QmSecond")), worker).await?;
    program.act("approveRun", Some(&paid), &wallet(poster), poster).await?;
    assert_eq!(program.state_of(&paid).await?, "APPROVED");

    let silent = program.post_run(poster, &deadline).await?;
    program.act("claimRun", Some(&silent), &claim, worker).await?;
    program.act("submitWork", Some(&silent), &with(&wallet(worker), "deliverableURI", json!("ipfs://QmThird")), worker).await?;
    let late = program.post_run(poster, &deadline).await?;
    program.act("claimRun", Some(&late), &claim, worker).await?;
    served.stack.warp(Seconds::days(7)).await?;
    served.settle().await?;
    program.act("finalizeRun", Some(&silent), &wallet(stranger), stranger).await?;
    assert_eq!(program.state_of(&silent).await?, "APPROVED");
    program.act("slashRun", Some(&late), &wallet(poster), poster).await?;
    assert_eq!(program.state_of(&late).await?, "SLASHED");
    assert_eq!(program.read("getStake", Some(&agent)).await?["status"], "FROZEN");
    Ok(())
}

async fn balance(served: &Served, account: Address) -> Result<Usdc> {
    use clawpay_bindings::TestUSDC;
    let call = TestUSDC::balanceOfCall { account };
    Ok(Usdc(clawpay_cli::wallet::read(served.stack.provider(), served.stack.deployment.contracts.usdc, &call).await?))
}

async fn play_by(way: Way) -> Result<()> {
    let served = Served::start_with(|config| config.relay = Some(RelayOptions::new(key(8)))).await?;
    let program = Program::read_the_document(served.api().url().as_str(), way).await?;
    // New accounts, that nothing is known of but their keys.
    let keys = [(); 3].map(|()| PrivateKeySigner::random());
    let [poster, worker, stranger] = [&keys[0], &keys[1], &keys[2]];
    let ether = if way == Way::Gasless { U256::ZERO } else { U256::from(10).pow(U256::from(18)) };
    for key in &keys {
        served.stack.provider().anvil_set_balance(key.address(), ether).await?;
    }
    served.stack.mint(poster.address(), Usdc::whole(315)).await?;
    served.stack.mint(worker.address(), Usdc::whole(20)).await?;
    served.settle().await?;

    play(&served, &program, [poster, worker, stranger]).await?;
    // Two rewards; a refund and half of the stake.
    assert_eq!(balance(&served, worker.address()).await?, Usdc::whole(200));
    assert_eq!(balance(&served, poster.address()).await?, Usdc::whole(105 + 10));
    for key in &keys {
        let left = served.stack.provider().get_balance(key.address()).await?;
        assert!(if way == Way::Gasless { left.is_zero() } else { left < ether }, "{way:?}: {left}");
    }
    // What happened is told to whoever asks.
    let told: Value = Client::new().get(format!("{}api/events?after=0&wait=0", served.api().url())).send().await?.json().await?;
    let kinds: BTreeSet<_> = told["events"].as_array().context("events")?.iter().filter_map(|event| event["type"].as_str()).collect();
    for kind in ["RunCreated", "RunClaimed", "RevisionRequested", "RunApproved", "RunFinalized", "RunSlashed", "Staked"] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    Ok(())
}

#[tokio::test]
async fn by_plain_transactions() -> Result<()> {
    play_by(Way::Plain).await
}

#[tokio::test]
async fn without_any_ether() -> Result<()> {
    play_by(Way::Gasless).await
}

#[tokio::test]
async fn by_raw_transactions_passed_on() -> Result<()> {
    play_by(Way::Raw).await
}

//! What an agent's owner changes about it, with the consent of those it concerns; and credits, which anyone may have paid.

use alloy::primitives::{Address, Bytes, U256};
use anyhow::{Result, ensure};
use clawpay_bindings::{AgentRegistry, RunEscrow, TestUSDC};
use clawpay_domain::{AgentId, Seconds, Usdc};
use clawpay_tests::{OPERATOR, key};
use serde_json::{Value, json};

use super::{
    served::{Answer, Served, account, signer, with},
    strict_wallet::{sign_steps, sign_typed},
};

const OWNER: u32 = 2;
const WALLET: u32 = 3;
const STRANGER: u32 = 4;

struct Settings {
    served: Served,
    agent: AgentId,
}

impl Settings {
    async fn start() -> Result<Self> {
        let served = Served::start().await?;
        let (_, agent) = served.stack.staked_agent(OWNER).await?;
        served.settle().await?;
        Ok(Self { served, agent })
    }

    fn path(&self, verb: &str) -> String {
        format!("/api/agents/{}/{verb}", self.agent)
    }

    async fn post(&self, verb: &str, body: &Value) -> Result<Answer> {
        self.served.post(&self.path(verb), body).await
    }

    async fn agent(&self) -> Result<Value> {
        self.served.settle().await?;
        self.served.read(&format!("/api/agents/{}", self.agent)).await
    }

    /// What `wallet` has to sign for `owner`, which must be asked for.
    async fn consent_wanted(&self, body: &Value) -> Result<Value> {
        let answer = self.post("wallet", body).await?;
        ensure!(answer.status.as_u16() == 202 && answer.body["status"] == "consent_required", "{} {:#}", answer.status, answer.body);
        Ok(answer.body)
    }
}

/// An account as answers spell it.
fn shown(index: u32) -> Value {
    json!(account(index).to_checksum(None))
}

fn set_wallet(owner: u32, wallet: Value) -> Value {
    with(&signer(owner), "newWallet", wallet)
}

fn consent(wanted: &Value, signer: u32) -> Result<Value> {
    Ok(json!({ "deadline": wanted["consent"]["message"]["deadline"], "signature": sign_typed(&wanted["consent"], &key(signer))? }))
}

#[tokio::test]
async fn an_agent_gets_a_wallet_that_has_agreed() -> Result<()> {
    let settings = Settings::start().await?;
    let body = set_wallet(OWNER, json!(account(WALLET)));
    let wanted = settings.consent_wanted(&body).await?;
    assert_eq!((&wanted["success"], &wanted["signer"]), (&json!(false), &shown(WALLET)));
    assert_eq!(wanted["secondsLeft"], 300);
    let message = wanted["message"].as_str().unwrap();
    assert!(message.contains("has to agree") && message.contains("\"deadline\""), "{message}");

    // The consent is the wallet's own, for this owner, and good for as long as it says.
    let given = |consent| with(&body, "consent", consent);
    settings.post("wallet", &given(consent(&wanted, OWNER)?)).await?.require(422, "invalid_signature")?;
    let mut longer = consent(&wanted, WALLET)?;
    longer["deadline"] = json!((wanted["consent"]["message"]["deadline"].as_str().unwrap().parse::<u64>()? - 1).to_string());
    settings.post("wallet", &given(longer)).await?.require(422, "invalid_signature")?;

    let done = settings.served.act(OWNER, &settings.path("wallet"), &given(consent(&wanted, WALLET)?)).await?;
    assert_eq!(done["message"], "Agent wallet set successfully.");
    assert_eq!(settings.agent().await?["wallet"], shown(WALLET));
    let told = settings.served.read(&format!("/api/events?wait=0&after=0&agentId={}&type=MetadataSet", settings.agent)).await?;
    let bytes = json!(account(WALLET).to_string().to_lowercase());
    let latest = told["events"].as_array().unwrap().last().unwrap();
    assert_eq!(latest["data"], json!({ "key": "agentWallet", "value": bytes, "wallet": shown(WALLET) }));

    // The wallet acts for the agent, but not on it.
    let others = set_wallet(WALLET, json!(account(STRANGER)));
    settings.post("wallet", &others).await?.require(422, "not_authorized")?;
    settings.post("wallet", &set_wallet(STRANGER, json!(account(STRANGER)))).await?.require(422, "not_authorized")?;

    settings.served.stack.warp(Seconds(301)).await?;
    settings.served.settle().await?;
    let expired = settings.post("wallet", &given(consent(&wanted, WALLET)?)).await?;
    expired.require(422, "signature_expired")?;
    let detail = expired.body["detail"].as_str().unwrap();
    assert!(detail.contains(wanted["expiresAt"].as_str().unwrap()), "{detail} names no date");

    let removed = settings.served.act(OWNER, &settings.path("wallet"), &set_wallet(OWNER, Value::Null)).await?;
    assert_eq!(removed["message"], "Agent wallet removed successfully.");
    assert_eq!(settings.agent().await?["wallet"], Value::Null);
    settings.post("wallet", &signer(OWNER)).await?.require(400, "missing_field")?;
    Ok(())
}

#[tokio::test]
async fn an_account_that_is_approved_changes_the_agent_too() -> Result<()> {
    let settings = Settings::start().await?;
    let owner = settings.served.stack.actor(OWNER).await?;
    let registry = settings.served.stack.deployment.contracts.agent_registry;
    let approve = AgentRegistry::approveCall { to: account(STRANGER), tokenId: U256::from(settings.agent.0) };
    owner.wallet().call(registry, &approve).await?;
    let wanted = settings.consent_wanted(&set_wallet(STRANGER, json!(account(WALLET)))).await?;
    assert_eq!(wanted["consent"]["message"]["owner"], shown(OWNER));
    let body = with(&set_wallet(STRANGER, json!(account(WALLET))), "consent", consent(&wanted, WALLET)?);
    settings.served.act(STRANGER, &settings.path("wallet"), &body).await?;
    let uri = with(&signer(STRANGER), "agentURI", json!("ipfs://QmNew"));
    settings.served.act(STRANGER, &settings.path("uri"), &uri).await?;
    let agent = settings.agent().await?;
    assert_eq!((&agent["wallet"], &agent["agentURI"]), (&shown(WALLET), &json!("ipfs://QmNew")));
    Ok(())
}

#[tokio::test]
async fn an_agent_says_where_it_is_described_and_more() -> Result<()> {
    let settings = Settings::start().await?;
    let served = &settings.served;
    assert_eq!((&settings.agent().await?["metadata"], &settings.agent().await?["metadataIsComplete"]), (&json!([]), &json!(true)));
    let uri = with(&signer(OWNER), "agentURI", json!("ipfs://QmNew"));
    assert_eq!(served.act(OWNER, &settings.path("uri"), &uri).await?["message"], "Agent URI set successfully.");
    let set = |key: &str, name: &str, value: &str| with(&with(&signer(OWNER), "key", json!(key)), name, json!(value));
    for (key, name, value) in [("model", "text", "old"), ("raw", "value", "0xff00"), ("model", "text", "\"new\"\n✓"), ("gone", "text", "x")]
    {
        served.act(OWNER, &settings.path("metadata"), &set(key, name, value)).await?;
    }
    served.act(OWNER, &settings.path("metadata"), &set("gone", "value", "0x")).await?;
    let told = served.read(&format!("/api/events?wait=0&after=0&agentId={}&type=MetadataSet", settings.agent)).await?;
    let data: Vec<&Value> = told["events"].as_array().unwrap().iter().map(|event| &event["data"]).collect();
    let raw = json!({ "key": "raw", "value": "0xff00", "wallet": null });
    assert!(data.contains(&&raw) && data.contains(&&json!({ "key": "gone", "value": "0x", "wallet": null })), "{data:#?}");
    let agent = settings.agent().await?;
    let model = Bytes::from("\"new\"\n✓".as_bytes());
    let entries = json!([{ "key": "model", "value": model, "text": "\"new\"\n✓" }, { "key": "raw", "value": "0xff00", "text": null }]);
    assert_eq!((&agent["metadata"], &agent["agentURI"]), (&entries, &json!("ipfs://QmNew")));
    let listed = served.read("/api/agents").await?;
    assert_eq!(listed["agents"][0].get("metadata"), None);

    for (body, code, field) in [
        (with(&signer(OWNER), "key", json!("k")), "missing_field", "value"),
        (with(&set("k", "text", "a"), "value", json!("0x00")), "invalid_value", "text"),
        (set("agentWallet", "value", "0x00"), "invalid_value", "key"),
        (set("", "text", "a"), "invalid_value", "key"),
        (set("k", "value", "12"), "invalid_value", "value"),
        (set("k", "text", &"x".repeat(8192)), "invalid_value", "value"),
    ] {
        settings.post("metadata", &body).await?.require_field(400, code, field)?;
    }
    settings.post("metadata", &set("k", "text", &"x".repeat(8191))).await?;
    let others = with(&set("k", "text", "a"), "walletAddress", json!(account(STRANGER)));
    settings.post("metadata", &others).await?.require(422, "not_authorized")?;
    served.post("/api/agents/99/uri", &uri).await?.require(404, "agent_not_found")?;
    Ok(())
}

#[tokio::test]
async fn another_accounts_change_is_not_taken_for_ones_own() -> Result<()> {
    let settings = Settings::start().await?;
    let served = &settings.served;
    let uri = with(&signer(OWNER), "agentURI", json!("ipfs://QmNew"));
    let done = served.act(OWNER, &settings.path("uri"), &uri).await?;
    let metadata = with(&with(&signer(OWNER), "key", json!("k")), "text", json!("v"));
    let set = served.act(OWNER, &settings.path("metadata"), &metadata).await?;
    for (verb, body, done) in [("uri", &uri, &done), ("metadata", &metadata, &set)] {
        let hash = &done["transactionHash"];
        let again = settings.post(verb, &with(body, "transactionHash", hash.clone())).await?;
        assert_eq!((again.status.as_u16(), &again.body["success"]), (200, &json!(true)), "{:#}", again.body);
        let stolen = with(&with(body, "transactionHash", hash.clone()), "walletAddress", json!(account(STRANGER)));
        settings.post(verb, &stolen).await?.require(400, "not_this_action")?;
    }
    let other = with(&with(&uri, "agentURI", json!("ipfs://QmOther")), "transactionHash", done["transactionHash"].clone());
    settings.post("uri", &other).await?.require(400, "not_this_action")?;
    // A step that was signed for the one verb is none of the other.
    let prepared = served.prepare(&settings.path("uri"), &with(&uri, "agentURI", json!("ipfs://QmThird"))).await?;
    let steps = sign_steps(&prepared, &key(OWNER))?;
    let mixed = with(&metadata, "signedTransactions", json!(steps));
    settings.post("metadata", &mixed).await?.require_field(400, "not_this_action", "signedTransactions")?;
    Ok(())
}

/// Leaves `account` 60 USDC that the escrow owes it, because the token would not pay.
async fn owe(served: &Served, recipient: Address) -> Result<()> {
    let operator = served.stack.actor(OPERATOR).await?;
    let usdc = served.stack.deployment.contracts.usdc;
    let poster = served.stack.funded_actor(1, Usdc::whole(100)).await?;
    let (worker, agent) = served.stack.staked_agent(OWNER).await?;
    let run = poster.post(served.stack.offer(Usdc::whole(60)).await?).await?;
    worker.claim(run, agent).await?;
    worker.submit(run, "ipfs://work").await?;
    operator.wallet().call(usdc, &TestUSDC::blacklistCall { account: recipient }).await?;
    poster.approve(run).await?;
    operator.wallet().call(usdc, &TestUSDC::unBlacklistCall { account: recipient }).await?;
    served.settle().await
}

#[tokio::test]
async fn a_credit_is_paid_to_its_recipient_by_whichever_wallet() -> Result<()> {
    let served = Served::start().await?;
    owe(&served, account(OWNER)).await?;
    let pay =
        |wallet, recipient, contract| json!({ "walletAddress": account(wallet), "recipient": account(recipient), "contract": contract });
    let body = pay(STRANGER, OWNER, "escrow");
    let prepared = served.prepare("/api/credits/pay", &body).await?;
    let message = prepared["message"].as_str().unwrap();
    assert!(message.starts_with("Signing sends the 60 USDC that the contract owes"), "{message}");
    let request = served.request(reqwest::Method::POST, "/api/credits/pay").header("Idempotency-Key", "pay");
    assert_eq!(served.send(request.json(&body)).await?.status.as_u16(), 202);
    for (body, code) in [(pay(STRANGER, OWNER, "stake"), "no_credit"), (pay(STRANGER, STRANGER, "escrow"), "no_credit")] {
        served.post("/api/credits/pay", &body).await?.require(422, code)?;
    }
    served.post("/api/credits/pay", &pay(STRANGER, OWNER, "bank")).await?.require_field(400, "invalid_value", "contract")?;

    let done = served.act(STRANGER, "/api/credits/pay", &body).await?;
    assert_eq!(done["message"], "Credit paid successfully.");
    let wallet = served.read(&format!("/api/wallets/{}", account(OWNER))).await?;
    assert_eq!((&wallet["usdc"], &wallet["credits"]["runEscrow"]), (&json!("60000000"), &json!("0")));
    served.post("/api/credits/pay", &body).await?.require(422, "no_credit")?;

    // It is paid, also for its recipient who did nothing; another recipient's and the other contract's are not.
    let with_hash = |body: &Value| with(body, "transactionHash", done["transactionHash"].clone());
    assert_eq!(served.post("/api/credits/pay", &with_hash(&pay(OWNER, OWNER, "escrow"))).await?.status.as_u16(), 200);
    for other in [pay(STRANGER, STRANGER, "escrow"), pay(STRANGER, OWNER, "stake")] {
        served.post("/api/credits/pay", &with_hash(&other)).await?.require(400, "not_this_action")?;
    }
    // Under its key it is what has been done, by this contract and not by the other.
    let request = served.request(reqwest::Method::POST, "/api/credits/pay").header("Idempotency-Key", "pay");
    let other = served.send(request.try_clone().unwrap().json(&pay(STRANGER, OWNER, "stake"))).await?;
    other.require(422, "idempotency_key_reused")?;
    let again = served.send(request.json(&body)).await?;
    assert_eq!((again.status.as_u16(), &again.body["transactionHash"]), (200, &done["transactionHash"]), "{:#}", again.body);
    Ok(())
}

#[tokio::test]
async fn a_credit_that_its_recipient_collected_by_itself_is_paid() -> Result<()> {
    let served = Served::start().await?;
    owe(&served, account(OWNER)).await?;
    let owner = served.stack.actor(OWNER).await?;
    let escrow = served.stack.deployment.contracts.run_escrow;
    let receipt = owner.wallet().call(escrow, &RunEscrow::payCreditCall { account: account(OWNER) }).await?;
    served.settle().await?;
    let body = json!({ "walletAddress": account(STRANGER), "recipient": account(OWNER), "contract": "escrow",
                       "transactionHash": receipt.transaction_hash });
    let answer = served.post("/api/credits/pay", &body).await?;
    assert_eq!((answer.status.as_u16(), &answer.body["success"]), (200, &json!(true)), "{:#}", answer.body);
    Ok(())
}

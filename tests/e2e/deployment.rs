//! `clawpay deploy` as people use it on a live chain: real USDC, a key from the environment, blocks that come when they come.

use std::{fs, path::Path, time::Duration};

use alloy::{
    primitives::{Address, hex},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use anyhow::{Context, Result};
use clawpay_bindings::Deployment;
use clawpay_cli::{
    actor::Actor,
    wallet::{Wallet, read},
};
use clawpay_domain::{NewRun, Seconds, Timestamp, Usdc};
use clawpay_tests::{Clawpay, LiveChain, RealUsdc, key, scratch};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(60);
const ETHER: u128 = 1_000_000_000_000_000_000;
/// What `clawpay deploy` creates on a live chain, in order.
const CONTRACTS: [&str; 4] = ["ERC2771Forwarder", "AgentRegistry", "AgentStake", "RunEscrow"];
const TREASURY: Address = Address::repeat_byte(0x7e);
const OWNER: Address = Address::repeat_byte(0x0e);

/// One `clawpay deploy` with the settings of the runbook, in `directory`.
struct Deploying<'a> {
    chain: &'a LiveChain,
    directory: &'a Path,
    key: String,
    usdc: Option<Address>,
}

impl<'a> Deploying<'a> {
    fn new(chain: &'a LiveChain, directory: &'a Path, deployer: &PrivateKeySigner) -> Self {
        Self { chain, directory, key: hex::encode_prefixed(deployer.to_bytes()), usdc: Some(chain.usdc.address()) }
    }

    fn start(&self, arguments: &[&str]) -> Result<Clawpay> {
        let usdc = self.usdc.map(|usdc| usdc.to_string()).unwrap_or_default();
        let arguments = [&["deploy"], arguments].concat();
        let settings = [("RPC_URL", self.chain.rpc_url().as_str()), ("CLAWPAY_DEPLOYER_KEY", &self.key), ("CLAWPAY_USDC", &usdc)];
        Clawpay::start(&arguments, self.directory, settings)
    }

    /// What it says; an error unless it fails.
    async fn refusal(&self, arguments: &[&str]) -> Result<String> {
        let mut process = self.start(arguments)?;
        assert_eq!(process.end(WITHIN).await?.code(), Some(1), "{}", process.output());
        Ok(process.output())
    }

    async fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let mut process = self.start(arguments)?;
        assert!(process.end(WITHIN).await?.success(), "{}", process.output());
        Ok(process.output())
    }

    fn file(&self) -> Result<Deployment> {
        let path = self.directory.join(format!("deployments/{}.json", LiveChain::ID));
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    fn has_left_nothing(&self) -> bool {
        !self.directory.join("deployments").exists()
    }

    /// Every file of the deployments' directory.
    fn files(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(self.directory.join("deployments"))?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
}

#[tokio::test]
async fn a_market_over_real_usdc_is_deployed_indexed_and_served_and_pays() -> Result<()> {
    let chain = LiveChain::start().await?;
    let directory = scratch()?;
    let deployer = chain.new_account(ETHER).await?;
    let deploying = Deploying::new(&chain, directory.path(), &deployer);
    let (treasury, owner, id) = (TREASURY.to_string(), OWNER.to_string(), LiveChain::ID.to_string());
    let before = chain.provider().get_block_number().await?;

    let output = deploying.succeed(&["--chain-id", &id, "--treasury", &treasury, "--owner", &owner, "--confirmations", "0"]).await?;
    let deployment = deploying.file()?;
    assert_eq!((deployment.chain_id, deployment.contracts.usdc), (LiveChain::ID, chain.usdc.address()));
    assert_eq!(deployment.deployment_block, before + 2, "the registry's, since nobody follows the forwarder");
    assert!(output.contains(&deployment.contracts.run_escrow.to_string()) && output.contains(" gas"), "{output}");
    assert!(!output.contains(&deploying.key[2..]), "the key is in the output");
    assert_eq!(deploying.files()?, ["84532.json"], "nothing else is left");
    println!("{output}");

    // A second time nothing is sent, and the file stays what it is.
    let refusal = deploying.refusal(&[]).await?;
    assert!(refusal.contains("deployments/84532.json exists"), "{refusal}");
    assert_eq!(chain.sent_by(deployer.address()).await?.0, CONTRACTS.len() as u64);
    assert_eq!(deploying.file()?, deployment);

    // Another market over the registry that is there.
    let registry = deployment.contracts.agent_registry;
    deploying.succeed(&["--agent-registry", &registry.to_string(), "--output", "second.json", "--confirmations", "0"]).await?;
    let second: Deployment = serde_json::from_str(&fs::read_to_string(directory.path().join("second.json"))?)?;
    assert_eq!(second.contracts.agent_registry, registry);
    assert_ne!(second.contracts.run_escrow, deployment.contracts.run_escrow);
    assert_eq!(chain.sent_by(deployer.address()).await?.0, 2 * CONTRACTS.len() as u64 - 1);

    // Indexed and served from the directory with the file, as the runbook says.
    let database_url = chain.database_url();
    let port = clawpay_cli::local::free_port()?.to_string();
    let rpc = ("RPC_URL", chain.rpc_url().as_str());
    let _index = Clawpay::start(&["index"], directory.path(), [rpc, ("DATABASE_URL", &database_url)])?;
    let mut serve = Clawpay::start(&["serve"], directory.path(), [rpc, ("DATABASE_URL", &database_url), ("CLAWPAY_API_PORT", &port)])?;
    serve.until_it_says("Serving the API", WITHIN).await?;

    let poster = Actor::new(Wallet::signing(chain.rpc_url(), key(1)).await?, deployment.contracts);
    let worker = Actor::new(Wallet::signing(chain.rpc_url(), key(2)).await?, deployment.contracts);
    chain.usdc.mint(poster.address(), Usdc::whole(105)).await?;
    chain.usdc.mint(worker.address(), Usdc::whole(20)).await?;
    let agent = worker.register("ipfs://agent").await?;
    worker.stake(agent, Usdc::whole(20)).await?;
    let now = chain.provider().get_block_by_number(alloy::eips::BlockNumberOrTag::Latest).await?.context("no block")?.header.timestamp;
    let deadline = Timestamp(now) + Seconds::days(1);
    let run = poster.post(NewRun { reward: Usdc::whole(100), deadline, max_revisions: 3, content_uri: "ipfs://work".into() }).await?;
    worker.claim(run, agent).await?;
    worker.submit(run, "ipfs://deliverable").await?;
    poster.approve(run).await?;
    assert_eq!((poster.balance().await?, worker.balance().await?), (Usdc::ZERO, Usdc::whole(100)));
    worker.unstake(agent, Usdc::whole(20)).await?;
    assert_eq!(worker.balance().await?, Usdc::whole(120));

    let base = format!("http://127.0.0.1:{port}");
    let shown = until(&format!("{base}/api/runs/{run}"), |shown| shown["state"] == "APPROVED").await?;
    assert_eq!(shown["claimedByWallet"], worker.address().to_string());
    let config = until(&format!("{base}/api/config"), |config| config["chainId"] == LiveChain::ID).await?;
    assert_eq!(config["contracts"]["usdc"], chain.usdc.address().to_string());
    assert_eq!(config["contracts"]["runEscrow"], deployment.contracts.run_escrow.to_string());
    Ok(())
}

#[tokio::test]
async fn what_cannot_become_a_market_is_refused_before_anything_is_sent() -> Result<()> {
    let chain = LiveChain::start().await?;
    let directory = scratch()?;
    let deployer = chain.new_account(ETHER).await?;
    let mut deploying = Deploying::new(&chain, directory.path(), &deployer);
    let nobody = Address::repeat_byte(0x11);
    let zero = Address::ZERO.to_string();
    let usdc = chain.usdc.address().to_string();

    for (arguments, reason) in [
        (vec!["--chain-id", "8453"], "is on chain 84532, not 8453".to_owned()),
        (vec!["--treasury", &zero], "the treasury cannot be the zero address".to_owned()),
        (vec!["--owner", &zero], "the owner cannot be the zero address".to_owned()),
        (vec!["--treasury", &usdc], "the treasury cannot be the token".to_owned()),
        (vec!["--usdc", &nobody.to_string()], format!("no code at {nobody}, where the token should be")),
        (vec!["--agent-registry", &nobody.to_string()], format!("no code at {nobody}, where the agent registry should be")),
        (vec!["--agent-registry", &usdc], "is not an ERC-8004 identity registry".to_owned()),
    ] {
        let refusal = deploying.refusal(&arguments).await?;
        assert!(refusal.contains(&reason), "{arguments:?}: {refusal}");
    }

    let creator = Wallet::signing(chain.rpc_url(), key(clawpay_tests::OPERATOR)).await?;
    let coarse = RealUsdc::deploy(&creator, 18).await?;
    let refusal = deploying.refusal(&["--usdc", &coarse.address().to_string()]).await?;
    assert!(refusal.contains("has 18 decimals, not 6"), "{refusal}");

    chain.usdc.pause().await?;
    let refusal = deploying.refusal(&[]).await?;
    assert!(refusal.contains("is paused"), "{refusal}");
    chain.usdc.unpause().await?;

    chain.usdc.blacklist(TREASURY).await?;
    let refusal = deploying.refusal(&["--treasury", &TREASURY.to_string()]).await?;
    assert!(refusal.contains("has blacklisted the treasury"), "{refusal}");

    deploying.usdc = None;
    let refusal = deploying.refusal(&[]).await?;
    assert!(refusal.contains("--usdc or CLAWPAY_USDC"), "{refusal}");
    assert_eq!(chain.sent_by(deployer.address()).await?, (0, 0));

    for wei in [0, ETHER / 1_000_000] {
        let poor = chain.new_account(wei).await?;
        let deploying = Deploying::new(&chain, directory.path(), &poor);
        let refusal = deploying.refusal(&[]).await?;
        assert!(refusal.contains(&format!("{} has 0.00000", poor.address())) && refusal.contains("gwei is"), "{refusal}");
        assert_eq!(chain.sent_by(poor.address()).await?, (0, 0));
    }

    deploying.key.clear();
    let refusal = deploying.refusal(&[]).await?;
    assert!(refusal.contains("set CLAWPAY_DEPLOYER_KEY"), "{refusal}");
    assert!(deploying.has_left_nothing());
    Ok(())
}

#[tokio::test]
async fn a_deployment_killed_after_any_transaction_continues_and_repeats_none() -> Result<()> {
    let chain = LiveChain::start().await?;
    let directory = scratch()?;
    let deployer = chain.new_account(ETHER).await?;
    let address = deployer.address();
    let deploying = Deploying::new(&chain, directory.path(), &deployer);
    chain.hold().await?;

    for (sent, name) in (1..).zip(CONTRACTS) {
        let mut process = deploying.start(&[])?;
        if sent > 1 {
            // What was sent last time is still on its way.
            process.until_it_says("waiting for 1 earlier transaction", WITHIN).await?;
            chain.mine(1).await?;
        }
        process.until_it_says(name, WITHIN).await?;
        chain.until_sent(address, sent).await?;
        process.signal("KILL")?;
        process.end(WITHIN).await?;
    }
    chain.mine(1).await?;
    assert!(deploying.file().is_err(), "nobody has confirmed it yet");

    // Other terms are other contracts: only forwarder and registry do not know them.
    let mut process = deploying.start(&["--fee-bps", "100"])?;
    process.until_it_says("AgentRegistry stands", WITHIN).await?;
    chain.until_sent(address, 5).await?;
    process.signal("KILL")?;
    process.end(WITHIN).await?;
    chain.release().await?;

    let output = deploying.succeed(&["--fee-bps", "100", "--confirmations", "0"]).await?;
    for (name, is_new) in CONTRACTS.into_iter().zip([false, false, false, true]) {
        assert_eq!(output.contains(&format!("{name} stands at")), !is_new, "{output}");
    }
    assert_eq!(chain.sent_by(address).await?.0, 6, "four contracts, and two with other terms");
    assert_eq!(deploying.files()?, ["84532.json"], "nothing else is left");
    let contracts = deploying.file()?.contracts;
    let rules = read(chain.provider(), contracts.run_escrow, &clawpay_bindings::RunEscrow::parametersCall {}).await?;
    assert_eq!(rules.feeBps.to::<u64>(), 100);
    Ok(())
}

#[tokio::test]
async fn contracts_count_once_blocks_stand_on_them() -> Result<()> {
    let chain = LiveChain::start().await?;
    let directory = scratch()?;
    let deployer = chain.new_account(ETHER).await?;
    let deploying = Deploying::new(&chain, directory.path(), &deployer);

    let mut process = deploying.start(&["--confirmations", "2"])?;
    process.until_it_says("waiting for 2 more blocks", WITHIN).await?;
    chain.mine(1).await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(!process.output().contains("checking") && deploying.file().is_err(), "{}", process.output());
    // One more than is missing: the first may have come before the head was looked at.
    chain.mine(2).await?;
    assert!(process.end(WITHIN).await?.success(), "{}", process.output());
    assert!(process.output().contains("checking"), "{}", process.output());
    deploying.file()?;
    Ok(())
}

/// What `url` answers once it is `right`.
async fn until(url: &str, right: impl Fn(&Value) -> bool) -> Result<Value> {
    let mut last = String::new();
    for _ in 0..500 {
        if let Ok(answer) = reqwest::get(url).await {
            last = answer.text().await?;
            match serde_json::from_str(&last) {
                Ok(value) if right(&value) => return Ok(value),
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("{url} did not answer as it should: {last}")
}

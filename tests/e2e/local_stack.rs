//! `clawpay up` as people start it: the real program, its real children, its own data directory.

use std::{fs, time::Duration};

use alloy::{
    eips::BlockNumberOrTag,
    primitives::Address,
    providers::{DynProvider, Provider, ext::AnvilApi},
};
use anyhow::Result;
use clawpay_bindings::{AgentRegistry, TestUSDC};
use clawpay_cli::wallet::{self, Wallet, read};
use clawpay_domain::{RunState, Usdc};
use clawpay_tests::{Clawpay, Stack, key, scratch, until_no_process_of};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use url::Url;

/// A first start deploys and plays forty days; a busy machine takes its time.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// What the stack promises.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// After a kill there is no process to wait for, but the children have to notice.
const CHILDREN_END_WITHIN: Duration = Duration::from_secs(10);

/// A stack that is ready.
struct Up {
    process: Clawpay,
    api: Url,
    provider: DynProvider,
}

impl Up {
    async fn start(directory: &TempDir, settings: &[(&str, &str)]) -> Result<Self> {
        let mut process = launch(directory, settings)?;
        process.until_it_says("Ready.", READY_WITHIN).await?;
        process.until_it_says("Ctrl-C", READY_WITHIN).await?;
        let rpc = process.printed("RPC")?;
        let rpc = rpc.split(' ').next().unwrap_or_default();
        let provider = wallet::connect(&rpc.parse()?).await?;
        Ok(Self { api: process.printed("API")?.parse()?, provider, process })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = reqwest::get(self.api.join(path)?).await?;
        assert_eq!(answer.status(), 200, "{path}");
        Ok(answer.json().await?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let answer = reqwest::Client::new().post(self.api.join(path)?).json(body).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    async fn address(&self, contract: &str) -> Result<Address> {
        Ok(self.get("/api/config").await?["contracts"][contract].as_str().unwrap_or_default().parse()?)
    }

    async fn total_runs(&self) -> Result<u64> {
        Ok(self.get("/api/runs").await?["pagination"]["total"].as_u64().unwrap_or_default())
    }

    async fn stop(mut self, directory: &TempDir) -> Result<()> {
        self.process.signal("INT")?;
        let status = self.process.end(STOPS_WITHIN).await?;
        assert!(status.success(), "{status}: {}", self.process.output());
        until_no_process_of(directory.path(), Duration::ZERO).await
    }

    /// As the kernel does when memory runs out: no process says goodbye.
    async fn kill(mut self, directory: &TempDir) -> Result<()> {
        self.process.signal("KILL")?;
        self.process.end(STOPS_WITHIN).await?;
        until_no_process_of(directory.path(), CHILDREN_END_WITHIN).await
    }
}

fn launch(directory: &TempDir, settings: &[(&str, &str)]) -> Result<Clawpay> {
    Clawpay::start(&["up"], directory.path(), settings.iter().copied())
}

/// The names of a JSON object's members.
fn members(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

fn assert_has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(members(value).contains(name), "no {name} in {value}");
    }
}

#[tokio::test]
async fn a_first_start_serves_the_demo_market_in_the_documented_shapes() -> Result<()> {
    const RUN: [&str; 13] = [
        "bountyId",
        "posterAddress",
        "ipfsHash",
        "reward",
        "deadline",
        "state",
        "claimedBy",
        "claimedByWallet",
        "stake",
        "deliverableHash",
        "claimedAt",
        "submittedAt",
        "createdAt",
    ];
    let directory = scratch()?;
    let up = Up::start(&directory, &[]).await?;

    for state in RunState::ALL {
        let list = up.get(&format!("/api/runs?page=1&limit=20&state={state}&minReward=1")).await?;
        assert!(list["pagination"]["total"].as_u64() >= Some(1), "no run is {state}");
        assert_has(&list["runs"][0], &RUN);
        assert_eq!(list["runs"][0]["state"], state.as_str());
    }
    let pagination = &up.get("/api/runs?limit=5").await?["pagination"];
    assert_eq!(members(pagination), ["page", "limit", "total", "totalPages", "next", "previous"]);
    assert_has(&up.get("/api/runs/1").await?, &RUN);

    let statuses: Vec<Value> = up.get("/api/agents").await?["agents"].as_array().cloned().unwrap_or_default();
    for status in ["ESTABLISHED", "PROVISIONAL", "FROZEN", "UNVERIFIED"] {
        assert!(statuses.iter().any(|agent| agent["status"] == status), "no agent is {status}");
    }

    let open = up.get("/api/runs?state=OPEN&sort=oldest").await?["runs"][0]["bountyId"].clone();
    let eligibility = up.get(&format!("/api/runs/{open}/claim-eligibility?agentId=1")).await?;
    assert_has(&eligibility, &["eligible", "reasons", "agent", "run"]);
    assert_eq!(members(&eligibility["agent"]), ["id", "status", "stakedAmount", "hasMinStake"]);
    assert_eq!(members(&eligibility["run"]), ["id", "state", "reward"]);
    assert_eq!(eligibility["eligible"], true, "{eligibility}");

    let (status, claim) = up.post(&format!("/api/runs/{open}/claim"), &json!({ "agentId": 1, "walletAddress": key(4).address() })).await?;
    assert_eq!((status, &claim["success"], &claim["status"]), (202, &json!(false), &json!("signature_required")), "{claim}");
    assert_eq!(claim["steps"][0]["transaction"]["chainId"], "0x7a69");

    up.stop(&directory).await
}

#[tokio::test]
async fn after_the_first_start_the_stack_leaves_chain_accounts_and_clock_alone() -> Result<()> {
    let directory = scratch()?;
    let up = Up::start(&directory, &[]).await?;

    let head = up.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.expect("a head").header;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    assert!(now.abs_diff(head.timestamp) < 60, "chain time {} is not the clock's {now}", head.timestamp);
    let pending = up.provider.get_block_by_number(BlockNumberOrTag::Pending).await?.expect("a pending block").header;
    assert!(now.abs_diff(pending.timestamp) < 60, "the next block's time {} is not the clock's {now}", pending.timestamp);
    let genesis = up.provider.get_block_by_number(BlockNumberOrTag::Earliest).await?.expect("a first block").header;
    assert!((40 * 86_400..40 * 86_400 + 120).contains(&(now - genesis.timestamp)), "the chain does not begin 40 days ago");

    let usdc = up.address("usdc").await?;
    for index in 7..=9 {
        let account = key(index).address();
        let balance = read(&up.provider, usdc, &TestUSDC::balanceOfCall { account }).await?;
        assert_eq!(Usdc(balance), Usdc::whole(10_000), "account {index}");
        assert_eq!(up.provider.get_transaction_count(account).await?, 0, "account {index}");
    }
    assert_eq!(up.provider.get_accounts().await?.len(), 10);

    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(up.provider.get_block_number().await?, head.number, "somebody sent a transaction");
    up.stop(&directory).await
}

#[tokio::test]
async fn a_second_start_continues_where_the_first_was_stopped() -> Result<()> {
    let directory = scratch()?;
    let up = Up::start(&directory, &[]).await?;
    let genesis = up.get("/api/config").await?["genesisHash"].clone();
    let runs = up.total_runs().await?;
    let agents = up.get("/api/agents").await?["pagination"]["total"].as_u64().unwrap_or_default();
    register_from(9, &up).await?;
    let head = up.provider.get_block_number().await?;
    up.stop(&directory).await?;

    // Twice, because anvil's own file would have gained a second block 0 by then.
    for _ in 0..2 {
        let up = Up::start(&directory, &[]).await?;
        assert_eq!(up.provider.get_block_number().await?, head);
        assert_eq!(up.get("/api/config").await?["genesisHash"], genesis);
        assert_eq!(up.total_runs().await?, runs);
        assert_eq!(up.get("/api/agents").await?["pagination"]["total"], agents + 1);
        up.stop(&directory).await?;
    }
    Ok(())
}

/// Registers an agent through an account that the node holds the key of.
async fn register_from(index: usize, up: &Up) -> Result<()> {
    let rpc = up.process.printed("RPC")?;
    let account = up.provider.get_accounts().await?[index];
    let wallet = Wallet::unlocked(&rpc.split(' ').next().unwrap_or_default().parse()?, account).await?;
    wallet.call(up.address("agentRegistry").await?, &AgentRegistry::register_0Call {}).await?;
    Ok(())
}

#[tokio::test]
async fn a_kill_at_any_time_leaves_no_process_and_the_next_start_ends_well() -> Result<()> {
    let directory = scratch()?;
    // While Postgres is made, while the chain is made, and later.
    for moment in ["Starting Postgres", "Starting anvil", "Handing out", "Playing", "Serving"] {
        let mut process = launch(&directory, &[])?;
        process.until_it_says(moment, READY_WITHIN).await?;
        process.signal("KILL")?;
        process.end(STOPS_WITHIN).await?;
        until_no_process_of(directory.path(), CHILDREN_END_WITHIN).await?;
    }
    let up = Up::start(&directory, &[]).await?;
    let runs = up.total_runs().await?;
    assert_eq!(runs, 17);
    up.kill(&directory).await?;

    let up = Up::start(&directory, &[]).await?;
    assert_eq!(up.total_runs().await?, runs);
    up.stop(&directory).await
}

#[tokio::test]
async fn a_start_that_a_dying_predecessor_overlaps_gets_the_same_ports_and_data() -> Result<()> {
    let directory = scratch()?;
    let [api, rpc] = [free_port()?, free_port()?];
    let settings = [("CLAWPAY_EMPTY", "1"), ("CLAWPAY_API_PORT", &api), ("CLAWPAY_RPC_PORT", &rpc)];
    let mut up = Up::start(&directory, &settings).await?;
    up.process.signal("KILL")?;
    up.process.end(STOPS_WITHIN).await?;
    // No wait for the children.
    Up::start(&directory, &settings).await?.stop(&directory).await
}

#[tokio::test]
async fn a_chain_that_came_back_older_than_its_index_is_indexed_anew() -> Result<()> {
    let directory = scratch()?;
    let up = Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?;
    let head = up.provider.get_block_number().await?;
    up.stop(&directory).await?;
    let anvil = directory.path().join(".clawpay/anvil");
    let older = fs::read(anvil.join("state.json"))?;

    let up = Up::start(&directory, &[]).await?;
    register_from(8, &up).await?;
    // Enough for the lost blocks to have been final.
    up.provider.anvil_mine(Some(200), None).await?;
    until(|| async { Ok(up.get("/api/status").await?["indexedBlock"]["number"] == head + 201) }).await?;
    up.kill(&directory).await?;
    for file in ["state.json", "state.kept.json"] {
        fs::write(anvil.join(file), &older)?;
    }

    let up = Up::start(&directory, &[]).await?;
    assert!(up.process.output().contains("rebuilding it from the chain"), "{}", up.process.output());
    assert_eq!(up.get("/api/status").await?["indexedBlock"]["number"], head);
    assert_eq!(up.get("/api/agents").await?["pagination"]["total"], 0);
    up.stop(&directory).await
}

#[tokio::test]
async fn a_state_file_cut_by_a_kill_is_replaced_by_the_last_complete_one() -> Result<()> {
    let directory = scratch()?;
    let up = Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?;
    let head = up.provider.get_block_number().await?;
    up.kill(&directory).await?;
    let state = directory.path().join(".clawpay/anvil/state.json");
    let whole = fs::read(&state)?;
    fs::write(&state, &whole[..whole.len() / 2])?;

    let up = Up::start(&directory, &[]).await?;
    assert_eq!(up.provider.get_block_number().await?, head);
    up.stop(&directory).await
}

#[tokio::test]
async fn a_clock_that_jumps_back_forty_one_days_is_told_of_and_chain_time_goes_on() -> Result<()> {
    const BACK: u64 = 41 * 86_400;
    let directory = scratch()?;
    let up = Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?;
    // As if the clock had been as far ahead until now as it is put back.
    up.provider.anvil_increase_time(BACK).await?;
    up.provider.anvil_mine(Some(1), None).await?;
    let latest =
        async |up: &Up| -> Result<_> { Ok(up.provider.get_block_by_number(BlockNumberOrTag::Latest).await?.expect("a head").header) };
    let before = latest(&up).await?;
    until(|| async { Ok(up.get("/api/status").await?["indexedBlock"]["number"] == before.number) }).await?;
    up.stop(&directory).await?;

    // Between two starts.
    let up = Up::start(&directory, &[]).await?;
    assert!(up.process.output().contains("The clock is 40 days behind") || up.process.output().contains("The clock is 41 days behind"));
    register_from(8, &up).await?;
    let after = latest(&up).await?;
    assert!((before.timestamp..before.timestamp + 600).contains(&after.timestamp), "{} after {}", after.timestamp, before.timestamp);
    until(|| async { Ok(up.get("/api/status").await?["indexedBlock"]["number"] == after.number) }).await?;

    // And while it runs.
    up.provider.anvil_set_time(after.timestamp - BACK).await?;
    until(|| async { Ok(up.process.output().matches("behind the local chain's last block").count() == 2) }).await?;
    register_from(9, &up).await?;
    let last = latest(&up).await?;
    assert!((after.timestamp..after.timestamp + 600).contains(&last.timestamp), "{} after {}", last.timestamp, after.timestamp);
    until(|| async { Ok(up.get("/api/status").await?["indexedBlock"]["number"] == last.number) }).await?;
    up.stop(&directory).await
}

#[tokio::test]
async fn a_data_directory_that_is_removed_ends_the_stack_and_the_next_start_makes_a_new_one() -> Result<()> {
    let directory = scratch()?;
    let mut up = Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?;
    fs::remove_dir_all(directory.path().join(".clawpay"))?;
    let status = up.process.end(READY_WITHIN).await?;
    assert_eq!(status.code(), Some(1));
    let output = up.process.output();
    assert!(output.contains("was removed while the market ran") && output.contains("the next start makes a new market"), "{output}");
    until_no_process_of(directory.path(), CHILDREN_END_WITHIN).await?;
    Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?.stop(&directory).await
}

#[tokio::test]
async fn an_explicit_port_that_is_taken_is_an_error_that_names_it() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    for setting in ["CLAWPAY_API_PORT", "CLAWPAY_RPC_PORT"] {
        let directory = scratch()?;
        let mut process = launch(&directory, &[(setting, &port)])?;
        let status = process.end(READY_WITHIN).await?;
        assert_eq!(status.code(), Some(1));
        let output = process.output();
        assert!(output.contains(&port) && output.contains(setting), "{output}");
        until_no_process_of(directory.path(), Duration::ZERO).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_stack_in_the_same_directory_is_refused() -> Result<()> {
    let directory = scratch()?;
    let up = Up::start(&directory, &[("CLAWPAY_EMPTY", "1")]).await?;
    let mut second = launch(&directory, &[])?;
    assert_eq!(second.end(READY_WITHIN).await?.code(), Some(1));
    assert!(second.output().contains("another `clawpay up`"), "{}", second.output());
    assert_eq!(up.get("/api/runs").await?["pagination"]["total"], 0, "the first is still there, and empty");
    up.stop(&directory).await
}

#[tokio::test]
async fn wrong_settings_are_refused_before_anything_starts() -> Result<()> {
    let directory = scratch()?;
    for (setting, value) in [("CLAWPAY_API_PORT", "70000"), ("CLAWPAY_TYPO", "1"), ("RPC_URL", "not a url")] {
        let mut process = launch(&directory, &[(setting, value)])?;
        assert_eq!(process.end(READY_WITHIN).await?.code(), Some(2), "{setting}");
        assert!(process.output().contains(setting), "{}", process.output());
    }
    assert!(!directory.path().join(".clawpay").exists());
    Ok(())
}

#[tokio::test]
async fn on_a_node_of_somebody_elses_the_stack_needs_a_deployment_and_sends_nothing() -> Result<()> {
    let stack = Stack::node().await?;
    let directory = scratch()?;
    let rpc_url = stack.rpc_url();
    let rpc = [("RPC_URL", rpc_url.as_str())];

    let mut process = launch(&directory, &rpc)?;
    assert_eq!(process.end(READY_WITHIN).await?.code(), Some(1));
    assert!(process.output().contains("`clawpay deploy`"), "{}", process.output());
    let head = stack.head().await?;

    deploy(&directory, rpc_url.as_str()).await?;
    assert_eq!(stack.head().await?, head + 5, "five contracts");
    let up = Up::start(&directory, &rpc).await?;
    assert_eq!(up.get("/api/status").await?["indexedBlock"]["number"], head + 5);
    assert_ne!(up.address("runEscrow").await?, stack.deployment.contracts.run_escrow, "its own market, not the fixture's");
    up.stop(&directory).await?;
    assert_eq!(stack.head().await?, head + 5, "no transaction");

    // The same file does not pass for another chain with the same id.
    let other = Stack::node().await?;
    let mut process = launch(&directory, &[("RPC_URL", other.rpc_url().as_str())])?;
    assert_eq!(process.end(READY_WITHIN).await?.code(), Some(1));
    assert!(process.output().contains("block 0"), "{}", process.output());
    Ok(())
}

#[tokio::test]
async fn a_database_of_somebody_elses_is_emptied_of_a_local_market_but_never_of_a_real_one() -> Result<()> {
    let (_stack, database_url) = Stack::and_database().await?;
    let settings = [("DATABASE_URL", database_url.as_str()), ("CLAWPAY_EMPTY", "1")];

    let first = scratch()?;
    let up = Up::start(&first, &settings).await?;
    assert!(!up.process.output().contains("Starting Postgres") && !up.process.output().contains(&database_url));
    up.stop(&first).await?;

    // A new data directory is a new chain.
    let second = scratch()?;
    let up = Up::start(&second, &settings).await?;
    assert!(up.process.output().contains("rebuilding it from the chain"), "{}", up.process.output());
    up.stop(&second).await?;

    let mut connection = PgConnection::connect(&database_url).await?;
    sqlx::query("UPDATE chain SET chain_id = 8453, genesis_hash = $1").bind(&[7_u8; 32][..]).execute(&mut connection).await?;
    let mut process = launch(&second, &settings)?;
    assert_eq!(process.end(READY_WITHIN).await?.code(), Some(1));
    assert!(process.output().contains("chain 8453"), "{}", process.output());
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM cursor").fetch_one(&mut connection).await?;
    assert_eq!(kept, 1);
    Ok(())
}

async fn deploy(directory: &TempDir, rpc_url: &str) -> Result<()> {
    let mut process = Clawpay::start(&["deploy"], directory.path(), [("RPC_URL", rpc_url)])?;
    let status = process.end(READY_WITHIN).await?;
    assert!(status.success(), "{}", process.output());
    assert!(directory.path().join(".clawpay/deployments/31337.json").exists());
    Ok(())
}

fn free_port() -> Result<String> {
    Ok(clawpay_cli::local::free_port()?.to_string())
}

async fn until<F: Future<Output = Result<bool>>>(mut is_so: impl FnMut() -> F) -> Result<()> {
    for _ in 0..500 {
        if is_so().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("it did not come about in 10 s")
}

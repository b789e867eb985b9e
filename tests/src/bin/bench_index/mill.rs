//! A chain with a long and busy past, made in seconds: the events are the market's, emitted in bulk by `EventMill` at the contracts' own
//! addresses.

use std::{fs, process::Command, time::Duration};

use alloy::{
    primitives::{Address, Bytes, TxHash, U256},
    providers::{Provider, ext::AnvilApi},
    rpc::{client::BatchRequest, types::TransactionRequest},
    sol,
    sol_types::SolCall,
};
use anyhow::{Context, Result, ensure};
use clawpay_cli::local::Toolbox;
use clawpay_tests::{OPERATOR, Stack};

sol! {
    function register(uint256 agents) external;
    function stake(uint256 agents, uint256 amount) external;
    function turn(uint256 number, uint256 width, uint256 agents) external;
}

/// Agents of the market.
const AGENTS: u64 = 100;
const EVENTS_PER_RUN: u64 = 6;
/// Behind each of them, in base units: enough for every run it ever holds at once.
const STAKE: u64 = 10_000_000_000;
/// Above what any turn needs, below what a transaction may take; and all that a block may take, so that each turn has its own.
const GAS: u64 = 16_000_000;
/// Turns queued at once.
const AT_ONCE: u64 = 100;
const ARTIFACT: &str = "target/forge/out/EventMill.sol/EventMill.json";
const SOURCE: &str = "contracts/test/mocks/EventMill.sol";
const PAUSE: Duration = Duration::from_millis(1);

/// The code, and how far the story has been told.
pub(crate) struct Mill<'a> {
    stack: &'a Stack,
    from: Address,
    code: Bytes,
    /// New runs a turn.
    width: u64,
    turns: u64,
}

impl<'a> Mill<'a> {
    /// Compiles the mill, and registers and stakes the agents.
    pub(crate) async fn start(stack: &'a Stack, width: u64) -> Result<Self> {
        let from = stack.actor(OPERATOR).await?.address();
        let mut mill = Self { stack, from, code: compile()?, width, turns: 0 };
        stack.provider().anvil_set_block_gas_limit(GAS).await?;
        let contracts = stack.deployment.contracts;
        let agents = U256::from(AGENTS);
        let register = registerCall { agents }.abi_encode();
        let stakes = stakeCall { agents, amount: U256::from(STAKE) }.abi_encode();
        mill.acting(async |mill| {
            mill.send(mill.request(contracts.agent_registry, register)).await?;
            mill.send(mill.request(contracts.agent_stake, stakes)).await
        })
        .await?;
        Ok(mill)
    }

    /// Adds blocks of one turn each.
    pub(crate) async fn grow(&mut self, blocks: u64) -> Result<()> {
        let provider = self.stack.provider();
        let before = self.stack.head().await?;
        provider.anvil_set_auto_mine(false).await?;
        self.acting(async |mill| {
            let mut left = blocks;
            while left > 0 {
                let some = left.min(AT_ONCE);
                mill.queue(some).await?;
                provider.anvil_mine(Some(some), None).await?;
                left -= some;
            }
            Ok(())
        })
        .await?;
        provider.anvil_set_auto_mine(true).await?;
        ensure!(self.stack.head().await? == before + blocks, "the node mined another number of blocks");
        Ok(())
    }

    /// Hands turns to the node, which has room for one in a block.
    async fn queue(&mut self, turns: u64) -> Result<()> {
        let provider = self.stack.provider();
        let mut nonce = provider.get_transaction_count(self.from).await?;
        let mut batch = BatchRequest::new(provider.client());
        let mut sent = Vec::new();
        for _ in 0..turns {
            let request = TransactionRequest { nonce: Some(nonce), ..self.next_turn() };
            sent.push(batch.add_call::<_, TxHash>("eth_sendTransaction", &(request,))?);
            nonce += 1;
        }
        batch.send().await?;
        futures::future::try_join_all(sent).await?;
        Ok(())
    }

    /// Events of a turn, once as many runs end in it as begin.
    pub(crate) const fn events(&self) -> u64 {
        self.width * EVENTS_PER_RUN
    }

    /// New runs so far.
    pub(crate) const fn runs(&self) -> u64 {
        self.turns * self.width
    }

    /// Replaces the last `depth` blocks by as many with the same turns, each a second later.
    pub(crate) async fn reorganise(&mut self, depth: u64) -> Result<()> {
        let provider = self.stack.provider();
        let first = self.stack.head().await? - depth + 1;
        let first = provider.get_block_by_number(first.into()).await?.context("the chain is too short")?;
        // The node's own command for a reorg brings back states in which the mill's code may be missing.
        provider.anvil_rollback(Some(depth)).await?;
        provider.anvil_set_next_block_timestamp(first.header.timestamp + 1).await?;
        self.turns -= depth;
        self.grow(depth).await
    }

    /// Works with the mill's code at the contracts' addresses, which are themselves again afterwards: an indexer that starts asks them.
    pub(crate) async fn acting<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let provider = self.stack.provider();
        let mut codes = Vec::new();
        for address in self.stack.deployment.contracts.indexed() {
            codes.push((address, provider.get_code_at(address).await?));
            provider.anvil_set_code(address, self.code.clone()).await?;
        }
        let outcome = work(self).await;
        for (address, code) in codes {
            provider.anvil_set_code(address, code).await?;
        }
        outcome
    }

    /// The transaction of the next turn.
    pub(crate) fn next_turn(&mut self) -> TransactionRequest {
        let [number, width, agents] = [self.turns, self.width, AGENTS].map(U256::from);
        self.turns += 1;
        self.request(self.stack.deployment.contracts.run_escrow, turnCall { number, width, agents }.abi_encode())
    }

    fn request(&self, to: Address, data: Vec<u8>) -> TransactionRequest {
        TransactionRequest { gas: Some(GAS), ..TransactionRequest::default().from(self.from).to(to).input(data.into()) }
    }

    /// Sends, and waits until the node has mined it in a block of its own.
    async fn send(&self, request: TransactionRequest) -> Result<()> {
        let provider = self.stack.provider();
        let hash = *provider.send_transaction(request).await?.tx_hash();
        loop {
            if let Some(receipt) = provider.get_transaction_receipt(hash).await? {
                ensure!(receipt.status(), "the mill reverted");
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The mill's runtime code, compiled now if it has changed.
fn compile() -> Result<Bytes> {
    let root = Toolbox::find()?.root().to_owned();
    let output = Command::new(root.join("node_modules/.bin/forge")).args(["build", SOURCE]).current_dir(&root).output()?;
    ensure!(output.status.success(), "forge failed: {}", String::from_utf8_lossy(&output.stderr));
    let artifact: serde_json::Value = serde_json::from_str(&fs::read_to_string(root.join(ARTIFACT))?)?;
    let code = artifact["deployedBytecode"]["object"].as_str().context("the artifact has no code")?;
    Ok(code.parse()?)
}

//! What reads show of the chain beside the index. The node is asked once for all who read, and given up soon: reads go on without it.

use std::time::Duration;

use alloy::{
    primitives::{Address, B256, Bytes, U64, U256},
    sol_types::SolCall,
};
use clawpay_bindings::{Contracts, TestUSDC};
use clawpay_domain::Usdc;
use futures::FutureExt;
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{Node, NodeError};

/// Longest that a read waits for the node.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long the node is left alone after it did not answer.
const REST: Duration = Duration::from_secs(2);

/// Most characters of a token's symbol that are shown.
const LONGEST_SYMBOL: usize = 32;

/// USDC that the market's contracts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// The escrow.
    pub run_escrow: Usdc,
    /// The stakes.
    pub agent_stake: Usdc,
}

/// What an account has, and what comes next from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purse {
    /// Its USDC.
    pub usdc: Usdc,
    /// Its wei.
    pub ether: U256,
    /// USDC that the escrow may take from it.
    pub run_escrow_allowance: Usdc,
    /// USDC that the stake contract may take from it.
    pub agent_stake_allowance: Usdc,
    /// The nonce of its next transaction, counting those that wait to be mined.
    pub next_nonce: u64,
}

/// What the node has said that holds for a while.
#[derive(Debug, Default)]
pub(crate) struct NodeFacts {
    /// At the block with this hash.
    holdings: Remembered<B256, Holdings>,
    symbol: Remembered<(), String>,
}

impl NodeFacts {
    /// What the contracts have at a block; nothing while the node cannot tell.
    pub(crate) async fn holdings(&self, node: &Node, market: &Contracts, block: (u64, B256)) -> Option<Holdings> {
        let (number, hash) = block;
        let ask = async || {
            let Contracts { usdc, run_escrow, agent_stake, .. } = *market;
            let balances = move |node: Node| async move {
                let balance = |account| node.usdc_balance_in(usdc, account, number);
                tokio::try_join!(balance(run_escrow), balance(agent_stake))
            };
            let (run_escrow, agent_stake) = node.at_one(|node| balances(node).boxed()).await?;
            Ok(Holdings { run_escrow, agent_stake })
        };
        self.holdings.get(hash, ask).await
    }

    /// What the token is called; nothing while the node cannot tell.
    pub(crate) async fn symbol(&self, node: &Node, usdc: Address) -> Option<String> {
        let ask = async || {
            let symbol = node.view(usdc, &TestUSDC::symbolCall {}).await?.ok_or(NodeError::Nonsense("eth_call"))?;
            Ok(symbol.chars().filter(|c| !c.is_control()).take(LONGEST_SYMBOL).collect())
        };
        self.symbol.get((), ask).await
    }
}

/// One answer, for as long as what it is about stays the same.
#[derive(Debug)]
struct Remembered<K, T>(Mutex<Option<(K, Instant, Option<T>)>>);

impl<K, T> Default for Remembered<K, T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<K: PartialEq, T: Clone> Remembered<K, T> {
    /// The answer about `key`. Those who want it at the same time wait for one asking.
    async fn get(&self, key: K, ask: impl AsyncFnOnce() -> Result<T, NodeError>) -> Option<T> {
        let mut known = self.0.lock().await;
        if let Some((about, at, answer)) = known.as_ref()
            && (answer.is_some() && *about == key || answer.is_none() && at.elapsed() < REST)
        {
            return answer.clone();
        }
        let answer = match timeout(PATIENCE, ask()).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a read goes on without the node");
                None
            }
            Err(_) => None,
        };
        *known = Some((key, Instant::now(), answer.clone()));
        answer
    }
}

impl Node {
    /// USDC that `account` has after a block.
    async fn usdc_balance_in(&self, usdc: Address, account: Address, block: u64) -> Result<Usdc, NodeError> {
        let data = Bytes::from(TestUSDC::balanceOfCall { account }.abi_encode());
        let word: B256 = self.ask("eth_call", (json!({ "to": usdc, "data": data }), U64::from(block))).await?;
        Ok(Usdc(U256::from_be_bytes(word.0)))
    }

    /// What `account` has; nothing if the node does not say soon.
    pub(crate) async fn purse(&self, market: &Contracts, account: Address) -> Option<Purse> {
        let Contracts { usdc, run_escrow, agent_stake, .. } = *market;
        let ask = move |node: Node| async move {
            tokio::try_join!(
                node.usdc_balance(usdc, account),
                node.ether_balance(account),
                node.usdc_allowance(usdc, account, run_escrow),
                node.usdc_allowance(usdc, account, agent_stake),
                node.next_nonce(account)
            )
        };
        let asked = self.at_one(|node| ask(node).boxed());
        let (usdc, ether, run_escrow_allowance, agent_stake_allowance, next_nonce) = timeout(PATIENCE, asked).await.ok()?.ok()?;
        Some(Purse { usdc, ether, run_escrow_allowance, agent_stake_allowance, next_nonce })
    }
}

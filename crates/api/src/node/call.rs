//! Trying calls out before anybody signs them.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::sol_types::SolCall;
use clawpay_bindings::{Revert, TestUSDC};
use clawpay_domain::{Timestamp, Usdc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Failure, Node, NodeError, pool::METHOD_NOT_FOUND, revert};

/// A call as JSON-RPC wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CallRequest {
    /// Who calls.
    pub from: Address,
    /// Which contract.
    pub to: Address,
    /// Selector and arguments.
    pub data: Bytes,
}

/// Why a call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The contract refused.
    Reverted(Revert),
    /// The node has no way to tell.
    Unsupported,
    /// The node failed.
    Node(NodeError),
}

impl From<NodeError> for CallError {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

/// One block's worth of an `eth_simulateV1` answer.
#[derive(Debug, Deserialize)]
struct SimulatedBlock {
    calls: Vec<SimulatedCall>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SimulatedCall {
    status: U64,
    gas_used: U64,
    #[serde(default)]
    return_data: Bytes,
    error: Option<serde_json::Value>,
}

impl Node {
    /// Gas that one call needs on the pending state.
    pub(crate) async fn estimate_gas(&self, call: &CallRequest) -> Result<u64, CallError> {
        let method = "eth_estimateGas";
        match self.try_ask::<_, U64>(method, (call, "pending")).await {
            Ok(gas) => Ok(gas.to()),
            Err(failure) => Err(call_error(method, failure)),
        }
    }

    /// Whether the call succeeds on the pending state with so much gas. A node that does not answer says no.
    pub(crate) async fn succeeds_with(&self, call: &CallRequest, gas: u64) -> bool {
        let CallRequest { from, to, data } = call;
        let limited = json!({ "from": from, "to": to, "data": data, "gas": U64::from(gas) });
        self.try_ask::<_, Bytes>("eth_call", (limited, "pending")).await.is_ok()
    }

    /// Gas that each call uses when they follow each other in one block at `now`; the first refusal if one is refused.
    pub(crate) async fn simulate(&self, calls: &[CallRequest], now: Timestamp) -> Result<Vec<u64>, CallError> {
        let method = "eth_simulateV1";
        let block = json!({ "blockOverrides": { "time": U64::from(now.0) }, "calls": calls });
        let blocks: Vec<SimulatedBlock> = match self.try_ask(method, (json!({ "blockStateCalls": [block] }), "pending")).await {
            Ok(blocks) => blocks,
            Err(Failure::Response(error)) if error.code == METHOD_NOT_FOUND => return Err(CallError::Unsupported),
            Err(failure) => return Err(call_error(method, failure)),
        };
        let results: Vec<_> = blocks.into_iter().flat_map(|block| block.calls).collect();
        if results.len() != calls.len() {
            return Err(NodeError::Nonsense(method).into());
        }
        results
            .into_iter()
            .map(|result| {
                if result.status == U64::from(1) {
                    return Ok(result.gas_used.to());
                }
                let data = if result.return_data.is_empty() {
                    result.error.as_ref().and_then(|error| error.get("data")?.as_str()?.parse().ok()).unwrap_or_default()
                } else {
                    result.return_data
                };
                Err(CallError::Reverted(Revert::decode(&data)))
            })
            .collect()
    }

    /// What a call made in `block` would be refused with; nothing if it would succeed there.
    pub(crate) async fn refusal_in(&self, call: &CallRequest, block: u64) -> Result<Option<Revert>, NodeError> {
        let method = "eth_call";
        match self.try_ask::<_, Bytes>(method, (call, U64::from(block))).await {
            Ok(_) => Ok(None),
            Err(failure) => match call_error(method, failure) {
                CallError::Reverted(revert) => Ok(Some(revert)),
                CallError::Unsupported => Err(NodeError::Nonsense(method)),
                CallError::Node(error) => Err(error),
            },
        }
    }

    /// USDC that `account` has.
    pub(crate) async fn usdc_balance(&self, usdc: Address, account: Address) -> Result<Usdc, NodeError> {
        self.usdc_view(usdc, TestUSDC::balanceOfCall { account }.abi_encode()).await
    }

    /// USDC that `spender` may take from `owner`.
    pub(crate) async fn usdc_allowance(&self, usdc: Address, owner: Address, spender: Address) -> Result<Usdc, NodeError> {
        self.usdc_view(usdc, TestUSDC::allowanceCall { owner, spender }.abi_encode()).await
    }

    /// What a view of `contract` answers on the pending state; nothing if it has no such view.
    pub(crate) async fn view<C: SolCall>(&self, contract: Address, call: &C) -> Result<Option<C::Return>, NodeError> {
        let method = "eth_call";
        let data = Bytes::from(call.abi_encode());
        match self.try_ask::<_, Bytes>(method, (json!({ "to": contract, "data": data }), "pending")).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(failure) => match call_error(method, failure) {
                CallError::Reverted(_) => Ok(None),
                CallError::Unsupported => Err(NodeError::Nonsense(method)),
                CallError::Node(error) => Err(error),
            },
        }
    }

    async fn usdc_view(&self, usdc: Address, data: Vec<u8>) -> Result<Usdc, NodeError> {
        let word: B256 = self.ask("eth_call", (json!({ "to": usdc, "data": Bytes::from(data) }), "pending")).await?;
        Ok(Usdc(U256::from_be_bytes(word.0)))
    }
}

pub(super) fn call_error(method: &'static str, failure: Failure) -> CallError {
    match failure {
        Failure::Response(error) => match revert::of_error(&error) {
            Some(revert) => CallError::Reverted(revert),
            None => CallError::Node(NodeError::Refused { method, code: error.code, message: revert::beginning(&error.message) }),
        },
        Failure::Node(error) => CallError::Node(error),
    }
}

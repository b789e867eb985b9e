//! What an honest node answers, given what it knows of the chain.

use alloy::{
    primitives::{Address, B256, Bytes, hex},
    rpc::types::{Filter, Log},
    sol_types::{SolCall, SolValue},
};
use clawpay_bindings::{AgentStake, RunEscrow, agent_stake::IAgentStake, run_escrow::IRunEscrow};
use clawpay_indexer::Config;
use serde_json::{Value, json};

use super::{
    provider::error,
    script::{Finality, Setting, View},
    tree::{BlockId, GAS, Tree},
};

/// A node that holds one view of the chain.
pub(crate) struct Node<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) setting: &'a Setting,
    pub(crate) config: &'a Config,
    pub(crate) view: &'a View,
}

impl Node<'_> {
    /// An object with a `result` or an `error`.
    pub(crate) fn answer(&self, method: &str, params: &Value) -> Value {
        match method {
            "eth_chainId" => result(json!(format!("{:#x}", self.config.deployment.chain_id))),
            "eth_blockNumber" => result(json!(format!("{:#x}", self.tree.number(self.view.tip)))),
            "eth_getCode" => result(json!("0x60")),
            "eth_call" => self.call(&params[0]),
            "eth_getBlockByNumber" => self.block(&params[0]),
            "eth_getLogs" => self.logs(&params[0]),
            "eth_getBlockReceipts" if self.setting.serves_receipts => self.receipts(&params[0]),
            _ => error(-32601, "the method does not exist/is not available"),
        }
    }

    /// The answer's one member, written out.
    pub(crate) fn text(&self, method: &str, params: &Value) -> String {
        if method == "eth_getBlockByNumber"
            && let Ok(Some(id)) = self.named(&params[0])
        {
            return format!(r#""result":{}"#, self.tree.at(id).header_text);
        }
        member(&self.answer(method, params))
    }

    fn call(&self, request: &Value) -> Value {
        let contracts = &self.config.deployment.contracts;
        let parameters = &self.tree.at(self.tree.genesis()).ledger.parameters;
        let to: Address = parse(&request["to"]);
        let data: Bytes = parse(if request["data"].is_null() { &request["input"] } else { &request["data"] });
        let selector: [u8; 4] = data.get(..4).and_then(|start| start.try_into().ok()).unwrap_or_default();
        let answer = if to == contracts.run_escrow {
            match selector {
                RunEscrow::agentStakeCall::SELECTOR => contracts.agent_stake.abi_encode(),
                RunEscrow::usdcCall::SELECTOR => contracts.usdc.abi_encode(),
                RunEscrow::parametersCall::SELECTOR => IRunEscrow::Parameters::from(parameters.escrow).abi_encode(),
                _ => Vec::new(),
            }
        } else {
            match selector {
                AgentStake::agentRegistryCall::SELECTOR => contracts.agent_registry.abi_encode(),
                AgentStake::runEscrowCall::SELECTOR => contracts.run_escrow.abi_encode(),
                AgentStake::parametersCall::SELECTOR => IAgentStake::Parameters::from(parameters.stake).abi_encode(),
                _ => Vec::new(),
            }
        };
        result(json!(hex::encode_prefixed(answer)))
    }

    /// The block that a tag or a height names, on this view's branch.
    pub(crate) fn named(&self, name: &Value) -> Result<Option<BlockId>, Value> {
        let View { tip, safe, finalized, .. } = self.view;
        let number = match name.as_str().unwrap_or_default() {
            "latest" => return Ok(Some(*tip)),
            "earliest" => Some(0),
            "safe" | "finalized" if self.setting.finality != Finality::Tags => {
                return Err(error(-32602, "invalid argument 0: hex string without 0x prefix"));
            }
            "safe" => *safe,
            "finalized" => *finalized,
            number => u64::from_str_radix(number.trim_start_matches("0x"), 16).ok(),
        };
        Ok(number.and_then(|number| self.tree.ancestor(*tip, number)))
    }

    fn block(&self, name: &Value) -> Value {
        match self.named(name) {
            Ok(block) => result(block.map_or(Value::Null, |id| self.tree.at(id).header.clone())),
            Err(refusal) => refusal,
        }
    }

    /// The block with a hash. Real nodes keep what their branch has lost for a while.
    fn by_hash(&self, hash: &Value) -> Option<BlockId> {
        self.tree.by_hash(parse::<B256>(hash))
    }

    fn logs(&self, filter: &Value) -> Value {
        let parsed: Filter = serde_json::from_value(filter.clone()).expect("the indexer sends filters");
        if !filter["blockHash"].is_null() {
            return match self.by_hash(&filter["blockHash"]) {
                Some(id) => result(json!(self.matching(id, &parsed))),
                None => self.setting.provider.refuse_block(),
            };
        }
        let (Some(from), Some(to)) = (parsed.get_from_block(), parsed.get_to_block()) else {
            return error(-32602, "a range needs two ends");
        };
        if let Some(limit) = self.setting.range_limit
            && to.saturating_sub(from) + 1 > limit
        {
            return self.setting.provider.refuse_range(from, limit);
        }
        // Beyond its head a node knows of nothing, and does not say so.
        let mut logs = Vec::new();
        for number in from..=to {
            if let Some(id) = self.tree.ancestor(self.view.tip, number) {
                logs.extend(self.matching(id, &parsed));
            }
            if to > from && self.setting.result_limit.is_some_and(|limit| logs.len() > limit) {
                return self.setting.provider.refuse_range(from, (number - from).max(1));
            }
        }
        result(json!(logs))
    }

    fn matching(&self, id: BlockId, filter: &Filter) -> Vec<Log> {
        self.tree.at(id).logs.iter().filter(|log| filter.matches(&log.inner)).cloned().collect()
    }

    fn receipts(&self, block: &Value) -> Value {
        let id = match block.as_str() {
            Some(hash) if hash.len() == 66 => self.by_hash(block),
            _ => self.named(block).ok().flatten(),
        };
        let Some(id) = id else { return result(Value::Null) };
        let mined = self.tree.at(id);
        let mut receipts = Vec::new();
        for (index, hash) in mined.transaction_hashes().enumerate() {
            let logs: Vec<_> = mined.logs.iter().filter(|log| log.transaction_index == Some(index as u64)).collect();
            receipts.push(json!({
                "transactionHash": hash,
                "transactionIndex": format!("{index:#x}"),
                "blockHash": mined.block.hash,
                "blockNumber": format!("{:#x}", mined.block.number),
                "type": "0x2",
                "status": "0x1",
                "cumulativeGasUsed": format!("{:#x}", (index as u64 + 1) * GAS),
                "logs": logs,
            }));
        }
        result(json!(receipts))
    }
}

/// The one member of an object, written out.
pub(crate) fn member(object: &Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default().to_owned()
}

pub(crate) fn result(value: Value) -> Value {
    json!({ "result": value })
}

fn parse<T: serde::de::DeserializeOwned + Default>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

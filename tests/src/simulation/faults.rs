//! What goes wrong on the way from the node to the indexer.
//!
//! Each decision follows from the seed, from what is asked, and from how often it was asked before: not from when, nor from what else is
//! under way. Left out is what no client could notice from one node: two answers that agree on the same lie. So a log that the answer by
//! range hides is one whose absence the block's bloom filter shows; the answer by hash and the receipts never hide the same log; and where
//! there are no receipts, two answers by the same hash in a row are never both wrong.

use std::collections::BTreeMap;

use alloy::{
    primitives::{Address, B256},
    rpc::types::Log,
};
use clawpay_bindings::{Contracts, signatures};
use clawpay_indexer::{FinalizedHeaders, ShorterChain};
use serde_json::{Value, json};

use super::{
    answers::{Node, result},
    dice::Dice,
    provider::error,
    script::View,
};

/// What becomes of a whole HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Honest,
    /// Turned away with this HTTP status.
    Status(u16),
    /// The connection is closed instead of an answer.
    Closed,
    /// The answer stops in the middle.
    Truncated,
    /// The answer is no JSON.
    Garbage,
    /// No answer ever comes.
    Mute,
    /// The answers to a batch come in another order, which is legal.
    Shuffled,
    /// One answer of a batch is missing.
    LostOne,
    /// One answer of a batch comes twice.
    TwiceOne,
}

impl Transport {
    pub(crate) fn choose(dice: &mut Dice, faults: u64) -> Self {
        if faults == 0 || !dice.one_in(faults * 3) {
            return Self::Honest;
        }
        let mute = if dice.one_in(4) { Self::Mute } else { Self::Closed };
        *dice.pick(&[
            Self::Status(429),
            Self::Status(429),
            Self::Status(502),
            Self::Status(503),
            Self::Closed,
            Self::Closed,
            Self::Truncated,
            Self::Truncated,
            Self::Garbage,
            Self::Shuffled,
            Self::Shuffled,
            Self::LostOne,
            Self::LostOne,
            Self::TwiceOne,
            mute,
        ])
    }
}

/// A wrong answer to one call and what is wrong with it, if there is a wrong one to this question.
pub(crate) fn answer(node: &Node<'_>, method: &str, params: &Value, asked: u64, dice: &mut Dice) -> Option<(Value, &'static str)> {
    let name = params[0].as_str().unwrap_or_default();
    match (dice.below(8), method) {
        (0, _) => Some((node.setting.provider.refuse_quota(), "a spent quota")),
        (1, _) => Some((error(-32603, "internal error"), "an internal error")),
        (2, _) => Some((result(Value::Null), "null")),
        (_, "eth_getBlockByNumber") if name != "0x0" => block(node, name, params, dice),
        (_, "eth_getLogs") if params[0]["blockHash"].is_null() => range(node, params, dice),
        (_, "eth_getLogs") if asked.is_multiple_of(2) => by_hash(node.answer(method, params), dice),
        (_, "eth_getBlockReceipts") => receipts(node, node.answer(method, params), dice),
        _ => None,
    }
}

type Spoilt = Option<(Value, &'static str)>;

fn block(node: &Node<'_>, name: &str, params: &Value, dice: &mut Dice) -> Spoilt {
    let honest = || node.answer("eth_getBlockByNumber", params);
    let ask = |view: View| Node { view: &view, ..*node }.answer("eth_getBlockByNumber", params);
    let head = node.tree.number(node.view.tip);
    match dice.below(6) {
        0 | 1 => {
            // Where a shorter chain means loss, a node that lags behind what is final would be believed to have lost it.
            let least = if node.setting.shorter_chain == ShorterChain::BlocksAreLost {
                node.view.floor.max(node.setting.deployment_block)
            } else {
                0
            };
            let older = head.saturating_sub(dice.between(1, 6)).max(least).min(head);
            let tip = node.tree.ancestor(node.view.tip, older)?;
            let finalized = node.view.finalized.map(|finalized| finalized.saturating_sub(dice.below(4)));
            Some((ask(View { tip, finalized, ..node.view.clone() }), "an older head's answer"))
        }
        2 | 3 if !node.view.others.is_empty() => {
            let tip = *dice.pick(&node.view.others);
            Some((ask(View { tip, ..node.view.clone() }), "another branch's answer"))
        }
        4 if name.starts_with("0x") => {
            let other = node.tree.ancestor(node.view.tip, dice.between(1, head.max(1)))?;
            Some((result(node.tree.at(other).header.clone()), "another block"))
        }
        _ => {
            let mut answer = honest();
            let header = answer.get_mut("result").filter(|header| header.is_object())?;
            let random = B256::from([u8::try_from(dice.below(255)).unwrap_or_default(); 32]);
            let what = match dice.below(5) {
                0 => {
                    header["parentHash"] = json!(random);
                    "a header with another parent"
                }
                1 => {
                    header["hash"] = json!(random);
                    "a header with another hash"
                }
                2 => {
                    header["timestamp"] = json!("0x12345678");
                    "a header with another time"
                }
                3 => {
                    header["logsBloom"] = json!(format!("0x{}", "0".repeat(512)));
                    "a header with an empty filter"
                }
                _ => {
                    header["logsBloom"] = json!(format!("0x{}", "f".repeat(512)));
                    "a header with a full filter"
                }
            };
            Some((answer, what))
        }
    }
}

fn range(node: &Node<'_>, params: &Value, dice: &mut Dice) -> Spoilt {
    let mut logs = logs_of(&node.answer("eth_getLogs", params))?;
    let sparse = node.setting.finalized_headers == FinalizedHeaders::WithEvents;
    let what = match dice.below(5) {
        // An indexer that reads no other headers cannot miss a block.
        0 | 1 if !sparse => {
            let mut blocks = Vec::from_iter(logs.iter().filter_map(|log| log.block_number));
            blocks.dedup();
            if dice.one_in(2) && blocks.len() > 1 {
                let kept = dice.pick(&blocks).to_owned();
                logs.retain(|log| log.block_number < Some(kept));
                "an answer that ends early"
            } else if dice.one_in(2) && blocks.len() > 1 {
                let hidden = dice.pick(&blocks).to_owned();
                logs.retain(|log| log.block_number != Some(hidden));
                "no logs of one block"
            } else {
                logs.clear();
                "no logs"
            }
        }
        0..=2 => {
            let missed = conspicuous(&node.config.deployment.contracts, &logs, sparse);
            if missed.is_empty() {
                return None;
            }
            logs.remove(*dice.pick(&missed));
            "one log less"
        }
        _ => jumble(&mut logs, dice)?,
    };
    Some((result(json!(logs)), what))
}

fn by_hash(honest: Value, dice: &mut Dice) -> Spoilt {
    let mut logs = logs_of(&honest)?;
    if logs.is_empty() {
        return None;
    }
    let what = match dice.below(4) {
        0 => {
            logs.clear();
            "no logs"
        }
        1 => {
            // Receipts lose others: see below.
            let odd = (0..logs.len()).filter(|at| at % 2 == 1 || logs.len() == 1);
            let odd = Vec::from_iter(odd);
            logs.remove(*dice.pick(&odd));
            "one log less"
        }
        _ => jumble(&mut logs, dice)?,
    };
    Some((result(json!(logs)), what))
}

fn receipts(node: &Node<'_>, honest: Value, dice: &mut Dice) -> Spoilt {
    let mut receipts = honest["result"].as_array()?.clone();
    let ours = node.config.deployment.contracts.indexed();
    let mut places = Vec::new();
    for (receipt, answered) in receipts.iter().enumerate() {
        for (at, log) in answered["logs"].as_array()?.iter().enumerate() {
            if serde_json::from_value::<Address>(log["address"].clone()).is_ok_and(|address| ours.contains(&address)) {
                places.push((receipt, at));
            }
        }
    }
    let what = match dice.below(3) {
        0 if places.len() > 1 => {
            let even = Vec::from_iter(places.iter().step_by(2));
            let (receipt, at) = **dice.pick(&even);
            receipts[receipt]["logs"].as_array_mut()?.remove(at);
            "receipts without a log"
        }
        1 => {
            receipts.reverse();
            "receipts in another order"
        }
        _ => {
            let (receipt, at) = *places.first()?;
            let log = receipts[receipt]["logs"][at].clone();
            receipts[receipt]["logs"].as_array_mut()?.push(log);
            "receipts with a log twice"
        }
    };
    Some((result(json!(receipts)), what))
}

/// What can be wrong with logs wherever they come from.
fn jumble(logs: &mut Vec<Log>, dice: &mut Dice) -> Option<&'static str> {
    if logs.is_empty() {
        return None;
    }
    let at = dice.index(logs.len());
    Some(match dice.below(6) {
        0 => {
            logs.push(logs[at].clone());
            "one log twice"
        }
        1 | 2 => {
            dice.shuffle(logs);
            "logs in another order"
        }
        3 => {
            logs[at].removed = true;
            "a log that was removed"
        }
        4 => {
            logs[at].block_hash = Some(B256::repeat_byte(0x66));
            "a log of another block at this height"
        }
        _ => {
            logs[at].block_number = logs[at].block_number.map(|number| number + 1);
            "a log of another height"
        }
    })
}

/// The logs whose absence shows in the block's filter: the only one of their contract, or of their event, in the block.
fn conspicuous(contracts: &Contracts, logs: &[Log], sparse: bool) -> Vec<usize> {
    let key = |log: &Log| (log.block_number, log.address(), log.topic0().copied());
    let mut blocks: BTreeMap<_, usize> = BTreeMap::new();
    let mut of_contract: BTreeMap<_, usize> = BTreeMap::new();
    let mut of_event: BTreeMap<_, usize> = BTreeMap::new();
    for log in logs {
        *blocks.entry(log.block_number).or_default() += 1;
        *of_contract.entry((log.block_number, log.address())).or_default() += 1;
        *of_event.entry(key(log)).or_default() += 1;
    }
    let known = signatures(contracts);
    let is_known = |log: &Log| {
        known.iter().any(|(contract, topics)| *contract == log.address() && log.topic0().is_some_and(|topic| topics.contains(&topic.0)))
    };
    (0..logs.len())
        .filter(|&at| {
            let log = &logs[at];
            let shows = of_contract[&(log.block_number, log.address())] == 1 || (is_known(log) && of_event[&key(log)] == 1);
            shows && !(sparse && blocks[&log.block_number] == 1)
        })
        .collect()
}

fn logs_of(answer: &Value) -> Option<Vec<Log>> {
    serde_json::from_value(answer.get("result")?.clone()).ok()
}

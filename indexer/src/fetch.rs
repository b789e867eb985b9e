//! Windows of blocks, read from the node and compared with themselves until they can be believed.
//!
//! A window is one unbroken chain of headers. Every log names its header's hash, and every header's bloom filter agrees with the logs that
//! came. Blocks that can still be replaced are read by hash and proved by their receipts; finalized ones are read by range, and only those
//! whose filter says more than the answer are proved as well. What does not fit is an error, and nothing of it is written.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use alloy::primitives::{Address, B256, BloomInput, keccak256};
use clawpay_bindings::{Contracts, signatures};
use clawpay_store::Block;
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    chain::{Header, Node, ReceiptLogs},
    config::FinalizedHeaders,
    decode::Event,
    error::{NodeError, UNCONNECTED},
    log::{Log, VerifiedLog},
};

/// Memory that an event takes beside its data, roughly.
const EVENT: usize = 1_100;
/// Blocks proved at once.
const CONCURRENT_PROOFS: usize = 8;

/// Consecutive blocks and what happened in them.
#[derive(Debug)]
pub(crate) struct Window {
    /// The heights it covers.
    pub(crate) range: RangeInclusive<u64>,
    /// The hash that its first block builds on.
    pub(crate) parent: B256,
    /// Its last block.
    pub(crate) end: Block,
    /// The headers to keep: all that may be replaced, otherwise those with events and the last.
    pub(crate) blocks: Vec<Block>,
    /// In the order of the chain.
    pub(crate) events: Vec<Event>,
    /// Whether every block that may hold an event was proved, so that asking again would bring nothing new.
    pub(crate) proved: bool,
}

impl Window {
    /// Memory it takes, roughly.
    pub(crate) fn size(&self) -> usize {
        let data: usize = self.events.iter().map(|event| event.record.data.len()).sum();
        data + self.events.len() * EVENT + self.blocks.len() * size_of::<Block>()
    }

    /// Adds the blocks that follow; gives them back if they do not build on these, or were read in the other way.
    #[expect(clippy::result_large_err, reason = "what is given back was moved here; nothing else is large about it")]
    pub(crate) fn append(&mut self, next: Self) -> Result<(), Self> {
        if next.parent != self.end.hash || next.proved != self.proved {
            return Err(next);
        }
        self.range = *self.range.start()..=*next.range.end();
        self.end = next.end;
        self.blocks.extend(next.blocks);
        self.events.extend(next.events);
        Ok(())
    }
}

/// How hard a window is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scrutiny {
    /// Finalized blocks by range, others by hash.
    Usual,
    /// All by hash: an earlier look contradicted the rules.
    Full,
}

/// Where windows come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) node: Arc<Node>,
    contracts: Contracts,
    finalized_headers: FinalizedHeaders,
    filters: Vec<Filter>,
}

/// What a bloom filter holds of one contract, hashed.
#[derive(Debug)]
struct Filter {
    contract: Address,
    address: B256,
    /// The events' first topics, and their hashes.
    topics: Vec<(B256, B256)>,
}

impl Source {
    pub(crate) fn new(node: Arc<Node>, contracts: Contracts, finalized_headers: FinalizedHeaders) -> Self {
        let filters = signatures(&contracts)
            .into_iter()
            .map(|(contract, topics)| Filter {
                contract,
                address: keccak256(contract),
                topics: topics.iter().map(|topic| (B256::from(*topic), keccak256(topic))).collect(),
            })
            .collect();
        Self { node, contracts, finalized_headers, filters }
    }

    /// Prepares for a block that a node says is its head, and that will be asked for next if it is.
    pub(crate) fn expect(&self, pushed: &Header) {
        if self.node.proves_receipts() && self.expects_more(pushed, &[]) {
            self.node.expect_receipts(pushed.hash);
        }
    }

    /// The blocks of a range. `head` is a header that was read before, which may be one of theirs.
    pub(crate) async fn window(
        &self,
        range: RangeInclusive<u64>,
        finalized: bool,
        scrutiny: Scrutiny,
        head: Option<&Header>,
    ) -> Result<Window, NodeError> {
        let by_range = finalized && scrutiny == Scrutiny::Usual;
        let (headers, mut logs) =
            if by_range { self.read_by_range(range.clone()).await? } else { self.read_by_hash(range.clone(), head, scrutiny).await? };
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else {
            return Err(NodeError::MissingBlock(*range.start()));
        };
        let (parent, end) = (first.parent_hash, last.block());
        let mut blocks = Vec::new();
        let mut events = Vec::with_capacity(logs.values().map(Vec::len).sum());
        for header in &headers {
            let block = header.block();
            let logs = logs.remove(&block.number).unwrap_or_default();
            if !finalized || !logs.is_empty() || block.number == end.number {
                blocks.push(block);
            }
            events.extend(logs.into_iter().map(|log| Event::new(&self.contracts, log, block.timestamp)));
        }
        Ok(Window { range, parent, end, blocks, events, proved: !by_range })
    }

    /// Finalized blocks: one question for all logs.
    async fn read_by_range(&self, range: RangeInclusive<u64>) -> Result<(Vec<Header>, Logs), NodeError> {
        let (from, to) = (*range.start(), *range.end());
        let addresses = self.contracts.indexed();
        let (headers, logs) = match self.finalized_headers {
            FinalizedHeaders::Every => {
                let numbers = Vec::from_iter(range);
                futures::try_join!(self.node.headers(&numbers), self.node.logs(&addresses, from, to))?
            }
            FinalizedHeaders::WithEvents => {
                let logs = self.node.logs(&addresses, from, to).await?;
                let mut numbers: Vec<_> = logs.iter().filter_map(Log::block_number).filter(|number| range.contains(number)).collect();
                numbers.extend([from, to]);
                numbers.sort_unstable();
                numbers.dedup();
                (self.node.headers(&numbers).await?, logs)
            }
        };
        require_chain(&headers)?;

        let mut by_block: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
        for log in logs {
            let number = log.block_number().ok_or(NodeError::Contradiction { number: from, reason: "a log has no block" })?;
            by_block.entry(number).or_default().push(log);
        }
        // A long answer may have been cut off, and inside a block.
        let last_with_logs = by_block.keys().next_back().copied();
        let mut verified = Logs::new();
        let mut suspicious = Vec::new();
        for header in &headers {
            let number = header.number();
            let logs = self.verify(header, by_block.remove(&number).unwrap_or_default())?;
            if self.expects_more(header, &logs) || last_with_logs == Some(number) {
                suspicious.push(header);
            } else {
                verified.insert(number, logs);
            }
        }
        if let Some(number) = by_block.into_keys().next() {
            return Err(NodeError::Contradiction { number, reason: "a log is of a block that was not asked for" });
        }
        verified.extend(self.read_blocks(&suspicious, Scrutiny::Usual).await?);
        Ok((headers, verified))
    }

    /// Blocks that may be replaced: each by its hash, proved.
    async fn read_by_hash(
        &self,
        range: RangeInclusive<u64>,
        head: Option<&Header>,
        scrutiny: Scrutiny,
    ) -> Result<(Vec<Header>, Logs), NodeError> {
        let head = head.filter(|head| head.number() == *range.end());
        let mut numbers = Vec::from_iter(range);
        if head.is_some() {
            numbers.pop();
        }
        let mut headers = if numbers.is_empty() { Vec::new() } else { self.node.headers(&numbers).await? };
        headers.extend(head.cloned());
        require_chain(&headers)?;
        let verified = self.read_blocks(&Vec::from_iter(&headers), scrutiny).await?;
        Ok((headers, verified))
    }

    /// Asks for the logs of blocks: by receipts, where a block seems to hold some of ours, and by filter where it does not. Where receipts
    /// cannot be proved, a block of ours is asked for in both ways, at the same time.
    async fn read_blocks(&self, headers: &[&Header], scrutiny: Scrutiny) -> Result<Logs, NodeError> {
        let proves = self.node.proves_receipts();
        let mut receipts = Vec::new();
        let mut filtered = Vec::new();
        for header in headers {
            let expected = self.expects_more(header, &[]);
            receipts.push(async move { if expected { self.receipts(header).await } else { Ok(Receipts::NotAsked) } });
            if !(expected && proves) {
                filtered.push(header.hash);
            }
        }
        let receipts = stream::iter(receipts).buffered(CONCURRENT_PROOFS).try_collect::<Vec<_>>();
        let ours = self.contracts.indexed();
        let (answers, receipts) = futures::try_join!(self.node.logs_of(&ours, &filtered), receipts)?;
        let mut answers: BTreeMap<B256, Vec<Log>> = filtered.into_iter().zip(answers).collect();
        let proofs =
            headers.iter().zip(receipts).map(|(header, receipts)| self.prove(header, answers.remove(&header.hash), receipts, scrutiny));
        stream::iter(Vec::from_iter(proofs)).buffered(CONCURRENT_PROOFS).try_collect().await
    }

    /// Takes what a block's receipts say if its hash vouches for them. If it does not, compares what the node answered to a filter with what
    /// the receipts say, or with a second answer where it serves no receipts. A block whose filter rules our contracts out, and that came
    /// without logs, needs no proof.
    async fn prove(
        &self,
        header: &Header,
        filtered: Option<Vec<Log>>,
        receipts: Receipts,
        scrutiny: Scrutiny,
    ) -> Result<(u64, Vec<VerifiedLog>), NodeError> {
        let number = header.number();
        if let Receipts::Logs(ReceiptLogs { logs, are_proved: true }) = receipts {
            return Ok((number, self.verify(header, self.ours(logs))?));
        }
        let logs = match filtered {
            Some(logs) => logs,
            None => self.filtered(header).await?,
        };
        let logs = self.verify(header, logs)?;
        let expects_more = self.expects_more(header, &logs);
        if logs.is_empty() && !expects_more {
            return Ok((number, logs));
        }
        let receipts = if let Receipts::NotAsked = receipts { self.receipts(header).await? } else { receipts };
        let again = match receipts {
            Receipts::Logs(receipts) => self.ours(receipts.logs),
            Receipts::NotAsked | Receipts::NotServed => self.filtered(header).await?,
        };
        if self.verify(header, again)? != logs {
            return Err(NodeError::Contradiction { number, reason: "its logs differ from its receipts" });
        }
        if (expects_more || scrutiny == Scrutiny::Full)
            && let Some(theirs) = self.node.logs_elsewhere(&self.contracts.indexed(), header.hash).await
            && let Ok(theirs) = self.verify(header, theirs)
            && theirs.iter().any(|log| !logs.contains(log))
        {
            return Err(NodeError::Contradiction { number, reason: "another node has logs of it that this one keeps back" });
        }
        Ok((number, logs))
    }

    /// Those logs that are of our contracts.
    fn ours(&self, logs: Vec<Log>) -> Vec<Log> {
        let ours = self.contracts.indexed();
        logs.into_iter().filter(|log| ours.contains(&log.address)).collect()
    }

    /// What the node answers to a filter about one block.
    async fn filtered(&self, header: &Header) -> Result<Vec<Log>, NodeError> {
        Ok(self.node.logs_of(&self.contracts.indexed(), &[header.hash]).await?.into_iter().flatten().collect())
    }

    async fn receipts(&self, header: &Header) -> Result<Receipts, NodeError> {
        Ok(self.node.receipt_logs(header).await?.map_or(Receipts::NotServed, Receipts::Logs))
    }

    /// Checks that logs are of this block and of our contracts, and puts them in order.
    fn verify(&self, header: &Header, logs: Vec<Log>) -> Result<Vec<VerifiedLog>, NodeError> {
        let number = header.number();
        let require = |fits, reason| if fits { Ok(()) } else { Err(NodeError::Contradiction { number, reason }) };
        let mut verified = Vec::with_capacity(logs.len());
        for log in logs {
            require(!log.removed, "a log was removed")?;
            require(log.block_number() == Some(number), "a log is of another height")?;
            require(log.block_hash == Some(header.hash), "a log is of another block at this height")?;
            let filter = self.filters.iter().find(|filter| filter.contract == log.address);
            require(filter.is_some(), "a log is of a contract that was not asked for")?;
            let filtered = header.logs_bloom.is_zero()
                || filter.is_some_and(|filter| header.logs_bloom.contains_input(BloomInput::Hash(filter.address)));
            require(filtered, "a log is of a contract that the block's filter rules out")?;
            require(log.topics.len() <= 4, "a log has more than four topics")?;
            let (Some(tx_hash), Some(tx_index), Some(log_index)) = (log.transaction_hash, log.transaction_index(), log.log_index()) else {
                return Err(NodeError::Contradiction { number, reason: "a log has no place in its block" });
            };
            verified.push(VerifiedLog {
                block_number: number,
                block_hash: header.hash,
                tx_hash,
                tx_index,
                log_index,
                contract: log.address,
                topics: log.topics,
                data: log.data,
            });
        }
        verified.sort_unstable_by_key(|log| log.log_index);
        require(verified.is_sorted_by(|one, next| one.log_index < next.log_index), "a log came twice")?;
        Ok(verified)
    }

    /// Whether the block's filter holds one of our contracts or events that no log accounts for. It may be mistaken, so this is a reason to
    /// look again, not a proof.
    fn expects_more(&self, header: &Header, logs: &[VerifiedLog]) -> bool {
        let holds = |hash| header.logs_bloom.contains_input(BloomInput::Hash(hash));
        self.filters.iter().filter(|filter| holds(filter.address)).any(|filter| {
            let mut of_contract = logs.iter().filter(|log| log.contract == filter.contract).peekable();
            if of_contract.peek().is_none() {
                return true;
            }
            let came: Vec<_> = of_contract.filter_map(|log| log.topics.first()).collect();
            filter.topics.iter().any(|(topic, hash)| holds(*hash) && !came.contains(&topic))
        })
    }
}

/// What is known of a block's receipts.
enum Receipts {
    NotAsked,
    /// The node has no such method.
    NotServed,
    /// Everybody's.
    Logs(ReceiptLogs),
}

type Logs = BTreeMap<u64, Vec<VerifiedLog>>;

/// Each header names the one before it, where that is there.
pub(crate) fn require_chain(headers: &[Header]) -> Result<(), NodeError> {
    for pair in headers.windows(2) {
        if let [below, above] = pair
            && above.number() == below.number() + 1
            && above.parent_hash != below.hash
        {
            return Err(NodeError::Contradiction { number: above.number(), reason: UNCONNECTED });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;
    use clawpay_bindings::Deployment;
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;

    const BLOCK: B256 = B256::repeat_byte(7);
    const REGISTRY: Address = address!("0x5fbdb2315678afecb367f032d93f642f64180aa3");

    fn source() -> Source {
        let contracts = Contracts {
            usdc: Address::ZERO,
            agent_registry: REGISTRY,
            agent_stake: Address::with_last_byte(1),
            run_escrow: Address::with_last_byte(2),
            forwarder: Address::with_last_byte(3),
        };
        let deployment = Deployment { chain_id: 1, genesis_hash: B256::ZERO, deployment_block: 1, contracts };
        let config = Config::new("http://127.0.0.1:1/".parse().unwrap(), deployment);
        Source::new(Arc::new(Node::new(&config).unwrap()), contracts, FinalizedHeaders::Every)
    }

    fn header() -> Header {
        serde_json::from_value(json!({"number": "0x10", "hash": BLOCK, "parentHash": B256::ZERO, "timestamp": "0x1"})).unwrap()
    }

    fn log(index: u64, change: impl FnOnce(&mut Value)) -> Log {
        let mut log = json!({
            "address": REGISTRY, "topics": [], "data": "0x", "blockNumber": "0x10", "blockHash": BLOCK, "transactionHash": B256::ZERO,
            "transactionIndex": "0x0", "logIndex": format!("{index:#x}"), "removed": false,
        });
        change(&mut log);
        serde_json::from_value(log).unwrap()
    }

    fn refusal(logs: Vec<Log>) -> String {
        source().verify(&header(), logs).unwrap_err().to_string()
    }

    #[test]
    fn logs_are_put_in_order() {
        let logs = source().verify(&header(), vec![log(9, |_| ()), log(2, |_| ()), log(5, |_| ())]).unwrap();
        assert_eq!(logs.iter().map(|log| log.log_index).collect::<Vec<_>>(), [2, 5, 9]);
    }

    #[test]
    fn a_log_that_came_twice_is_refused_wherever_it_stands() {
        assert!(refusal(vec![log(2, |_| ()), log(2, |_| ())]).ends_with("a log came twice"));
        assert!(refusal(vec![log(2, |_| ()), log(5, |_| ()), log(2, |_| ())]).ends_with("a log came twice"));
    }

    #[test]
    fn a_log_that_is_of_something_else_is_refused() {
        for (change, reason) in [
            (json!({"removed": true}), "a log was removed"),
            (json!({"blockNumber": "0x11"}), "a log is of another height"),
            (json!({"blockHash": B256::ZERO}), "a log is of another block at this height"),
            (json!({"address": Address::with_last_byte(9)}), "a log is of a contract that was not asked for"),
            (json!({"topics": [BLOCK, BLOCK, BLOCK, BLOCK, BLOCK]}), "a log has more than four topics"),
            (json!({"logIndex": null}), "a log has no place in its block"),
        ] {
            let changed = log(2, |log| log.as_object_mut().unwrap().extend(change.as_object().unwrap().clone()));
            let refusal = refusal(vec![changed]);
            assert!(refusal.ends_with(reason), "{refusal}");
        }
    }
}

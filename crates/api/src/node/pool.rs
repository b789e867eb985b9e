//! All nodes, in the operator's order of preference: which of them is asked, and what is held against each.

use std::{
    fmt, slice,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy::{primitives::U64, rpc::json_rpc::ErrorPayload};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SetOnce};
use url::Url;

use super::{
    endpoint::{Answer, Endpoint, Question},
    error::{NodeError, NodeTrouble},
    revert,
    standing::Rank,
};

/// How many look through past blocks at once: each asks some dozens of questions.
const SEARCHES: usize = 2;

/// Most nodes that a signed transaction is handed to at once.
const BROADCAST: usize = 3;

/// Longest that a look in the background waits for a node.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// JSON-RPC error code of a method that the node does not have.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// All nodes.
#[derive(Debug)]
pub(super) struct Pool {
    endpoints: Arc<[Arc<Endpoint>]>,
    /// Longest that a node may take where there is another to ask.
    limit: Duration,
    /// How long a node is left alone the first time, and the time between two looks at all of them.
    pause: Duration,
    /// The market's chain, once it is known.
    chain_id: SetOnce<u64>,
    /// How far the furthest node was when all were last looked at; 0 before.
    height: AtomicU64,
    /// Turns to look through past blocks.
    pub(super) searches: Semaphore,
}

impl Pool {
    /// The nodes at `urls`, each reached when first used. `timeout` is the longest that an answer may take, whichever node gives it.
    pub(super) fn new(urls: impl IntoIterator<Item = Url>, timeout: Duration, pause: Duration) -> Self {
        let endpoints: Arc<[_]> = urls.into_iter().map(|url| Arc::new(Endpoint::new(url))).collect();
        let count = u32::try_from(endpoints.len()).unwrap_or(u32::MAX).max(1);
        Self {
            endpoints,
            limit: timeout / count,
            pause,
            chain_id: SetOnce::new(),
            height: AtomicU64::new(0),
            searches: Semaphore::new(SEARCHES),
        }
    }

    /// All nodes by number, in the order in which they are asked.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.endpoints.len()).collect();
        // Stable: those that are as good as each other stay in the operator's order.
        order.sort_by_key(|index| self.rank(*index));
        order
    }

    fn rank(&self, index: usize) -> Rank {
        self.endpoints[index].standing().rank()
    }

    /// What is held against each node, in the operator's order.
    pub(super) fn troubles(&self) -> Vec<Option<NodeTrouble>> {
        self.endpoints.iter().map(|endpoint| endpoint.standing().trouble()).collect()
    }

    /// How far the furthest node was when all were last looked at; 0 before.
    pub(super) fn height_seen(&self) -> u64 {
        self.height.load(Ordering::Relaxed)
    }

    /// Asks node `index` all of it at once.
    pub(super) async fn carry(&self, index: usize, questions: &[Question]) -> Result<Vec<Answer>, NodeError> {
        let answers = self.endpoints[index].carry(questions, self.limit).await?;
        self.endpoints[index].standing().heard();
        Ok(answers)
    }

    /// What the first node says that gives an answer, or else what the first of all said.
    pub(super) async fn ask(&self, question: Question) -> Result<Answer, NodeError> {
        let mut first = None;
        for index in self.order() {
            match self.carry(index, slice::from_ref(&question)).await.map(|mut answers| answers.pop()) {
                Ok(Some(Err(refusal))) if !is_an_answer(&refusal) => {
                    first.get_or_insert(Ok(Err(refusal)));
                }
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => {
                    self.blame(index, &error);
                    first.get_or_insert(Err(error));
                }
            }
        }
        first.unwrap_or(Err(NodeError::Nonsense(question.method)))
    }

    /// Finds a node on the market's chain. Fails as the first of them does, if none is.
    pub(super) async fn require_chain(&self, expected: u64) -> Result<(), NodeError> {
        self.expect(expected);
        let mut first = None;
        for index in self.order() {
            match self.chain_of(index).await {
                Ok(actual) if actual == expected => {
                    self.endpoints[index].standing().prove();
                    return Ok(());
                }
                Ok(actual) => {
                    let error = NodeError::WrongChain { expected, actual };
                    self.blame(index, &error);
                    first.get_or_insert(error);
                }
                Err(error) => {
                    self.blame(index, &error);
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or(NodeError::Nonsense("eth_chainId")))
    }

    async fn chain_of(&self, index: usize) -> Result<u64, NodeError> {
        let method = "eth_chainId";
        let answer = self.carry(index, &[Question::new(method, ())?]).await?.pop();
        Ok(read::<U64>(method, answer)?.to())
    }

    /// Which chain the market is on.
    pub(super) fn expect(&self, chain_id: u64) {
        let _known = self.chain_id.set(chain_id);
    }

    /// Waits until it is known which chain the market is on.
    pub(super) async fn until_chain_is_known(&self) {
        self.chain_id.wait().await;
    }

    /// Holds something against a node that is to be asked after the others for a while.
    pub(super) fn blame(&self, index: usize, error: &NodeError) {
        // A single refusal may be about what was asked.
        if !matches!(error, NodeError::Refused { .. }) {
            self.hold_against(index, error.kind(), error);
        }
    }

    /// Holds `trouble` against a node, `why` is for the log. Where there is no other, no pause would help.
    pub(super) fn hold_against(&self, index: usize, trouble: NodeTrouble, why: impl fmt::Display) {
        self.note(index, trouble, if self.endpoints.len() > 1 { self.pause } else { Duration::ZERO }, why);
    }

    fn note(&self, index: usize, trouble: NodeTrouble, pause: Duration, why: impl fmt::Display) {
        let mut standing = self.endpoints[index].standing();
        if standing.trouble() != Some(trouble) {
            tracing::warn!(node = index + 1, of = self.endpoints.len(), trouble = trouble.word(), %why, "a node is no use");
        }
        standing.blame(trouble, Instant::now(), pause);
    }

    /// Hands a question to several nodes at once, and answers as soon as one of them does as it is asked; the others go on by themselves. If
    /// none does, what the first that answered said.
    pub(super) async fn ask_several(&self, question: &Question) -> Result<Answer, NodeError> {
        let order = self.order();
        let is_fit = |index: &&usize| self.rank(**index) != Rank::Faulty;
        let fit: Vec<usize> = order.iter().filter(is_fit).take(BROADCAST).copied().collect();
        let rest: Vec<usize> = order.into_iter().filter(|index| !fit.contains(index)).take(BROADCAST).collect();
        let (mut refusal, mut failure) = (None, None);
        for round in [fit, rest] {
            let mut asking: FuturesUnordered<_> = round.into_iter().map(|index| self.ask_aside(index, question)).collect();
            while let Some((index, answer)) = asking.next().await {
                match answer {
                    Ok(Ok(answer)) => return Ok(Ok(answer)),
                    Ok(Err(error)) => {
                        refusal.get_or_insert(error);
                    }
                    Err(error) => {
                        self.blame(index, &error);
                        failure.get_or_insert(error);
                    }
                }
            }
            if let Some(refusal) = refusal.take() {
                return Ok(Err(refusal));
            }
        }
        Err(failure.unwrap_or(NodeError::Nonsense(question.method)))
    }

    /// Asks a node in a task of its own, which ends by itself when nothing waits for it any more.
    async fn ask_aside(&self, index: usize, question: &Question) -> (usize, Result<Answer, NodeError>) {
        let (endpoint, question, limit) = (Arc::clone(&self.endpoints[index]), question.clone(), self.limit);
        let method = question.method;
        let asked = tokio::spawn(async move { endpoint.carry(slice::from_ref(&question), limit).await });
        let answers = asked.await.unwrap_or(Err(NodeError::Nonsense(method)));
        (index, answers.and_then(|mut answers| answers.pop().ok_or(NodeError::Nonsense(method))))
    }

    /// Looks at all nodes: which are there, on the market's chain, and as far as the others.
    pub(super) async fn look(&self) {
        let heights = join_all((0..self.endpoints.len()).map(|index| self.height(index))).await;
        for (index, height) in heights.iter().enumerate() {
            if let Err(error) = height {
                self.note(index, error.kind(), Duration::ZERO, error);
            }
        }
        let Some(best) = heights.iter().filter_map(|height| height.as_ref().ok()).max().copied() else { return };
        self.height.store(best, Ordering::Relaxed);
        for (endpoint, height) in self.endpoints.iter().zip(heights) {
            if let Ok(height) = height {
                endpoint.standing().measure(height, best, Instant::now());
            }
        }
    }

    /// How far a node is, if it is on the market's chain.
    async fn height(&self, index: usize) -> Result<u64, NodeError> {
        let questions = [Question::new("eth_chainId", ())?, Question::new("eth_blockNumber", ())?];
        let mut answers = self.endpoints[index].carry(&questions, self.limit.min(LOOK_LIMIT)).await?;
        let (height, chain) = (answers.pop(), answers.pop());
        let actual = read::<U64>("eth_chainId", chain)?.to();
        match self.chain_id.get() {
            Some(expected) if *expected != actual => Err(NodeError::WrongChain { expected: *expected, actual }),
            _ => Ok(read::<U64>("eth_blockNumber", height)?.to()),
        }
    }

    /// The time between two looks at all nodes.
    pub(super) const fn pause(&self) -> Duration {
        self.pause
    }
}

/// Whether any other node would refuse this too: the contract does, or the node lacks the method, which its callers know how to do without.
fn is_an_answer(refusal: &ErrorPayload) -> bool {
    refusal.code == METHOD_NOT_FOUND || revert::of_error(refusal).is_some()
}

fn read<T: DeserializeOwned>(method: &'static str, answer: Option<Answer>) -> Result<T, NodeError> {
    match answer {
        Some(Ok(answer)) => serde_json::from_str(answer.get()).map_err(|_| NodeError::Nonsense(method)),
        Some(Err(error)) => Err(NodeError::Refused { method, code: error.code, message: revert::beginning(&error.message) }),
        None => Err(NodeError::Nonsense(method)),
    }
}

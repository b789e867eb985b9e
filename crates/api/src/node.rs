//! The chain's nodes: asked to simulate, price and pass on transactions, and for nothing that the index knows.
//!
//! Which node is asked is settled here: the most preferred of those that are well. Where an answer is made of several, one node gives all of
//! them, and another is asked for all of them where that one fails. Every call has a time limit, and none says in an error where the node is:
//! its address may hold a key.

mod account;
mod blocks;
mod call;
mod chain;
mod charge;
mod endpoint;
mod error;
mod facts;
mod nonce;
mod pool;
mod revert;
mod standing;
mod transaction;
mod waves;

use std::{fmt, sync::Arc, time::Duration};

use alloy::rpc::json_rpc::{RpcRecv, RpcSend};
use futures::future::BoxFuture;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use url::Url;

use endpoint::Question;
use error::Failure;
use pool::Pool;
use waves::Wave;

pub(crate) use account::{Signing, signs_by_key};
pub(crate) use blocks::{BlockNews, BlockWatch};
pub(crate) use call::{CallError, CallRequest};
pub(crate) use chain::{Fees, Head};
pub(crate) use charge::ChargedTransaction;
pub(crate) use error::{MayBlameNode, NodeError, NodeTrouble};
pub(crate) use facts::{Holdings, NodeFacts, Purse};
pub(crate) use transaction::{Receipt, ReceiptLog, SentTransaction};

/// The nodes, or one of them for the time of one answer. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pool: Arc<Pool>,
    /// Nothing where each question may go to another node.
    look: Option<Arc<Look>>,
}

/// One node, asked for all that one answer is made of.
#[derive(Debug)]
struct Look {
    wave: Wave,
}

impl Node {
    /// The nodes at `urls` in order of preference, each reached when first used. An answer may take `timeout`, whichever of them gives it.
    /// `pause` is the time between two looks at all of them.
    pub(crate) fn new(urls: impl IntoIterator<Item = Url>, timeout: Duration, pause: Duration) -> Self {
        Self { pool: Arc::new(Pool::new(urls, timeout, pause)), look: None }
    }

    /// Asks one node for all that `task` asks, and another one all of it anew where the trouble is the node's. What `task` asks at the same
    /// time is one round trip to a node that takes batches; what it waits for beside that waits for the round trip as well.
    pub(crate) async fn at_one<'t, T, E>(&self, task: impl Fn(Self) -> BoxFuture<'t, Result<T, E>>) -> Result<T, E>
    where
        E: From<NodeError> + MayBlameNode + fmt::Debug,
    {
        if self.look.is_some() {
            return task(self.clone()).await;
        }
        let pool = &self.pool;
        let mut first = None;
        for index in pool.order() {
            let look = Arc::new(Look { wave: Wave::default() });
            let one = Self { pool: Arc::clone(pool), look: Some(Arc::clone(&look)) };
            let carry = |questions: Vec<Question>| {
                let pool = Arc::clone(pool);
                async move { pool.carry(index, &questions).await }
            };
            // Kept off the stack of those who ask, which ask for many things in a row.
            match Box::pin(waves::run(&look.wave, task(one), carry)).await {
                Err(error) => {
                    let Some(trouble) = error.trouble() else { return Err(error) };
                    // A single refusal may be about what was asked.
                    if trouble == NodeTrouble::Refused {
                        tracing::debug!(node = index + 1, ?error, "a node refuses what another may answer");
                    } else {
                        pool.hold_against(index, trouble, format_args!("{error:?}"));
                    }
                    first.get_or_insert(error);
                }
                answer => return answer,
            }
        }
        Err(first.unwrap_or_else(|| NodeError::Away("there is none".into()).into()))
    }

    /// Proves that the node is on the market's chain, or that one of them is, which is asked from then on.
    pub(crate) async fn require_chain(&self, expected: u64) -> Result<(), NodeError> {
        if self.look.is_none() {
            return self.pool.require_chain(expected).await;
        }
        let actual = self.chain_id().await?;
        if actual == expected { Ok(()) } else { Err(NodeError::WrongChain { expected, actual }) }
    }

    /// Looks at all nodes now and then, so that each is known for what it is before it is needed, until `shutdown`.
    pub(crate) async fn watch(&self, shutdown: CancellationToken) {
        let looking = async {
            self.pool.until_chain_is_known().await;
            loop {
                self.pool.look().await;
                tokio::time::sleep(self.pool.pause()).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = looking => {}
        }
    }

    /// Which chain the market is on: nodes of another are no use.
    pub(crate) fn expect_chain(&self, chain_id: u64) {
        self.pool.expect(chain_id);
    }

    /// What is held against each node, in the operator's order.
    pub(crate) fn troubles(&self) -> Vec<Option<NodeTrouble>> {
        self.pool.troubles()
    }

    /// How far the furthest node was when all were last looked at; 0 before.
    pub(crate) fn height_seen(&self) -> u64 {
        self.pool.height_seen()
    }

    /// A turn to look through past blocks.
    async fn search(&self) -> Option<SemaphorePermit<'_>> {
        self.pool.searches.acquire().await.ok()
    }

    async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, NodeError> {
        self.try_ask(method, params).await.map_err(|failure| match failure {
            Failure::Response(error) => NodeError::Refused { method, code: error.code, message: revert::beginning(&error.message) },
            Failure::Node(error) => error,
        })
    }

    async fn try_ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, Failure> {
        let question = Question::new(method, params).map_err(Failure::Node)?;
        let answer = match &self.look {
            Some(look) => look.wave.ask(question).await,
            None => Box::pin(self.pool.ask(question)).await,
        };
        match answer.map_err(Failure::Node)? {
            Ok(answer) => serde_json::from_str(answer.get()).map_err(|_| Failure::Node(NodeError::Nonsense(method))),
            Err(error) => Err(Failure::Response(error)),
        }
    }
}

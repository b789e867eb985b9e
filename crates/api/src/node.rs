//! The chain's node: asked to simulate, price and pass on transactions, and for nothing that the index knows.
//!
//! Every call has a time limit, and none says in an error where the node is: its address may hold a key.

mod account;
mod call;
mod chain;
mod charge;
mod facts;
mod nonce;
mod revert;
mod transaction;

use std::{borrow::Cow, time::Duration};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{ErrorPayload, RpcRecv, RpcSend},
    },
    transports::{RpcError, TransportError, TransportErrorKind},
};
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use url::Url;

pub(crate) use account::Signing;
pub(crate) use call::{CallError, CallRequest};
pub(crate) use chain::{Fees, Head};
pub(crate) use charge::ChargedTransaction;
pub(crate) use facts::{Holdings, NodeFacts, Purse};
pub(crate) use transaction::{Receipt, ReceiptLog, SentTransaction};

/// Why the node gave no answer that can be used.
#[derive(Debug, Error)]
pub(crate) enum NodeError {
    /// It cannot be reached.
    #[error("{0}")]
    Away(Cow<'static, str>),
    /// It took too long.
    #[error("{0} took too long")]
    TimedOut(Cow<'static, str>),
    /// It answered with an error.
    #[error("{method} was refused with code {code}: {message}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The JSON-RPC error code.
        code: i64,
        /// The beginning of what it said, for the log alone: it may hold the node's address.
        message: String,
    },
    /// It answered something else than was asked.
    #[error("the answer to {0} makes no sense")]
    Nonsense(&'static str),
    /// It follows another chain than the market's.
    #[error("it is on chain {actual}, the market on chain {expected}")]
    WrongChain {
        /// The market's chain.
        expected: u64,
        /// The node's.
        actual: u64,
    },
}

/// How many look through past blocks at once: each asks some dozens of questions.
const SEARCHES: usize = 2;

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    url: Url,
    timeout: Duration,
    /// Nothing until first used, and again after a WebSocket has been given up.
    client: Mutex<Option<RpcClient>>,
    /// Turns to look through past blocks.
    searches: Semaphore,
}

/// What came of one JSON-RPC call.
enum Failure {
    /// The node's own error object.
    Response(ErrorPayload),
    /// Everything else.
    Node(NodeError),
}

impl NodeError {
    /// What kind of trouble it is: one of a few words, and none of the node's.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Away(_) => "unreachable",
            Self::TimedOut(_) => "timed_out",
            Self::Refused { .. } => "refused",
            Self::Nonsense(_) => "unusable_answer",
            Self::WrongChain { .. } => "wrong_chain",
        }
    }

    /// Whether asking again in a moment may help.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Away(_) | Self::TimedOut(_))
    }
}

impl Node {
    /// The node at `url`, reached when first used.
    pub(crate) fn new(url: Url, timeout: Duration) -> Self {
        Self { url, timeout, client: Mutex::new(None), searches: Semaphore::new(SEARCHES) }
    }

    async fn ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, NodeError> {
        self.try_ask(method, params).await.map_err(|failure| match failure {
            Failure::Response(error) => NodeError::Refused { method, code: error.code, message: revert::beginning(&error.message) },
            Failure::Node(error) => error,
        })
    }

    async fn try_ask<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, Failure> {
        // Kept off the stack of those who ask, which ask for many things in a row.
        let client = Box::pin(self.client()).await.map_err(Failure::Node)?;
        let answer = Box::pin(tokio::time::timeout(self.timeout, client.request(method, params))).await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => return Err(Failure::Node(NodeError::TimedOut(method.into()))),
        };
        if matches!(error, RpcError::Transport(TransportErrorKind::BackendGone)) {
            self.client.lock().await.take();
        }
        Err(match error {
            RpcError::ErrorResp(error) => Failure::Response(error),
            RpcError::NullResp | RpcError::DeserError { .. } => Failure::Node(NodeError::Nonsense(method)),
            error => Failure::Node(away(&error)),
        })
    }

    async fn client(&self) -> Result<RpcClient, NodeError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        let connecting = RpcClient::builder().connect(self.url.as_str());
        let connected = tokio::time::timeout(self.timeout, connecting)
            .await
            .map_err(|_| NodeError::TimedOut("connecting".into()))?
            .map_err(|error| away(&error))?;
        Ok(client.insert(connected).clone())
    }
}

/// What happened to the connection, without the address that the transport's own words repeat.
fn away(error: &TransportError) -> NodeError {
    NodeError::Away(match error {
        RpcError::Transport(TransportErrorKind::HttpError(error)) => format!("it answered HTTP {}", error.status).into(),
        RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error, .. }) => {
            format!("it answered HTTP {}", error.status).into()
        }
        RpcError::Transport(TransportErrorKind::BackendGone) => "its connection was lost".into(),
        _ => "it cannot be reached".into(),
    })
}

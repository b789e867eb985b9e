//! One node's JSON-RPC, by single calls and by batches. No error says where the node is: its address may hold a key.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use alloy::{
    rpc::{
        client::RpcClient,
        json_rpc::{ErrorPayload, RpcSend},
    },
    transports::{RpcError, TransportError, TransportErrorKind},
};
use futures::future::{join_all, try_join_all};
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use super::{error::NodeError, standing::Standing};

/// How long a node that has refused a batch is asked by single calls.
const SINGLES: Duration = Duration::from_secs(600);

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) method: &'static str,
    params: Box<RawValue>,
}

/// What a node answers to one call: a result, or an error object of its own.
pub(super) type Answer = Result<Box<RawValue>, ErrorPayload>;

/// One node, and its record.
pub(super) struct Endpoint {
    url: Url,
    /// Nothing until first used, and again after the connection has been given up.
    client: AsyncMutex<Option<RpcClient>>,
    standing: Mutex<Standing>,
    singles_until: Mutex<Option<Instant>>,
}

/// What became of a batch.
enum Batch {
    Answered(Vec<Answer>),
    /// The node takes none, or not this one.
    Refused,
}

impl Question {
    /// Fails for parameters that are no JSON, which none are.
    pub(super) fn new(method: &'static str, params: impl RpcSend) -> Result<Self, NodeError> {
        let params = to_raw_value(&params).map_err(|_| NodeError::Nonsense(method))?;
        // Nothing is written as null, and some nodes want a list all the same.
        let params = if params.get() == "null" { to_raw_value(&[(); 0]).map_err(|_| NodeError::Nonsense(method))? } else { params };
        Ok(Self { method, params })
    }
}

/// Without its address.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("standing", &*self.standing()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// The node at `url`, reached when first used.
    pub(super) fn new(url: Url) -> Self {
        Self { url, client: AsyncMutex::default(), standing: Mutex::default(), singles_until: Mutex::default() }
    }

    pub(super) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all of it at once: in one round trip where the node takes batches. The answers are in the order of the questions. Fails where the
    /// node does not answer within `limit`.
    pub(super) async fn carry(&self, questions: &[Question], limit: Duration) -> Result<Vec<Answer>, NodeError> {
        let client = self.client(limit).await?;
        if questions.len() < 2 || self.wants_singles() {
            return self.each(&client, questions, limit).await;
        }
        match self.batch(&client, questions, limit).await? {
            Batch::Answered(answers) => Ok(answers),
            Batch::Refused => {
                let answers = self.each(&client, questions, limit).await?;
                tracing::info!("a node takes no batches, and is asked by single calls");
                *self.singles_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + SINGLES);
                Ok(answers)
            }
        }
    }

    fn wants_singles(&self) -> bool {
        let until = *self.singles_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    async fn each(&self, client: &RpcClient, questions: &[Question], limit: Duration) -> Result<Vec<Answer>, NodeError> {
        try_join_all(questions.iter().map(|question| self.single(client, question, limit))).await
    }

    async fn single(&self, client: &RpcClient, question: &Question, limit: Duration) -> Result<Answer, NodeError> {
        let Question { method, params } = question;
        let asking = client.request::<_, Box<RawValue>>(*method, params.clone());
        match tokio::time::timeout(limit, Box::pin(asking)).await {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(RpcError::ErrorResp(error))) => Ok(Err(error)),
            Ok(Err(RpcError::NullResp)) => Ok(Ok(RawValue::NULL.to_owned())),
            Ok(Err(RpcError::DeserError { .. })) => Err(NodeError::Nonsense(method)),
            Ok(Err(error)) => Err(self.away(&error).await),
            Err(_) => Err(NodeError::TimedOut((*method).into())),
        }
    }

    async fn batch(&self, client: &RpcClient, questions: &[Question], limit: Duration) -> Result<Batch, NodeError> {
        let mut batch = client.new_batch();
        let mut waiters = Vec::with_capacity(questions.len());
        for Question { method, params } in questions {
            let waiter = batch.add_call::<_, Box<RawValue>>(*method, params).map_err(|_| NodeError::Nonsense(method))?;
            waiters.push(waiter);
        }
        let sending = async {
            Box::pin(batch.send()).await?;
            Ok::<_, TransportError>(join_all(waiters).await)
        };
        let answers = match tokio::time::timeout(limit, sending).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) if is_about_batches(&error) => return Ok(Batch::Refused),
            Ok(Err(error)) => return Err(self.away(&error).await),
            Err(_) => return Err(NodeError::TimedOut("a batch".into())),
        };
        let mut told = Vec::with_capacity(answers.len());
        for answer in answers {
            told.push(match answer {
                Ok(answer) => Ok(answer),
                Err(RpcError::ErrorResp(error)) => Err(error),
                Err(RpcError::NullResp) => Ok(RawValue::NULL.to_owned()),
                // One error for all of it, or a part of it is not answered.
                Err(_) => return Ok(Batch::Refused),
            });
        }
        Ok(Batch::Answered(told))
    }

    /// The connection there is, or a new one.
    async fn client(&self, limit: Duration) -> Result<RpcClient, NodeError> {
        let mut client = self.client.lock().await;
        if let Some(client) = client.as_ref() {
            return Ok(client.clone());
        }
        let connecting = RpcClient::builder().connect(self.url.as_str());
        // Kept off the stack of those who ask, which ask for many things in a row.
        let connected = match tokio::time::timeout(limit, Box::pin(connecting)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(NodeError::Away(happening(&error))),
            Err(_) => return Err(NodeError::TimedOut("connecting".into())),
        };
        Ok(client.insert(connected).clone())
    }

    /// What happened to the connection; one that was lost is made anew by the next question.
    async fn away(&self, error: &TransportError) -> NodeError {
        if matches!(error, RpcError::Transport(TransportErrorKind::BackendGone)) {
            self.client.lock().await.take();
        }
        NodeError::Away(happening(error))
    }
}

/// Whether a node that answers so may still answer single calls.
fn is_about_batches(error: &TransportError) -> bool {
    // Too many requests, and gateways without anything behind them.
    const OTHERWISE: [u16; 4] = [429, 502, 503, 504];
    match error {
        RpcError::Transport(TransportErrorKind::HttpError(http)) => !OTHERWISE.contains(&http.status),
        RpcError::ErrorResp(_) | RpcError::DeserError { .. } | RpcError::NullResp => true,
        RpcError::Transport(TransportErrorKind::MissingBatchResponse(_)) => true,
        _ => false,
    }
}

/// What happened to the connection, without the address that the transport's own words repeat.
fn happening(error: &TransportError) -> std::borrow::Cow<'static, str> {
    match error {
        RpcError::Transport(TransportErrorKind::HttpError(error)) => format!("it answered HTTP {}", error.status).into(),
        RpcError::Transport(TransportErrorKind::HttpErrorWithRetryAfter { error, .. }) => {
            format!("it answered HTTP {}", error.status).into()
        }
        RpcError::Transport(TransportErrorKind::BackendGone) => "its connection was lost".into(),
        _ => "it cannot be reached".into(),
    }
}

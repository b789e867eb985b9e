//! A signed action, into its outcome.
//!
//! What was signed must be this very action. It is then sent, if the wallet has not done so, and waited for: first until it is mined, then
//! until the index holds the block it was mined in. Never does "not mined yet" become "failed": that would make people pay twice.

use std::time::Duration;

use alloy::{primitives::B256, sol_types::SolEvent};
use axum::http::StatusCode;
use clawpay_bindings::{AgentRegistry, Call, Revert, RunEscrow};
use clawpay_domain::{AgentId, RunId};
use clawpay_store::{Chain, Snapshot};
use tokio::{sync::watch, time::Instant};

use crate::{
    App,
    actions::{Facts, Intent, Verb},
    error::ApiError,
    http::dto::{
        market::contracts,
        prepared::{OutcomeDto, Subjects},
        stamped::Stamped,
    },
    node::{NodeError, Receipt},
    transactions::explain::why,
    transactions::signed::{self, Expected, Signed, SignedStep},
};

/// Pause between two questions to the node or the database; the index's own announcements cut it short.
const POLL: Duration = Duration::from_millis(200);

/// Verifies, sends if need be, and waits.
pub(crate) async fn confirm(app: &App, intent: &Intent, signed: Signed) -> Result<Stamped<OutcomeDto>, ApiError> {
    let deadline = Instant::now() + app.config().confirmation_wait;
    let mut snapshot = app.snapshot().await?;
    // A run or agent that the action names must be known, whatever has been signed.
    let facts = Facts::load(&mut snapshot, &intent.call).await?;
    let chain = snapshot.chain;
    drop(snapshot);

    let market = contracts(&chain);
    let expected = Expected { intent, facts: &facts, chain_id: chain.chain_id, market: &market };
    let hash = match signed {
        Signed::Transactions(raw) => {
            let steps = signed::read(&raw, &expected)?;
            app.node().require_chain(chain.chain_id).await?;
            send(app, &steps).await?
        }
        Signed::Sent(hash) => {
            app.node().require_chain(chain.chain_id).await?;
            if !wait_until_known(app, &expected, hash, deadline).await? {
                return pending(app, intent, hash, None).await;
            }
            hash
        }
    };
    wait_for_outcome(app, &expected, hash, &chain, deadline).await
}

/// Sends the steps in order. One that the node knows already, from an earlier attempt, is as good as sent.
async fn send(app: &App, steps: &[SignedStep]) -> Result<B256, ApiError> {
    let mut last = B256::ZERO;
    for step in steps {
        if let Err(detail) = app.node().send(&step.raw).await? {
            let (transaction, receipt) = tokio::try_join!(app.node().transaction(step.hash), app.node().receipt(step.hash))?;
            if transaction.is_none() && receipt.is_none() {
                return Err(ApiError::TransactionRefused { detail });
            }
        }
        last = step.hash;
    }
    Ok(last)
}

/// Waits until the node has heard of a transaction that a wallet sent by itself, and verifies it. False if the wait ends before.
async fn wait_until_known(app: &App, expected: &Expected<'_>, hash: B256, deadline: Instant) -> Result<bool, ApiError> {
    let mut moved = app.index_moved().subscribe();
    loop {
        if let Some(transaction) = app.node().transaction(hash).await? {
            signed::require_same_action(&transaction, expected)?;
            return Ok(true);
        }
        if successor(app, expected, hash).await?.is_some() {
            return Ok(true);
        }
        if !pause(app, &mut moved, deadline).await {
            return Ok(false);
        }
    }
}

/// The transaction that does the same in the place of this one, and has been mined: a relayer that has waited too long offers more for its gas.
async fn successor(app: &App, expected: &Expected<'_>, hash: B256) -> Result<Option<(B256, Receipt)>, ApiError> {
    let Some(sent) = app.submitted_transactions().find(hash).await? else { return Ok(None) };
    for rival in app.submitted_transactions().rivals(&sent).await? {
        let (transaction, receipt) = tokio::try_join!(app.node().transaction(rival), app.node().receipt(rival))?;
        let Some((transaction, receipt)) = transaction.zip(receipt) else { continue };
        if signed::require_same_action(&transaction, expected).is_ok() {
            return Ok(Some((rival, receipt)));
        }
    }
    Ok(None)
}

/// Waits until the transaction is mined and the index holds its block.
async fn wait_for_outcome(
    app: &App,
    expected: &Expected<'_>,
    hash: B256,
    chain: &Chain,
    deadline: Instant,
) -> Result<Stamped<OutcomeDto>, ApiError> {
    let intent = expected.intent;
    let mut hash = hash;
    let mut mined = None;
    // From before the first look, so that no move of the index goes by between a look and a wait.
    let mut moved = app.index_moved().subscribe();
    loop {
        // A node that is away for a moment does not end the wait, and a reorg may mine the transaction elsewhere.
        match app.node().receipt(hash).await {
            Ok(receipt) => mined = receipt,
            Err(NodeError::Away(_) | NodeError::TimedOut(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if mined.is_none() {
            match successor(app, expected, hash).await {
                Ok(Some((rival, receipt))) => (hash, mined) = (rival, Some(receipt)),
                Ok(None) | Err(ApiError::Node(NodeError::Away(_) | NodeError::TimedOut(_))) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(receipt) = &mined {
            if !receipt.succeeded() {
                let reason = match app.node().transaction(hash).await? {
                    Some(transaction) => why(app.node(), transaction, receipt.block_number(), &contracts(chain)).await?,
                    None => Revert::Unknown(alloy::primitives::Bytes::new()),
                };
                return Err(ApiError::Reverted(reason));
            }
            let mut snapshot = app.snapshot().await?;
            let is_indexed = snapshot.indexed.number >= receipt.block_number()
                && snapshot.block_hash(receipt.block_number()).await? == Some(receipt.block_hash);
            if is_indexed {
                return done(app, intent, hash, receipt, &mut snapshot).await;
            }
        }
        if !pause(app, &mut moved, deadline).await {
            return pending(app, intent, hash, mined.map(|receipt| receipt.block_number())).await;
        }
    }
}

/// Waits a moment, or until the index moves. False when there is no time left.
async fn pause(app: &App, moved: &mut watch::Receiver<()>, deadline: Instant) -> bool {
    if Instant::now() >= deadline {
        return false;
    }
    tokio::select! {
        () = app.shutdown().cancelled() => false,
        () = tokio::time::sleep(POLL) => true,
        _ = moved.changed() => true,
    }
}

async fn done(app: &App, intent: &Intent, hash: B256, receipt: &Receipt, snapshot: &mut Snapshot) -> Result<Stamped<OutcomeDto>, ApiError> {
    let market = contracts(&snapshot.chain);
    let facts = match &intent.call {
        Call::Create(_) | Call::CreateAndFund(_) => {
            let id = new_id(receipt.first_argument(market.run_escrow, RunEscrow::RunCreated::SIGNATURE_HASH))?;
            Facts::of_run(snapshot, RunId(id)).await?
        }
        Call::Register { .. } => {
            let id = new_id(receipt.first_argument(market.agent_registry, AgentRegistry::Registered::SIGNATURE_HASH))?;
            Facts::of_agent(snapshot, AgentId(id)).await?
        }
        call => Facts::load(snapshot, call).await?,
    };
    let subjects = Subjects::of(&facts, &snapshot.chain.parameters, &snapshot.indexed);
    let outcome = OutcomeDto::done(subjects, Verb::of(&intent.call).done, hash, receipt.block_number());
    Ok(Stamped::new(app, &snapshot.indexed, outcome))
}

fn new_id(argument: Option<alloy::primitives::U256>) -> Result<u64, ApiError> {
    argument.and_then(|id| u64::try_from(id).ok()).ok_or(ApiError::Internal("a successful receipt lacks the event of its call"))
}

async fn pending(app: &App, intent: &Intent, hash: B256, block: Option<u64>) -> Result<Stamped<OutcomeDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let facts = Facts::load(&mut snapshot, &intent.call).await?;
    let subjects = Subjects::of(&facts, &snapshot.chain.parameters, &snapshot.indexed);
    let outcome = OutcomeDto::pending(subjects, hash, block);
    Ok(Stamped::new(app, &snapshot.indexed, outcome).status(StatusCode::ACCEPTED))
}

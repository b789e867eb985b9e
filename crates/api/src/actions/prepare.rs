//! Something a wallet wants to do, into transactions it can sign.
//!
//! The index says who is who and what stands where, the rules of `clawpay_domain` say whether it is allowed at the time of the node's
//! pending block, and the node has the last word by trying it out. Nothing is prepared that would revert.

use alloy::primitives::{Address, Bytes};
use axum::http::StatusCode;
use clawpay_bindings::{Call, CallWithSignature, Contracts, Revert};
use clawpay_domain::{Seconds, Timestamp, Usdc};
use clawpay_store::{Chain, IndexedBlock};

use super::{Facts, Intent, Verb, gasless, plan};
use crate::{
    App,
    error::ApiError,
    http::dto::{
        market::contracts,
        prepared::{PreparedDto, Step, Unsigned},
        stamped::Stamped,
    },
    node::{CallError, CallRequest, Head},
    text::IsoDate,
};

/// How long prices and nonces are worth signing, chain time.
const GOOD_FOR: Seconds = Seconds(15 * 60);

/// Gas for a call that cannot be tried out before its allowance is there: several times what the dearest verb uses, and its calldata.
const UNTRIED_GAS: u64 = 400_000;
const UNTRIED_GAS_PER_BYTE: u64 = 40;

/// USDC that a call takes from its signer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// How much.
    pub amount: Usdc,
    /// The contract that takes it.
    pub spender: Address,
}

/// A step before it is priced.
struct Draft {
    id: &'static str,
    description: String,
    to: Address,
    data: Bytes,
}

/// Answers with the steps that `intent` takes.
pub(crate) async fn prepare(app: &App, intent: &Intent) -> Result<Stamped<PreparedDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let facts = Facts::load(&mut snapshot, &intent.call).await?;
    let (chain, indexed) = (snapshot.chain, snapshot.indexed);
    // Nobody waits for the node while holding a connection to the database.
    drop(snapshot);

    let market = contracts(&chain);
    let head = agreed_head(app, &chain, &indexed).await?;
    let plan = plan(intent, &facts, head.pending_at, &chain.parameters, &market).map_err(|refusal| refused(&intent.call, refusal))?;
    let allowance_missing = match plan.pays {
        Some(payment) => require_funds(app, intent, payment, &market).await?,
        None => false,
    };
    let missing = plan.pays.filter(|_| allowance_missing && intent.permit.is_none());
    let expires_at = (head.pending_at + GOOD_FOR).min(plan.until.unwrap_or(Timestamp(u64::MAX)));

    let mut drafts = Vec::with_capacity(2);
    if let Some(Payment { amount, spender }) = missing {
        let description = format!("Lets the market take exactly {amount} USDC for the next step.");
        let call = Call::ApproveUsdc { spender, amount };
        drafts.push(Draft { id: "allowance", description, to: call.contract(&market), data: call.calldata() });
    }
    let paid = intent.permit.clone().and_then(|permit| CallWithSignature::with_permit(&plan.call, permit));
    let data = paid.map_or_else(|| plan.call.calldata(), |call| call.calldata());
    let to = plan.call.contract(&market);
    drafts.push(Draft { id: Verb::of(&plan.call).id, description: plan.sentence.clone(), to, data: data.clone() });

    let (mut steps, gas) = price(app, intent, drafts, &chain, &head).await.map_err(|error| match error {
        // What the allowance does not pay for, the permit should have.
        ApiError::WouldRevert(revert) if intent.permit.is_some() && allowance_missing => {
            ApiError::PermitRefused { detail: revert.to_string() }
        }
        error => error,
    })?;
    if let Some(payment) = missing {
        let permit = gasless::permit(app, intent.wallet, payment, &chain, expires_at).await?;
        steps = steps.into_iter().enumerate().map(|(at, step)| if at == 0 { step.or_permit(permit.clone()) } else { step }).collect();
    }
    let (call, pays) = (&plan.call, plan.pays);
    let verb = gasless::Verb { intent, facts: &facts, call, pays, to, data: &data, gas, until: expires_at };
    let gasless = gasless::offer(app, &verb, &chain, &market).await?;

    let subjects = facts.subjects(&chain.parameters, &indexed);
    let mut prepared = PreparedDto::new(subjects, plan.sentence, steps, indexed.number, IsoDate(expires_at));
    if let Some(gasless::Gasless { typed_data, relay }) = gasless {
        prepared = prepared.gasless(typed_data, relay);
    }
    Ok(Stamped::new(app, &indexed, prepared).status(StatusCode::ACCEPTED))
}

/// The node's head, once it is clear that node and index speak of the same chain and the index is close enough to decide by.
async fn agreed_head(app: &App, chain: &Chain, indexed: &IndexedBlock) -> Result<Head, ApiError> {
    let node = app.node();
    let ((), head, hash) = tokio::try_join!(node.require_chain(chain.chain_id), node.head(), node.block_hash(indexed.number))?;
    let max_lag = app.config().max_lag_blocks;
    if app.is_stale(indexed) || head.number.saturating_sub(indexed.number) > max_lag {
        let head = head.number.max(indexed.head);
        return Err(ApiError::IndexBehind { indexed: indexed.number, head, staleness: indexed.staleness.as_secs() });
    }
    match hash {
        Some(hash) if hash == indexed.hash => Ok(head),
        // One of several nodes behind an address may be a little behind the one the indexer asked.
        None if indexed.number.saturating_sub(head.number) <= max_lag => Ok(head),
        Some(_) | None => Err(ApiError::IndexForked { block: indexed.number }),
    }
}

/// Whether the payer's allowance is missing; refuses a payer that does not have the amount.
async fn require_funds(app: &App, intent: &Intent, payment: Payment, market: &Contracts) -> Result<bool, ApiError> {
    let node = app.node();
    let (available, allowed) =
        tokio::try_join!(node.usdc_balance(market.usdc, intent.wallet), node.usdc_allowance(market.usdc, intent.wallet, payment.spender))?;
    if available < payment.amount {
        return Err(ApiError::InsufficientUsdc { asked: payment.amount, available });
    }
    Ok(allowed < payment.amount)
}

/// Tries the steps out in their order, and puts nonces, gas and prices to them. Answers also the gas limit of the last one.
async fn price(app: &App, intent: &Intent, drafts: Vec<Draft>, chain: &Chain, head: &Head) -> Result<(Vec<Step>, u64), ApiError> {
    let calls: Vec<_> = drafts.iter().map(|draft| CallRequest { from: intent.wallet, to: draft.to, data: draft.data.clone() }).collect();
    let priced = async { Ok::<_, ApiError>(tokio::try_join!(app.node().next_nonce(intent.wallet), app.node().fees(head.base_fee))?) };
    let tried = async { gas(app, &calls, head).await.map_err(|error| call_error(intent, error)) };
    let ((nonce, fees), gas) = tokio::try_join!(priced, tried)?;

    let last = gas.last().copied().unwrap_or_default();
    let steps = drafts.into_iter().zip(calls).zip(gas).zip(nonce..).map(|(((draft, call), gas), nonce)| {
        let CallRequest { from, to, data } = call;
        let unsigned = Unsigned { chain_id: chain.chain_id, from, to, data, gas, nonce, fees };
        Step::transaction(draft.id, draft.description, unsigned.into())
    });
    Ok((steps.collect(), last))
}

/// A gas limit for each call, with room for the state to change before it is mined.
async fn gas(app: &App, calls: &[CallRequest], head: &Head) -> Result<Vec<u64>, CallError> {
    let node = app.node();
    if let [only] = calls {
        let gas = node.estimate_gas(only).await?;
        return Ok(vec![gas.saturating_add(gas / 4)]);
    }
    match node.simulate(calls, head.pending_at).await {
        // A simulation states gas after refunds, which are up to a fifth of what the call needs to have.
        Ok(used) => Ok(used.into_iter().map(|gas| gas.saturating_add(gas / 2)).collect()),
        Err(CallError::Unsupported) => {
            let mut limits = Vec::with_capacity(calls.len());
            for (position, call) in calls.iter().enumerate() {
                limits.push(if position == 0 {
                    let gas = node.estimate_gas(call).await?;
                    gas.saturating_add(gas / 4)
                } else {
                    let bytes = u64::try_from(call.data.len()).unwrap_or(u64::MAX);
                    UNTRIED_GAS.saturating_add(bytes.saturating_mul(UNTRIED_GAS_PER_BYTE))
                });
            }
            Ok(limits)
        }
        Err(error) => Err(error),
    }
}

fn call_error(intent: &Intent, error: CallError) -> ApiError {
    match error {
        CallError::Reverted(Revert::Refusal(refusal)) => refused(&intent.call, refusal),
        CallError::Reverted(Revert::InsufficientUsdc { asked, available }) => ApiError::InsufficientUsdc { asked, available },
        CallError::Reverted(revert) => ApiError::WouldRevert(revert),
        CallError::Unsupported => ApiError::Internal("a call that every node has is not supported"),
        CallError::Node(error) => error.into(),
    }
}

fn refused(call: &Call, refusal: clawpay_domain::Refusal) -> ApiError {
    ApiError::Refused { call: Box::new(call.clone()), refusal }
}

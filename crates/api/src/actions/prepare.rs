//! Something a wallet wants to do, into transactions it can sign.
//!
//! The index says who is who and what stands where, the rules of `clawpay_domain` say whether it is allowed at the time of the node's
//! pending block, and the node has the last word by trying it out. Nothing is prepared that would revert.

use clawpay_bindings::{Call, CallWithSignature, Contracts};
use clawpay_domain::{Seconds, Timestamp};
use clawpay_store::{Chain, IndexedBlock, Reader};

use super::{
    Facts, Gasless, Intent, Payment, Step, TokenDomain, Verb, gasless,
    plan::plan,
    price::{Draft, price},
};
use crate::{
    config::RelayOptions,
    error::ApiError,
    market::{LagLimits, contracts, snapshot},
    node::{Head, Node},
};

/// How long what is prepared is worth signing, chain time; and so how long a signature for the relayer may be good.
pub(crate) const GOOD_FOR: Seconds = Seconds(15 * 60);

/// What preparing works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparer<'a> {
    /// Simulates and prices.
    pub node: &'a Node,
    /// The index.
    pub reader: &'a Reader,
    /// Of the token's permits and authorizations.
    pub token_domain: &'a TokenDomain,
    /// How far behind the index may be.
    pub lag: LagLimits,
    /// How this server relays, if it does.
    pub relay: Option<&'a RelayOptions>,
}

/// What a wallet has to sign before anything happens.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The market that it is for.
    pub chain: Chain,
    /// The block by which it was prepared.
    pub indexed: IndexedBlock,
    /// The run and the agent that it is about.
    pub facts: Facts,
    /// What signing does, in a sentence.
    pub message: String,
    /// What to sign, in order.
    pub steps: Vec<Step>,
    /// The signature that does for all of it.
    pub gasless: Option<Gasless>,
    /// Until when it is worth signing, chain time.
    pub expires_at: Timestamp,
}

impl Preparer<'_> {
    /// The steps that `intent` takes.
    ///
    /// Fails as the rules or the contracts would refuse it, where the signer cannot pay, and where index or node cannot be relied on.
    pub(crate) async fn prepare(&self, intent: &Intent) -> Result<Prepared, ApiError> {
        let mut snapshot = snapshot(self.reader).await?;
        let facts = Facts::load(&mut snapshot, &intent.call).await?;
        let (chain, indexed) = (snapshot.chain, snapshot.indexed);
        // Nobody waits for the node while holding a connection to the database.
        drop(snapshot);

        let market = contracts(&chain);
        let head = self.agreed_head(&chain, &indexed).await?;
        let plan = plan(intent, &facts, head.pending_at, &chain.parameters, &market)
            .map_err(|refusal| ApiError::refused(&intent.call, refusal))?;
        let allowance_missing = match plan.pays {
            Some(payment) => self.require_funds(intent, payment, &market).await?,
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

        let mut steps = price(self.node, intent, drafts, &chain, &head).await.map_err(|error| match error {
            // What the allowance does not pay for, the permit should have.
            ApiError::WouldRevert(revert) if intent.permit.is_some() && allowance_missing => {
                ApiError::PermitRefused { detail: revert.to_string() }
            }
            error => error,
        })?;
        if let (Some(payment), Some(allowance)) = (missing, steps.first_mut()) {
            allowance.permit = gasless::permit(self, intent.wallet, payment, &chain, expires_at).await?;
        }
        let gas = steps.last().map_or(0, |step| step.transaction.gas);
        let verb = gasless::Verb { intent, facts: &facts, call: &plan.call, pays: plan.pays, to, data: &data, gas, until: expires_at };
        let gasless = gasless::offer(self, &verb, &chain, &market).await?;
        Ok(Prepared { chain, indexed, facts, message: plan.sentence, steps, gasless, expires_at })
    }

    /// The node's head, once it is clear that node and index speak of the same chain and the index is close enough to decide by.
    async fn agreed_head(&self, chain: &Chain, indexed: &IndexedBlock) -> Result<Head, ApiError> {
        let node = self.node;
        let ((), head, hash) = tokio::try_join!(node.require_chain(chain.chain_id), node.head(), node.block_hash(indexed.number))?;
        let max_lag = self.lag.blocks;
        if self.lag.are_exceeded(indexed) || head.number.saturating_sub(indexed.number) > max_lag {
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
    async fn require_funds(&self, intent: &Intent, payment: Payment, market: &Contracts) -> Result<bool, ApiError> {
        let (node, Intent { wallet, .. }) = (self.node, intent);
        let (available, allowed) =
            tokio::try_join!(node.usdc_balance(market.usdc, *wallet), node.usdc_allowance(market.usdc, *wallet, payment.spender))?;
        if available < payment.amount {
            return Err(ApiError::InsufficientUsdc { asked: payment.amount, available });
        }
        Ok(allowed < payment.amount)
    }
}

//! Something a wallet wants to do, into transactions it can sign.
//!
//! The index says who is who and what stands where, the rules of `clawpay_domain` say whether it is allowed at the time of the node's
//! pending block, and the node has the last word by trying it out. Nothing is prepared that would revert.

use alloy::primitives::B256;
use clawpay_bindings::{Call, CallWithSignature, Contracts, with_recovery_id};
use clawpay_domain::{Refusal, Seconds, Timestamp};
use clawpay_store::{Chain, IndexedBlock, PinnedRequest};

use super::{
    Facts, Gasless, Intent, Payment, Preparer, Step, Verb, Warning, gasless, past,
    plan::plan,
    price::{Draft, price},
};
use crate::{
    error::ApiError,
    market::{contracts, snapshot},
    node::Head,
};

/// How long what is prepared is worth signing, chain time; and so how long a signature for the relayer may be good.
pub(crate) const GOOD_FOR: Seconds = Seconds(15 * 60);

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
    /// What the signer may not have meant.
    pub warnings: Vec<Warning>,
    /// What to sign, in order.
    pub steps: Vec<Step>,
    /// The signature that does for all of it.
    pub gasless: Option<Gasless>,
    /// Tells its authorization apart from others of the same terms.
    pub salt: B256,
    /// Chain time by which it was prepared.
    pub now: Timestamp,
    /// Until when it is worth signing, chain time.
    pub expires_at: Timestamp,
}

impl Prepared {
    /// The forwarder's nonce in it, if there is a request to the forwarder.
    pub(super) fn forwarder_nonce(&self) -> Option<u64> {
        match &self.gasless {
            Some(Gasless::Request(payload)) => payload.message.nonce.try_into().ok(),
            Some(Gasless::Authorization { .. }) | None => None,
        }
    }
}

/// What was prepared under the same key before, and how many of the signer's transactions are mined by now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pinned<'a> {
    pub request: &'a PinnedRequest,
    pub mined: u64,
}

impl Pinned<'_> {
    /// The nonce of the first step now, and whether that is an allowance. The action itself keeps its nonce, unless a permit takes the place of
    /// an allowance that is not mined.
    fn steps(&self, wants_allowance: bool, has_permit: bool) -> Result<(Option<u64>, bool), ApiError> {
        let Self { request, mined } = *self;
        let with_allowance = request.steps > 1 && mined <= request.nonce && !has_permit;
        if wants_allowance && !with_allowance {
            let (first, last) = (request.nonce, request.last_nonce());
            let detail = if request.steps > 1 {
                format!("the key stands for an allowance with the nonce {first} before the action, and that nonce is used by now")
            } else {
                "the key stands for one transaction, and an allowance is missing now: sign the permit that was meant again".to_owned()
            };
            return Err(ApiError::KeySpent { nonce: last, detail });
        }
        Ok((Some(request.nonce.max(mined)), with_allowance))
    }
}

impl Preparer<'_> {
    /// The steps that `intent` takes, with the nonces that were given to the same request before, if it was made under a key.
    ///
    /// Fails as the rules or the contracts would refuse it, where the signer cannot pay, and where index or node cannot be relied on.
    pub(crate) async fn prepare(&self, intent: &Intent, pinned: Option<Pinned<'_>>) -> Result<Prepared, ApiError> {
        let mut snapshot = snapshot(self.reader).await?;
        let facts = Facts::load(&mut snapshot, &intent.call).await?;
        let past = if intent.is_repeatable() { past::latest(&mut snapshot, intent).await? } else { None };
        // Under a key, what was done after it came is its own.
        let past = past.filter(|past| pinned.is_none_or(|pinned| past.block <= pinned.request.block));
        let (chain, indexed) = (snapshot.chain, snapshot.indexed);
        // No request waits for the node while it holds a connection to the database.
        drop(snapshot);

        let intent = &self.with_signatures_in_form(intent).await?;
        let market = contracts(&chain);
        let head = self.agreed_head(&chain, &indexed).await?;
        let plan = plan(intent, &facts, head.pending_at, &chain.parameters, &market).map_err(|refusal| refused(intent, &facts, refusal))?;
        let allowance_missing = match plan.pays {
            Some(payment) => self.require_funds(intent, payment, &market).await?,
            None => false,
        };
        let wants_allowance = allowance_missing && intent.permit.is_none();
        let (first_nonce, with_allowance) = match pinned {
            Some(pinned) => pinned.steps(wants_allowance, intent.permit.is_some())?,
            None => (intent.nonce, wants_allowance),
        };
        let missing = plan.pays.filter(|_| with_allowance);
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

        let is_signature_offered = missing.is_some() || self.relay.is_some();
        let signing = async { if is_signature_offered { Ok(Some(self.node.signing(intent.wallet).await?)) } else { Ok(None) } };
        let priced = tokio::try_join!(price(self.node, intent, first_nonce, drafts, &chain, &head), signing);
        let (mut steps, signing) = match (priced, &intent.permit, plan.pays) {
            // What the allowance does not pay for, the permit should have.
            (Err(ApiError::WouldRevert(_)), Some(permit), Some(payment)) if allowance_missing => {
                let detail = self.permit_refusal(intent, permit, payment, &chain, head.pending_at).await?;
                return Err(ApiError::PermitRefused { detail });
            }
            (priced, ..) => priced?,
        };
        if let (Some(payment), Some(allowance)) = (missing, steps.first_mut())
            && signing.is_some_and(|signing| signing.for_contracts)
        {
            allowance.permit = gasless::permit(self, intent.wallet, payment, &chain, expires_at).await?;
        }
        let gas = steps.last().map_or(0, |step| step.transaction.gas);
        let salt = pinned.map_or_else(B256::random, |pinned| pinned.request.salt);
        let forwarder_nonce = pinned.map(|pinned| pinned.request.forwarder_nonce);
        let (call, pays, until) = (&plan.call, plan.pays, expires_at);
        let verb = gasless::Verb { intent, facts: &facts, call, pays, to, data: &data, gas, until, salt, forwarder_nonce };
        let gasless = match signing {
            Some(signing) => gasless::offer(self, &verb, signing, &chain, &market).await?,
            None => None,
        };
        let now = head.pending_at;
        let warnings = plan.warnings.into_iter().chain(past.and_then(|past| Warning::repeated(&past, now))).collect();
        Ok(Prepared { chain, indexed, facts, message: plan.sentence, warnings, steps, gasless, salt, now, expires_at })
    }

    /// The signatures of keys as the contracts take them; those of contract wallets as they are.
    async fn with_signatures_in_form(&self, intent: &Intent) -> Result<Intent, ApiError> {
        let mut intent = intent.clone();
        if let Some(permit) = &mut intent.permit
            && self.node.signing(intent.wallet).await?.by_key
        {
            permit.signature = with_recovery_id(&permit.signature);
        }
        if let Call::SetAgentWallet { new_wallet, consent, .. } = &mut intent.call
            && self.node.signing(*new_wallet).await?.by_key
        {
            consent.signature = with_recovery_id(&consent.signature);
        }
        Ok(intent)
    }

    /// The node's head, once it is clear that node and index speak of the same chain and the index is close enough to decide by.
    pub(super) async fn agreed_head(&self, chain: &Chain, indexed: &IndexedBlock) -> Result<Head, ApiError> {
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

/// Why the rules do not allow `intent`; of a claim that comes too late, also whose the run is.
fn refused(intent: &Intent, facts: &Facts, refusal: Refusal) -> ApiError {
    let claim = facts.run.as_ref().and_then(|record| record.run.claim);
    match (&intent.call, &refusal, claim) {
        (Call::Claim { agent, .. }, Refusal::WrongState { .. }, Some(claim)) => {
            let is_yours = claim.agent == *agent || claim.wallet == intent.wallet;
            ApiError::Taken { refusal, claimed_by: claim.agent, is_yours }
        }
        _ => ApiError::refused(&intent.call, refusal),
    }
}

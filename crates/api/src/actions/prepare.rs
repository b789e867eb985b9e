//! Something a wallet wants to do, into transactions it can sign.
//!
//! The index says who is who and what stands where, the rules of `clawpay_domain` say whether it is allowed at the time of the node's
//! pending block, and the node has the last word by trying it out. Nothing is prepared that would revert. It takes two rounds of questions:
//! how things stand at the node, and what comes of the steps that follow from it.

use alloy::primitives::{Address, B256, Bytes, U256};
use clawpay_bindings::{Call, CallWithSignature, Contracts, with_recovery_id};
use clawpay_domain::{Refusal, Seconds, Timestamp, Usdc};
use clawpay_store::{Chain, IndexedBlock, PinnedRequest};
use futures::FutureExt;

use super::{
    Facts, Gasless, Intent, Payment, Preparer, Step, Verb, Warning,
    gasless::{self, Asking},
    past::{self, PastAction},
    plan::plan,
    price::{Draft, price},
    steps::payee,
};
use crate::{
    error::{ApiError, Invalid},
    market::{contracts, snapshot},
    node::{Fees, Head, Node, signs_by_key},
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
        let (preparer, known) = (*self, &Known { facts, past, chain, indexed });
        let ask = move |node: Node| async move { Preparer { node: &node, ..preparer }.prepare_by(intent, pinned, known).await };
        self.node.at_one(|node| ask(node).boxed()).await
    }

    /// Prepares by what the index tells, in two rounds of questions to the node: the second tries out what the first leads to.
    async fn prepare_by(&self, intent: &Intent, pinned: Option<Pinned<'_>>, known: &Known) -> Result<Prepared, ApiError> {
        let Known { facts, past, chain, indexed } = known;
        let (node, market) = (self.node, contracts(chain));
        let payee = payee(&intent.call, &market);
        let (head, code, new_code, funds, nonce, priority_fee, ether, outlook) = tokio::try_join!(
            self.agreed_head(chain, indexed),
            async { Ok(node.code(intent.wallet).await?) },
            self.new_wallets_code(intent),
            self.funds(intent.wallet, payee, &market),
            self.first_nonce(intent, pinned.is_some()),
            // Chains without a base fee may not know the question.
            async { Ok::<_, ApiError>(node.priority_fee().await) },
            async { Ok(node.ether_balance(intent.wallet).await?) },
            async { Ok(gasless::outlook(self, intent, chain).await?) },
        )?;
        let intent = &with_signatures_in_form(intent, &code, new_code.as_ref());
        let plan = plan(intent, facts, head.pending_at, &chain.parameters, &market).map_err(|refusal| refused(intent, facts, refusal))?;
        let allowance_missing = match (plan.pays, funds) {
            (Some(payment), Some(funds)) => funds.is_allowance_missing(payment)?,
            _ => false,
        };
        let wants_allowance = allowance_missing && intent.permit.is_none();
        let (first_nonce, with_allowance) = match pinned {
            Some(pinned) => pinned.steps(wants_allowance, intent.permit.is_some())?,
            None => (intent.nonce, wants_allowance),
        };
        let waiting = match nonce {
            FirstNonce::Next { waiting, .. } if intent.is_repeatable() => waiting,
            FirstNonce::Next { .. } | FirstNonce::Free(_) => 0,
        };
        let nonce = nonce.from(intent.wallet, first_nonce)?;
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

        let fees = async {
            match head.base_fee {
                Some(base_fee) => Ok(Fees::dynamic(base_fee, priority_fee?)),
                None => Ok::<_, ApiError>(node.legacy_fees().await?),
            }
        };
        let signing = async {
            let matters = missing.is_some() || self.relay.is_some();
            Ok(if matters { Some(node.signing_by(intent.wallet, &code).await?) } else { None })
        };
        let asking = Asking { wallet: intent.wallet, call: &plan.call, missing, pays: plan.pays.filter(|_| intent.permit.is_none()) };
        let priced = tokio::try_join!(price(node, intent, nonce, fees, drafts, chain, &head), signing, async {
            Ok(gasless::nonces(self, &asking, chain).await?)
        });
        let (mut steps, signing, nonces) = match (priced, &intent.permit, plan.pays) {
            // What the allowance does not pay for, the permit should have.
            (Err(ApiError::WouldRevert(_)), Some(permit), Some(payment)) if allowance_missing => {
                let detail = self.permit_refusal(intent, permit, payment, chain, head.pending_at).await?;
                return Err(ApiError::PermitRefused { detail });
            }
            (priced, ..) => priced?,
        };
        if let (Some(payment), Some(allowance)) = (missing, steps.first_mut())
            && signing.is_some_and(|signing| signing.for_contracts)
        {
            allowance.permit = gasless::permit(&nonces, intent.wallet, payment, expires_at);
        }
        let gas = steps.last().map_or(0, |step| step.transaction.gas);
        let salt = pinned.map_or_else(B256::random, |pinned| pinned.request.salt);
        let forwarder_nonce = pinned.map(|pinned| pinned.request.forwarder_nonce);
        let (call, pays, until) = (&plan.call, plan.pays, expires_at);
        let verb = gasless::Verb { intent, facts, call, pays, to, data: &data, gas, until, salt, forwarder_nonce };
        let gasless = signing.and_then(|signing| gasless::offer(self.relay?.options, &verb, signing, nonces, outlook, chain, &market));
        let now = head.pending_at;
        let repeated = past.as_ref().and_then(|past| Warning::repeated(past, now));
        let waiting = Warning::waiting(waiting);
        let cost = steps.iter().fold(U256::ZERO, |cost, step| cost.saturating_add(step.transaction.most_it_costs()));
        // A wallet that is a contract has its transactions paid for by another account.
        let short = Warning::short_of_ether(intent.wallet, ether, cost, gasless.is_some()).filter(|_| signs_by_key(&code));
        let warnings = plan.warnings.into_iter().chain(repeated).chain(waiting).chain(short).collect();
        let (chain, indexed, facts) = (*chain, *indexed, facts.clone());
        Ok(Prepared { chain, indexed, facts, message: plan.sentence, warnings, steps, gasless, salt, now, expires_at })
    }

    /// The code of the account that consents to be an agent's wallet.
    async fn new_wallets_code(&self, intent: &Intent) -> Result<Option<Bytes>, ApiError> {
        match &intent.call {
            Call::SetAgentWallet { new_wallet, .. } => Ok(Some(self.node.code(*new_wallet).await?)),
            _ => Ok(None),
        }
    }

    /// What the payer has, and has allowed the contract to take.
    async fn funds(&self, payer: Address, payee: Option<Address>, market: &Contracts) -> Result<Option<Funds>, ApiError> {
        let Some(payee) = payee else { return Ok(None) };
        let node = self.node;
        let (available, allowed) = tokio::try_join!(node.usdc_balance(market.usdc, payer), node.usdc_allowance(market.usdc, payer, payee))?;
        Ok(Some(Funds { available, allowed }))
    }

    /// The nonce from which steps are counted: the next, or where one is wanted the first that is still free.
    async fn first_nonce(&self, intent: &Intent, is_pinned: bool) -> Result<FirstNonce, ApiError> {
        Ok(if is_pinned || intent.nonce.is_some() {
            FirstNonce::Free(self.node.mined_nonce(intent.wallet, None).await?)
        } else {
            let (mined, next) = self.node.nonces(intent.wallet).await?;
            FirstNonce::Next { next, waiting: next.saturating_sub(mined) }
        })
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
}

/// What the index tells of a request.
struct Known {
    facts: Facts,
    past: Option<PastAction>,
    chain: Chain,
    indexed: IndexedBlock,
}

/// What a payer has.
#[derive(Clone, Copy)]
struct Funds {
    available: Usdc,
    allowed: Usdc,
}

impl Funds {
    /// Refuses a payer that does not have the amount.
    fn is_allowance_missing(self, payment: Payment) -> Result<bool, ApiError> {
        if self.available < payment.amount {
            return Err(ApiError::InsufficientUsdc { asked: payment.amount, available: self.available });
        }
        Ok(self.allowed < payment.amount)
    }
}

/// From which nonce a signer's steps are counted.
#[derive(Clone, Copy)]
enum FirstNonce {
    /// This is the next, counting those that wait to be mined, which are so many.
    Next { next: u64, waiting: u64 },
    /// Any from this one on.
    Free(u64),
}

impl FirstNonce {
    /// The nonce to begin with. Refuses one that is used.
    fn from(self, wallet: Address, wanted: Option<u64>) -> Result<u64, ApiError> {
        match (self, wanted) {
            (Self::Free(next), Some(wanted)) if wanted < next => {
                Err(Invalid::value("nonce", format!("nonce: {wanted} is used already; the next of {wallet} is {next}")).into())
            }
            (Self::Next { next, .. } | Self::Free(next), None) => Ok(next),
            (_, Some(wanted)) => Ok(wanted),
        }
    }
}

/// The signatures of keys as the contracts take them; those of contract wallets as they are.
fn with_signatures_in_form(intent: &Intent, code: &Bytes, new_code: Option<&Bytes>) -> Intent {
    let mut intent = intent.clone();
    if let Some(permit) = &mut intent.permit
        && signs_by_key(code)
    {
        permit.signature = with_recovery_id(&permit.signature);
    }
    if let Call::SetAgentWallet { consent, .. } = &mut intent.call
        && new_code.is_some_and(|code| signs_by_key(code))
    {
        consent.signature = with_recovery_id(&consent.signature);
    }
    intent
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

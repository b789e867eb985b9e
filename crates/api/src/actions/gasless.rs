//! What a wallet may sign instead of sending a transaction.
//!
//! A permit takes the place of the allowance's transaction. Where this server relays, one signature does for the whole verb: an authorization
//! of exactly what the verb costs where it costs something, and a request to the forwarder where it does not.

use alloy::{
    primitives::{Address, B256, Bytes, U256, aliases::U48},
    sol_types::Eip712Domain,
};
use clawpay_bindings::{
    Call, CallWithSignature, Contracts, ERC2771Forwarder, ForwardRequest, Permit, ReceiveWithAuthorization, SignedAuthorization, TestUSDC,
    create_and_fund_nonce, forwarder_domain, fund_nonce, stake_nonce,
};
use clawpay_domain::Timestamp;
use clawpay_store::Chain;

use super::{Facts, Intent, Payment};
use crate::{
    App,
    http::dto::{
        relay::{CallDto, RelayDto},
        typed_data::TypedData,
    },
    node::NodeError,
};

/// One signature that does for the whole verb, and what to post with it.
#[derive(Clone, Debug)]
pub(crate) struct Gasless {
    pub typed_data: TypedData,
    pub relay: RelayDto,
}

/// What a verb's gasless way is made from.
pub(super) struct Verb<'a> {
    pub intent: &'a Intent,
    pub facts: &'a Facts,
    /// The call that the rules allow, and what it costs.
    pub call: &'a Call,
    pub pays: Option<Payment>,
    /// As it will be made: with a permit in it if one was given.
    pub to: Address,
    pub data: &'a Bytes,
    pub gas: u64,
    /// Chain time until which the signature is good.
    pub until: Timestamp,
}

/// A permit for `payment`; nothing if the token knows no permits.
pub(super) async fn permit(
    app: &App,
    owner: Address,
    payment: Payment,
    chain: &Chain,
    until: Timestamp,
) -> Result<Option<TypedData>, NodeError> {
    let Some(domain) = app.token_domain(chain).await? else { return Ok(None) };
    let Some(nonce) = app.node().view(chain.usdc, &TestUSDC::noncesCall { owner }).await? else { return Ok(None) };
    let permit = Permit { owner, spender: payment.spender, value: payment.amount.0, nonce, deadline: U256::from(until.0) };
    Ok(Some(TypedData::new(&permit, &domain)))
}

/// The gasless way, if this server relays and the verb has one.
pub(super) async fn offer(app: &App, verb: &Verb<'_>, chain: &Chain, market: &Contracts) -> Result<Option<Gasless>, NodeError> {
    let Some(relay) = &app.config().relay else { return Ok(None) };
    if verb.gas > relay.max_gas || matches!(verb.call, Call::Create(_)) {
        return Ok(None);
    }
    match verb.pays.filter(|_| verb.intent.permit.is_none()) {
        Some(payment) => Ok(app.token_domain(chain).await?.and_then(|domain| authorization(verb, payment, &domain, chain, market))),
        None => Ok(request(app, verb, chain).await?),
    }
}

fn authorization(verb: &Verb<'_>, payment: Payment, domain: &Eip712Domain, chain: &Chain, market: &Contracts) -> Option<Gasless> {
    let (salt, payer) = (B256::random(), verb.intent.wallet);
    let (valid_after, valid_before) = (U256::ZERO, U256::from(verb.until.0));
    let nonce = match verb.call {
        Call::CreateAndFund(run) => create_and_fund_nonce(chain.chain_id, payment.spender, payer, run, salt),
        Call::Fund { run } => {
            let terms = &verb.facts.run.as_ref()?.run.terms;
            fund_nonce(chain.chain_id, payment.spender, payer, *run, &terms.into(), salt)
        }
        Call::Stake { agent, amount } => stake_nonce(chain.chain_id, payment.spender, payer, *agent, *amount, salt),
        _ => return None,
    };
    let authorization = ReceiveWithAuthorization {
        from: payer,
        to: payment.spender,
        value: payment.amount.0,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
    };
    let unsigned = SignedAuthorization { valid_after, valid_before, salt, signature: Bytes::new() };
    let call = CallWithSignature::with_authorization(verb.call, payer, unsigned)?;
    Some(Gasless {
        typed_data: TypedData::new(&authorization, domain),
        relay: RelayDto::call(CallDto::new(call.contract(market), call.calldata())),
    })
}

async fn request(app: &App, verb: &Verb<'_>, chain: &Chain) -> Result<Option<Gasless>, NodeError> {
    let owner = verb.intent.wallet;
    let Some(nonce) = app.node().view(chain.forwarder, &ERC2771Forwarder::noncesCall { owner }).await? else { return Ok(None) };
    let request = ForwardRequest {
        from: owner,
        to: verb.to,
        value: U256::ZERO,
        gas: U256::from(verb.gas),
        nonce,
        deadline: U48::saturating_from(verb.until.0),
        data: verb.data.clone(),
    };
    let domain = forwarder_domain(chain.chain_id, chain.forwarder);
    Ok(Some(Gasless { typed_data: TypedData::new(&request, &domain), relay: RelayDto::request((&request).into()) }))
}

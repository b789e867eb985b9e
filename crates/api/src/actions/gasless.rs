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
use clawpay_domain::{StakeParameters, Timestamp};
use clawpay_store::Chain;

use super::{Facts, Intent, Payment, Preparer};
use crate::{
    config::RelayOptions,
    node::{NodeError, Signing},
    relay_funds::FundsLeft,
};

/// Most bytes of a call that is relayed, its signatures included: a run's or a delivery's longest text, and what goes with it.
pub(crate) const MOST_RELAYED_BYTES: usize = 4_096;
/// Most bytes of an agent's URI that are relayed: enough for where it is described, too few for the description.
const MOST_RELAYED_URI_BYTES: usize = 256;

/// EIP-712 typed data: what is signed, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Payload<T> {
    /// What is signed.
    pub message: T,
    /// Whose question it is.
    pub domain: Eip712Domain,
}

/// One signature that does for the whole verb, and what is relayed with it.
#[derive(Clone, Debug)]
pub(crate) enum Gasless {
    /// A request that the forwarder executes.
    Request(Payload<ForwardRequest>),
    /// An authorization of what the verb costs.
    Authorization {
        /// To be signed.
        payload: Payload<ReceiveWithAuthorization>,
        /// The contract that takes it.
        to: Address,
        /// The call with the authorization in it, whose signature is still empty.
        data: Bytes,
    },
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
    /// Tells apart two authorizations of the same terms.
    pub salt: B256,
    /// The forwarder's nonce that was offered under the same key before, if it was; nothing without such a key.
    pub forwarder_nonce: Option<Option<u64>>,
}

/// What the questions for a signature follow from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    /// Who signs.
    pub wallet: Address,
    /// The call that the rules allow.
    pub call: &'a Call,
    /// An allowance that a permit could take the place of.
    pub missing: Option<Payment>,
    /// What the call costs, where no permit has paid for it.
    pub pays: Option<Payment>,
}

/// What the contracts count, and call themselves, where a signature takes the place of a transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Nonces {
    /// Of the token's permits and authorizations; nothing if the token does not say what it is called.
    domain: Option<Eip712Domain>,
    /// The signer's next permit; nothing if the token knows none.
    permit: Option<U256>,
    /// The signer's next request to the forwarder.
    request: Option<U256>,
}

/// Whether the operator may pay for a verb, as far as that can be told before its gas is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outlook {
    /// Whether it is anything that is relayed for its signer today.
    is_relayed: bool,
    /// What is left for all signers, where that can be told.
    left: Option<FundsLeft>,
}

/// Asks what is left of the day, for all signers and for this one, and whether who registers has the stake of an agent.
pub(super) async fn outlook(preparer: &Preparer<'_>, intent: &Intent, chain: &Chain) -> Result<Outlook, NodeError> {
    let (node, parameters) = (preparer.node, &chain.parameters.stake);
    let Some(purse) = preparer.relay.filter(|_| refused_by_relayers(&intent.call, parameters).is_none()) else {
        return Ok(Outlook::default());
    };
    let is_registration = matches!(intent.call, Call::Register { .. });
    let has_stake = async { Ok(!is_registration || node.usdc_balance(chain.usdc, intent.wallet).await? >= parameters.minimum_stake) };
    let left = async { Ok(purse.left(node, chain).await) };
    let has_share = async { Ok(purse.has_share(intent.wallet, is_registration).await) };
    let (left, has_share, has_stake) = tokio::try_join!(left, has_share, has_stake)?;
    Ok(Outlook { is_relayed: has_share && has_stake, left })
}

/// Asks for whatever a signature may need, all at once.
pub(super) async fn nonces(preparer: &Preparer<'_>, asking: &Asking<'_>, chain: &Chain) -> Result<Nonces, NodeError> {
    let (node, owner) = (preparer.node, asking.wallet);
    let is_relayed = preparer.relay.is_some() && refused_by_relayers(asking.call, &chain.parameters.stake).is_none();
    let domain = async {
        let is_wanted = asking.missing.is_some() || is_relayed && asking.pays.is_some();
        if is_wanted { preparer.token_domain.get(node, chain).await } else { Ok(None) }
    };
    let permit = async { if asking.missing.is_some() { node.view(chain.usdc, &TestUSDC::noncesCall { owner }).await } else { Ok(None) } };
    let request = async {
        let is_wanted = is_relayed && asking.pays.is_none();
        if is_wanted { node.view(chain.forwarder, &ERC2771Forwarder::noncesCall { owner }).await } else { Ok(None) }
    };
    let (domain, permit, request) = tokio::try_join!(domain, permit, request)?;
    Ok(Nonces { domain, permit, request })
}

/// A permit for `payment`; nothing if the token knows no permits.
pub(super) fn permit(nonces: &Nonces, owner: Address, payment: Payment, until: Timestamp) -> Option<Payload<Permit>> {
    let (domain, nonce) = (nonces.domain.clone()?, nonces.permit?);
    let message = Permit { owner, spender: payment.spender, value: payment.amount.0, nonce, deadline: U256::from(until.0) };
    Some(Payload { message, domain })
}

/// The gasless way, if the verb has one, and the account can sign it: the forwarder takes keys alone, the token also what an account's code
/// says it signed.
pub(super) fn offer(
    relay: &RelayOptions,
    verb: &Verb<'_>,
    signing: Signing,
    nonces: Nonces,
    Outlook { is_relayed, left }: Outlook,
    chain: &Chain,
    market: &Contracts,
) -> Option<Gasless> {
    let is_too_large = verb.gas > relay.max_gas || verb.data.len() > MOST_RELAYED_BYTES;
    if is_too_large || !is_relayed {
        return None;
    }
    // Nothing is offered that the operator pays for no more; what cannot be told now is decided when it is posted.
    if left.is_some_and(|left| !left.pay_for(verb.call, verb.gas)) {
        return None;
    }
    match verb.pays.filter(|_| verb.intent.permit.is_none()) {
        Some(payment) if signing.for_contracts => authorization(verb, payment, nonces.domain?, chain, market),
        None if signing.by_key => request(verb, nonces.request?, chain),
        Some(_) | None => None,
    }
}

/// Why no relayer pays for a call, if none does: what costs its signer nothing else could be asked for without end.
pub(crate) fn refused_by_relayers(call: &Call, parameters: &StakeParameters) -> Option<&'static str> {
    match call {
        Call::ApproveUsdc { .. } => Some("the token takes no forwarded calls"),
        Call::Create(_) => Some("a draft is not relayed, since it costs its poster nothing; create and fund it at once"),
        Call::SetAgentUri { .. } | Call::SetMetadata { .. } => {
            Some("what describes an agent is not relayed, since it costs its owner nothing and can be long; send it from the wallet")
        }
        Call::Register { agent_uri } if agent_uri.len() > MOST_RELAYED_URI_BYTES => {
            Some("of an agent's URI at most 256 bytes are relayed, since they cost its owner nothing; send a longer one from the wallet")
        }
        Call::Stake { amount, .. } if *amount < parameters.stake_at_risk => Some(
            "less stake than one run puts at risk is not relayed, since it costs next to nothing; stake more at once, or send it from the wallet",
        ),
        _ => None,
    }
}

fn authorization(verb: &Verb<'_>, payment: Payment, domain: Eip712Domain, chain: &Chain, market: &Contracts) -> Option<Gasless> {
    let (salt, payer) = (verb.salt, verb.intent.wallet);
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
    let message = ReceiveWithAuthorization {
        from: payer,
        to: payment.spender,
        value: payment.amount.0,
        validAfter: valid_after,
        validBefore: valid_before,
        nonce,
    };
    let unsigned = SignedAuthorization { valid_after, valid_before, salt, signature: Bytes::new() };
    let call = CallWithSignature::with_authorization(verb.call, payer, unsigned)?;
    let payload = Payload { message, domain };
    Some(Gasless::Authorization { payload, to: call.contract(market), data: call.calldata() })
}

fn request(verb: &Verb<'_>, nonce: U256, chain: &Chain) -> Option<Gasless> {
    // What was offered before and is used now may have done this very thing.
    if verb.forwarder_nonce.is_some_and(|before| before.map(U256::from) != Some(nonce)) {
        return None;
    }
    let message = ForwardRequest {
        from: verb.intent.wallet,
        to: verb.to,
        value: U256::ZERO,
        gas: U256::from(verb.gas),
        nonce,
        deadline: U48::saturating_from(verb.until.0),
        data: verb.data.clone(),
    };
    let domain = forwarder_domain(chain.chain_id, chain.forwarder);
    Some(Gasless::Request(Payload { message, domain }))
}

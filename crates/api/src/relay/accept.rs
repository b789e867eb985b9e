//! From what was posted to a transaction on its way.

use alloy::{
    primitives::{Address, B256, Bytes, Signature, U256, keccak256},
    sol_types::{SolCall, SolStruct},
};
use clawpay_bindings::{
    AttributedCall, Call, CallWithSignature, Contracts, ERC2771Forwarder, ForwardRequest, forwarder::ERC2771Forwarder::ForwardRequestData,
    forwarder_domain, with_recovery_id,
};
use clawpay_domain::Timestamp;
use clawpay_store::{Chain, RelayJob, RelayTurn};

use super::{Relayer, attempt};
use crate::{
    actions::{GOOD_FOR, MOST_RELAYED_BYTES, refused_by_relayers},
    error::{ApiError, Invalid},
    market::{contracts, snapshot},
    node::{CallRequest, Head},
    relay_funds::within_share,
};

/// What is to be relayed.
#[derive(Clone, Debug)]
pub(crate) enum Posted {
    /// A request to the forwarder, with its signature.
    Request(ForwardRequestData),
    /// A call with an authorization in it, and that authorization's signature.
    Call {
        /// The contract.
        to: Address,
        /// Calldata; its signature is empty.
        data: Bytes,
        /// What belongs there.
        signature: Bytes,
    },
}

/// What is to be sent, and what is to be known of it.
struct Task {
    /// Who signed.
    signer: Address,
    /// The verb.
    call: Call,
    target: Address,
    data: Bytes,
    /// Hash of what was signed.
    signed: B256,
    /// What the contract will be asked by the signer, or in its name.
    inner: Option<CallRequest>,
}

impl Relayer<'_> {
    /// Takes on what was posted, or finds that it has been taken on before. Answers the transaction's hash.
    ///
    /// Fails where it is nothing that is relayed, where the contracts would refuse it, and where the operator pays for no more.
    pub(crate) async fn accept(&self, posted: Posted) -> Result<B256, ApiError> {
        let chain = snapshot(self.reader).await?.chain;
        let (target, data) = calldata(&posted, &contracts(&chain))?;
        let posted_hash = keccak256(&data);
        // By the time something is posted again its nonces are used, and nothing of it would be valid any more.
        if let Some(hash) = self.purse.notes.relayed(posted_hash, B256::ZERO).await? {
            return Ok(hash);
        }
        match self.take_on(posted, posted_hash, (target, data), &chain).await {
            // Another server may have taken it on since, and then nothing of it is valid any more.
            Err(problem) => self.purse.notes.relayed(posted_hash, B256::ZERO).await?.ok_or(problem),
            taken => taken,
        }
    }

    /// Takes on what no server had taken on a moment ago.
    async fn take_on(&self, posted: Posted, posted_hash: B256, (target, data): (Address, Bytes), chain: &Chain) -> Result<B256, ApiError> {
        let ((), head) = tokio::try_join!(self.node.require_chain(chain.chain_id), self.node.head())?;
        let task = match posted {
            Posted::Request(request) => self.of_request(request, target, data, chain, &head).await?,
            Posted::Call { .. } => self.of_call(target, data, chain, &head).await?,
        };
        if let Some(hash) = self.purse.notes.relayed(posted_hash, task.signed).await? {
            return Ok(hash);
        }
        self.require_funds(&task, chain).await?;
        // One after the other: of several that can be done once, each would be found possible.
        let turn = self.purse.notes.relay_turn().await?;
        let gas = self.tried(&task).await?;
        let is_registration = matches!(task.call, Call::Register { .. });
        let Task { signer, data, signed, .. } = task;
        let job = RelayJob { posted: posted_hash, signed, signer, target, data, gas, data_fee: U256::ZERO, is_registration };
        let sent = self.send(&turn, chain, &head, job).await;
        // What is left is another sum by now, or was never what it was taken for.
        self.purse.forget().await;
        sent
    }

    async fn of_request(
        &self,
        request: ForwardRequestData,
        target: Address,
        data: Bytes,
        chain: &Chain,
        head: &Head,
    ) -> Result<Task, ApiError> {
        let market = contracts(chain);
        let refuse = |detail: String| ApiError::NotRelayable { detail };
        let max_gas = self.purse.options.max_gas;
        if !request.value.is_zero() {
            return Err(refuse("a request must not send ether".to_owned()));
        }
        if request.gas > U256::from(max_gas) {
            return Err(ApiError::RelayGasTooHigh { limit: max_gas });
        }
        let AttributedCall { call, .. } =
            AttributedCall::exact(request.from, request.to, &request.data, &market).map_err(|error| refuse(error.to_string()))?;
        require_short(&request.data)?;
        if let Some(reason) = refused_by_relayers(&call, &chain.parameters.stake) {
            return Err(refuse(reason.to_owned()));
        }
        require_soon("request.deadline", U256::from(request.deadline), head.pending_at)?;
        let owner = request.from;
        let nonce = self.node.view(chain.forwarder, &ERC2771Forwarder::noncesCall { owner }).await?;
        let nonce = nonce.ok_or(ApiError::Internal("the forwarder counts no nonces"))?;
        let ForwardRequestData { from, to, value, gas, deadline, data: inner, signature } = request;
        let wanted = ForwardRequest { from, to, value, gas, nonce, deadline, data: inner.clone() };
        let signed = wanted.eip712_signing_hash(&forwarder_domain(chain.chain_id, chain.forwarder));
        require_signature(&with_recovery_id(&signature), signed, from)?;
        Ok(Task { signer: from, call, target, data, signed, inner: Some(CallRequest { from, to, data: inner }) })
    }

    async fn of_call(&self, target: Address, data: Bytes, chain: &Chain, head: &Head) -> Result<Task, ApiError> {
        let market = &contracts(chain);
        let unreadable = || ApiError::Internal("a call that was just written cannot be read");
        let mut signed = CallWithSignature::decode(target, &data, market).map_err(|_| unreadable())?;
        let call = signed.plain();
        if let Some(reason) = refused_by_relayers(&call, &chain.parameters.stake) {
            return Err(ApiError::NotRelayable { detail: reason.to_owned() });
        }
        let payer = signed.payer(Address::ZERO);
        let authorization = signed.authorization_mut().ok_or_else(unreadable)?;
        require_soon("call.data", authorization.valid_before, head.pending_at)?;
        authorization.signature = Bytes::new();
        let signed = keccak256([target.as_slice(), &signed.calldata()].concat());
        let signer = match (payer, &call) {
            (Some(payer), _) => payer,
            (None, Call::Fund { run }) => {
                let record = snapshot(self.reader).await?.run(*run).await?.ok_or(ApiError::RunNotFound(*run))?;
                record.run.terms.poster
            }
            (None, _) => return Err(unreadable()),
        };
        let data = if self.node.signing(signer).await?.by_key { in_form(target, &data, market).ok_or_else(unreadable)? } else { data };
        Ok(Task { signer, call, target, data, signed, inner: None })
    }

    /// A signer that registers has the stake that an agent needs: addresses cost nothing, and gas does.
    async fn require_funds(&self, task: &Task, chain: &Chain) -> Result<(), ApiError> {
        if !matches!(task.call, Call::Register { .. }) {
            return Ok(());
        }
        let (asked, available) = (chain.parameters.stake.minimum_stake, self.node.usdc_balance(chain.usdc, task.signer).await?);
        if available < asked { Err(ApiError::InsufficientUsdc { asked, available }) } else { Ok(()) }
    }

    /// Tries the call out: by itself, so that a refusal is the contract's, and as it will be sent. Answers the gas limit.
    async fn tried(&self, task: &Task) -> Result<u64, ApiError> {
        let (options, refused) = (self.purse.options, |error| ApiError::of_trial(&task.call, error));
        if let Some(inner) = &task.inner {
            self.node.estimate_gas(inner).await.map_err(refused)?;
        }
        let call = CallRequest { from: options.key.address(), to: task.target, data: task.data.clone() };
        let gas = self.node.estimate_gas(&call).await.map_err(refused)?;
        let gas = gas.saturating_add(gas / 4);
        // What a request is allowed is checked before; around it the forwarder needs a little.
        let limit = options.max_gas.saturating_add(options.max_gas / 4);
        if gas > limit { Err(ApiError::RelayGasTooHigh { limit }) } else { Ok(gas) }
    }

    /// Gives the job its nonce, writes it down, and sends it.
    async fn send(&self, turn: &RelayTurn, chain: &Chain, head: &Head, mut job: RelayJob) -> Result<B256, ApiError> {
        let (node, options) = (self.node, self.purse.options);
        let relayer = options.key.address();
        let (fees, (mined, next), funds) = tokio::try_join!(node.fees(head.base_fee), node.nonces(relayer), node.ether_balance(relayer))?;
        let gas = attempt::priced(fees)?;
        let likely = attempt::signed(&options.key, chain.chain_id, next, &job, gas)?;
        let data_fee = node.data_fee(&likely.raw).await?;
        // It may rise until the transaction is mined.
        job.data_fee = data_fee.saturating_add(data_fee / U256::from(4));
        let cost = (U256::from(job.gas) * U256::from(gas.max_fee)).saturating_add(job.data_fee);
        if funds < cost {
            tracing::error!(account = %relayer, "the relayer has too little ether");
            return Err(ApiError::RelayOutOfFunds);
        }
        let mut lock = self.purse.notes.nonce_lock(turn, relayer).await?;
        let (spent, on_signer) = lock.spent(job.signer, mined).await?;
        within_share(options, &on_signer, job.is_registration)?;
        if spent.wei.saturating_add(cost) > options.budget_per_day {
            tracing::warn!(account = %relayer, "the relayer's budget for the day is used up");
            return Err(ApiError::RelayBudget { of_registrations: false });
        }
        if job.is_registration && spent.for_registrations.saturating_add(cost) > options.registrations_budget_per_day() {
            tracing::warn!(account = %relayer, "the part of the relayer's budget that registrations have is used up for the day");
            return Err(ApiError::RelayBudget { of_registrations: true });
        }
        let nonce = lock.next_nonce(next).await?;
        let attempt = attempt::signed(&options.key, chain.chain_id, nonce, &job, gas)?;
        if !lock.take_on(nonce, &job, &attempt).await? {
            // The same was posted at the same moment.
            let hash = self.purse.notes.relayed(job.posted, job.signed).await?;
            return hash.ok_or(ApiError::Internal("a job is neither new nor known"));
        }
        // Should this fail, the server that next looks after the open jobs sends it.
        match node.send(&attempt.raw).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => tracing::warn!(nonce, reason, "the node does not want a relayed transaction yet"),
            Err(error) => tracing::warn!(nonce, %error, "a relayed transaction waits for the node"),
        }
        Ok(attempt.hash)
    }
}

/// What the relayer will call: also what tells one posting from another.
fn calldata(posted: &Posted, market: &Contracts) -> Result<(Address, Bytes), ApiError> {
    match posted {
        Posted::Request(request) => {
            // The forwarder takes the signatures of keys alone.
            let request = ForwardRequestData { signature: with_recovery_id(&request.signature), ..request.clone() };
            Ok((market.forwarder, ERC2771Forwarder::executeCall { request }.abi_encode().into()))
        }
        Posted::Call { to, data, signature } => {
            let refuse = |detail: String| ApiError::NotRelayable { detail };
            let mut call = CallWithSignature::decode(*to, data, market).map_err(|error| refuse(error.to_string()))?;
            let authorization = call.authorization_mut().ok_or_else(|| refuse("a permit is relayed in a request".to_owned()))?;
            if !authorization.signature.is_empty() {
                let detail = "call.data: the signature goes beside the call, and is empty in it";
                return Err(Invalid::value("call.data", detail).into());
            }
            if call.calldata() != *data {
                return Err(refuse("bytes follow the call's arguments".to_owned()));
            }
            if let Some(authorization) = call.authorization_mut() {
                authorization.signature.clone_from(signature);
            }
            let data = call.calldata();
            require_short(&data)?;
            Ok((*to, data))
        }
    }
}

/// A call whose authorization a key has signed, as the token takes it.
fn in_form(target: Address, data: &Bytes, market: &Contracts) -> Option<Bytes> {
    let mut call = CallWithSignature::decode(target, data, market).ok()?;
    let authorization = call.authorization_mut()?;
    authorization.signature = with_recovery_id(&authorization.signature);
    Some(call.calldata())
}

/// The operator pays for each byte, and what a contract wallet signs with may have any number of them.
fn require_short(data: &Bytes) -> Result<(), ApiError> {
    if data.len() <= MOST_RELAYED_BYTES {
        return Ok(());
    }
    let detail = format!("of a call at most {MOST_RELAYED_BYTES} bytes are relayed, its signatures included, and this has {}", data.len());
    Err(ApiError::NotRelayable { detail })
}

/// A signature must not lie about for longer than a prepared one is good.
fn require_soon(field: &'static str, until: U256, now: Timestamp) -> Result<(), ApiError> {
    let latest = now + GOOD_FOR;
    if until > U256::from(now.0) && until <= U256::from(latest.0) {
        return Ok(());
    }
    Err(ApiError::RelayDeadline { field, now, latest })
}

fn require_signature(signature: &Bytes, hash: B256, signer: Address) -> Result<(), ApiError> {
    let recovered = Signature::from_raw(signature).ok().and_then(|signature| signature.recover_address_from_prehash(&hash).ok());
    if recovered == Some(signer) {
        return Ok(());
    }
    let detail = format!("signature: {signer} did not sign this request with the nonce that is its next; prepare it anew");
    Err(Invalid { code: "invalid_signature", field: Some("signature".to_owned()), detail }.into())
}

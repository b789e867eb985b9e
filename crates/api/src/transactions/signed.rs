//! Whether what was signed is what was asked.

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes, U256},
};
use clawpay_bindings::{AttributedCall, Call, Contracts};

use crate::{
    actions::{Facts, Intent},
    error::ApiError,
    node::SentTransaction,
};

const TRANSACTIONS: &str = "signedTransactions";
const HASH: &str = "transactionHash";

/// What a wallet has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Raw transactions in step order, to be sent.
    Transactions(Vec<Bytes>),
    /// The last step's transaction, which the wallet has sent itself.
    Sent(B256),
}

/// A step that has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedStep {
    /// As it was signed.
    pub raw: Bytes,
    /// Its transaction hash.
    pub hash: B256,
}

/// What decides whether a transaction is the action.
struct Sent<'a> {
    from: Address,
    to: Option<Address>,
    value: U256,
    input: &'a [u8],
}

/// What a transaction has to do.
pub(crate) struct Expected<'a> {
    pub intent: &'a Intent,
    pub facts: &'a Facts,
    pub chain_id: u64,
    pub market: &'a Contracts,
}

/// Verifies raw transactions: the last does what `intent` says, one before it may let that call take the USDC it needs.
pub(crate) fn read(raw: &[Bytes], expected: &Expected<'_>) -> Result<Vec<SignedStep>, ApiError> {
    let chain_id = expected.chain_id;
    let refuse = |detail: String| ApiError::NotThisAction { field: TRANSACTIONS, detail };
    let mut steps = Vec::with_capacity(raw.len());
    for (position, bytes) in raw.iter().enumerate() {
        let name = format!("transaction {}", position + 1);
        let envelope = TxEnvelope::decode_2718_exact(bytes).map_err(|_| refuse(format!("{name} is not a signed transaction")))?;
        match &envelope {
            TxEnvelope::Legacy(_) | TxEnvelope::Eip2930(_) | TxEnvelope::Eip1559(_) => {}
            // They carry more than a call: blobs, or authority over the account.
            _ => return Err(refuse(format!("{name} is of a type that no step has"))),
        }
        match envelope.chain_id() {
            Some(id) if id == chain_id => {}
            Some(id) => return Err(refuse(format!("{name} is for chain {id}, not chain {chain_id}"))),
            None => return Err(refuse(format!("{name} names no chain and could be replayed on any"))),
        }
        let from = envelope.recover_signer().map_err(|_| refuse(format!("the signature of {name} is not valid")))?;
        let sent = Sent { from, to: envelope.to(), value: envelope.value(), input: envelope.input() };
        if position + 1 == raw.len() {
            require_call(&sent, expected, TRANSACTIONS)?;
        } else {
            require_allowance(&sent, expected)?;
        }
        steps.push(SignedStep { raw: bytes.clone(), hash: *envelope.tx_hash() });
    }
    Ok(steps)
}

/// Verifies a transaction that the wallet sent by itself.
pub(crate) fn require_same_action(transaction: &SentTransaction, expected: &Expected<'_>) -> Result<(), ApiError> {
    let SentTransaction { from, to, input, value, .. } = transaction;
    require_call(&Sent { from: *from, to: *to, value: *value, input }, expected, HASH)
}

fn require_call(sent: &Sent<'_>, expected: &Expected<'_>, field: &'static str) -> Result<(), ApiError> {
    let refuse = |detail: String| Err(ApiError::NotThisAction { field, detail });
    match decode(sent, expected) {
        Ok(call) if call.is_same_action(&expected.intent.call) => Ok(()),
        Ok(_) => refuse("the transaction does something else than this request asks for".to_owned()),
        Err(detail) => refuse(detail),
    }
}

/// A step before the call may only be an allowance for the contract that the call pays.
fn require_allowance(sent: &Sent<'_>, expected: &Expected<'_>) -> Result<(), ApiError> {
    let refuse = |detail: String| Err(ApiError::NotThisAction { field: TRANSACTIONS, detail });
    let payee = match &expected.intent.call {
        Call::CreateAndFund(_) | Call::Fund { .. } => expected.market.run_escrow,
        Call::Stake { .. } => expected.market.agent_stake,
        _ => return refuse("this action has one step only".to_owned()),
    };
    match decode(sent, expected) {
        Ok(Call::ApproveUsdc { spender, .. }) if spender == payee => Ok(()),
        Ok(_) => refuse(format!("the step before the last must be a USDC allowance for {payee}")),
        Err(detail) => refuse(detail),
    }
}

/// What the transaction does, in the name of whom the request speaks of: whoever may have sent it.
fn decode(sent: &Sent<'_>, expected: &Expected<'_>) -> Result<Call, String> {
    if !sent.value.is_zero() {
        return Err("the transaction sends ether, which nothing here takes".to_owned());
    }
    let to = sent.to.ok_or("the transaction creates a contract")?;
    let AttributedCall { actor, call } =
        AttributedCall::read(sent.from, to, sent.input, expected.market).map_err(|error| error.to_string())?;
    // A draft that is funded by authorization is its poster's to fund.
    let poster = || expected.facts.run.as_ref().map(|record| record.run.terms.poster);
    match actor.or_else(poster) {
        Some(actor) if actor == expected.intent.wallet => Ok(call),
        Some(actor) => Err(format!("the transaction acts for {actor}, not for {}", expected.intent.wallet)),
        None => Err("the transaction funds a run that is not known".to_owned()),
    }
}

//! Something to sign.

use alloy::primitives::{Bytes, U256};
use clawpay_domain::Parameters;
use clawpay_store::IndexedBlock;
use serde::Serialize;
use utoipa::ToSchema;

use super::{agent::AgentSummary, relay::RelayDto, run::RunDto, typed_data::TypedData};
use crate::actions::{Facts, Prepared, Step, UnsignedTransaction};
use crate::hidden::HideList;
use crate::http::openapi::schemas as w;
use crate::node::Fees;
use crate::text::{Checksummed, IsoDate, Quantity};

/// The run and the agent an answer is about, where there are any.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct Subjects {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run: Option<RunDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub agent: Option<AgentSummary>,
}

impl Subjects {
    /// As of `indexed`.
    pub(crate) fn of(facts: &Facts, parameters: &Parameters, indexed: &IndexedBlock, hidden: &HideList) -> Self {
        Self {
            run: facts.run.as_ref().map(|run| RunDto::new(run, indexed, hidden)),
            agent: facts.agent.as_ref().map(|agent| AgentSummary::new(&agent.agent, &parameters.stake, indexed.timestamp)),
        }
    }
}

/// What a wallet has to sign before anything happens.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Prepared)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PreparedDto {
    /// Whether the action has happened.
    success: bool,
    #[schema(inline, value_type = w::SignatureRequired)]
    status: &'static str,
    #[serde(flatten)]
    subjects: Subjects,
    /// In words.
    message: String,
    /// What is allowed, and yet may be a mistake, in words.
    warnings: Vec<String>,
    /// For programs, one for each of `warnings`: `REPEATED`, `BELOW_MINIMUM_STAKE`, `FOREIGN_AGENT`, `UNREADABLE`, `NO_REVISIONS`, `WAITING`, `SHORT_OF_ETHER`.
    warning_codes: Vec<&'static str>,
    /// What to sign, in order.
    steps: Vec<StepDto>,
    /// The same steps for `wallet_sendCalls`.
    calls: WalletCalls,
    /// The gasless way: what to sign so that this server sends. Null where it relays nothing, or not this.
    #[schema(required)]
    typed_data: Option<TypedData>,
    /// What to post to `/api/relay` once that is signed, with the `signature` added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    relay: Option<RelayDto>,
    /// The block by which this was prepared.
    indexed_block: u64,
    /// Until when prices and nonces are worth signing, chain time.
    expires_at: IsoDate,
    /// Seconds from the answer until then: a client's own clock may differ from the chain's.
    seconds_left: u64,
}

impl PreparedDto {
    /// What was prepared, without the words of a hidden run.
    pub(crate) fn new(prepared: Prepared, hidden: &HideList) -> Self {
        let Prepared { chain, indexed, facts, message, warnings, steps, gasless, salt: _, now, expires_at } = prepared;
        let steps: Vec<StepDto> = steps.into_iter().map(Into::into).collect();
        let calls = WalletCalls::of(&steps);
        Self {
            success: false,
            status: "signature_required",
            subjects: Subjects::of(&facts, &chain.parameters, &indexed, hidden),
            message,
            warning_codes: warnings.iter().map(|warning| warning.code).collect(),
            warnings: warnings.into_iter().map(|warning| warning.detail).collect(),
            steps,
            calls,
            typed_data: gasless.as_ref().map(Into::into),
            relay: gasless.map(Into::into),
            indexed_block: indexed.number,
            expires_at: IsoDate(expires_at),
            seconds_left: expires_at.0.saturating_sub(now.0),
        }
    }
}

/// One thing to sign; steps are signed and sent in order.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Step)]
#[serde(rename_all = "camelCase")]
struct StepDto {
    /// The verb, or `allowance`.
    #[schema(value_type = w::StepId)]
    id: &'static str,
    #[schema(inline, value_type = w::TransactionStep)]
    kind: &'static str,
    /// What signing does, in words.
    description: String,
    transaction: WalletTransaction,
    /// A permit that may be signed instead of sending this step: post the same body again with `permit` added, its `deadline` and `signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    typed_data: Option<TypedData>,
}

impl From<Step> for StepDto {
    fn from(Step { id, description, transaction, permit }: Step) -> Self {
        let typed_data = permit.as_ref().map(Into::into);
        Self { id, kind: "transaction", description, transaction: transaction.into(), typed_data }
    }
}

/// A transaction as `eth_signTransaction` and `eth_sendTransaction` take it from strict wallets: `data` and not `input`, `gas` and not
/// `gasLimit`, quantities as minimal hex.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WalletTransaction {
    chain_id: Quantity,
    from: Checksummed,
    to: Checksummed,
    #[schema(value_type = w::HexData)]
    data: Bytes,
    value: Quantity,
    gas: Quantity,
    /// With `maxPriorityFeePerGas`, the price of a transaction of type `0x2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_fee_per_gas: Option<Quantity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_priority_fee_per_gas: Option<Quantity>,
    /// The price of a transaction of type `0x0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    gas_price: Option<Quantity>,
    nonce: Quantity,
    #[serde(rename = "type")]
    #[schema(inline, value_type = w::TransactionType)]
    kind: &'static str,
}

/// The steps as the one parameter of `wallet_sendCalls` (EIP-5792): the wallet prices and orders them itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WalletCalls {
    /// `2.0.0`.
    version: &'static str,
    #[serde(flatten)]
    account: Option<CallsAccount>,
    /// The steps also do one after the other.
    atomic_required: bool,
    calls: Vec<WalletCall>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallsAccount {
    chain_id: Quantity,
    from: Checksummed,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
struct WalletCall {
    to: Checksummed,
    #[schema(value_type = w::HexData)]
    data: Bytes,
    value: Quantity,
}

impl WalletCalls {
    fn of(steps: &[StepDto]) -> Self {
        let transactions = steps.iter().map(|step| &step.transaction);
        Self {
            version: "2.0.0",
            account: steps.first().map(|step| CallsAccount { chain_id: step.transaction.chain_id, from: step.transaction.from }),
            atomic_required: false,
            calls: transactions.map(|one| WalletCall { to: one.to, data: one.data.clone(), value: one.value }).collect(),
        }
    }
}

impl From<UnsignedTransaction> for WalletTransaction {
    fn from(unsigned: UnsignedTransaction) -> Self {
        let UnsignedTransaction { chain_id, from, to, data, gas, nonce, fees } = unsigned;
        let (max_fee_per_gas, max_priority_fee_per_gas, gas_price, kind) = match fees {
            Fees::Dynamic { max_fee, max_priority_fee } => (Some(Quantity(max_fee)), Some(Quantity(max_priority_fee)), None, "0x2"),
            Fees::Legacy { gas_price } => (None, None, Some(Quantity(gas_price)), "0x0"),
        };
        Self {
            chain_id: Quantity::of(chain_id),
            from: Checksummed(from),
            to: Checksummed(to),
            data,
            value: Quantity(U256::ZERO),
            gas: Quantity::of(gas),
            max_fee_per_gas,
            max_priority_fee_per_gas,
            gas_price,
            nonce: Quantity::of(nonce),
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{address, bytes};
    use serde_json::json;

    use super::*;

    fn unsigned(fees: Fees) -> UnsignedTransaction {
        UnsignedTransaction {
            chain_id: 31337,
            from: address!("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"),
            to: address!("0x70997970c51812dc3a010c7d01b50e0d17dc79c8"),
            data: bytes!("0xabcd"),
            gas: 90_000,
            nonce: 0,
            fees,
        }
    }

    #[test]
    fn a_transaction_is_what_strict_wallets_take() {
        let fees = Fees::Dynamic { max_fee: U256::from(3_000_000_000_u64), max_priority_fee: U256::ZERO };
        assert_eq!(
            serde_json::to_value(WalletTransaction::from(unsigned(fees))).unwrap(),
            json!({
                "chainId": "0x7a69",
                "from": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
                "to": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
                "data": "0xabcd",
                "value": "0x0",
                "gas": "0x15f90",
                "maxFeePerGas": "0xb2d05e00",
                "maxPriorityFeePerGas": "0x0",
                "nonce": "0x0",
                "type": "0x2",
            })
        );
    }

    #[test]
    fn a_chain_without_a_base_fee_gets_a_legacy_transaction() {
        let transaction = serde_json::to_value(WalletTransaction::from(unsigned(Fees::Legacy { gas_price: U256::from(7) }))).unwrap();
        assert_eq!((&transaction["type"], &transaction["gasPrice"]), (&json!("0x0"), &json!("0x7")));
        assert_eq!(transaction.get("maxFeePerGas"), None);
    }
}

//! Something to sign instead of sending: EIP-712 typed data as `eth_signTypedData_v4` takes it.

use alloy::{
    primitives::U256,
    sol_types::{Eip712Domain, SolStruct},
};
use clawpay_bindings::{AgentWalletSet, ForwardRequest, Permit, ReceiveWithAuthorization};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::actions::{Gasless, Payload};
use crate::http::openapi::schemas as w;
use crate::text::Checksummed;

/// Typed data. The types are those of the struct that the signature is checked with, and name the domain's: wallets that do not find
/// `EIP712Domain` among them sign something else.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TypedData {
    domain: Domain,
    #[schema(inline, value_type = w::TypedDataTypes)]
    types: Map<String, Value>,
    /// Which of the types the message is.
    primary_type: &'static str,
    #[schema(inline, value_type = w::TypedDataMessage)]
    message: Value,
}

/// Whose question it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TypedDataDomain)]
#[serde(rename_all = "camelCase")]
struct Domain {
    name: String,
    version: String,
    chain_id: u64,
    verifying_contract: Checksummed,
}

/// What a wallet may be asked to sign, with its members as JSON spells them: numbers in decimal, as texts.
pub(crate) trait Signable: SolStruct {
    fn message(&self) -> Value;
}

impl Signable for Permit {
    fn message(&self) -> Value {
        json!({
            "owner": Checksummed(self.owner),
            "spender": Checksummed(self.spender),
            "value": decimal(self.value),
            "nonce": decimal(self.nonce),
            "deadline": decimal(self.deadline),
        })
    }
}

impl Signable for ReceiveWithAuthorization {
    fn message(&self) -> Value {
        json!({
            "from": Checksummed(self.from),
            "to": Checksummed(self.to),
            "value": decimal(self.value),
            "validAfter": decimal(self.validAfter),
            "validBefore": decimal(self.validBefore),
            "nonce": self.nonce,
        })
    }
}

impl Signable for ForwardRequest {
    fn message(&self) -> Value {
        json!({
            "from": Checksummed(self.from),
            "to": Checksummed(self.to),
            "value": decimal(self.value),
            "gas": decimal(self.gas),
            "nonce": decimal(self.nonce),
            "deadline": self.deadline.to_string(),
            "data": self.data,
        })
    }
}

impl Signable for AgentWalletSet {
    fn message(&self) -> Value {
        json!({
            "agentId": decimal(self.agentId),
            "newWallet": Checksummed(self.newWallet),
            "owner": Checksummed(self.owner),
            "deadline": decimal(self.deadline),
        })
    }
}

fn decimal(number: U256) -> String {
    number.to_string()
}

impl TypedData {
    /// `payload` in `domain`.
    fn new<T: Signable>(payload: &T, domain: &Eip712Domain) -> Self {
        let text = |text: &Option<std::borrow::Cow<'static, str>>| text.as_deref().unwrap_or_default().to_owned();
        let types = [domain.encode_type(), T::eip712_root_type().into_owned()];
        Self {
            domain: Domain {
                name: text(&domain.name),
                version: text(&domain.version),
                chain_id: domain.chain_id.and_then(|id| u64::try_from(id).ok()).unwrap_or_default(),
                verifying_contract: Checksummed(domain.verifying_contract.unwrap_or_default()),
            },
            types: types.iter().filter_map(|encoded| members(encoded)).collect(),
            primary_type: T::NAME,
            message: payload.message(),
        }
    }
}

impl<T: Signable> From<&Payload<T>> for TypedData {
    fn from(Payload { message, domain }: &Payload<T>) -> Self {
        Self::new(message, domain)
    }
}

impl From<&Gasless> for TypedData {
    fn from(gasless: &Gasless) -> Self {
        match gasless {
            Gasless::Request(payload) => payload.into(),
            Gasless::Authorization { payload, .. } => payload.into(),
        }
    }
}

/// `Name(kind member,kind member)`, as JSON lists it.
fn members(encoded: &str) -> Option<(String, Value)> {
    let (name, members) = encoded.strip_suffix(')')?.split_once('(')?;
    let members = members.split(',').filter_map(|member| member.split_once(' '));
    Some((name.to_owned(), members.map(|(kind, name)| json!({ "name": name, "type": kind })).collect()))
}

#[cfg(test)]
mod tests {
    use alloy::{
        dyn_abi::TypedData as Reference,
        primitives::{Address, B256, address, aliases::U48, bytes},
    };
    use clawpay_bindings::{forwarder_domain, registry_domain, token_domain};

    use super::*;

    const ONE: Address = address!("0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");

    /// What is shown hashes to what is checked, by code that knows nothing of either.
    fn agrees<T: Signable>(payload: &T, domain: &Eip712Domain) {
        let shown = serde_json::to_value(TypedData::new(payload, domain)).unwrap();
        let read: Reference = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(read.eip712_signing_hash().unwrap(), payload.eip712_signing_hash(domain), "{shown:#}");
        assert_eq!(shown["types"].as_object().unwrap().len(), 2);
        assert_eq!(shown["types"]["EIP712Domain"][3], json!({ "name": "verifyingContract", "type": "address" }));
    }

    #[test]
    fn what_is_shown_is_what_the_contracts_check() {
        let (value, token) = (U256::MAX, token_domain("USD Coin".into(), "2".into(), 84_532, ONE));
        agrees(&Permit { owner: ONE, spender: Address::repeat_byte(2), value, nonce: U256::from(7), deadline: U256::from(9) }, &token);
        let authorization = ReceiveWithAuthorization {
            from: ONE,
            to: Address::repeat_byte(2),
            value,
            validAfter: U256::ZERO,
            validBefore: U256::from(9),
            nonce: B256::repeat_byte(3),
        };
        agrees(&authorization, &token);
        let request = ForwardRequest {
            from: ONE,
            to: Address::repeat_byte(2),
            value: U256::ZERO,
            gas: U256::from(100_000),
            nonce: U256::from(1),
            deadline: U48::from(1_800_000_000_u64),
            data: bytes!("0xabcd"),
        };
        agrees(&request, &forwarder_domain(31_337, ONE));
        let (agent, owner) = (U256::from(7), Address::repeat_byte(2));
        agrees(&AgentWalletSet { agentId: agent, newWallet: ONE, owner, deadline: U256::from(9) }, &registry_domain(31_337, ONE));
    }
}

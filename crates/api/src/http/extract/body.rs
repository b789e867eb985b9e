//! JSON bodies that ask for something to sign, or hand in what was signed.

use alloy::primitives::{B256, Bytes, U256};
use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use clawpay_bindings::SignedPermit;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{fields::read, parameters::Digits};
use crate::{
    App, MAX_BODY_BYTES,
    error::{ApiError, Invalid},
    transactions::signed::Signed,
};

/// The most steps any action has: an allowance and the call.
const MOST_STEPS: usize = 2;

/// What is asked for, and the signed answer to an earlier asking if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Signable<T> {
    /// The action.
    pub request: T,
    /// What was signed.
    pub signed: Option<Signed>,
    /// A permit that takes the place of an allowance.
    pub permit: Option<SignedPermit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedFields {
    signed_transactions: Option<Vec<Bytes>>,
    transaction_hash: Option<B256>,
    permit: Option<PermitFields>,
}

/// A permit, as the typed data of its step states it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PermitFields {
    deadline: Digits,
    signature: Bytes,
}

impl From<PermitFields> for SignedPermit {
    fn from(PermitFields { deadline, signature }: PermitFields) -> Self {
        Self { deadline: U256::from(deadline.0), signature }
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Signable<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        Ok(parse(&bytes(request, app).await?)?)
    }
}

/// A JSON object as a `T`, whose fields are its members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        Ok(Self(read(Value::Object(object(&bytes(request, app).await?)?))?))
    }
}

/// All of a body that is declared as JSON.
async fn bytes(request: Request, app: &App) -> Result<axum::body::Bytes, ApiError> {
    if !is_json(request.headers()) {
        return Err(ApiError::NotJson);
    }
    let read = tokio::time::timeout(app.config().body_timeout, to_bytes(request.into_body(), MAX_BODY_BYTES)).await;
    read.map_err(|_| ApiError::BodyTimeout)?.map_err(|_| ApiError::BodyTooLarge)
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Invalid> {
    serde_json::from_slice(bytes).map_err(|error| Invalid {
        code: "malformed_json",
        field: None,
        detail: format!("the body is not a JSON object: {error}"),
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<Signable<T>, Invalid> {
    let mut fields = object(bytes)?;
    let signed =
        ["signedTransactions", "transactionHash", "permit"].into_iter().filter_map(|name| Some((name.to_owned(), fields.remove(name)?)));
    let signed: Map<String, Value> = signed.collect();
    let request = read(Value::Object(fields))?;
    let SignedFields { signed_transactions, transaction_hash, permit } = read(Value::Object(signed))?;
    let signed = match (signed_transactions, transaction_hash) {
        (None, None) => None,
        (Some(transactions), None) => {
            if transactions.is_empty() || transactions.len() > MOST_STEPS {
                return Err(Invalid::value("signedTransactions", "signedTransactions: one for each step, in the order of the steps"));
            }
            Some(Signed::Transactions(transactions))
        }
        (None, Some(hash)) => Some(Signed::Sent(hash)),
        (Some(_), Some(_)) => {
            return Err(Invalid::value("transactionHash", "give signedTransactions or transactionHash, not both"));
        }
    };
    Ok(Signable { request, signed, permit: permit.map(Into::into) })
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Wanted {
        agent_id: u64,
    }

    fn signed(fields: Value) -> Result<Option<Signed>, (&'static str, Option<String>)> {
        let mut body = json!({ "agentId": 1 });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let parsed: Result<Signable<Wanted>, _> = parse(body.to_string().as_bytes());
        parsed
            .map(|parsed| {
                assert_eq!(parsed.request.agent_id, 1);
                parsed.signed
            })
            .map_err(|invalid| (invalid.code, invalid.field))
    }

    #[test]
    fn what_was_signed_stands_beside_the_request() {
        let hash = "0x9fc76417374aa880d4449a1f7f31ec597f00b1f6f3dd2d66f4c9c6c445836d8b";
        assert_eq!(signed(json!({})), Ok(None));
        assert_eq!(signed(json!({ "transactionHash": null })), Ok(None));
        assert_eq!(
            signed(json!({ "signedTransactions": ["0x01", "0x02"] })),
            Ok(Some(Signed::Transactions(vec![Bytes::from([1]), Bytes::from([2])])))
        );
        assert_eq!(signed(json!({ "transactionHash": hash })), Ok(Some(Signed::Sent(hash.parse().unwrap()))));
    }

    #[test]
    fn what_was_signed_must_have_its_form() {
        let refused = |fields| signed(fields).unwrap_err().1.unwrap();
        assert_eq!(refused(json!({ "signedTransactions": [] })), "signedTransactions");
        assert_eq!(refused(json!({ "signedTransactions": ["0x01", "0x02", "0x03"] })), "signedTransactions");
        assert_eq!(refused(json!({ "signedTransactions": ["zz"] })), "signedTransactions[0]");
        assert_eq!(refused(json!({ "signedTransactions": "0x01" })), "signedTransactions");
        assert_eq!(refused(json!({ "transactionHash": "0x01" })), "transactionHash");
        let hash = B256::ZERO.to_string();
        assert_eq!(refused(json!({ "signedTransactions": ["0x01"], "transactionHash": hash })), "transactionHash");
        assert_eq!(refused(json!({ "signedTransaction": "0x01" })), "signedTransaction");
    }

    #[test]
    fn a_body_is_a_json_object() {
        for body in ["", "[]", "null", "{", "{\"agentId\":1} x", "\"agentId\""] {
            assert_eq!(parse::<Wanted>(body.as_bytes()).unwrap_err().code, "malformed_json", "{body}");
        }
    }

    #[test]
    fn json_is_declared_by_its_media_type() {
        let is_json = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8"));
        assert!(!is_json("text/plain") && !is_json("application/jsonp") && !is_json("application/x-www-form-urlencoded"));
    }
}

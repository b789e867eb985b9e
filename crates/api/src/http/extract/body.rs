//! JSON bodies that ask for something to sign, or hand in what was signed.

use alloy::primitives::U256;
use axum::{
    body::{Body as RawBody, HttpBody},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use clawpay_bindings::{SignedPermit, WalletConsent};
use futures::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::{
    fields::{read, read_beside},
    json::{malformed, object},
    parameters::{AnyHex, Digits, Word},
};
use crate::{
    App, MAX_BODY_BYTES,
    error::{ApiError, Invalid},
    room::Share,
    transactions::signed::Signed,
};

/// Bytes that every body may have, however many are being read.
const OWN_BYTES: usize = 4 * 1024;

/// The most steps any action has: an allowance and the call.
const MOST_STEPS: usize = 2;

/// The largest nonce that is prepared for.
pub(crate) const LAST_NONCE: u64 = (1 << 53) - 1;

/// What is asked for, and the signed answer to an earlier asking if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Signable<T> {
    /// The action.
    pub request: T,
    /// What was signed.
    pub signed: Option<Signed>,
    /// A permit that takes the place of an allowance.
    pub permit: Option<SignedPermit>,
    /// The nonce of the first step, where its signer counts for itself.
    pub nonce: Option<u64>,
    /// What makes it the same request as an earlier one.
    pub key: Option<IdempotencyKey>,
}

/// The header by which a request is the same as an earlier one of its wallet's: 1 to 128 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(pub String);

impl IdempotencyKey {
    /// The header's name.
    pub(crate) const HEADER: &str = "idempotency-key";

    /// Most characters of one.
    pub(crate) const LONGEST: usize = 128;

    fn of(headers: &HeaderMap) -> Result<Option<Self>, Invalid> {
        let mut keys = headers.get_all(Self::HEADER).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        let refuse = |detail: String| Err(Invalid::value(Self::HEADER, detail));
        if keys.next().is_some() {
            return refuse(format!("{}: is given twice", Self::HEADER));
        }
        let is_printable = |byte: &u8| (b' '..=b'~').contains(byte);
        match std::str::from_utf8(key.as_bytes()) {
            Ok(key) if (1..=Self::LONGEST).contains(&key.len()) && key.as_bytes().iter().all(is_printable) => {
                Ok(Some(Self(key.to_owned())))
            }
            _ => refuse(format!("{}: must have 1 to {} printable ASCII characters", Self::HEADER, Self::LONGEST)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedFields {
    signed_transactions: Option<Vec<AnyHex>>,
    transaction_hash: Option<Word>,
    permit: Option<SignedUntil>,
    nonce: Option<u64>,
}

/// Typed data that was signed: its deadline, as it states that, and the signature.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignedUntil {
    deadline: Digits,
    signature: AnyHex,
}

impl From<SignedUntil> for SignedPermit {
    fn from(SignedUntil { deadline, signature }: SignedUntil) -> Self {
        Self { deadline: U256::from(deadline.0), signature: signature.0 }
    }
}

impl From<SignedUntil> for WalletConsent {
    fn from(SignedUntil { deadline, signature }: SignedUntil) -> Self {
        Self { deadline: U256::from(deadline.0), signature: signature.0 }
    }
}

impl<T: DeserializeOwned + ToSchema> FromRequest<App> for Signable<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let key = IdempotencyKey::of(request.headers())?;
        Ok(Self { key, ..parse(&bytes(request, app).await?)? })
    }
}

/// A JSON object as a `T`, whose fields are its members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned + ToSchema> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let fields = object(&bytes(request, app).await?)?;
        require_all::<T>(&fields)?;
        Ok(Self(read(Value::Object(fields))?))
    }
}

/// All of a body that is declared as JSON.
async fn bytes(request: Request, app: &App) -> Result<Vec<u8>, ApiError> {
    if !is_json(request.headers()) || is_compressed(request.headers()) {
        return Err(ApiError::NotJson);
    }
    // A client that says so much need not send it.
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(ApiError::BodyTooLarge);
    }
    let read = tokio::time::timeout(app.config().body_timeout, gather(request.into_body(), app.bodies().share(OWN_BYTES))).await;
    read.map_err(|_| ApiError::BodyTimeout)?
}

fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Copies what comes into one piece: kept as they come, a body's bytes could each bring a buffer of their own along.
async fn gather(body: RawBody, mut share: Share) -> Result<Vec<u8>, ApiError> {
    let mut pieces = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| malformed("it breaks off"))?;
        if bytes.len() + piece.len() > MAX_BODY_BYTES {
            return Err(ApiError::BodyTooLarge);
        }
        if !share.grow(piece.len()) {
            return Err(ApiError::Busy);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Refuses an object that lacks a field, naming all that it lacks. Which there have to be, a body's own description says.
fn require_all<T: ToSchema>(fields: &Map<String, Value>) -> Result<(), ApiError> {
    let RefOr::T(Schema::Object(described)) = T::schema() else { return Ok(()) };
    let missing: Vec<String> = described.required.into_iter().filter(|name| !fields.contains_key(name)).collect();
    if missing.is_empty() { Ok(()) } else { Err(ApiError::MissingFields(missing)) }
}

/// The two names of the account that signs: who reads a run calls a poster's so, and every other verb has the other.
const SIGNERS: [&str; 2] = ["walletAddress", "posterAddress"];

/// Takes the one name of the signer's account for the other, where a body has only that.
fn name_signer<T: ToSchema>(fields: &mut Map<String, Value>) -> Result<(), Invalid> {
    let RefOr::T(Schema::Object(described)) = T::schema() else { return Ok(()) };
    let Some(wanted) = SIGNERS.into_iter().find(|name| described.properties.contains_key(*name)) else { return Ok(()) };
    let Some(other) = SIGNERS.into_iter().find(|name| *name != wanted) else { return Ok(()) };
    let Some(given) = fields.remove(other) else { return Ok(()) };
    match fields.get(wanted) {
        Some(signer) if *signer != given => {
            Err(Invalid::value(other, format!("{other}: stands for the same account as {wanted}, and names another")))
        }
        Some(_) => Ok(()),
        None => {
            fields.insert(wanted.to_owned(), given);
            Ok(())
        }
    }
}

/// What may stand beside the fields of each verb; a permit only where the verb pays.
const SIGNED: [&str; 4] = ["signedTransactions", "transactionHash", "nonce", "permit"];

/// Whether this is hex with more bytes than a hash has, as many wallets name the bundles that they send.
fn is_bundle(hash: &Value) -> bool {
    let digits = hash.as_str().and_then(|text| text.strip_prefix("0x")).unwrap_or_default();
    digits.len() > 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The refusal of a bundle's id in place of a hash.
fn bundle(refused: Invalid) -> Invalid {
    let Invalid { code, field, detail } = refused;
    let is_the_hash = field.as_deref() == Some("transactionHash");
    let hint =
        if is_the_hash { "; a wallet's bundle id (EIP-5792) is no hash: wallet_getCallsStatus tells its receipts' hashes" } else { "" };
    Invalid { code, field, detail: format!("{detail}{hint}") }
}

fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> Result<Signable<T>, ApiError> {
    let mut fields = object(bytes)?;
    name_signer::<T>(&mut fields)?;
    let signed = SIGNED.into_iter().filter_map(|name| Some((name.to_owned(), fields.remove(name)?)));
    let signed: Map<String, Value> = signed.collect();
    let is_bundle = signed.get("transactionHash").is_some_and(is_bundle);
    require_all::<T>(&fields)?;
    let request = read_beside(&SIGNED, Value::Object(fields))?;
    let read = read(Value::Object(signed)).map_err(|error| if is_bundle { bundle(error) } else { error });
    let SignedFields { signed_transactions, transaction_hash, permit, nonce } = read?;
    let signed = match (signed_transactions, transaction_hash) {
        (None, None) => None,
        (Some(transactions), None) => {
            if transactions.is_empty() || transactions.len() > MOST_STEPS {
                return Err(Invalid::value("signedTransactions", "signedTransactions: one for each step, in the order of the steps").into());
            }
            Some(Signed::Transactions(transactions.into_iter().map(|raw| raw.0).collect()))
        }
        (None, Some(Word(hash))) => Some(Signed::Sent(hash)),
        (Some(_), Some(_)) => {
            return Err(Invalid::value("transactionHash", "give signedTransactions or transactionHash, not both").into());
        }
    };
    // What every reader of JSON can count to.
    if nonce.is_some_and(|nonce| nonce > LAST_NONCE) {
        return Err(Invalid::value("nonce", format!("nonce: must be a whole number up to {LAST_NONCE}")).into());
    }
    Ok(Signable { request, signed, permit: permit.map(Into::into), nonce, key: None })
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split_once(';').map_or(value, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, Bytes};
    use serde_json::json;

    use super::*;
    use crate::room::Room;

    #[tokio::test]
    async fn bodies_share_their_room_and_small_ones_always_have_theirs() {
        let room = Room::new(0);
        let read = async |bytes: usize| gather(RawBody::from(vec![b' '; bytes]), room.share(OWN_BYTES)).await;
        assert_eq!(read(OWN_BYTES).await.unwrap().len(), OWN_BYTES);
        assert!(matches!(read(OWN_BYTES + 1).await, Err(ApiError::Busy)));
        let room = Room::new(MAX_BODY_BYTES);
        assert!(matches!(gather(RawBody::from(vec![b' '; MAX_BODY_BYTES + 1]), room.share(0)).await, Err(ApiError::BodyTooLarge)));
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Wanted {
        agent_id: u64,
        wallet_address: Option<String>,
    }

    fn invalid(error: ApiError) -> Invalid {
        match error {
            ApiError::Invalid(invalid) => invalid,
            other => panic!("{other:?}"),
        }
    }

    fn signed(fields: Value) -> Result<Option<Signed>, (&'static str, Option<String>)> {
        let mut body = json!({ "agentId": 1 });
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        let parsed: Result<Signable<Wanted>, _> = parse(body.to_string().as_bytes());
        parsed
            .map_err(invalid)
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
    fn what_is_no_hash_is_answered_with_what_one_looks_like() {
        let detail = |name: &str, value: Value| {
            let body = json!({ "agentId": 1, name: value });
            invalid(parse::<Wanted>(body.to_string().as_bytes()).unwrap_err()).detail
        };
        let hash = "transactionHash: must be 32 bytes as hex, 0x and 64 digits";
        for wrong in ["0x1", "0x12", "zz", ""] {
            assert_eq!(detail("transactionHash", json!(wrong)), hash, "{wrong}");
        }
        assert_eq!(detail("transactionHash", json!([])), "transactionHash: expected a text, and got a list");
        let bundle = detail("transactionHash", json!(format!("0x{}", "ab".repeat(64))));
        assert!(
            bundle.starts_with(hash) && bundle.contains("bundle id (EIP-5792)") && bundle.contains("wallet_getCallsStatus"),
            "{bundle}"
        );
        let raw = "signedTransactions[0]: must be bytes as hex, two digits each, after 0x";
        for wrong in ["0x1", "zz"] {
            assert_eq!(detail("signedTransactions", json!([wrong])), raw, "{wrong}");
        }
        assert_eq!(detail("signedTransactions", json!([[1]])), "signedTransactions[0]: expected a text, and got a list");
        let signature = detail("permit", json!({ "deadline": "1", "signature": "0x1" }));
        assert_eq!(signature, "permit.signature: must be bytes as hex, two digits each, after 0x");
    }

    #[test]
    fn an_unknown_field_of_a_verb_is_answered_with_what_stands_beside_its_own() {
        let body = json!({ "agentId": 1, "signedTransaction": "0x01" }).to_string();
        let detail = invalid(parse::<Wanted>(body.as_bytes()).unwrap_err()).detail;
        let known = "agentId, walletAddress, signedTransactions, transactionHash, nonce, permit";
        assert_eq!(detail, format!("signedTransaction is not known here; did you mean signedTransactions? (known are {known})"));
    }

    #[test]
    fn a_body_is_a_json_object() {
        for body in ["", "[]", "null", "{", "{\"agentId\":1} x", "\"agentId\""] {
            assert_eq!(invalid(parse::<Wanted>(body.as_bytes()).unwrap_err()).code, "malformed_json", "{body}");
        }
    }

    #[test]
    fn all_missing_fields_are_named_at_once() {
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(rename_all = "camelCase")]
        struct Three {
            #[allow(dead_code, reason = "only read from JSON")]
            poster_address: String,
            #[allow(dead_code, reason = "only read from JSON")]
            ipfs_hash: String,
            #[allow(dead_code, reason = "only read from JSON")]
            draft: Option<bool>,
        }
        let missing = |body: Value| match parse::<Three>(body.to_string().as_bytes()) {
            Err(ApiError::MissingFields(fields)) => fields,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(json!({})), ["posterAddress", "ipfsHash"]);
        assert_eq!(missing(json!({ "posterAddress": "x", "draft": true })), ["ipfsHash"]);
        assert_eq!(missing(json!({ "walletAddress": "x" })), ["ipfsHash"]);
    }

    #[test]
    fn the_signers_account_has_two_names() {
        let signer = |body: Value| parse::<Wanted>(body.to_string().as_bytes()).map(|parsed| parsed.request.wallet_address);
        assert_eq!(signer(json!({ "agentId": 1, "posterAddress": "x" })).unwrap(), Some("x".to_owned()));
        assert_eq!(signer(json!({ "agentId": 1, "posterAddress": "x", "walletAddress": "x" })).unwrap(), Some("x".to_owned()));
        let both = invalid(signer(json!({ "agentId": 1, "posterAddress": "x", "walletAddress": "y" })).unwrap_err());
        assert_eq!(both.field.as_deref(), Some("posterAddress"));
    }

    #[test]
    fn a_key_is_printable_and_comes_once() {
        let key = |values: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IdempotencyKey::HEADER, axum::http::HeaderValue::from_bytes(value).unwrap());
            }
            IdempotencyKey::of(&headers).map(|key| key.map(|key| key.0)).map_err(|invalid| invalid.field.unwrap())
        };
        assert_eq!((key(&[]), key(&[b"order 7"])), (Ok(None), Ok(Some("order 7".to_owned()))));
        assert_eq!(key(&[&[b'x'; 128]]), Ok(Some("x".repeat(128))));
        for bad in [&[b"".as_slice()] as &[&[u8]], &[&[b'x'; 129]], &[b"a", b"b"], &["ä".as_bytes()], &[b"a\tb"]] {
            assert_eq!(key(bad), Err("idempotency-key".to_owned()));
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

//! Relaying what wallets without ether have signed.

use alloy::primitives::{U256, aliases::U48};
use axum::{extract::State, http::StatusCode};
use clawpay_bindings::forwarder::ERC2771Forwarder::ForwardRequestData;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    App,
    error::{ApiError, Invalid},
    http::dto::{stamped::Stamped, transaction::TransactionDto},
    http::extract::{Account, AnyHex, BaseUnits, Body, Digits, Nothing, Query},
    http::openapi::schemas as w,
    relay::Posted,
    transactions::status::Claimed,
};

/// The body of `POST /api/relay`: one of the two, as a prepared answer's `relay` spells it, and what was signed.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = Relayed)]
#[serde(deny_unknown_fields)]
pub(super) struct Relay {
    request: Option<Request>,
    call: Option<CallBody>,
    /// Over the prepared answer's `typedData`.
    #[schema(value_type = w::HexData)]
    signature: AnyHex,
}

/// A request that the forwarder executes.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = RelayedRequest)]
#[serde(deny_unknown_fields)]
struct Request {
    from: Account,
    to: Account,
    /// Always 0.
    #[schema(value_type = w::Decimal)]
    value: BaseUnits,
    #[schema(value_type = w::Decimal)]
    gas: Digits,
    #[schema(value_type = w::Decimal)]
    deadline: Digits,
    #[schema(value_type = w::HexData)]
    data: AnyHex,
}

/// A call with an authorization in it, whose signature is empty.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = RelayedCall)]
#[serde(deny_unknown_fields)]
struct CallBody {
    to: Account,
    #[schema(value_type = w::HexData)]
    data: AnyHex,
}

/// Relay what was signed
///
/// Sends a signed request or authorization, in the signer's name and at the operator's cost, where the operator has configured that. Post a
/// prepared answer's `relay`, with the signature of its `typedData` added. Handing in the same again sends nothing new.
#[utoipa::path(post, path = "/api/relay", operation_id = "relay", tag = "transactions", request_body = Relay, responses(
    (status = 202, description = "It is on its way.", body = TransactionDto),
), extensions(("x-problems" = json!([
    "400 invalid_signature",
    "400 relay_deadline_out_of_range",
    "403 not_relayable",
    "404 relay_disabled",
    "409 wrong_state",
    "422 insufficient_usdc",
    "422 relay_gas_too_high",
    "429 relay_quota_exceeded",
    "503 node_unavailable",
    "503 relay_budget_exhausted",
    "503 relay_out_of_funds",
    "503 wrong_chain"
]))))]
pub(super) async fn relay(
    State(app): State<App>,
    Query(Nothing {}): Query<Nothing>,
    Body(body): Body<Relay>,
) -> Result<Stamped<TransactionDto>, ApiError> {
    let posted = posted(body)?;
    let hash = app.relayer().ok_or(ApiError::RelayDisabled)?.accept(posted).await?;
    let status = app.tracker().status(app.reader(), hash, Claimed::default()).await?;
    let indexed = status.indexed;
    Ok(Stamped::new(&app, &indexed, TransactionDto::from(status)).status(StatusCode::ACCEPTED))
}

fn posted(body: Relay) -> Result<Posted, Invalid> {
    let Relay { request, call, signature: AnyHex(signature) } = body;
    match (request, call) {
        (Some(Request { from, to, value, gas, deadline, data: AnyHex(data) }), None) => {
            let Ok(deadline) = U48::try_from(deadline.0) else {
                return Err(Invalid::value("request.deadline", "request.deadline: is larger than any time"));
            };
            let (value, gas) = (value.0.0, U256::from(gas.0));
            Ok(Posted::Request(ForwardRequestData { from: from.0, to: to.0, value, gas, deadline, data, signature }))
        }
        (None, Some(CallBody { to, data: AnyHex(data) })) => Ok(Posted::Call { to: to.0, data, signature }),
        (Some(_), Some(_)) => Err(Invalid::value("call", "give a request or a call, not both")),
        (None, None) => {
            let detail = "request is missing, or else call".to_owned();
            Err(Invalid { code: "missing_field", field: Some("request".to_owned()), detail })
        }
    }
}

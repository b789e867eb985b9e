//! What is posted to `/api/relay`, as a prepared answer spells it out.

use alloy::primitives::Bytes;
use clawpay_bindings::ForwardRequest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actions::Gasless;
use crate::http::openapi::schemas as w;
use crate::text::Checksummed;

/// The body of `POST /api/relay`, but for its `signature`: one of the two.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RelayOffer)]
pub(crate) struct RelayDto {
    /// A request that the forwarder executes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request: Option<RequestDto>,
    /// A call with an authorization in it whose signature is still empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    call: Option<CallDto>,
}

/// A forwarder's request. The nonce is signed and not submitted: the forwarder counts for itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ForwardRequest)]
pub(crate) struct RequestDto {
    from: Checksummed,
    to: Checksummed,
    value: String,
    gas: String,
    deadline: String,
    #[schema(value_type = w::HexData)]
    data: Bytes,
}

/// A call.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AuthorizedCall)]
pub(crate) struct CallDto {
    to: Checksummed,
    #[schema(value_type = w::HexData)]
    data: Bytes,
}

impl From<Gasless> for RelayDto {
    fn from(gasless: Gasless) -> Self {
        match gasless {
            Gasless::Request(payload) => Self { request: Some((&payload.message).into()), call: None },
            Gasless::Authorization { to, data, .. } => Self { request: None, call: Some(CallDto { to: Checksummed(to), data }) },
        }
    }
}

impl From<&ForwardRequest> for RequestDto {
    fn from(request: &ForwardRequest) -> Self {
        Self {
            from: Checksummed(request.from),
            to: Checksummed(request.to),
            value: request.value.to_string(),
            gas: request.gas.to_string(),
            deadline: request.deadline.to_string(),
            data: request.data.clone(),
        }
    }
}

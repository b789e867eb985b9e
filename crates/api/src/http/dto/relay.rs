//! What is posted to `/api/relay`, as a prepared answer spells it out.

use alloy::primitives::{Address, Bytes};
use clawpay_bindings::ForwardRequest;
use serde::Serialize;
use utoipa::ToSchema;

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

impl RelayDto {
    /// To have this request executed.
    pub(crate) const fn request(request: RequestDto) -> Self {
        Self { request: Some(request), call: None }
    }

    /// To have this call made.
    pub(crate) const fn call(call: CallDto) -> Self {
        Self { request: None, call: Some(call) }
    }
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

impl CallDto {
    /// Of `to`.
    pub(crate) const fn new(to: Address, data: Bytes) -> Self {
        Self { to: Checksummed(to), data }
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

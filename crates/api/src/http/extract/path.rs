//! Whom a path names.

use alloy::primitives::{Address, B256};
use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use clawpay_domain::{AgentId, RunId};
use utoipa::{
    IntoParams, PartialSchema,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use super::parameters::{Account, Digits, TransactionHash};
use crate::error::{ApiError, Invalid};

/// The run in `/api/runs/{id}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunPath(pub RunId);

/// The agent in `/api/agents/{id}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AgentPath(pub AgentId);

/// The account in `/api/posters/{address}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountPath(pub Address);

/// The transaction in `/api/transactions/{hash}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashPath(pub B256);

impl<S: Send + Sync> FromRequestParts<S> for RunPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Digits(id) = segment(parts, state, "id").await?;
        Ok(Self(RunId(id)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AgentPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Digits(id) = segment(parts, state, "id").await?;
        Ok(Self(AgentId(id)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AccountPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Account(address) = segment(parts, state, "address").await?;
        Ok(Self(address))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for HashPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let TransactionHash(hash) = segment(parts, state, "hash").await?;
        Ok(Self(hash))
    }
}

/// Describes a path's one parameter.
macro_rules! parameter {
    ($path:ident, $name:literal, $word:ty, $description:literal) => {
        impl IntoParams for $path {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                let parameter = ParameterBuilder::new()
                    .name($name)
                    .parameter_in(ParameterIn::Path)
                    .required(Required::True)
                    .description(Some($description))
                    .schema(Some(<$word>::schema()));
                vec![parameter.build()]
            }
        }
    };
}

parameter!(RunPath, "id", Digits, "The run's number.");
parameter!(AgentPath, "id", Digits, "The agent's number.");
parameter!(AccountPath, "address", Account, "The account.");
parameter!(HashPath, "hash", TransactionHash, "The transaction's hash.");

async fn segment<T, S>(parts: &mut Parts, state: &S, name: &'static str) -> Result<T, ApiError>
where
    T: TryFrom<String, Error = super::parameters::NotAWord>,
    S: Send + Sync,
{
    let unreadable = || Invalid::value(name, format!("{name}: is not UTF-8"));
    let segments = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    let text = segments.iter().find(|(segment, _)| *segment == name).map(|(_, text)| text.to_owned()).ok_or_else(unreadable)?;
    text.try_into().map_err(|error| Invalid::value(name, format!("{name}: {error}")).into())
}

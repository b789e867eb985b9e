//! Query strings.

use std::borrow::Cow;

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::fields::read;
use crate::error::{ApiError, Invalid};

/// The parameter that every read takes.
pub(crate) const MIN_BLOCK: &str = "minBlock";

/// A query string as a `T`, whose fields are its parameters. Each parameter is a text, and may be given once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub T);

/// A query string of a read, which may name a block beside the parameters of `T`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadQuery<T>(pub T);

/// A query string without parameters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(parse(parts.uri.query().unwrap_or_default())?))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ReadQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut parameters = parameters(parts.uri.query().unwrap_or_default())?;
        parameters.remove(MIN_BLOCK);
        Ok(Self(read(Value::Object(parameters))?))
    }
}

/// A query string as a `T`.
pub(crate) fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Invalid> {
    read(Value::Object(parameters(query)?))
}

/// One parameter of a query string.
pub(crate) fn only<T: DeserializeOwned>(query: &str, name: &str) -> Result<T, Invalid> {
    let mut parameters = parameters(query)?;
    parameters.retain(|parameter, _| parameter == name);
    read(Value::Object(parameters))
}

/// The parameters of a query string, but for `_`, which libraries add so that no cache answers.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "_")
}

fn parameters(query: &str) -> Result<Map<String, Value>, Invalid> {
    let mut parameters = Map::new();
    for (name, value) in pairs(query) {
        if parameters.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
            return Err(Invalid { code: "duplicate_field", detail: format!("{name} is given twice"), field: Some(name.into_owned()) });
        }
    }
    Ok(parameters)
}

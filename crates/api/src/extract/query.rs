//! Query strings.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::fields::read;
use crate::error::{ApiError, Invalid};

/// A query string as a `T`, whose fields are its parameters. Each parameter is a text, and may be given once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub T);

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

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Invalid> {
    let mut parameters = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if parameters.insert(name.to_string(), Value::String(value.into_owned())).is_some() {
            return Err(Invalid { code: "duplicate_field", detail: format!("{name} is given twice"), field: Some(name.into_owned()) });
        }
    }
    read(Value::Object(parameters))
}

//! Query strings.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::{
    DeserializeOwned,
    value::{Error, MapDeserializer},
};
use url::form_urlencoded;

use super::fields::read;
use crate::error::ApiError;

/// A query string as a `T`, whose fields are its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self(read(MapDeserializer::<_, Error>::new(pairs))?))
    }
}

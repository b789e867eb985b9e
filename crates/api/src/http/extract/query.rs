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

/// The parameters that select by several words: these may be given several times, which is the same as to separate them by commas.
const SEVERAL: [&str; 3] = ["state", "status", "type"];

/// A query string as a `T`, whose fields are its parameters. Each parameter is a text, and may be given once, but for those of [`SEVERAL`].
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
    let mut parameters: Map<String, Value> = Map::new();
    for (name, value) in pairs(query) {
        match parameters.get_mut(name.as_ref()) {
            Some(Value::String(words)) if SEVERAL.contains(&name.as_ref()) => {
                words.push(',');
                words.push_str(&value);
            }
            Some(_) => {
                return Err(Invalid { code: "duplicate_field", detail: format!("{name} is given twice"), field: Some(name.into_owned()) });
            }
            None => {
                parameters.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_select_may_be_given_again() {
        let value = |query: &str, name: &str| parameters(query).map(|parameters| parameters[name].clone());
        assert_eq!(value("state=OPEN&limit=2&state=CLAIMED&_=1&_=2", "state"), Ok("OPEN,CLAIMED".into()));
        assert_eq!(value("type=A,B&type=C", "type"), Ok("A,B,C".into()));
        assert_eq!(value("status=A&status=", "status"), Ok("A,".into()));
        for query in ["limit=1&limit=1", "state=OPEN&sort=newest&state=OPEN&sort=newest"] {
            assert_eq!(parameters(query).unwrap_err().code, "duplicate_field", "{query}");
        }
    }
}

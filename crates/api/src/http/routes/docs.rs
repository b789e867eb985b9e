//! This API, described: for programs, for people, and for language models.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderValue,
        header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa_swagger_ui::Config;

use crate::{
    App,
    error::ApiError,
    http::extract::{Nothing, Query},
};

/// The document as it is committed; a test compares it with what the routes say.
pub(super) const DOCUMENT: &str = include_str!("../../../openapi.json");

/// What a language model should know before it reads the document.
const LLMS: &str = include_str!("../../../llms.txt");

/// What the page may do: nothing but with this server. It sets styles from its program, and has pictures in its style sheet.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Where the page is.
const PAGE: &str = "/docs/";

/// This description
///
/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "server", responses(
    (status = 200, description = "An OpenAPI 3.1 document.", body = Object, content_type = "application/json"),
))]
pub(super) async fn openapi_json(Query(Nothing {}): Query<Nothing>) -> Response {
    ([(CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

/// A guide for language models
///
/// What the market is and how to act on it, in plain text.
#[utoipa::path(get, path = "/llms.txt", operation_id = "getLlmsTxt", tag = "server", responses(
    (status = 200, description = "Markdown.", body = String, content_type = "text/plain"),
))]
pub(super) async fn llms_txt(Query(Nothing {}): Query<Nothing>) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], LLMS).into_response()
}

/// The page that shows the document to people. All of it is in this program.
pub(super) fn page() -> Router<App> {
    Router::new()
        .route("/docs", get(async || Redirect::permanent(PAGE)))
        .route("/docs/", get(async || file("")))
        .route("/docs/{*file}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Result<Response, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        // A badge of the page's makers would be asked for from their own server.
        Arc::new(Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true))
    });
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).map_err(|_| ApiError::Internal("the docs page cannot be made"))?;
    let file = file.ok_or(ApiError::UnknownPath)?;
    let policy = HeaderValue::from_static(POLICY);
    Ok(([(CONTENT_SECURITY_POLICY, policy)], [(CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response())
}

//! This API, described: for programs, for people, and for language models.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use axum::{
    Extension, Router,
    extract::{Path, State},
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
    http::documents::Document,
    http::extract::{Nothing, Query},
    http::layers::DOCS_PAGE,
    http::openapi::DESCRIPTION,
    public_url::PublicUrl,
};

/// The document as it is committed; a test compares it with what the routes say.
pub(super) const DOCUMENT: &str = include_str!("../../../openapi.json");

/// How each wallet's library takes what is prepared: the README's section of that name.
const WALLET_LIBRARIES: &str = include_str!("../../../wallet-libraries.md");

/// What precedes the servers in the document. Quotes within its texts are escaped, and no member before it has this name.
const SERVERS: &str = "\"servers\"";

/// What a language model should know before it reads the document.
const LLMS: &str = include_str!("../../../llms.txt");

/// The same in the size of a tool's description.
const SKILL: &str = include_str!("../../../skill.md");

/// What the page may do: nothing but with this server. It sets styles from its program, and has pictures in its style sheet.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The document that the page shows, beside the page.
const SHOWN: &str = "openapi.json";

/// This description
///
/// The OpenAPI document of this server.
#[utoipa::path(get, path = "/openapi.json", operation_id = "getOpenApi", tag = "server", responses(
    (status = 200, description = "An OpenAPI 3.1 document.", body = Object, content_type = "application/json"),
))]
pub(super) async fn openapi_json(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Response {
    named("openapi.json", ([(CONTENT_TYPE, "application/json")], document(&app.config().public_url)))
}

/// An answer that is the same each time.
fn named(name: impl Into<Cow<'static, str>>, answer: impl IntoResponse) -> Response {
    (Extension(Document(name.into())), answer).into_response()
}

/// The document, naming the server as the world sees it.
fn document(public: &PublicUrl) -> Cow<'static, str> {
    let served = public.base().and_then(|base| {
        let (before, rest) = DOCUMENT.split_once(SERVERS)?;
        Some(format!("{before}{SERVERS}{}", rest.replacen("\"/\"", &format!("\"{base}\""), 1)))
    });
    served.map_or(Cow::Borrowed(DOCUMENT), Cow::Owned)
}

/// The document as the page shows it: people read there as well how to sign with their library.
fn shown(document: &str) -> Result<String, ApiError> {
    let quoted = |text: &str| serde_json::to_string(text).map_err(|_| ApiError::Internal("the docs page cannot be made"));
    let (plain, longer) = (quoted(DESCRIPTION)?, quoted(&format!("{DESCRIPTION}\n\n{WALLET_LIBRARIES}"))?);
    Ok(document.replacen(&plain, &longer, 1))
}

/// A guide for language models
///
/// What the market is and how to act on it, in plain text.
#[utoipa::path(get, path = "/llms.txt", operation_id = "getLlmsTxt", tag = "server", responses(
    (status = 200, description = "Markdown.", body = String, content_type = "text/plain"),
))]
pub(super) async fn llms_txt(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Response {
    named("llms.txt", ([(CONTENT_TYPE, "text/plain; charset=utf-8")], guide(LLMS, &app.config().public_url)))
}

/// A short reference for agents
///
/// Every call that an agent or a poster needs, on one page.
#[utoipa::path(get, path = "/skill.md", operation_id = "getSkill", tag = "server", responses(
    (status = 200, description = "Markdown.", body = String, content_type = "text/markdown"),
))]
pub(super) async fn skill_md(State(app): State<App>, Query(Nothing {}): Query<Nothing>) -> Response {
    named("skill.md", ([(CONTENT_TYPE, "text/markdown; charset=utf-8")], guide(SKILL, &app.config().public_url)))
}

/// A guide, saying below its title where the world sees the server.
fn guide(text: &'static str, public: &PublicUrl) -> Cow<'static, str> {
    let placed = public.base().and_then(|base| {
        let (title, rest) = text.split_once("\n\n")?;
        Some(format!("{title}\n\nThis server is {base}: every path below goes behind that, as in {}.\n\n{rest}", public.of("/api/config")))
    });
    placed.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The page that shows the document to people. All of it is in this program.
pub(super) fn page() -> Router<App> {
    Router::new()
        .route("/docs", get(async || Redirect::permanent(DOCS_PAGE)))
        .route("/docs/", get(async || file("")))
        .route(
            "/docs/openapi.json",
            get(async |State(app): State<App>| {
                let document = shown(&document(&app.config().public_url))?;
                Ok::<_, ApiError>(named("docs/openapi.json", ([(CONTENT_TYPE, "application/json")], document)))
            }),
        )
        .route("/docs/{*file}", get(async |Path(name): Path<String>| file(&name)))
}

fn file(name: &str) -> Result<Response, ApiError> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        // A badge of the page's makers would be asked for from their own server.
        Arc::new(Config::from(SHOWN).validator_url("none").try_it_out_enabled(true))
    });
    let file = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).map_err(|_| ApiError::Internal("the docs page cannot be made"))?;
    let file = file.ok_or(ApiError::UnknownPath)?;
    let policy = HeaderValue::from_static(POLICY);
    let answer = ([(CONTENT_SECURITY_POLICY, policy)], [(CONTENT_TYPE, file.content_type)], file.bytes.into_owned());
    Ok(named(format!("docs/{name}"), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_names_the_server_as_the_world_sees_it_and_says_the_rest_alike() {
        let public = PublicUrl::parse("https://market.example/market/").unwrap();
        let mut seen: serde_json::Value = serde_json::from_str(&document(&public)).unwrap();
        let plain: serde_json::Value = serde_json::from_str(&document(&PublicUrl::default())).unwrap();
        assert_eq!((&seen["servers"][0]["url"], &plain["servers"][0]["url"]), (&"https://market.example/market".into(), &"/".into()));
        seen["servers"] = plain["servers"].clone();
        assert_eq!(seen, plain);
    }
}

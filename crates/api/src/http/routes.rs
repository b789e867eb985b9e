//! Every path, who answers it, and what is said of it.

mod about;
mod actions;
mod agents;
mod bodies;
mod docs;
mod events;
mod feed_json;
mod lists;
mod market;
mod posters;
mod probes;
mod relay;
mod run_actions;
mod runs;
mod transactions;
mod verbs;
mod wallets;

use axum::{Router, routing::get};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{App, error::ApiError, http::openapi};

/// The paths, without the layers around them.
pub(crate) fn paths() -> Router<App> {
    refuse_the_rest(answered())
}

/// The paths that are there.
fn answered() -> Router<App> {
    let (paths, _) = openapi::split(documented());
    paths.merge(docs::page())
}

/// What watches over a process asks it, and no client.
pub(crate) fn probes() -> Router<App> {
    let (probes, _) = openapi::split(documented_probes());
    refuse_the_rest(probes.route("/metrics", get(probes::metrics)))
}

/// The description of all paths.
pub(crate) fn document() -> OpenApi {
    openapi::split(documented()).1
}

fn documented() -> OpenApiRouter<App> {
    openapi::router()
        .routes(routes!(runs::list))
        .routes(routes!(runs::show))
        .routes(routes!(runs::events))
        .routes(routes!(runs::claim_eligibility))
        .routes(routes!(run_actions::actions))
        .merge(verbs::of_runs())
        .routes(routes!(agents::list))
        .routes(routes!(agents::show))
        .routes(routes!(agents::stake))
        .merge(verbs::of_agents())
        .merge(verbs::of_credits())
        .routes(routes!(posters::list))
        .routes(routes!(posters::show))
        .routes(routes!(wallets::show))
        .routes(routes!(transactions::send))
        .routes(routes!(transactions::show))
        .routes(routes!(relay::relay))
        .routes(routes!(events::listen))
        .routes(routes!(feed_json::feed_json))
        .routes(routes!(market::config))
        .routes(routes!(market::stats))
        .routes(routes!(market::status))
        .merge(documented_probes())
        .routes(routes!(docs::openapi_json))
        .routes(routes!(docs::llms_txt))
        .routes(routes!(docs::skill_md))
}

fn documented_probes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(probes::healthz)).routes(routes!(probes::readyz))
}

/// Words the refusal of what is not there: other methods on the paths that are, and all other paths.
fn refuse_the_rest(paths: Router<App>) -> Router<App> {
    paths.method_not_allowed_fallback(async || ApiError::MethodNotAllowed).fallback(async || ApiError::UnknownPath)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_is_documented() {
        // A router tells its paths to a debugger alone.
        let shown = format!("{:?}", answered());
        let fallback = ["/", "/{*__private__axum_fallback}"];
        let routed: BTreeSet<&str> = shown.split('"').filter(|text| text.starts_with('/') && !fallback.contains(text)).collect();
        let document = document();
        let pages = ["/docs", "/docs/", "/docs/openapi.json", "/docs/{*file}"];
        let documented: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).chain(pages).collect();
        assert!(routed.len() > 25, "{shown}");
        assert_eq!(routed, documented);
    }

    #[test]
    fn routes_name_problems_that_there_are() {
        let json = document().to_json().unwrap();
        assert!(!json.contains("not in the table") && !json.contains(openapi::PROBLEMS), "{json}");
    }

    #[test]
    fn the_committed_document_is_what_the_routes_say() {
        assert!(crate::openapi().unwrap() == docs::DOCUMENT, "run `make fresh`, and commit openapi.json");
    }
}

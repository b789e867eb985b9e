//! Links in headers, as the world sees this server.

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue,
        header::{LINK, LOCATION},
    },
    middleware::Next,
    response::Response,
};

use crate::{App, public_url::PublicUrl};

/// Handlers link from this server's root. Where the world sees that root elsewhere, the links lead there.
pub(super) async fn lead_outside(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let public = &app.config().public_url;
    if public.base().is_some() {
        for (name, outside) in [(LINK, links as fn(&PublicUrl, &str) -> String), (LOCATION, location)] {
            if let Some(value) = response.headers_mut().get_mut(name)
                && let Ok(text) = value.to_str()
                && let Ok(led) = HeaderValue::try_from(outside(public, text))
            {
                *value = led;
            }
        }
    }
    response
}

fn links(public: &PublicUrl, text: &str) -> String {
    text.replace("</", &format!("<{}", public.of("/")))
}

fn location(public: &PublicUrl, text: &str) -> String {
    if text.starts_with('/') { public.of(text) } else { text.to_owned() }
}

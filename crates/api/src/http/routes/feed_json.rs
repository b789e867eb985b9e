//! Claimable runs for readers of feeds.

use axum::{
    extract::State,
    http::{HeaderValue, header::CONTENT_TYPE},
};
use clawpay_store::{Page, RunFilter, RunSort};

use crate::{
    App,
    error::ApiError,
    http::{
        dto::{feed_json::JsonFeedDto, stamped::Stamped},
        extract::{Nothing, ReadQuery},
        reading::{MinBlock, Reading},
    },
};

/// Runs in the feed.
const LATEST: Page = Page { number: 1, limit: 50 };

/// Follow claimable runs as a feed
///
/// The latest 50 runs that can be claimed at the indexed block, newest first, as a JSON Feed 1.1.
#[utoipa::path(get, path = "/feed.json", operation_id = "getFeed", tag = "runs", params(MinBlock), responses(
    (status = 200, description = "The feed.", body = JsonFeedDto, content_type = "application/feed+json"),
))]
pub(super) async fn feed_json(
    State(app): State<App>,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<JsonFeedDto>, ApiError> {
    let snapshot = &mut reading.snapshot;
    let claimable = RunFilter { claimable: Some(true), ..RunFilter::default() };
    let mut runs = snapshot.runs(&claimable, RunSort::Newest, LATEST).await?.items;
    runs.retain(|run| !reading.hidden.hides(run));
    let feed = JsonFeedDto::new(&runs, &snapshot.chain, &app.config().public_url);
    Ok(reading.answer(feed).header(CONTENT_TYPE, Some(HeaderValue::from_static("application/feed+json"))))
}

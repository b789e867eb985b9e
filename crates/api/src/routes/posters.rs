//! Reading posters.

use axum::extract::State;

use crate::{
    App,
    dto::{poster::PosterDto, stamped::Stamped},
    error::ApiError,
    extract::{AccountPath, Nothing, Query},
};

/// Get a poster's record
///
/// What an account's runs came to. One that never posted has an empty record.
#[utoipa::path(get, path = "/api/posters/{address}", operation_id = "getPoster", tag = "posters", params(AccountPath), responses(
    (status = 200, description = "The record.", body = PosterDto),
))]
pub(super) async fn show(
    State(app): State<App>,
    AccountPath(address): AccountPath,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Stamped<PosterDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let poster = PosterDto::new(address, &snapshot.poster(address).await?);
    Ok(Stamped::new(&app, &snapshot.indexed, poster))
}

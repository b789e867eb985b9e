//! Reading posters.

use axum::extract::State;

use crate::{
    App,
    dto::{poster::PosterDto, stamped::Stamped},
    error::ApiError,
    extract::{AccountPath, Nothing, Query},
};

/// The record of any account: one that never posted has an empty one.
pub(super) async fn show(
    State(app): State<App>,
    AccountPath(address): AccountPath,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Stamped<PosterDto>, ApiError> {
    let mut snapshot = app.snapshot().await?;
    let poster = PosterDto::new(address, &snapshot.poster(address).await?);
    Ok(Stamped::new(&app, &snapshot.indexed, poster))
}

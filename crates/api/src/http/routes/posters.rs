//! Reading posters.

use crate::{
    error::ApiError,
    http::dto::{poster::PosterDto, stamped::Stamped},
    http::extract::{AccountPath, Nothing, ReadQuery},
    http::reading::{MinBlock, Reading},
};

/// Get a poster's record
///
/// What an account's runs came to. One that never posted has an empty record.
#[utoipa::path(get, path = "/api/posters/{address}", operation_id = "getPoster", tag = "posters", params(AccountPath, MinBlock), responses(
    (status = 200, description = "The record.", body = PosterDto),
))]
pub(super) async fn show(
    AccountPath(address): AccountPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<PosterDto>, ApiError> {
    let poster = PosterDto::new(address, &reading.snapshot.poster(address).await?);
    Ok(reading.answer(poster))
}

//! Reading posters.

use alloy::primitives::Address;
use axum::{extract::RawQuery, http::header};
use clawpay_store::{Direction, Listing, Page, Position, Poster, PosterSort, Reader, Stretch};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::lists::{self, Found, List, Part};
use crate::{
    error::ApiError,
    http::dto::{page::Pagination, poster::PosterDto, stamped::Stamped},
    http::extract::{AccountPath, Nothing, PageNumber, PageSize, ReadQuery},
    http::openapi::schemas as w,
    http::reading::{MinBlock, Question, Reading, Unread},
};

/// The parameters of `GET /api/posters`.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Which page, from 1. A page past the end is empty.
    #[param(inline)]
    page: Option<PageNumber>,
    /// How many items on a page; 20 if not said.
    #[param(inline)]
    limit: Option<PageSize>,
    /// A place to read from, as `pagination` or the Link header gave it. It carries the parameters it was made for: only `limit` and
    /// `minBlock` may stand beside it.
    #[param(inline, value_type = Option<w::CursorText>)]
    cursor: Option<String>,
    /// In which order; those first who paid most to agents if not said.
    #[param(inline)]
    sort: Option<SortWord>,
}

/// In which order.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = PosterSort)]
enum SortWord {
    #[serde(rename = "volume_desc")]
    Volume,
    #[serde(rename = "funded_desc")]
    Funded,
    #[serde(rename = "created_desc")]
    Created,
}

impl From<SortWord> for PosterSort {
    fn from(word: SortWord) -> Self {
        match word {
            SortWord::Volume => Self::LargestVolume,
            SortWord::Funded => Self::MostFunded,
            SortWord::Created => Self::MostCreated,
        }
    }
}

impl ListQuery {
    fn sort(&self) -> PosterSort {
        self.sort.map(Into::into).unwrap_or_default()
    }
}

impl List for ListQuery {
    type Item = Poster;
    type Id = Address;

    fn parts(&self) -> (Option<PageNumber>, Option<PageSize>, Option<&str>) {
        (self.page, self.limit, self.cursor.as_deref())
    }

    fn position(&self, poster: &Poster) -> Position<Address> {
        self.sort().position(poster)
    }

    fn has(&self, position: &Position<Address>) -> bool {
        self.sort().has(position)
    }

    async fn page(&self, reader: Reader, page: Page) -> Found<Listing<Poster>> {
        reader.posters(self.sort(), page).await
    }

    async fn beside(&self, reader: Reader, position: &Position<Address>, direction: Direction, limit: u32) -> Found<Stretch<Poster>> {
        reader.posters_beside(self.sort(), position, direction, limit).await
    }
}

/// A page of posters.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Posters)]
pub(super) struct PostersDto {
    posters: Vec<PosterDto>,
    pagination: Pagination,
}

/// List posters
///
/// Every account that ever wrote down a run, with its record.
#[utoipa::path(get, path = "/api/posters", operation_id = "listPosters", tag = "posters", params(ListQuery, MinBlock), responses(
    (status = 200, description = "Part of the list.", body = PostersDto),
), extensions(("x-problems" = json!(["400 invalid_cursor", "400 page_too_deep"]))))]
pub(super) async fn list(
    RawQuery(text): RawQuery,
    ReadQuery(query): ReadQuery<ListQuery>,
    question: Question,
) -> Result<Stamped<PostersDto>, Unread> {
    let Part { items, pagination, answer } = lists::read(query, text.as_deref().unwrap_or_default(), question).await?;
    let posters = items.found.iter().map(|poster| PosterDto::new(poster.account, &poster.record)).collect();
    let link = pagination.link("/api/posters");
    Ok(answer.answer(PostersDto { posters, pagination }).header(header::LINK, link))
}

/// Get a poster's record
///
/// What an account's runs came to. One that never posted has an empty record.
#[utoipa::path(get, path = "/api/posters/{address}", operation_id = "getPoster", tag = "posters", params(AccountPath, MinBlock), responses(
    (status = 200, description = "The record.", body = PosterDto),
), extensions(("x-problems" = json!(["451 hidden"]))))]
pub(super) async fn show(
    AccountPath(address): AccountPath,
    ReadQuery(Nothing {}): ReadQuery<Nothing>,
    mut reading: Reading,
) -> Result<Stamped<PosterDto>, ApiError> {
    let address = reading.hidden.shown(address)?;
    let poster = PosterDto::new(address, &reading.snapshot.poster(address).await?);
    Ok(reading.answer(poster))
}

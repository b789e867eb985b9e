//! What another account than the signer's has to sign first.

use serde::Serialize;
use utoipa::ToSchema;

use super::{prepared::Subjects, typed_data::TypedData};
use crate::actions::ConsentWanted;
use crate::hidden::HideList;
use crate::http::openapi::schemas as w;
use crate::text::{Checksummed, IsoDate};

/// A consent that is missing before there is anything for the signer to sign.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConsentRequired)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ConsentDto {
    /// Whether the action has happened.
    success: bool,
    #[schema(inline, value_type = w::ConsentRequired)]
    status: &'static str,
    #[serde(flatten)]
    subjects: Subjects,
    /// In words, and what to do next.
    message: String,
    /// The account that has to sign.
    signer: Checksummed,
    /// What it signs.
    consent: TypedData,
    /// The block by which this was prepared.
    indexed_block: u64,
    /// Until when the consent is good, chain time.
    expires_at: IsoDate,
    /// Seconds from the answer until then: a client's own clock may differ from the chain's.
    seconds_left: u64,
}

impl ConsentDto {
    /// The consent that is wanted, without the words of a hidden run.
    pub(crate) fn new(wanted: ConsentWanted, hidden: &HideList) -> Self {
        let ConsentWanted { chain, indexed, facts, signer, payload, now, expires_at } = wanted;
        Self {
            success: false,
            status: "consent_required",
            subjects: Subjects::of(&facts, &chain.parameters, &indexed, hidden),
            message: format!(
                "Nothing has happened yet: {signer} has to agree. Have it sign `consent`, and post the same body again with \"consent\": \
                 {{\"deadline\": \"{}\", \"signature\": \"0x…\"}} added, before {}.",
                expires_at.0,
                IsoDate(expires_at),
            ),
            signer: Checksummed(signer),
            consent: (&payload).into(),
            indexed_block: indexed.number,
            expires_at: IsoDate(expires_at),
            seconds_left: expires_at.0.saturating_sub(now.0),
        }
    }
}

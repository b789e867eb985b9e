//! A poster's record.

use alloy::primitives::Address;
use clawpay_domain::Usdc;
use clawpay_store::PosterRecord;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::http::openapi::schemas as w;
use crate::text::Checksummed;

/// What the runs of one poster came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Poster)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PosterDto {
    address: Checksummed,
    created: u64,
    funded: u64,
    /// Approved by the poster itself.
    approved: u64,
    /// Approved by its silence.
    finalized: u64,
    rejected: u64,
    slashed: u64,
    cancelled: u64,
    /// Rewards paid.
    #[schema(value_type = w::Usdc)]
    paid: Usdc,
    /// Revisions requested per delivered run, to two decimals; null when nothing was delivered.
    #[schema(value_type = Option<f64>, required)]
    average_revisions: Option<Number>,
}

impl PosterDto {
    /// The record of `address`.
    pub(crate) fn new(address: Address, record: &PosterRecord) -> Self {
        Self {
            address: Checksummed(address),
            created: record.created,
            funded: record.funded,
            approved: record.approved,
            finalized: record.finalized,
            rejected: record.rejected,
            slashed: record.slashed,
            cancelled: record.cancelled,
            paid: record.paid,
            average_revisions: average(record.revisions, record.delivered),
        }
    }
}

fn average(sum: u64, count: u64) -> Option<Number> {
    Decimal::from(sum).checked_div(Decimal::from(count))?.round_dp(2).normalize().to_string().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_have_two_decimals_and_none_without_a_run() {
        let show = |sum, count| average(sum, count).map(|number| number.to_string());
        assert_eq!(show(0, 0), None);
        assert_eq!(show(0, 3).as_deref(), Some("0"));
        assert_eq!(show(1, 3).as_deref(), Some("0.33"));
        assert_eq!(show(3, 2).as_deref(), Some("1.5"));
        assert_eq!(show(6, 2).as_deref(), Some("3"));
    }
}

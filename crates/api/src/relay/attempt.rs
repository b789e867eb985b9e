//! The relayer's transactions: priced and signed.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy},
    eips::eip2718::Encodable2718,
    primitives::{TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use clawpay_store::{GasOffer, RelayAttempt, RelayJob};

use crate::{error::ApiError, node::Fees};

/// What a node asks for, as it is offered. A price that does not fit is paid by no operator.
pub(super) fn priced(fees: Fees) -> Result<GasOffer, ApiError> {
    let small =
        |wei: U256| i64::try_from(wei).ok().and_then(|wei| u64::try_from(wei).ok()).ok_or(ApiError::Internal("gas at an absurd price"));
    Ok(match fees {
        Fees::Dynamic { max_fee, max_priority_fee } => GasOffer { max_fee: small(max_fee)?, priority_fee: Some(small(max_priority_fee)?) },
        Fees::Legacy { gas_price } => GasOffer { max_fee: small(gas_price)?, priority_fee: None },
    })
}

/// An offer that a node takes in the place of `old`: an eighth more of everything, or what is asked now, if that is more; nothing once that
/// is far above what is asked.
pub(super) fn raised(old: GasOffer, asked: GasOffer) -> Option<GasOffer> {
    const MOST: u64 = 4;
    let more = |old: u64, asked: u64| old.saturating_add(old / 8).saturating_add(1).max(asked);
    let attempt = GasOffer {
        max_fee: more(old.max_fee, asked.max_fee),
        priority_fee: old.priority_fee.map(|old| more(old, asked.priority_fee.unwrap_or_default())),
    };
    (attempt.max_fee <= asked.max_fee.saturating_mul(MOST)).then_some(attempt)
}

/// The transaction that does `job`.
pub(super) fn signed(key: &PrivateKeySigner, chain_id: u64, nonce: u64, job: &RelayJob, gas: GasOffer) -> Result<RelayAttempt, ApiError> {
    let (to, value, input, gas_limit) = (TxKind::Call(job.target), U256::ZERO, job.data.clone(), job.gas);
    let failed = |_| ApiError::Internal("the relayer's key does not sign");
    let envelope: TxEnvelope = match gas.priority_fee {
        Some(priority_fee) => {
            let transaction = TxEip1559 {
                chain_id,
                nonce,
                gas_limit,
                max_fee_per_gas: gas.max_fee.into(),
                max_priority_fee_per_gas: priority_fee.min(gas.max_fee).into(),
                to,
                value,
                access_list: Default::default(),
                input,
            };
            let signature = key.sign_hash_sync(&transaction.signature_hash()).map_err(failed)?;
            transaction.into_signed(signature).into()
        }
        None => {
            let transaction = TxLegacy { chain_id: Some(chain_id), nonce, gas_price: gas.max_fee.into(), gas_limit, to, value, input };
            let signature = key.sign_hash_sync(&transaction.signature_hash()).map_err(failed)?;
            transaction.into_signed(signature).into()
        }
    };
    Ok(RelayAttempt { gas, hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn offer(max_fee: u64, priority_fee: u64) -> GasOffer {
        GasOffer { max_fee, priority_fee: Some(priority_fee) }
    }

    #[test]
    fn a_raised_offer_is_an_eighth_more_at_least_and_never_absurd() {
        assert_eq!(raised(offer(800, 80), offer(700, 10)), Some(offer(901, 91)));
        assert_eq!(raised(offer(800, 80), offer(2_000, 500)), Some(offer(2_000, 500)));
        assert_eq!(raised(offer(8, 0), offer(8, 0)), Some(offer(10, 1)));
        assert_eq!(raised(offer(800, 80), offer(200, 10)), None);
        let legacy = |max_fee| GasOffer { max_fee, priority_fee: None };
        assert_eq!(raised(legacy(800), legacy(800)), Some(legacy(901)));
    }
}

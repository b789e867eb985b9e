//! A new run as the arguments of the calls that write one down.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, SolType, sol_data};
use clawpay_domain::{NewRun, Timestamp, Usdc};

/// Reward, deadline, revisions.
pub(crate) type Uint = sol_data::Uint<256>;
/// A content URI: a `string` is encoded as `bytes` are, and need not be UTF-8.
pub(crate) type Text = sol_data::Bytes;

/// The arguments.
pub(crate) fn words(run: &NewRun) -> (U256, U256, U256, Bytes) {
    (run.reward.0, U256::from(run.deadline.0), U256::from(run.max_revisions), run.content_uri.clone())
}

/// The run that these arguments write down; nothing if the market has no such number.
pub(crate) fn read(reward: U256, deadline: U256, max_revisions: U256, content_uri: String) -> Option<NewRun> {
    Some(NewRun {
        reward: Usdc(reward),
        deadline: Timestamp(u64::try_from(deadline).ok()?),
        max_revisions: u64::try_from(max_revisions).ok()?,
        content_uri: content_uri.into_bytes().into(),
    })
}

/// A call whose arguments are those of a new run and nothing else.
pub(crate) fn calldata<C: SolCall>(run: &NewRun) -> Vec<u8> {
    with_selector::<C>(&<(Uint, Uint, Uint, Text)>::abi_encode_params(&words(run)))
}

/// A call with these encoded arguments.
pub(crate) fn with_selector<C: SolCall>(arguments: &[u8]) -> Vec<u8> {
    [C::SELECTOR.as_slice(), arguments].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunEscrow;

    #[test]
    fn a_new_run_is_encoded_as_its_abi_does_whatever_the_bytes_of_its_content() {
        let content = "ipfs://ä, and more than one word of 32 bytes";
        let run = NewRun { reward: Usdc::whole(100), deadline: Timestamp(9), max_revisions: 3, content_uri: content.into() };
        let (reward, deadline, max_revisions, _) = words(&run);
        let call = RunEscrow::createCall { reward, deadline, maxRevisions: max_revisions, contentURI: content.to_owned() };
        assert_eq!(calldata::<RunEscrow::createCall>(&run), call.abi_encode());
        assert_eq!(read(reward, deadline, max_revisions, content.to_owned()), Some(run.clone()));

        let other = NewRun { content_uri: Bytes::from_static(&[0xff; 3]), ..run };
        assert!(calldata::<RunEscrow::createCall>(&other).windows(4).any(|bytes| bytes == [0xff, 0xff, 0xff, 0]));
    }

    #[test]
    fn numbers_beyond_64_bits_are_no_run_of_this_market() {
        assert_eq!(read(U256::from(1), U256::MAX, U256::from(3), String::new()), None);
        assert_eq!(read(U256::from(1), U256::from(9), U256::MAX, String::new()), None);
    }
}

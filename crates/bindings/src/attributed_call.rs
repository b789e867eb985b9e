//! What a transaction does and in whose name, whichever way it reaches the contracts: sent by the actor itself, with a payer's signature in
//! it, or through the forwarder.

use alloy_primitives::Address;
use alloy_sol_types::{SolCall, SolInterface};

use crate::{
    Call, CallWithSignature, Contracts, ERC2771Forwarder, ERC2771Forwarder::ERC2771ForwarderCalls, NotACall,
    forwarder::ERC2771Forwarder::ForwardRequestData,
};

/// One of the market's verbs, and who it counts as done by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributedCall {
    /// Whom the contract takes for the caller; nothing where only the chain knows, as for a draft that is funded by its poster's
    /// authorization.
    pub actor: Option<Address>,
    /// What is done.
    pub call: Call,
}

impl AttributedCall {
    /// What `calldata` sent to `to` by `from` does.
    ///
    /// # Errors
    /// None of the market's calls.
    pub fn read(from: Address, to: Address, calldata: &[u8], contracts: &Contracts) -> Result<Self, NotACall> {
        if to == contracts.forwarder {
            let request = forwarded_request(calldata).ok_or(NotACall::UnknownCalldata)?;
            return Self::direct(request.from, request.to, &request.data, contracts);
        }
        Self::direct(from, to, calldata, contracts)
    }

    /// What the call does that a forwarder makes in the name of `from`, or that `from` makes itself.
    ///
    /// # Errors
    /// None of the market's calls.
    pub fn direct(from: Address, to: Address, calldata: &[u8], contracts: &Contracts) -> Result<Self, NotACall> {
        match Call::decode(to, calldata, contracts) {
            Ok(call) => Ok(Self { actor: Some(from), call }),
            Err(NotACall::UnknownCalldata) => {
                CallWithSignature::decode(to, calldata, contracts).map(|call| Self { actor: call.payer(from), call: call.plain() })
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Self::direct`], for those who pay for each byte that `from` has written: nothing may follow the arguments.
    ///
    /// # Errors
    /// None of the market's calls, or more than one.
    pub fn exact(from: Address, to: Address, calldata: &[u8], contracts: &Contracts) -> Result<Self, NotACall> {
        let read = Self::direct(from, to, calldata, contracts)?;
        let written = match Call::decode(to, calldata, contracts) {
            Ok(call) => call.calldata(),
            Err(_) => CallWithSignature::decode(to, calldata, contracts)?.calldata(),
        };
        match calldata.len().saturating_sub(written.len()) {
            0 => Ok(read),
            more => Err(NotACall::TrailingBytes(more)),
        }
    }
}

/// The request that a call of `ERC2771Forwarder.execute` carries, if it is one, sends no ether along, and reads as it is written.
pub fn forwarded_request(calldata: &[u8]) -> Option<ForwardRequestData> {
    let ERC2771ForwarderCalls::execute(call) = ERC2771ForwarderCalls::abi_decode(calldata).ok()? else { return None };
    let written = ERC2771Forwarder::executeCall { request: call.request.clone() }.abi_encode();
    (call.request.value.is_zero() && calldata.starts_with(&written)).then_some(call.request)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes, U256, aliases::U48};
    use clawpay_domain::{NewRun, RunId, Timestamp, Usdc};

    use super::*;
    use crate::{SignedAuthorization, SignedPermit, fixture::CONTRACTS};

    const SENDER: Address = Address::repeat_byte(0xaa);
    const SIGNER: Address = Address::repeat_byte(0xbb);

    fn read(to: Address, calldata: &[u8]) -> Result<AttributedCall, NotACall> {
        AttributedCall::read(SENDER, to, calldata, &CONTRACTS)
    }

    fn request(to: Address, data: Bytes) -> ForwardRequestData {
        ForwardRequestData {
            from: SIGNER,
            to,
            value: U256::ZERO,
            gas: U256::from(100_000),
            deadline: U48::from(9),
            data,
            signature: Bytes::from_static(&[1; 65]),
        }
    }

    fn execute(request: ForwardRequestData) -> Vec<u8> {
        ERC2771Forwarder::executeCall { request }.abi_encode()
    }

    #[test]
    fn a_call_is_its_senders_and_a_forwarded_one_its_signers() {
        let call = Call::Slash { run: RunId(7) };
        assert_eq!(read(CONTRACTS.run_escrow, &call.calldata()), Ok(AttributedCall { actor: Some(SENDER), call: call.clone() }));
        let forwarded = execute(request(CONTRACTS.run_escrow, call.calldata()));
        assert_eq!(read(CONTRACTS.forwarder, &forwarded), Ok(AttributedCall { actor: Some(SIGNER), call }));
    }

    #[test]
    fn what_is_paid_by_signature_is_the_payers() {
        let run = NewRun { reward: Usdc::whole(1), deadline: Timestamp(9), max_revisions: 0, content_uri: "x".into() };
        let permit = SignedPermit { deadline: U256::MAX, signature: Bytes::new() };
        let authorization =
            SignedAuthorization { valid_after: U256::ZERO, valid_before: U256::MAX, salt: B256::ZERO, signature: Bytes::new() };
        let plain = Call::CreateAndFund(run.clone());
        for (call, actor, plain) in [
            (CallWithSignature::CreateAndFundWithPermit { run: run.clone(), permit }, Some(SENDER), plain.clone()),
            (
                CallWithSignature::CreateAndFundWithAuthorization { poster: SIGNER, run, authorization: authorization.clone() },
                Some(SIGNER),
                plain,
            ),
            (CallWithSignature::FundWithAuthorization { run: RunId(3), authorization }, None, Call::Fund { run: RunId(3) }),
        ] {
            assert_eq!(read(call.contract(&CONTRACTS), &call.calldata()), Ok(AttributedCall { actor, call: plain }));
        }
    }

    #[test]
    fn an_exact_call_has_not_a_byte_too_many() {
        let permit = SignedPermit { deadline: U256::MAX, signature: Bytes::from_static(&[1; 65]) };
        let slash = Call::Slash { run: RunId(7) };
        let fund = CallWithSignature::FundWithPermit { run: RunId(7), permit };
        for calldata in [slash.calldata(), fund.calldata()] {
            let exact = |calldata: &[u8]| AttributedCall::exact(SIGNER, CONTRACTS.run_escrow, calldata, &CONTRACTS);
            assert_eq!(exact(&calldata), AttributedCall::direct(SIGNER, CONTRACTS.run_escrow, &calldata, &CONTRACTS));
            assert_eq!(exact(&[calldata.as_ref(), &[0]].concat()), Err(NotACall::TrailingBytes(1)));
            assert_eq!(exact(&[calldata.as_ref(), &[7; 28_000]].concat()), Err(NotACall::TrailingBytes(28_000)));
            assert!(exact(&calldata[..calldata.len() - 1]).is_err());
        }
    }

    #[test]
    fn a_forwarded_call_reaches_the_market_or_is_none() {
        let slash = Call::Slash { run: RunId(7) }.calldata();
        for (what, request) in [
            ("ether", ForwardRequestData { value: U256::from(1), ..request(CONTRACTS.run_escrow, slash.clone()) }),
            ("another verb", request(CONTRACTS.agent_stake, slash.clone())),
        ] {
            assert_eq!(read(CONTRACTS.forwarder, &execute(request)), Err(NotACall::UnknownCalldata), "{what}");
        }
        let nested = request(CONTRACTS.forwarder, execute(request(CONTRACTS.run_escrow, slash.clone())).into());
        assert_eq!(read(CONTRACTS.forwarder, &execute(nested)), Err(NotACall::ForeignContract(CONTRACTS.forwarder)));
        let mut dirty = execute(request(CONTRACTS.run_escrow, slash));
        // A bit above the request's 48-bit deadline: the contract refuses what a lenient reader would take.
        dirty[4 + 32 + 4 * 32] = 1;
        assert_eq!(read(CONTRACTS.forwarder, &dirty), Err(NotACall::UnknownCalldata));
    }
}

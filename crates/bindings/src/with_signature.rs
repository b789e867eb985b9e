//! The verbs that take USDC by a signature that comes along, instead of by an allowance: to calldata and back.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface, SolType, sol_data};
use clawpay_domain::{AgentId, NewRun, RunId, Usdc};

use crate::{
    AgentStake::{self, AgentStakeCalls},
    Call, Contracts, NotACall,
    RunEscrow::{self, RunEscrowCalls},
    agent_stake,
    new_run::{self, Text, Uint},
    run_escrow,
};

/// The arguments of `createAndFundWithPermit`.
type CreateWithPermit = (Uint, Uint, Uint, Text, run_escrow::ICustody::Permit);
/// The arguments of `createAndFundWithAuthorization`.
type CreateWithAuthorization = (sol_data::Address, Uint, Uint, Uint, Text, run_escrow::ICustody::Authorization);

/// One call of one contract with the payer's signature over USDC in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallWithSignature {
    /// `RunEscrow.createAndFundWithPermit`: the caller is the poster.
    CreateAndFundWithPermit {
        /// What is written down.
        run: NewRun,
        /// Over reward and fee.
        permit: SignedPermit,
    },
    /// `RunEscrow.createAndFundWithAuthorization`: anybody calls, `poster` pays and is the poster.
    CreateAndFundWithAuthorization {
        /// Who signed.
        poster: Address,
        /// What is written down.
        run: NewRun,
        /// Over reward and fee, with [`create_and_fund_nonce`](crate::create_and_fund_nonce).
        authorization: SignedAuthorization,
    },
    /// `RunEscrow.fundWithPermit`: the caller is the poster.
    FundWithPermit {
        /// The draft.
        run: RunId,
        /// Over reward and fee.
        permit: SignedPermit,
    },
    /// `RunEscrow.fundWithAuthorization`: anybody calls, the draft's poster pays.
    FundWithAuthorization {
        /// The draft.
        run: RunId,
        /// Over reward and fee, with [`fund_nonce`](crate::fund_nonce).
        authorization: SignedAuthorization,
    },
    /// `AgentStake.stakeWithPermit`: the caller pays.
    StakeWithPermit {
        /// For which agent.
        agent: AgentId,
        /// How much.
        amount: Usdc,
        /// Over the amount.
        permit: SignedPermit,
    },
    /// `AgentStake.stakeWithAuthorization`: anybody calls, `from` pays.
    StakeWithAuthorization {
        /// Who signed.
        from: Address,
        /// For which agent.
        agent: AgentId,
        /// How much.
        amount: Usdc,
        /// Over the amount, with [`stake_nonce`](crate::stake_nonce).
        authorization: SignedAuthorization,
    },
}

/// A [`Permit`](crate::Permit) as the contracts take it: owner, spender and value follow from the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedPermit {
    /// Last second at which the token accepts it; the largest number is never.
    pub deadline: U256,
    /// 65 bytes r, s, v, or whatever a contract wallet signs with.
    pub signature: Bytes,
}

/// A [`ReceiveWithAuthorization`](crate::ReceiveWithAuthorization) as the contracts take it: payer, payee, value and nonce follow from the
/// call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAuthorization {
    /// The token accepts it later than this second.
    pub valid_after: U256,
    /// And before this one.
    pub valid_before: U256,
    /// Tells apart two authorizations of the same terms.
    pub salt: B256,
    /// 65 bytes r, s, v, or whatever a contract wallet signs with.
    pub signature: Bytes,
}

impl CallWithSignature {
    /// `call`, paid for by `permit` instead of an allowance; nothing if the call pays nothing.
    pub fn with_permit(call: &Call, permit: SignedPermit) -> Option<Self> {
        match call.clone() {
            Call::CreateAndFund(run) => Some(Self::CreateAndFundWithPermit { run, permit }),
            Call::Fund { run } => Some(Self::FundWithPermit { run, permit }),
            Call::Stake { agent, amount } => Some(Self::StakeWithPermit { agent, amount, permit }),
            _ => None,
        }
    }

    /// `call`, paid for by an authorization of `payer`'s; nothing if the call pays nothing.
    pub fn with_authorization(call: &Call, payer: Address, authorization: SignedAuthorization) -> Option<Self> {
        match call.clone() {
            Call::CreateAndFund(run) => Some(Self::CreateAndFundWithAuthorization { poster: payer, run, authorization }),
            Call::Fund { run } => Some(Self::FundWithAuthorization { run, authorization }),
            Call::Stake { agent, amount } => Some(Self::StakeWithAuthorization { from: payer, agent, amount, authorization }),
            _ => None,
        }
    }

    /// The same verb as it is called with an allowance.
    pub fn plain(&self) -> Call {
        match self {
            Self::CreateAndFundWithPermit { run, .. } | Self::CreateAndFundWithAuthorization { run, .. } => {
                Call::CreateAndFund(run.clone())
            }
            Self::FundWithPermit { run, .. } | Self::FundWithAuthorization { run, .. } => Call::Fund { run: *run },
            Self::StakeWithPermit { agent, amount, .. } | Self::StakeWithAuthorization { agent, amount, .. } => {
                Call::Stake { agent: *agent, amount: *amount }
            }
        }
    }

    /// Who pays when `caller` makes the call; nothing where the call does not say, because the draft's poster does.
    pub const fn payer(&self, caller: Address) -> Option<Address> {
        match self {
            Self::CreateAndFundWithPermit { .. } | Self::FundWithPermit { .. } | Self::StakeWithPermit { .. } => Some(caller),
            Self::CreateAndFundWithAuthorization { poster, .. } => Some(*poster),
            Self::FundWithAuthorization { .. } => None,
            Self::StakeWithAuthorization { from, .. } => Some(*from),
        }
    }

    /// The authorization in it, to be signed or just signed; nothing in a call that needs a permit.
    pub const fn authorization_mut(&mut self) -> Option<&mut SignedAuthorization> {
        match self {
            Self::CreateAndFundWithAuthorization { authorization, .. }
            | Self::FundWithAuthorization { authorization, .. }
            | Self::StakeWithAuthorization { authorization, .. } => Some(authorization),
            Self::CreateAndFundWithPermit { .. } | Self::FundWithPermit { .. } | Self::StakeWithPermit { .. } => None,
        }
    }

    /// The contract that answers the call.
    pub const fn contract(&self, contracts: &Contracts) -> Address {
        match self {
            Self::CreateAndFundWithPermit { .. }
            | Self::CreateAndFundWithAuthorization { .. }
            | Self::FundWithPermit { .. }
            | Self::FundWithAuthorization { .. } => contracts.run_escrow,
            Self::StakeWithPermit { .. } | Self::StakeWithAuthorization { .. } => contracts.agent_stake,
        }
    }

    /// Selector and arguments.
    pub fn calldata(&self) -> Bytes {
        match self.clone() {
            Self::CreateAndFundWithPermit { run, permit } => {
                let (reward, deadline, max_revisions, content_uri) = new_run::words(&run);
                let arguments = (reward, deadline, max_revisions, content_uri, run_escrow::ICustody::Permit::from(permit));
                new_run::with_selector::<RunEscrow::createAndFundWithPermitCall>(&CreateWithPermit::abi_encode_params(&arguments))
            }
            Self::CreateAndFundWithAuthorization { poster, run, authorization } => {
                let (reward, deadline, max_revisions, content_uri) = new_run::words(&run);
                let authorization = run_escrow::ICustody::Authorization::from(authorization);
                let arguments = (poster, reward, deadline, max_revisions, content_uri, authorization);
                new_run::with_selector::<RunEscrow::createAndFundWithAuthorizationCall>(&CreateWithAuthorization::abi_encode_params(
                    &arguments,
                ))
            }
            Self::FundWithPermit { run, permit } => {
                RunEscrow::fundWithPermitCall { runId: U256::from(run.0), permit: permit.into() }.abi_encode()
            }
            Self::FundWithAuthorization { run, authorization } => {
                RunEscrow::fundWithAuthorizationCall { runId: U256::from(run.0), authorization: authorization.into() }.abi_encode()
            }
            Self::StakeWithPermit { agent, amount, permit } => {
                AgentStake::stakeWithPermitCall { agentId: U256::from(agent.0), amount: amount.0, permit: permit.into() }.abi_encode()
            }
            Self::StakeWithAuthorization { from, agent, amount, authorization } => AgentStake::stakeWithAuthorizationCall {
                from,
                agentId: U256::from(agent.0),
                amount: amount.0,
                authorization: authorization.into(),
            }
            .abi_encode(),
        }
        .into()
    }

    /// The call that `calldata` sent to `to` makes, as strictly as [`Call::decode`](crate::Call::decode) reads it.
    ///
    /// # Errors
    /// As there.
    pub fn decode(to: Address, calldata: &[u8], contracts: &Contracts) -> Result<Self, NotACall> {
        let call = if to == contracts.run_escrow {
            Self::of_escrow(calldata)
        } else if to == contracts.agent_stake {
            Self::of_stake(calldata)
        } else {
            return Err(NotACall::ForeignContract(to));
        };
        call.filter(|call| calldata.starts_with(&call.calldata())).ok_or(NotACall::UnknownCalldata)
    }

    fn of_escrow(calldata: &[u8]) -> Option<Self> {
        let number = |word: U256| u64::try_from(word).ok();
        Some(match RunEscrowCalls::abi_decode(calldata).ok()? {
            RunEscrowCalls::createAndFundWithPermit(call) => Self::CreateAndFundWithPermit {
                run: new_run::read(call.reward, call.deadline, call.maxRevisions, call.contentURI)?,
                permit: call.permit.into(),
            },
            RunEscrowCalls::createAndFundWithAuthorization(call) => Self::CreateAndFundWithAuthorization {
                poster: call.poster,
                run: new_run::read(call.reward, call.deadline, call.maxRevisions, call.contentURI)?,
                authorization: call.authorization.into(),
            },
            RunEscrowCalls::fundWithPermit(call) => Self::FundWithPermit { run: RunId(number(call.runId)?), permit: call.permit.into() },
            RunEscrowCalls::fundWithAuthorization(call) => {
                Self::FundWithAuthorization { run: RunId(number(call.runId)?), authorization: call.authorization.into() }
            }
            _ => return None,
        })
    }

    fn of_stake(calldata: &[u8]) -> Option<Self> {
        let agent = |word: U256| u64::try_from(word).ok().map(AgentId);
        Some(match AgentStakeCalls::abi_decode(calldata).ok()? {
            AgentStakeCalls::stakeWithPermit(call) => {
                Self::StakeWithPermit { agent: agent(call.agentId)?, amount: Usdc(call.amount), permit: call.permit.into() }
            }
            AgentStakeCalls::stakeWithAuthorization(call) => Self::StakeWithAuthorization {
                from: call.from,
                agent: agent(call.agentId)?,
                amount: Usdc(call.amount),
                authorization: call.authorization.into(),
            },
            _ => return None,
        })
    }
}

/// Each contract's ABI has types of its own for the same two structs.
macro_rules! signed_of {
    ($abi:ident) => {
        impl From<SignedPermit> for $abi::ICustody::Permit {
            fn from(SignedPermit { deadline, signature }: SignedPermit) -> Self {
                Self { deadline, signature }
            }
        }

        impl From<$abi::ICustody::Permit> for SignedPermit {
            fn from($abi::ICustody::Permit { deadline, signature }: $abi::ICustody::Permit) -> Self {
                Self { deadline, signature }
            }
        }

        impl From<SignedAuthorization> for $abi::ICustody::Authorization {
            fn from(signed: SignedAuthorization) -> Self {
                let SignedAuthorization { valid_after, valid_before, salt, signature } = signed;
                Self { validAfter: valid_after, validBefore: valid_before, salt, signature }
            }
        }

        impl From<$abi::ICustody::Authorization> for SignedAuthorization {
            fn from(signed: $abi::ICustody::Authorization) -> Self {
                let $abi::ICustody::Authorization { validAfter, validBefore, salt, signature } = signed;
                Self { valid_after: validAfter, valid_before: validBefore, salt, signature }
            }
        }
    };
}

signed_of!(run_escrow);
signed_of!(agent_stake);

#[cfg(test)]
mod tests {
    use clawpay_domain::Timestamp;

    use super::*;
    use crate::fixture::CONTRACTS;

    fn every_call() -> Vec<CallWithSignature> {
        let run =
            NewRun { reward: Usdc::whole(100), deadline: Timestamp(1_800_000_000), max_revisions: 3, content_uri: "ipfs://ä".into() };
        let permit = SignedPermit { deadline: U256::MAX, signature: Bytes::from_static(&[7; 65]) };
        let authorization = SignedAuthorization {
            valid_after: U256::ZERO,
            valid_before: U256::MAX,
            salt: B256::repeat_byte(9),
            signature: Bytes::from_static(&[8; 130]),
        };
        let (agent, amount, poster) = (AgentId(0), Usdc::whole(20), CONTRACTS.usdc);
        vec![
            CallWithSignature::CreateAndFundWithPermit { run: run.clone(), permit: permit.clone() },
            CallWithSignature::CreateAndFundWithAuthorization { poster, run, authorization: authorization.clone() },
            CallWithSignature::FundWithPermit { run: RunId(7), permit: permit.clone() },
            CallWithSignature::FundWithAuthorization { run: RunId(7), authorization: authorization.clone() },
            CallWithSignature::StakeWithPermit { agent, amount, permit },
            CallWithSignature::StakeWithAuthorization { from: poster, agent, amount, authorization },
        ]
    }

    #[test]
    fn every_call_survives_the_way_to_calldata_and_back() {
        for call in every_call() {
            let (to, calldata) = (call.contract(&CONTRACTS), call.calldata());
            assert_eq!(CallWithSignature::decode(to, &calldata, &CONTRACTS), Ok(call));
        }
    }

    #[test]
    fn the_two_kinds_of_call_are_never_mistaken_for_each_other() {
        for call in every_call() {
            let (to, calldata) = (call.contract(&CONTRACTS), call.calldata());
            assert_eq!(Call::decode(to, &calldata, &CONTRACTS), Err(NotACall::UnknownCalldata));
            assert_eq!(CallWithSignature::decode(CONTRACTS.usdc, &calldata, &CONTRACTS), Err(NotACall::ForeignContract(CONTRACTS.usdc)));
        }
        let fund = Call::Fund { run: RunId(7) }.calldata();
        assert_eq!(CallWithSignature::decode(CONTRACTS.run_escrow, &fund, &CONTRACTS), Err(NotACall::UnknownCalldata));
    }

    #[test]
    fn arguments_that_read_otherwise_than_they_are_written_are_refused() {
        for call in every_call() {
            let calldata = call.calldata();
            // The first bit of the first argument: an id, an amount or an address that large is none.
            let mut changed = calldata.to_vec();
            changed[4] = 0x80;
            let decoded = CallWithSignature::decode(call.contract(&CONTRACTS), &changed, &CONTRACTS);
            assert_ne!(decoded.as_ref(), Ok(&call), "{call:?}");
            let cut = &calldata[..calldata.len() - 1];
            assert!(CallWithSignature::decode(call.contract(&CONTRACTS), cut, &CONTRACTS).is_err(), "{call:?}");
        }
    }
}

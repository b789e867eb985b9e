//! What a wallet sends: the market's verbs as calls, to calldata and back.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};
use clawpay_domain::{AgentId, NewRun, RunId, Timestamp, Usdc};
use thiserror::Error;

use crate::{
    AgentRegistry::{self, AgentRegistryCalls},
    AgentStake::{self, AgentStakeCalls},
    Contracts,
    RunEscrow::{self, RunEscrowCalls},
    TestUSDC::{self, TestUSDCCalls},
    new_run,
};

/// One call of one contract, in the market's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `USDC.approve`: let `spender` take up to `amount`.
    ApproveUsdc {
        /// The contract that will take it.
        spender: Address,
        /// The most it may take.
        amount: Usdc,
    },
    /// `RunEscrow.create`.
    Create(NewRun),
    /// `RunEscrow.createAndFund`.
    CreateAndFund(NewRun),
    /// `RunEscrow.fund`.
    Fund {
        /// The run.
        run: RunId,
    },
    /// `RunEscrow.cancel`.
    Cancel {
        /// The run.
        run: RunId,
    },
    /// `RunEscrow.claim`.
    Claim {
        /// The run.
        run: RunId,
        /// The agent that takes it on.
        agent: AgentId,
        /// The terms word the caller looked at.
        expected_terms: U256,
    },
    /// `RunEscrow.start`.
    Start {
        /// The run.
        run: RunId,
    },
    /// `RunEscrow.submit`.
    Submit {
        /// The run.
        run: RunId,
        /// Where the deliverable is.
        deliverable_uri: String,
    },
    /// `RunEscrow.requestRevision`.
    RequestRevision {
        /// The run.
        run: RunId,
        /// `reviewBy` of the submission answered.
        expected_review_by: Timestamp,
        /// What should change.
        feedback: String,
    },
    /// `RunEscrow.approve`.
    Approve {
        /// The run.
        run: RunId,
        /// `reviewBy` of the submission answered.
        expected_review_by: Timestamp,
    },
    /// `RunEscrow.reject`.
    Reject {
        /// The run.
        run: RunId,
        /// `reviewBy` or `dueAt` of what is answered.
        expected_deadline: Timestamp,
    },
    /// `RunEscrow.finalize`.
    Finalize {
        /// The run.
        run: RunId,
    },
    /// `RunEscrow.slash`.
    Slash {
        /// The run.
        run: RunId,
    },
    /// `AgentRegistry.register(string)`.
    Register {
        /// Where the agent is described.
        agent_uri: String,
    },
    /// `AgentStake.stake`.
    Stake {
        /// For which agent.
        agent: AgentId,
        /// How much.
        amount: Usdc,
    },
    /// `AgentStake.unstake`.
    Unstake {
        /// From which agent.
        agent: AgentId,
        /// How much.
        amount: Usdc,
    },
    /// `AgentRegistry.setAgentURI`.
    SetAgentUri {
        /// Which agent.
        agent: AgentId,
        /// Where it is described from now on.
        agent_uri: String,
    },
    /// `AgentRegistry.setMetadata`.
    SetMetadata {
        /// Of which agent.
        agent: AgentId,
        /// Under which key.
        key: String,
        /// Any bytes.
        value: Bytes,
    },
    /// `AgentRegistry.setAgentWallet`.
    SetAgentWallet {
        /// Of which agent.
        agent: AgentId,
        /// Its wallet from now on.
        new_wallet: Address,
        /// The wallet's consent.
        consent: WalletConsent,
    },
    /// `AgentRegistry.unsetAgentWallet`.
    UnsetAgentWallet {
        /// Of which agent.
        agent: AgentId,
    },
    /// `payCredit` of either contract that holds USDC.
    PayCredit {
        /// Which.
        custody: Custody,
        /// Whose credit; it is paid to no other account.
        recipient: Address,
    },
}

/// A contract that holds USDC, and owes what the token did not let it pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Custody {
    /// `RunEscrow`.
    Escrow,
    /// `AgentStake`.
    Stake,
}

impl Custody {
    /// Its address in a deployment.
    pub const fn contract(self, contracts: &Contracts) -> Address {
        match self {
            Self::Escrow => contracts.run_escrow,
            Self::Stake => contracts.agent_stake,
        }
    }
}

/// A wallet's signature over [`AgentWalletSet`](crate::AgentWalletSet).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalletConsent {
    /// Last second at which it counts.
    pub deadline: U256,
    /// 65 bytes r, s, v, or whatever a contract wallet signs with.
    pub signature: Bytes,
}

/// Why a transaction is none of the market's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotACall {
    /// It calls something else.
    #[error("{0} is none of the market's contracts")]
    ForeignContract(Address),
    /// A function that is not among the market's verbs, or arguments that do not decode.
    #[error("the calldata is none of the market's verbs")]
    UnknownCalldata,
    /// One of the verbs, and so many bytes behind it that its contract does not read.
    #[error("{0} bytes follow the call's arguments")]
    TrailingBytes(usize),
}

impl Call {
    /// The contract that answers the call.
    pub const fn contract(&self, contracts: &Contracts) -> Address {
        match self {
            Self::ApproveUsdc { .. } => contracts.usdc,
            Self::Create(_)
            | Self::CreateAndFund(_)
            | Self::Fund { .. }
            | Self::Cancel { .. }
            | Self::Claim { .. }
            | Self::Start { .. }
            | Self::Submit { .. }
            | Self::RequestRevision { .. }
            | Self::Approve { .. }
            | Self::Reject { .. }
            | Self::Finalize { .. }
            | Self::Slash { .. } => contracts.run_escrow,
            Self::Register { .. }
            | Self::SetAgentUri { .. }
            | Self::SetMetadata { .. }
            | Self::SetAgentWallet { .. }
            | Self::UnsetAgentWallet { .. } => contracts.agent_registry,
            Self::Stake { .. } | Self::Unstake { .. } => contracts.agent_stake,
            Self::PayCredit { custody, .. } => custody.contract(contracts),
        }
    }

    /// Selector and arguments.
    pub fn calldata(&self) -> Bytes {
        match self.clone() {
            Self::ApproveUsdc { spender, amount } => TestUSDC::approveCall { spender, value: amount.0 }.abi_encode(),
            Self::Create(run) => new_run::calldata::<RunEscrow::createCall>(&run),
            Self::CreateAndFund(run) => new_run::calldata::<RunEscrow::createAndFundCall>(&run),
            Self::Fund { run } => RunEscrow::fundCall { runId: U256::from(run.0) }.abi_encode(),
            Self::Cancel { run } => RunEscrow::cancelCall { runId: U256::from(run.0) }.abi_encode(),
            Self::Claim { run, agent, expected_terms } => {
                RunEscrow::claimCall { runId: U256::from(run.0), agentId: U256::from(agent.0), expectedTerms: expected_terms }.abi_encode()
            }
            Self::Start { run } => RunEscrow::startCall { runId: U256::from(run.0) }.abi_encode(),
            Self::Submit { run, deliverable_uri } => {
                RunEscrow::submitCall { runId: U256::from(run.0), deliverableURI: deliverable_uri }.abi_encode()
            }
            Self::RequestRevision { run, expected_review_by, feedback } => {
                RunEscrow::requestRevisionCall { runId: U256::from(run.0), expectedReviewBy: U256::from(expected_review_by.0), feedback }
                    .abi_encode()
            }
            Self::Approve { run, expected_review_by } => {
                RunEscrow::approveCall { runId: U256::from(run.0), expectedReviewBy: U256::from(expected_review_by.0) }.abi_encode()
            }
            Self::Reject { run, expected_deadline } => {
                RunEscrow::rejectCall { runId: U256::from(run.0), expectedDeadline: U256::from(expected_deadline.0) }.abi_encode()
            }
            Self::Finalize { run } => RunEscrow::finalizeCall { runId: U256::from(run.0) }.abi_encode(),
            Self::Slash { run } => RunEscrow::slashCall { runId: U256::from(run.0) }.abi_encode(),
            Self::Register { agent_uri } => AgentRegistry::register_2Call { agentURI: agent_uri }.abi_encode(),
            Self::Stake { agent, amount } => AgentStake::stakeCall { agentId: U256::from(agent.0), amount: amount.0 }.abi_encode(),
            Self::Unstake { agent, amount } => AgentStake::unstakeCall { agentId: U256::from(agent.0), amount: amount.0 }.abi_encode(),
            Self::SetAgentUri { agent, agent_uri } => {
                AgentRegistry::setAgentURICall { agentId: U256::from(agent.0), newURI: agent_uri }.abi_encode()
            }
            Self::SetMetadata { agent, key, value } => {
                AgentRegistry::setMetadataCall { agentId: U256::from(agent.0), metadataKey: key, metadataValue: value }.abi_encode()
            }
            Self::SetAgentWallet { agent, new_wallet, consent: WalletConsent { deadline, signature } } => {
                AgentRegistry::setAgentWalletCall { agentId: U256::from(agent.0), newWallet: new_wallet, deadline, signature }.abi_encode()
            }
            Self::UnsetAgentWallet { agent } => AgentRegistry::unsetAgentWalletCall { agentId: U256::from(agent.0) }.abi_encode(),
            // One function in both contracts.
            Self::PayCredit { custody: _, recipient } => RunEscrow::payCreditCall { account: recipient }.abi_encode(),
        }
        .into()
    }

    /// The call that `calldata` sent to `to` makes.
    ///
    /// Bytes after the arguments are allowed, because wallets append attribution there and contracts ignore it. Arguments that differ in
    /// any bit from what [`Self::calldata`] writes are not: what is compared later is then exactly what the contract will read.
    ///
    /// # Errors
    /// Says whether the contract is a foreign one, or the call none of the verbs.
    pub fn decode(to: Address, calldata: &[u8], contracts: &Contracts) -> Result<Self, NotACall> {
        let call = if to == contracts.run_escrow {
            Self::of_escrow(calldata)
        } else if to == contracts.agent_stake {
            Self::of_stake(calldata)
        } else if to == contracts.agent_registry {
            Self::of_registry(calldata)
        } else if to == contracts.usdc {
            Self::of_usdc(calldata)
        } else {
            return Err(NotACall::ForeignContract(to));
        };
        call.filter(|call| calldata.starts_with(&call.calldata())).ok_or(NotACall::UnknownCalldata)
    }

    /// Whether two calls do the same thing to the same subject on the same terms.
    ///
    /// What the caller expected to find (terms word, `reviewBy`, `dueAt`) is not compared: it only makes the contract refuse, and once the
    /// call is mined the index no longer holds the values it was prepared with.
    pub fn is_same_action(&self, other: &Self) -> bool {
        self.clone().without_expectations() == other.clone().without_expectations()
    }

    /// The call without what its caller expected to find, and without the consent that came with it.
    pub fn without_expectations(mut self) -> Self {
        match &mut self {
            Self::Claim { expected_terms, .. } => *expected_terms = U256::ZERO,
            Self::RequestRevision { expected_review_by: expected, .. }
            | Self::Approve { expected_review_by: expected, .. }
            | Self::Reject { expected_deadline: expected, .. } => *expected = Timestamp::default(),
            Self::SetAgentWallet { consent, .. } => *consent = WalletConsent::default(),
            Self::ApproveUsdc { .. }
            | Self::Create(_)
            | Self::CreateAndFund(_)
            | Self::Fund { .. }
            | Self::Cancel { .. }
            | Self::Start { .. }
            | Self::Submit { .. }
            | Self::Finalize { .. }
            | Self::Slash { .. }
            | Self::Register { .. }
            | Self::Stake { .. }
            | Self::Unstake { .. }
            | Self::SetAgentUri { .. }
            | Self::SetMetadata { .. }
            | Self::UnsetAgentWallet { .. }
            | Self::PayCredit { .. } => {}
        }
        self
    }

    fn of_escrow(calldata: &[u8]) -> Option<Self> {
        Some(match RunEscrowCalls::abi_decode(calldata).ok()? {
            RunEscrowCalls::create(call) => Self::Create(new_run::read(call.reward, call.deadline, call.maxRevisions, call.contentURI)?),
            RunEscrowCalls::createAndFund(call) => {
                Self::CreateAndFund(new_run::read(call.reward, call.deadline, call.maxRevisions, call.contentURI)?)
            }
            RunEscrowCalls::fund(call) => Self::Fund { run: RunId(number(call.runId)?) },
            RunEscrowCalls::cancel(call) => Self::Cancel { run: RunId(number(call.runId)?) },
            RunEscrowCalls::claim(call) => {
                Self::Claim { run: RunId(number(call.runId)?), agent: AgentId(number(call.agentId)?), expected_terms: call.expectedTerms }
            }
            RunEscrowCalls::start(call) => Self::Start { run: RunId(number(call.runId)?) },
            RunEscrowCalls::submit(call) => Self::Submit { run: RunId(number(call.runId)?), deliverable_uri: call.deliverableURI },
            RunEscrowCalls::requestRevision(call) => Self::RequestRevision {
                run: RunId(number(call.runId)?),
                expected_review_by: Timestamp(number(call.expectedReviewBy)?),
                feedback: call.feedback,
            },
            RunEscrowCalls::approve(call) => {
                Self::Approve { run: RunId(number(call.runId)?), expected_review_by: Timestamp(number(call.expectedReviewBy)?) }
            }
            RunEscrowCalls::reject(call) => {
                Self::Reject { run: RunId(number(call.runId)?), expected_deadline: Timestamp(number(call.expectedDeadline)?) }
            }
            RunEscrowCalls::finalize(call) => Self::Finalize { run: RunId(number(call.runId)?) },
            RunEscrowCalls::slash(call) => Self::Slash { run: RunId(number(call.runId)?) },
            RunEscrowCalls::payCredit(call) => Self::PayCredit { custody: Custody::Escrow, recipient: call.account },
            _ => return None,
        })
    }

    fn of_stake(calldata: &[u8]) -> Option<Self> {
        Some(match AgentStakeCalls::abi_decode(calldata).ok()? {
            AgentStakeCalls::stake(call) => Self::Stake { agent: AgentId(number(call.agentId)?), amount: Usdc(call.amount) },
            AgentStakeCalls::unstake(call) => Self::Unstake { agent: AgentId(number(call.agentId)?), amount: Usdc(call.amount) },
            AgentStakeCalls::payCredit(call) => Self::PayCredit { custody: Custody::Stake, recipient: call.account },
            _ => return None,
        })
    }

    fn of_registry(calldata: &[u8]) -> Option<Self> {
        Some(match AgentRegistryCalls::abi_decode(calldata).ok()? {
            AgentRegistryCalls::register_2(call) => Self::Register { agent_uri: call.agentURI },
            AgentRegistryCalls::setAgentURI(call) => Self::SetAgentUri { agent: AgentId(number(call.agentId)?), agent_uri: call.newURI },
            AgentRegistryCalls::setMetadata(call) => {
                Self::SetMetadata { agent: AgentId(number(call.agentId)?), key: call.metadataKey, value: call.metadataValue }
            }
            AgentRegistryCalls::setAgentWallet(call) => Self::SetAgentWallet {
                agent: AgentId(number(call.agentId)?),
                new_wallet: call.newWallet,
                consent: WalletConsent { deadline: call.deadline, signature: call.signature },
            },
            AgentRegistryCalls::unsetAgentWallet(call) => Self::UnsetAgentWallet { agent: AgentId(number(call.agentId)?) },
            _ => return None,
        })
    }

    fn of_usdc(calldata: &[u8]) -> Option<Self> {
        match TestUSDCCalls::abi_decode(calldata).ok()? {
            TestUSDCCalls::approve(call) => Some(Self::ApproveUsdc { spender: call.spender, amount: Usdc(call.value) }),
            _ => None,
        }
    }
}

/// A word that fits the domain's numbers; anything larger is no id and no time of this market.
fn number(word: U256) -> Option<u64> {
    u64::try_from(word).ok()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, hex};

    use super::*;
    use crate::fixture::CONTRACTS;

    fn new_run() -> NewRun {
        NewRun { reward: Usdc::whole(100), deadline: Timestamp(1_800_000_000), max_revisions: 3, content_uri: "ipfs://Qm/ä".into() }
    }

    fn every_call() -> Vec<Call> {
        let run = RunId(7);
        let agent = AgentId(1);
        vec![
            Call::ApproveUsdc { spender: CONTRACTS.run_escrow, amount: Usdc::whole(105) },
            Call::Create(new_run()),
            Call::CreateAndFund(new_run()),
            Call::Fund { run },
            Call::Cancel { run },
            Call::Claim { run, agent, expected_terms: U256::MAX },
            Call::Start { run },
            Call::Submit { run, deliverable_uri: "ipfs://done".into() },
            Call::RequestRevision { run, expected_review_by: Timestamp(9), feedback: String::new() },
            Call::Approve { run, expected_review_by: Timestamp(9) },
            Call::Reject { run, expected_deadline: Timestamp(9) },
            Call::Finalize { run },
            Call::Slash { run },
            Call::Register { agent_uri: "https://agent.example".into() },
            Call::Stake { agent, amount: Usdc::whole(20) },
            Call::Unstake { agent, amount: Usdc::base_units(1) },
            Call::SetAgentUri { agent, agent_uri: "ipfs://new".into() },
            Call::SetMetadata { agent, key: "k".into(), value: Bytes::from_static(b"v") },
            Call::SetAgentWallet {
                agent,
                new_wallet: Address::repeat_byte(7),
                consent: WalletConsent { deadline: U256::from(9), signature: Bytes::from_static(&[1; 65]) },
            },
            Call::UnsetAgentWallet { agent },
            Call::PayCredit { custody: Custody::Escrow, recipient: Address::repeat_byte(7) },
            Call::PayCredit { custody: Custody::Stake, recipient: Address::repeat_byte(7) },
        ]
    }

    #[test]
    fn every_call_survives_the_way_to_calldata_and_back() {
        for call in every_call() {
            assert_eq!(Call::decode(call.contract(&CONTRACTS), &call.calldata(), &CONTRACTS), Ok(call));
        }
    }

    #[test]
    fn selectors_are_those_of_the_solidity_signatures() {
        let selector = |signature: &str| alloy_primitives::keccak256(signature)[..4].to_vec();
        assert_eq!(Call::Register { agent_uri: String::new() }.calldata()[..4], selector("register(string)"));
        assert_eq!(
            Call::Claim { run: RunId(1), agent: AgentId(1), expected_terms: U256::ZERO }.calldata()[..4],
            selector("claim(uint256,uint256,uint256)")
        );
        assert_eq!(Call::CreateAndFund(new_run()).calldata()[..4], selector("createAndFund(uint256,uint256,uint256,string)"));
    }

    #[test]
    fn no_call_is_the_same_action_as_another() {
        let calls = every_call();
        for (i, one) in calls.iter().enumerate() {
            for (j, other) in calls.iter().enumerate() {
                assert_eq!(one.is_same_action(other), i == j, "{one:?} and {other:?}");
            }
        }
    }

    #[test]
    fn expectations_do_not_make_another_action_but_terms_do() {
        let claim = |run, agent, terms: u64| Call::Claim { run: RunId(run), agent: AgentId(agent), expected_terms: U256::from(terms) };
        assert!(claim(1, 2, 3).is_same_action(&claim(1, 2, 4)));
        assert!(!claim(1, 2, 3).is_same_action(&claim(2, 2, 3)));
        assert!(!claim(1, 2, 3).is_same_action(&claim(1, 3, 3)));
        let feedback =
            |by, text: &str| Call::RequestRevision { run: RunId(1), expected_review_by: Timestamp(by), feedback: text.to_owned() };
        assert!(feedback(1, "a").is_same_action(&feedback(2, "a")));
        assert!(!feedback(1, "a").is_same_action(&feedback(1, "b")));
    }

    #[test]
    fn bytes_after_the_arguments_are_allowed() {
        let call = Call::Slash { run: RunId(3) };
        let mut calldata = call.calldata().to_vec();
        calldata.extend_from_slice(&hex!("c0ffee"));
        assert_eq!(Call::decode(CONTRACTS.run_escrow, &calldata, &CONTRACTS), Ok(call));
    }

    #[test]
    fn foreign_contracts_and_verbs_are_refused() {
        let call = Call::Slash { run: RunId(3) };
        assert_eq!(
            Call::decode(Address::repeat_byte(9), &call.calldata(), &CONTRACTS),
            Err(NotACall::ForeignContract(Address::repeat_byte(9)))
        );
        let transfer = TestUSDC::transferCall { to: Address::repeat_byte(9), value: U256::from(1) }.abi_encode();
        for (to, calldata) in [
            (CONTRACTS.usdc, transfer.as_slice()),
            (CONTRACTS.agent_stake, call.calldata().as_ref()),
            (CONTRACTS.run_escrow, &[]),
            (CONTRACTS.run_escrow, &hex!("deadbeef")),
            (CONTRACTS.run_escrow, &call.calldata()[..20]),
        ] {
            assert_eq!(Call::decode(to, calldata, &CONTRACTS), Err(NotACall::UnknownCalldata));
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_no_action_of_ours() {
        let mut calldata = Call::Submit { run: RunId(1), deliverable_uri: "ab".into() }.calldata().to_vec();
        let text = calldata.iter().rposition(|byte| *byte == b'b').unwrap();
        calldata[text] = 0xff;
        assert_eq!(Call::decode(CONTRACTS.run_escrow, &calldata, &CONTRACTS), Err(NotACall::UnknownCalldata));
    }

    #[test]
    fn ids_beyond_64_bits_are_no_action_of_ours() {
        let mut calldata = Call::Slash { run: RunId(1) }.calldata().to_vec();
        calldata[4..36].copy_from_slice(B256::repeat_byte(0xff).as_slice());
        assert_eq!(Call::decode(CONTRACTS.run_escrow, &calldata, &CONTRACTS), Err(NotACall::UnknownCalldata));
    }
}

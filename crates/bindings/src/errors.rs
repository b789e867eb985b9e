//! Why a call reverted: revert data, to a refusal of the rules where there is one.

use std::fmt;

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert as ErrorString, SolError, SolInterface};
use clawpay_domain::{AgentId, AgentStatus, Refusal, RunId, RunState, Timestamp, Usdc};

use crate::{
    AgentRegistry::AgentRegistryErrors, AgentStake::AgentStakeErrors, ERC2771Forwarder::ERC2771ForwarderErrors, RunEscrow::RunEscrowErrors,
    TestUSDC::TestUSDCErrors,
};

/// The code of a call that ran out of gas, which no contract says.
pub const OUT_OF_GAS: &str = "out_of_gas";

const FORWARDED_CALL_FAILED: &str = "forwarded_call_failed";

/// What revert data says. [`Revert::code`] is stable; the sentence is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revert {
    /// A rule of the market.
    Refusal(Refusal),
    /// The payer has too few USDC.
    InsufficientUsdc {
        /// What was asked.
        asked: Usdc,
        /// What there is.
        available: Usdc,
    },
    /// The payer has not allowed the contract to take that much.
    InsufficientAllowance {
        /// What was asked.
        asked: Usdc,
        /// What is allowed.
        allowed: Usdc,
    },
    /// The consent of an agent's wallet is not good any more.
    SignatureExpired {
        /// Until when it was.
        deadline: Timestamp,
        /// Chain time.
        timestamp: Timestamp,
    },
    /// The consent of an agent's wallet is good for longer than one may be.
    SignatureTooLong {
        /// Until when it is.
        deadline: Timestamp,
        /// Until when it may be.
        latest: Timestamp,
    },
    /// What was signed for the forwarder is not good any more.
    RequestExpired {
        /// Until when it was.
        deadline: Timestamp,
    },
    /// A custom error that states no rule of the market.
    Named {
        /// Its stable code.
        code: &'static str,
        /// What it says.
        detail: String,
    },
    /// `Error(string)`, as real USDC words its refusals.
    Reason(String),
    /// `Panic(uint256)`: a fault of a contract.
    Panic(U256),
    /// Nothing that these contracts are known to say; empty when the call ran out of gas.
    Unknown(Bytes),
}

impl Revert {
    /// Every code there is.
    pub const CODES: &[&str] = &[
        "agent_banned",
        "agent_frozen",
        "agent_not_found",
        "agent_unverified",
        "amount_out_of_range",
        "contract_panic",
        "deadline_out_of_range",
        "deadline_passed",
        "exceeds_withdrawable",
        FORWARDED_CALL_FAILED,
        "incorrect_owner",
        "insufficient_allowance",
        "insufficient_approval",
        "insufficient_balance",
        "insufficient_usdc",
        "invalid_account_nonce",
        "invalid_agent_wallet",
        "invalid_approver",
        "invalid_operator",
        "invalid_owner",
        "invalid_parameters",
        "invalid_receiver",
        "invalid_request_signature",
        "invalid_sender",
        "invalid_signature",
        "invalid_spender",
        "invalid_string",
        "invalid_treasury",
        "length_out_of_range",
        "metadata_too_long",
        "mismatched_value",
        "no_credit",
        "no_refund_receiver",
        "no_revisions_left",
        "not_agent",
        "not_authorized",
        "not_eligible",
        "not_escrow",
        "not_escrow_owner",
        "not_owner",
        "not_paused",
        "not_poster",
        "not_run_agent",
        OUT_OF_GAS,
        "paused",
        "poster_cannot_claim",
        "reentrant_call",
        "request_expired",
        "reserved_metadata_key",
        "reverted",
        "reverted_with_reason",
        "revisions_left",
        "reward_out_of_range",
        "run_not_found",
        "signature_deadline_too_far",
        "signature_expired",
        "stake_committed",
        "submission_changed",
        "terms_changed",
        "token_transfer_failed",
        "too_early",
        "too_late",
        "too_many_revisions",
        "unsupported_domain",
        "untrustful_target",
        "value_out_of_range",
        "wrong_amount_received",
        "wrong_state",
    ];

    /// Whether the forwarder says no more than that the call failed which it was to make.
    pub fn is_of_forwarded(&self) -> bool {
        self.code() == FORWARDED_CALL_FAILED
    }

    /// Reads revert data.
    pub fn decode(data: &[u8]) -> Self {
        // A contract's own ABI lacks the errors that reach it from the contracts it calls, so all are tried.
        if let Ok(error) = RunEscrowErrors::abi_decode(data) {
            return Self::of_escrow(error);
        }
        if let Ok(error) = AgentStakeErrors::abi_decode(data) {
            return Self::of_stake(error);
        }
        if let Ok(error) = AgentRegistryErrors::abi_decode(data) {
            return Self::of_registry(error);
        }
        if let Ok(error) = ERC2771ForwarderErrors::abi_decode(data) {
            return Self::of_forwarder(error);
        }
        if let Ok(error) = TestUSDCErrors::abi_decode(data) {
            return Self::of_usdc(error);
        }
        if let Ok(ErrorString { reason }) = ErrorString::abi_decode(data) {
            return Self::of_reason(reason);
        }
        if let Ok(Panic { code }) = Panic::abi_decode(data) {
            return Self::Panic(code);
        }
        Self::Unknown(Bytes::copy_from_slice(data))
    }

    /// A stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refusal(refusal) => refusal.code(),
            Self::InsufficientUsdc { .. } => "insufficient_usdc",
            Self::InsufficientAllowance { .. } => "insufficient_allowance",
            Self::SignatureExpired { .. } => "signature_expired",
            Self::SignatureTooLong { .. } => "signature_deadline_too_far",
            Self::RequestExpired { .. } => "request_expired",
            Self::Named { code, .. } => code,
            Self::Reason(_) => "reverted_with_reason",
            Self::Panic(_) => "contract_panic",
            Self::Unknown(_) => "reverted",
        }
    }

    fn of_escrow(error: RunEscrowErrors) -> Self {
        use RunEscrowErrors as E;
        let run = |id: U256| RunId(number(id));
        Self::Refusal(match error {
            E::RunEscrow_RunNotFound(e) => Refusal::RunNotFound { run: run(e.runId) },
            E::RunEscrow_WrongState(e) => match RunState::from_index(e.state) {
                Some(state) => Refusal::WrongState { run: run(e.runId), state, accepted: states(e.accepted) },
                None => return Self::named("wrong_state", format!("run {} is in an unknown state {}", e.runId, e.state)),
            },
            E::RunEscrow_NotPoster(e) => Refusal::NotPoster { run: run(e.runId), caller: e.caller, poster: e.poster },
            E::RunEscrow_NotRunAgent(e) => Refusal::NotRunAgent { run: run(e.runId), caller: e.caller, wallet: e.wallet },
            E::RunEscrow_PosterCannotClaim(e) => Refusal::PosterCannotClaim { run: run(e.runId), poster: e.poster },
            E::RunEscrow_RewardOutOfRange(e) => {
                Refusal::RewardOutOfRange { reward: Usdc(e.reward), minimum: Usdc(e.minimum), maximum: Usdc(e.maximum) }
            }
            E::RunEscrow_DeadlineOutOfRange(e) => {
                Refusal::DeadlineOutOfRange { deadline: time(e.deadline), timestamp: time(e.timestamp), latest: time(e.latest) }
            }
            E::RunEscrow_TooManyRevisions(e) => Refusal::TooManyRevisions { max_revisions: number(e.maxRevisions), limit: number(e.limit) },
            E::RunEscrow_LengthOutOfRange(e) => {
                Refusal::LengthOutOfRange { length: number(e.length), minimum: number(e.minimum), maximum: number(e.maximum) }
            }
            E::RunEscrow_DeadlinePassed(e) => {
                Refusal::DeadlinePassed { run: run(e.runId), deadline: time(e.deadline), timestamp: time(e.timestamp) }
            }
            E::RunEscrow_TermsChanged(e) => Refusal::TermsChanged { run: run(e.runId) },
            E::RunEscrow_SubmissionChanged(e) => {
                Refusal::SubmissionChanged { run: run(e.runId), expected: time(e.expected), actual: time(e.actual) }
            }
            E::RunEscrow_TooLate(e) => Refusal::TooLate { run: run(e.runId), until: time(e.until), timestamp: time(e.timestamp) },
            E::RunEscrow_TooEarly(e) => Refusal::TooEarly { run: run(e.runId), from: time(e.from), timestamp: time(e.timestamp) },
            E::RunEscrow_NoRevisionsLeft(e) => Refusal::NoRevisionsLeft { run: run(e.runId), max_revisions: small(e.maxRevisions) },
            E::RunEscrow_RevisionsLeft(e) => {
                Refusal::RevisionsLeft { run: run(e.runId), revisions: small(e.revisions), max_revisions: small(e.maxRevisions) }
            }
            E::EnforcedPause(_) => Refusal::Paused,
            E::ExpectedPause(_) => return Self::named("not_paused", "the escrow is not paused"),
            E::Custody_WrongAmountReceived(e) => return Self::wrong_amount(e.expected, e.received),
            E::Custody_NoCredit(e) => return Self::no_credit(e.account),
            E::RunEscrow_InvalidTreasury(e) => {
                return Self::named("invalid_treasury", format!("{} cannot be the treasury", e.treasury));
            }
            E::RunEscrow_InvalidParameters(_) => return Self::invalid_parameters(),
            E::OwnableInvalidOwner(e) => return Self::named("invalid_owner", format!("{} cannot own the escrow", e.owner)),
            E::OwnableUnauthorizedAccount(e) => {
                return Self::named("not_escrow_owner", format!("{} does not own the escrow", e.account));
            }
            E::ReentrancyGuardReentrantCall(_) => return Self::reentrant(),
            E::SafeCastOverflowedUintDowncast(e) => return Self::overflow(e.bits, e.value),
            E::SafeERC20FailedOperation(e) => return Self::token_failed(e.token),
        })
    }

    fn of_stake(error: AgentStakeErrors) -> Self {
        use AgentStakeErrors as E;
        let agent = |id: U256| AgentId(number(id));
        Self::Refusal(match error {
            E::AgentStake_NotAgent(e) => Refusal::NotAgent { agent: agent(e.agentId), caller: e.caller },
            E::AgentStake_NotOwner(e) => Refusal::NotOwner { agent: agent(e.agentId), caller: e.caller, owner: e.owner },
            E::AgentStake_AgentIdOutOfRange(e) => Refusal::AgentNotFound { agent: agent(e.agentId) },
            E::AgentStake_NotEligible(e) => match AgentStatus::from_index(e.status) {
                Some(status) => Refusal::NotEligible { agent: agent(e.agentId), status },
                None => return Self::named("not_eligible", format!("agent {} has an unknown status {}", e.agentId, e.status)),
            },
            E::AgentStake_StakeCommitted(e) => {
                Refusal::StakeCommitted { agent: agent(e.agentId), free: Usdc(e.free), required: Usdc(e.required) }
            }
            E::AgentStake_AmountOutOfRange(e) => {
                Refusal::AmountOutOfRange { amount: Usdc(e.amount), minimum: Usdc(e.minimum), maximum: Usdc(e.maximum) }
            }
            E::AgentStake_ExceedsWithdrawable(e) => {
                Refusal::ExceedsWithdrawable { agent: agent(e.agentId), amount: Usdc(e.amount), withdrawable: Usdc(e.withdrawable) }
            }
            E::AgentStake_Frozen(e) => Refusal::Frozen { agent: agent(e.agentId), owed: Usdc(e.owed) },
            E::AgentStake_NotEscrow(e) => {
                return Self::named("not_escrow", format!("{} is not the escrow", e.caller));
            }
            E::Custody_WrongAmountReceived(e) => return Self::wrong_amount(e.expected, e.received),
            E::Custody_NoCredit(e) => return Self::no_credit(e.account),
            E::AgentStake_InvalidParameters(_) => return Self::invalid_parameters(),
            E::ReentrancyGuardReentrantCall(_) => return Self::reentrant(),
            E::SafeCastOverflowedUintDowncast(e) => return Self::overflow(e.bits, e.value),
            E::SafeERC20FailedOperation(e) => return Self::token_failed(e.token),
        })
    }

    fn of_registry(error: AgentRegistryErrors) -> Self {
        use AgentRegistryErrors as E;
        match error {
            E::ERC721NonexistentToken(e) => Self::Refusal(Refusal::AgentNotFound { agent: AgentId(number(e.tokenId)) }),
            E::AgentRegistry_URITooLong(e) => {
                Self::Refusal(Refusal::LengthOutOfRange { length: number(e.length), minimum: 0, maximum: number(e.maximum) })
            }
            E::AgentRegistry_MetadataTooLong(e) => {
                Self::named("metadata_too_long", format!("{} bytes of metadata are more than {}", e.length, e.maximum))
            }
            E::AgentRegistry_NotAuthorized(e) => {
                Self::named("not_authorized", format!("{} neither owns agent {} nor is approved for it", e.caller, e.agentId))
            }
            E::AgentRegistry_ReservedMetadataKey(e) => {
                Self::named("reserved_metadata_key", format!("{} cannot be set as metadata", e.metadataKey))
            }
            E::AgentRegistry_InvalidAgentWallet(e) => {
                Self::named("invalid_agent_wallet", format!("{} cannot be an agent wallet", e.newWallet))
            }
            E::AgentRegistry_SignatureExpired(e) => Self::SignatureExpired { deadline: time(e.deadline), timestamp: time(e.timestamp) },
            E::AgentRegistry_DeadlineTooFar(e) => Self::SignatureTooLong { deadline: time(e.deadline), latest: time(e.latest) },
            E::AgentRegistry_InvalidSignature(e) => Self::named("invalid_signature", format!("{} did not sign this", e.newWallet)),
            E::ERC721IncorrectOwner(e) => {
                Self::named("incorrect_owner", format!("{} does not own agent {}, {} does", e.sender, e.tokenId, e.owner))
            }
            E::ERC721InsufficientApproval(e) => {
                Self::named("insufficient_approval", format!("{} is not approved for agent {}", e.operator, e.tokenId))
            }
            E::ERC721InvalidApprover(e) => Self::named("invalid_approver", format!("{} cannot approve", e.approver)),
            E::ERC721InvalidOperator(e) => Self::named("invalid_operator", format!("{} cannot be an operator", e.operator)),
            E::ERC721InvalidOwner(e) => Self::named("invalid_owner", format!("{} cannot own an agent", e.owner)),
            E::ERC721InvalidReceiver(e) => Self::named("invalid_receiver", format!("{} cannot receive an agent", e.receiver)),
            E::ERC721InvalidSender(e) => Self::named("invalid_sender", format!("{} cannot send an agent", e.sender)),
            E::InvalidShortString(_) | E::StringTooLong(_) => Self::named("invalid_string", "a string has the wrong length"),
        }
    }

    fn of_forwarder(error: ERC2771ForwarderErrors) -> Self {
        use ERC2771ForwarderErrors as E;
        match error {
            E::ERC2771ForwarderExpiredRequest(e) => Self::RequestExpired { deadline: time(U256::from(e.deadline)) },
            E::ERC2771ForwarderInvalidSigner(e) => Self::named(
                "invalid_request_signature",
                format!("{} signed this request, as it stands with the signer's nonce, not {}", e.signer, e.from),
            ),
            E::ERC2771ForwarderMismatchedValue(e) => {
                Self::named("mismatched_value", format!("the request asks for {} wei, {} came along", e.requestedValue, e.msgValue))
            }
            E::ERC2771UntrustfulTarget(e) => {
                Self::named("untrustful_target", format!("{} does not trust the forwarder {}", e.target, e.forwarder))
            }
            E::ERC2771ForwarderNoRefundReceiver(_) => Self::named("no_refund_receiver", "nobody is named to take back what is left"),
            E::FailedCall(_) => Self::named(FORWARDED_CALL_FAILED, "the call that was forwarded failed"),
            E::InsufficientBalance(e) => {
                Self::named("insufficient_balance", format!("{} wei are needed, {} are there", e.needed, e.balance))
            }
            E::InvalidAccountNonce(e) => {
                Self::named("invalid_account_nonce", format!("the next nonce of {} is {}", e.account, e.currentNonce))
            }
            E::InvalidShortString(_) | E::StringTooLong(_) => Self::named("invalid_string", "a string has the wrong length"),
        }
    }

    fn of_usdc(error: TestUSDCErrors) -> Self {
        use TestUSDCErrors as E;
        match error {
            E::ERC20InsufficientBalance(e) => Self::InsufficientUsdc { asked: Usdc(e.needed), available: Usdc(e.balance) },
            E::ERC20InsufficientAllowance(e) => Self::InsufficientAllowance { asked: Usdc(e.needed), allowed: Usdc(e.allowance) },
            E::ERC20InvalidApprover(e) => Self::named("invalid_approver", format!("{} cannot approve", e.approver)),
            E::ERC20InvalidReceiver(e) => Self::named("invalid_receiver", format!("{} cannot receive USDC", e.receiver)),
            E::ERC20InvalidSender(e) => Self::named("invalid_sender", format!("{} cannot send USDC", e.sender)),
            E::ERC20InvalidSpender(e) => Self::named("invalid_spender", format!("{} cannot spend USDC", e.spender)),
            E::ERC5267ExtensionsNotSupported(_) => Self::named("unsupported_domain", "the token's signing domain has extensions"),
        }
    }

    /// At most this much of a foreign contract's text is repeated.
    fn of_reason(reason: String) -> Self {
        const LONGEST: usize = 256;
        Self::Reason(if reason.chars().count() > LONGEST { reason.chars().take(LONGEST).chain(['…']).collect() } else { reason })
    }

    fn named(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Named { code, detail: detail.into() }
    }

    fn wrong_amount(expected: U256, received: U256) -> Self {
        Self::named("wrong_amount_received", format!("the token moved {} USDC instead of {}", Usdc(received), Usdc(expected)))
    }

    fn no_credit(account: impl fmt::Display) -> Self {
        Self::named("no_credit", format!("nothing is owed to {account}"))
    }

    fn invalid_parameters() -> Self {
        Self::named("invalid_parameters", "a constructor argument is outside what the rules allow")
    }

    fn reentrant() -> Self {
        Self::named("reentrant_call", "the contract was called again inside its own call")
    }

    fn overflow(bits: u8, value: U256) -> Self {
        Self::named("value_out_of_range", format!("{value} does not fit {bits} bits"))
    }

    fn token_failed(token: impl fmt::Display) -> Self {
        Self::named("token_transfer_failed", format!("the token {token} refused the transfer"))
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::InsufficientUsdc { asked, available } => write!(f, "{asked} USDC are needed, {available} USDC are there"),
            Self::InsufficientAllowance { asked, allowed } => {
                write!(f, "the contract may take {allowed} USDC of the {asked} USDC it needs")
            }
            Self::SignatureExpired { deadline, timestamp } => write!(f, "the wallet's consent ended at {deadline}, it is {timestamp}"),
            Self::SignatureTooLong { deadline, latest } => write!(f, "a consent until {deadline} ends after {latest}"),
            Self::RequestExpired { deadline } => write!(f, "the signed request ended at {deadline}"),
            Self::Named { detail, .. } => detail.fmt(f),
            Self::Reason(reason) => write!(f, "the contract refused: {reason}"),
            Self::Panic(code) => write!(f, "the contract failed with panic code {code}"),
            Self::Unknown(data) if data.is_empty() => f.write_str("the call failed without saying why"),
            Self::Unknown(data) => write!(f, "the call failed with unknown data {}", Start(data)),
        }
    }
}

/// As much of unknown revert data as helps to look it up.
struct Start<'a>(&'a [u8]);

impl fmt::Display for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 68;
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        write!(f, "{}{}", alloy_primitives::hex::encode_prefixed(shown), if shown.len() < self.0.len() { "…" } else { "" })
    }
}

/// Ids and counts in errors are for people to read: one that does not fit shows as the largest that does.
fn number(word: U256) -> u64 {
    u64::try_from(word).unwrap_or(u64::MAX)
}

fn small(word: U256) -> u8 {
    u8::try_from(word).unwrap_or(u8::MAX)
}

fn time(word: U256) -> Timestamp {
    Timestamp(number(word))
}

/// The states whose bits are set.
fn states(accepted: U256) -> Vec<RunState> {
    RunState::ALL.iter().copied().filter(|state| accepted.bit(state.index().into())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy_primitives::{Address, hex, keccak256};
    use clawpay_domain::RunState;

    use super::*;
    use crate::{AgentStake, RunEscrow, TestUSDC};

    const ABIS: [&str; 5] = [
        include_str!("../../../contracts/abi/RunEscrow.json"),
        include_str!("../../../contracts/abi/AgentStake.json"),
        include_str!("../../../contracts/abi/AgentRegistry.json"),
        include_str!("../../../contracts/abi/ERC2771Forwarder.json"),
        include_str!("../../../contracts/abi/TestUSDC.json"),
    ];

    /// Name and revert data of every error of every ABI, with all arguments zero.
    fn every_error() -> Vec<(String, Vec<u8>)> {
        let mut errors = Vec::new();
        for abi in ABIS {
            let abi: serde_json::Value = serde_json::from_str(abi).unwrap();
            for item in abi["abi"].as_array().unwrap().iter().filter(|item| item["type"] == "error") {
                let types: Vec<_> = item["inputs"].as_array().unwrap().iter().map(|input| input["type"].as_str().unwrap()).collect();
                let name = item["name"].as_str().unwrap();
                let mut data = keccak256(format!("{name}({})", types.join(",")))[..4].to_vec();
                for (position, kind) in types.iter().enumerate() {
                    // A string is an offset to its length, which comes after the other words.
                    let word = if *kind == "string" { U256::from(32 * types.len()) } else { U256::ZERO };
                    assert!(*kind != "string" || position + 1 == types.len(), "one string, last");
                    data.extend_from_slice(&word.to_be_bytes::<32>());
                }
                if types.contains(&"string") {
                    data.extend_from_slice(&[0; 32]);
                }
                errors.push((name.to_owned(), data));
            }
        }
        errors
    }

    #[test]
    fn every_error_of_every_abi_has_a_code() {
        let errors = every_error();
        assert!(errors.len() > 50, "{} errors", errors.len());
        for (name, data) in errors {
            let revert = Revert::decode(&data);
            assert!(!matches!(revert, Revert::Unknown(_) | Revert::Reason(_) | Revert::Panic(_)), "{name} is not mapped: {revert:?}");
            assert!(Revert::CODES.contains(&revert.code()), "{} is in no list", revert.code());
        }
    }

    #[test]
    fn a_refusal_stands_for_the_solidity_error_it_names() {
        let mut named = BTreeSet::new();
        for (name, data) in every_error() {
            if let Revert::Refusal(refusal) = Revert::decode(&data) {
                let differs = matches!(refusal, Refusal::AgentNotFound { .. }) || name == "AgentRegistry_URITooLong";
                assert!(differs || refusal.solidity_error() == Some(name.as_str()), "{name} became {refusal:?}");
                named.insert(name);
            }
        }
        assert_eq!(named.len(), 27, "{named:?}");
    }

    #[test]
    fn numbers_reach_the_refusal() {
        let data = RunEscrow::RunEscrow_WrongState {
            runId: U256::from(7),
            state: RunState::Claimed.index(),
            accepted: U256::from(1 << RunState::Open.index() | 1 << RunState::Draft.index()),
        }
        .abi_encode();
        let refusal = Refusal::WrongState { run: RunId(7), state: RunState::Claimed, accepted: vec![RunState::Draft, RunState::Open] };
        assert_eq!(Revert::decode(&data), Revert::Refusal(refusal));

        let data = AgentStake::AgentStake_NotEligible { agentId: U256::from(3), status: AgentStatus::Frozen.index() }.abi_encode();
        assert_eq!(Revert::decode(&data).code(), "agent_frozen");

        let data =
            TestUSDC::ERC20InsufficientBalance { sender: Address::ZERO, balance: U256::from(1_500_000), needed: U256::from(105_000_000) }
                .abi_encode();
        let revert = Revert::decode(&data);
        assert_eq!((revert.code(), revert.to_string().as_str()), ("insufficient_usdc", "105 USDC are needed, 1.5 USDC are there"));
    }

    #[test]
    fn words_out_of_range_are_shown_not_trusted() {
        let data = RunEscrow::RunEscrow_WrongState { runId: U256::MAX, state: 99, accepted: U256::ZERO }.abi_encode();
        assert_eq!(Revert::decode(&data).code(), "wrong_state");
        let data = RunEscrow::RunEscrow_RunNotFound { runId: U256::MAX }.abi_encode();
        assert_eq!(Revert::decode(&data), Revert::Refusal(Refusal::RunNotFound { run: RunId(u64::MAX) }));
    }

    #[test]
    fn other_reverts_keep_what_they_say() {
        let reason = Revert::decode(&ErrorString { reason: "FiatTokenV2: paused".into() }.abi_encode());
        assert_eq!((reason.code(), reason.to_string().as_str()), ("reverted_with_reason", "the contract refused: FiatTokenV2: paused"));
        let long = Revert::decode(&ErrorString { reason: "x".repeat(5_000) }.abi_encode());
        assert!(long.to_string().len() < 300);
        assert_eq!(Revert::decode(&Panic { code: U256::from(0x11) }.abi_encode()).code(), "contract_panic");
        assert_eq!(Revert::decode(&[]).to_string(), "the call failed without saying why");
        let unknown = Revert::decode(&hex!("deadbeef01"));
        assert_eq!((unknown.code(), unknown.to_string().as_str()), ("reverted", "the call failed with unknown data 0xdeadbeef01"));
        assert!(Revert::decode(&[0xde; 10_000]).to_string().len() < 250);
    }
}

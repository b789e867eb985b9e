//! Logs of our contracts, into the domain's facts.
//!
//! What a log says is decided by anybody who can write to the contracts, and by a foreign registry's owner. So nothing here fails: a log that
//! is none of the ABI's events has no name, and one whose content does not fit says why beside whatever subjects its topics name. A Solidity
//! `string` is arbitrary bytes and is decoded as `bytes`, which has the same encoding: a lossy text could not be undone.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolEvent, SolType, sol_data};
use clawpay_domain::{AgentEvent, AgentId, Payment, RunEvent, RunId, Terms, Timestamp, Usdc};
use thiserror::Error;

use crate::{Contracts, agent_registry::AgentRegistry as Registry, agent_stake::AgentStake as Stake, run_escrow::RunEscrow as Escrow};

/// Largest run id that a signed 64-bit column holds. The escrow counts from 1.
const MAX_RUN_ID: u64 = (1 << 63) - 1;

/// What is understood of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The event's name; nothing when the log is none of the ABI's events.
    pub name: Option<&'static str>,
    /// The run it names.
    pub run: Option<RunId>,
    /// The agent it names.
    pub agent: Option<AgentId>,
    /// What it says of them.
    pub facts: Facts,
    /// Why its content could not be read. There are no facts then.
    pub error: Option<DecodeError>,
}

/// What one log says of its subjects. Nothing for events that only move money or permissions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the run.
    pub run: Option<RunEvent>,
    /// Of the agent.
    pub agent: Option<AgentEvent>,
}

/// Why a log of a known event cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It has fewer topics than the event has indexed parameters.
    #[error("topic {0} is missing")]
    MissingTopic(usize),
    /// A number that the contracts never emit.
    #[error("{field} is {value}, which is out of range")]
    OutOfRange {
        /// The event's parameter.
        field: &'static str,
        /// What it says.
        value: U256,
    },
    /// The data is no encoding of the event's parameters.
    #[error("the data is not the ABI encoding of {0}'s parameters")]
    Malformed(&'static str),
    /// An agent wallet of another length than an address, or none.
    #[error("agentWallet has {0} bytes, not 20 or none")]
    WalletLength(usize),
}

/// Reads a log that one of `contracts` emitted.
pub fn decode(contracts: &Contracts, emitter: Address, topics: &[B256], data: &[u8]) -> Decoded {
    let Some(signature) = topics.first() else { return Decoded::default() };
    let log = Log { topics, data };
    // An address may be only one contract, but nothing here depends on it: the registry may be anybody's.
    if emitter == contracts.run_escrow {
        decode_escrow(&log, *signature)
    } else if emitter == contracts.agent_stake {
        decode_stake(&log, *signature)
    } else if emitter == contracts.agent_registry {
        decode_registry(&log, *signature)
    } else {
        Decoded::default()
    }
}

/// The events each contract is indexed for, by their first topic: what a header's bloom filter must hold if a block has one of them.
pub fn signatures(contracts: &Contracts) -> [(Address, &'static [[u8; 32]]); 3] {
    [
        (contracts.run_escrow, Escrow::RunEscrowEvents::SELECTORS),
        (contracts.agent_stake, Stake::AgentStakeEvents::SELECTORS),
        (contracts.agent_registry, Registry::AgentRegistryEvents::SELECTORS),
    ]
}

/// The names that an event may have.
pub fn event_names() -> Vec<&'static str> {
    let names =
        [Escrow::RunEscrowEvents::VARIANT_NAMES, Stake::AgentStakeEvents::VARIANT_NAMES, Registry::AgentRegistryEvents::VARIANT_NAMES];
    let names: std::collections::BTreeSet<_> = names.concat().into_iter().collect();
    names.into_iter().collect()
}

/// The accounts that an event of this name names. All are topics, but for the wallet that an agent is given.
pub fn named_accounts(name: &str, topics: &[B256], data: &[u8]) -> Vec<Address> {
    // A topic of another kind is a number below 2^64, where no account is but a precompile, or a hash.
    let is_account = |topic: &&B256| (65..=160).contains(&U256::from_be_bytes(topic.0).bit_len());
    let wallet = match (name, topics) {
        ("MetadataSet", [_, _, key]) if *key == keccak256(AGENT_WALLET) => agent_wallet(data).ok().flatten(),
        _ => None,
    };
    topics.iter().skip(1).filter(is_account).map(|topic| Address::from_word(*topic)).chain(wallet).collect()
}

/// The metadata key under which ERC-8004 announces an agent's wallet; other keys are the owner's notes.
pub const AGENT_WALLET: &str = "agentWallet";

/// The key and the value that a `MetadataSet` with this data tells of; nothing where the data cannot be read.
pub fn metadata_entry(data: &[u8]) -> Option<(Bytes, Bytes)> {
    decode_data::<(Text, sol_data::Bytes)>("MetadataSet", data).ok()
}

fn agent_wallet(data: &[u8]) -> Result<Option<Address>, DecodeError> {
    let (_, value) = decode_data::<(Text, sol_data::Bytes)>("MetadataSet", data)?;
    match value.len() {
        0 => Ok(None),
        20 => Ok(Some(Address::from_slice(&value))),
        length => Err(DecodeError::WalletLength(length)),
    }
}

fn decode_data<T>(event: &'static str, data: &[u8]) -> Result<T::RustType, DecodeError>
where
    T: SolType,
    for<'de> T::Token<'de>: alloy_sol_types::abi::TokenSeq<'de>,
{
    T::abi_decode_params(data).map_err(|_| DecodeError::Malformed(event))
}

type Uint = sol_data::Uint<256>;
/// A Solidity `string`, kept as it was emitted.
type Text = sol_data::Bytes;

fn decode_escrow(log: &Log<'_>, signature: B256) -> Decoded {
    match signature {
        Escrow::RunCreated::SIGNATURE_HASH => log.of_run("RunCreated", || {
            let (reward, fee, deadline, max_revisions, content_uri) = log.data::<(Uint, Uint, Uint, Uint, Text)>("RunCreated")?;
            let terms = Terms {
                poster: log.address(2, "poster")?,
                reward: Usdc(reward),
                fee: Usdc(fee),
                deadline: time("deadline", deadline)?,
                max_revisions: number("maxRevisions", max_revisions)?,
                content_uri,
            };
            Ok(RunEvent::Created { terms })
        }),
        Escrow::RunFunded::SIGNATURE_HASH => log.of_run("RunFunded", || {
            let (amount,) = log.data::<(Uint,)>("RunFunded")?;
            Ok(RunEvent::Funded { amount: Usdc(amount) })
        }),
        Escrow::RunCancelled::SIGNATURE_HASH => log.of_run("RunCancelled", || {
            let (refund,) = log.data::<(Uint,)>("RunCancelled")?;
            Ok(RunEvent::Cancelled { refund: Usdc(refund) })
        }),
        Escrow::RunClaimed::SIGNATURE_HASH => log.of_run_and_agent("RunClaimed", |agent| {
            let (stake_at_risk, due_at) = log.data::<(Uint, Uint)>("RunClaimed")?;
            let stake_at_risk = Usdc(stake_at_risk);
            let wallet = log.address(3, "wallet")?;
            Ok((RunEvent::Claimed { agent, wallet, stake_at_risk, due_at: time("dueAt", due_at)? }, AgentEvent::Claimed { stake_at_risk }))
        }),
        Escrow::RunStarted::SIGNATURE_HASH => log.of_run("RunStarted", || Ok(RunEvent::Started)),
        Escrow::RunSubmitted::SIGNATURE_HASH => log.of_run("RunSubmitted", || {
            let (review_by, deliverable_uri) = log.data::<(Uint, Text)>("RunSubmitted")?;
            Ok(RunEvent::Submitted { review_by: time("reviewBy", review_by)?, deliverable_uri })
        }),
        Escrow::RevisionRequested::SIGNATURE_HASH => log.of_run("RevisionRequested", || {
            let (revision, due_at, feedback) = log.data::<(Uint, Uint, Text)>("RevisionRequested")?;
            Ok(RunEvent::RevisionRequested { revision: number("revision", revision)?, due_at: time("dueAt", due_at)?, feedback })
        }),
        Escrow::RunApproved::SIGNATURE_HASH => log.of_run_and_agent("RunApproved", |agent| {
            let payment = log.payment("RunApproved", agent)?;
            Ok((RunEvent::Approved(payment), AgentEvent::Completed { reward: payment.reward }))
        }),
        Escrow::RunFinalized::SIGNATURE_HASH => log.of_run_and_agent("RunFinalized", |agent| {
            let payment = log.payment("RunFinalized", agent)?;
            Ok((RunEvent::Finalized(payment), AgentEvent::Completed { reward: payment.reward }))
        }),
        Escrow::RunRejected::SIGNATURE_HASH => log.of_run_and_agent("RunRejected", |agent| {
            let (refund,) = log.data::<(Uint,)>("RunRejected")?;
            Ok((RunEvent::Rejected { agent, refund: Usdc(refund) }, AgentEvent::Rejected))
        }),
        Escrow::RunSlashed::SIGNATURE_HASH => log.of_run_and_agent("RunSlashed", |agent| {
            let (refund, slashed) = log.data::<(Uint, Uint)>("RunSlashed")?;
            let (run, slashed) = (log.run()?, Usdc(slashed));
            Ok((RunEvent::Slashed { agent, refund: Usdc(refund), slashed }, AgentEvent::Slashed { run, amount: slashed }))
        }),
        Escrow::PayoutCredited::SIGNATURE_HASH => log.about_run("PayoutCredited"),
        Escrow::CreditPaid::SIGNATURE_HASH => named("CreditPaid"),
        Escrow::FeesCollected::SIGNATURE_HASH => named("FeesCollected"),
        Escrow::TreasuryChanged::SIGNATURE_HASH => named("TreasuryChanged"),
        Escrow::OwnershipTransferStarted::SIGNATURE_HASH => named("OwnershipTransferStarted"),
        Escrow::OwnershipTransferred::SIGNATURE_HASH => named("OwnershipTransferred"),
        Escrow::Paused::SIGNATURE_HASH => named("Paused"),
        Escrow::Unpaused::SIGNATURE_HASH => named("Unpaused"),
        _ => Decoded::default(),
    }
}

fn decode_stake(log: &Log<'_>, signature: B256) -> Decoded {
    match signature {
        Stake::Staked::SIGNATURE_HASH => log.of_agent("Staked", 1, || {
            let (amount, stake, owed) = log.data::<(Uint, Uint, Uint)>("Staked")?;
            let from = log.address(2, "from")?;
            Ok(Some(AgentEvent::Staked { from, amount: Usdc(amount), stake: Usdc(stake), owed: Usdc(owed) }))
        }),
        Stake::Unstaked::SIGNATURE_HASH => log.of_agent("Unstaked", 1, || {
            let (amount, stake) = log.data::<(Uint, Uint)>("Unstaked")?;
            Ok(Some(AgentEvent::Unstaked { to: log.address(2, "to")?, amount: Usdc(amount), stake: Usdc(stake) }))
        }),
        Stake::PayoutCredited::SIGNATURE_HASH => log.about_run("PayoutCredited"),
        Stake::CreditPaid::SIGNATURE_HASH => named("CreditPaid"),
        _ => Decoded::default(),
    }
}

fn decode_registry(log: &Log<'_>, signature: B256) -> Decoded {
    match signature {
        Registry::Registered::SIGNATURE_HASH => log.of_agent("Registered", 1, || {
            let (uri,) = log.data::<(Text,)>("Registered")?;
            Ok(Some(AgentEvent::Registered { owner: log.address(2, "owner")?, uri }))
        }),
        Registry::Transfer::SIGNATURE_HASH => {
            log.of_agent("Transfer", 3, || Ok(Some(AgentEvent::Transferred { to: log.address(2, "to")? })))
        }
        Registry::URIUpdated::SIGNATURE_HASH => log.of_agent("URIUpdated", 1, || {
            let (uri,) = log.data::<(Text,)>("URIUpdated")?;
            Ok(Some(AgentEvent::UriUpdated { uri }))
        }),
        Registry::MetadataSet::SIGNATURE_HASH => log.of_agent("MetadataSet", 1, || {
            if log.topic(2)? != keccak256(AGENT_WALLET) {
                return Ok(None);
            }
            let wallet = agent_wallet(log.data)?;
            Ok(Some(AgentEvent::WalletSet { wallet }))
        }),
        Registry::Approval::SIGNATURE_HASH => named("Approval"),
        Registry::ApprovalForAll::SIGNATURE_HASH => named("ApprovalForAll"),
        Registry::MetadataUpdate::SIGNATURE_HASH => named("MetadataUpdate"),
        Registry::BatchMetadataUpdate::SIGNATURE_HASH => named("BatchMetadataUpdate"),
        Registry::EIP712DomainChanged::SIGNATURE_HASH => named("EIP712DomainChanged"),
        _ => Decoded::default(),
    }
}

/// An event without a subject whose facts are followed.
fn named(name: &'static str) -> Decoded {
    Decoded { name: Some(name), ..Decoded::default() }
}

/// One log's content.
struct Log<'a> {
    topics: &'a [B256],
    data: &'a [u8],
}

impl Log<'_> {
    /// An event about the run in its first parameter.
    fn of_run(&self, name: &'static str, read: impl FnOnce() -> Result<RunEvent, DecodeError>) -> Decoded {
        let run = self.run();
        let facts = run.clone().and_then(|_| read()).map(|event| Facts { run: Some(event), agent: None });
        Decoded::new(name, run.ok(), None, facts)
    }

    /// An event that concerns a run and changes nothing of it.
    fn about_run(&self, name: &'static str) -> Decoded {
        let run = self.run();
        let facts = run.clone().map(|_| Facts::default());
        Decoded::new(name, run.ok(), None, facts)
    }

    /// An event about the run in its first parameter and the agent in its second.
    fn of_run_and_agent(&self, name: &'static str, read: impl FnOnce(AgentId) -> Result<(RunEvent, AgentEvent), DecodeError>) -> Decoded {
        let (run, agent) = (self.run(), self.agent(2));
        let facts = run.clone().and_then(|_| agent.clone()).and_then(read).map(|(run, agent)| Facts { run: Some(run), agent: Some(agent) });
        Decoded::new(name, run.ok(), agent.ok(), facts)
    }

    /// An event about the agent in the indexed parameter `position`.
    fn of_agent(&self, name: &'static str, position: usize, read: impl FnOnce() -> Result<Option<AgentEvent>, DecodeError>) -> Decoded {
        let agent = self.agent(position);
        let facts = agent.clone().and_then(|_| read()).map(|event| Facts { run: None, agent: event });
        Decoded::new(name, None, agent.ok(), facts)
    }

    fn payment(&self, name: &'static str, agent: AgentId) -> Result<Payment, DecodeError> {
        let (reward, fee) = self.data::<(Uint, Uint)>(name)?;
        Ok(Payment { agent, wallet: self.address(3, "wallet")?, reward: Usdc(reward), fee: Usdc(fee) })
    }

    fn topic(&self, position: usize) -> Result<B256, DecodeError> {
        self.topics.get(position).copied().ok_or(DecodeError::MissingTopic(position))
    }

    fn run(&self) -> Result<RunId, DecodeError> {
        let value = U256::from_be_bytes(self.topic(1)?.0);
        match u64::try_from(value) {
            Ok(id) if id <= MAX_RUN_ID => Ok(RunId(id)),
            _ => Err(DecodeError::OutOfRange { field: "runId", value }),
        }
    }

    fn agent(&self, position: usize) -> Result<AgentId, DecodeError> {
        let value = U256::from_be_bytes(self.topic(position)?.0);
        match u64::try_from(value).map(AgentId) {
            Ok(id) if id <= AgentId::MAX => Ok(id),
            _ => Err(DecodeError::OutOfRange { field: "agentId", value }),
        }
    }

    fn address(&self, position: usize, field: &'static str) -> Result<Address, DecodeError> {
        let word = self.topic(position)?;
        let value = U256::from_be_bytes(word.0);
        if value.bit_len() > 160 { Err(DecodeError::OutOfRange { field, value }) } else { Ok(Address::from_word(word)) }
    }

    fn data<T>(&self, event: &'static str) -> Result<T::RustType, DecodeError>
    where
        T: SolType,
        for<'de> T::Token<'de>: alloy_sol_types::abi::TokenSeq<'de>,
    {
        decode_data::<T>(event, self.data)
    }
}

impl Decoded {
    fn new(name: &'static str, run: Option<RunId>, agent: Option<AgentId>, facts: Result<Facts, DecodeError>) -> Self {
        match facts {
            Ok(facts) => Self { name: Some(name), run, agent, facts, error: None },
            Err(error) => Self { name: Some(name), run, agent, facts: Facts::default(), error: Some(error) },
        }
    }
}

fn number<N: TryFrom<U256>>(field: &'static str, value: U256) -> Result<N, DecodeError> {
    N::try_from(value).map_err(|_| DecodeError::OutOfRange { field, value })
}

fn time(field: &'static str, value: U256) -> Result<Timestamp, DecodeError> {
    number(field, value).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use alloy_sol_types::SolValue;

    use super::*;
    use crate::fixture::CONTRACTS;

    const WALLET: Address = Address::repeat_byte(0xaa);

    fn word(value: u64) -> B256 {
        U256::from(value).into()
    }

    /// A log as the contract's own ABI encodes it.
    fn read<E: SolEvent>(emitter: Address, event: &E) -> Decoded {
        let log = event.encode_log_data();
        decode(&CONTRACTS, emitter, log.topics(), &log.data)
    }

    fn created(uri: impl Into<Bytes>) -> (Vec<B256>, Vec<u8>) {
        let topics = vec![Escrow::RunCreated::SIGNATURE_HASH, word(7), WALLET.into_word()];
        let data = (U256::from(100), U256::from(5), U256::from(9), U256::from(3), uri.into()).abi_encode_params();
        (topics, data)
    }

    #[test]
    fn events_become_the_domains_facts() {
        let wallet = WALLET;
        let claimed =
            Escrow::RunClaimed { runId: U256::from(7), agentId: U256::from(2), wallet, stakeAtRisk: U256::from(10), dueAt: U256::from(99) };
        let decoded = read(CONTRACTS.run_escrow, &claimed);
        assert_eq!((decoded.name, decoded.run, decoded.agent), (Some("RunClaimed"), Some(RunId(7)), Some(AgentId(2))));
        let stake_at_risk = Usdc::base_units(10);
        assert_eq!(decoded.facts.run, Some(RunEvent::Claimed { agent: AgentId(2), wallet, stake_at_risk, due_at: Timestamp(99) }));
        assert_eq!(decoded.facts.agent, Some(AgentEvent::Claimed { stake_at_risk }));

        let slashed = Escrow::RunSlashed { runId: U256::from(7), agentId: U256::from(2), refund: U256::from(105), slashed: U256::from(10) };
        assert_eq!(
            read(CONTRACTS.run_escrow, &slashed).facts,
            Facts {
                run: Some(RunEvent::Slashed { agent: AgentId(2), refund: Usdc::base_units(105), slashed: stake_at_risk }),
                agent: Some(AgentEvent::Slashed { run: RunId(7), amount: stake_at_risk }),
            }
        );

        let transfer = Registry::Transfer { from: Address::ZERO, to: wallet, tokenId: U256::from(2) };
        let decoded = read(CONTRACTS.agent_registry, &transfer);
        assert_eq!((decoded.agent, decoded.facts.agent), (Some(AgentId(2)), Some(AgentEvent::Transferred { to: wallet })));
    }

    #[test]
    fn only_the_reserved_metadata_key_sets_the_wallet() {
        let set = |key: &str, value: Vec<u8>| {
            let event = Registry::MetadataSet {
                agentId: U256::from(2),
                indexedMetadataKey: keccak256(key),
                metadataKey: key.to_owned(),
                metadataValue: value.into(),
            };
            read(CONTRACTS.agent_registry, &event)
        };
        assert_eq!(set("agentWallet", WALLET.to_vec()).facts.agent, Some(AgentEvent::WalletSet { wallet: Some(WALLET) }));
        assert_eq!(set("agentWallet", Vec::new()).facts.agent, Some(AgentEvent::WalletSet { wallet: None }));
        assert_eq!(set("agentWallet", vec![1; 32]).error, Some(DecodeError::WalletLength(32)));
        let note = set("colour", b"red".to_vec());
        assert_eq!((note.name, note.agent, note.facts, note.error), (Some("MetadataSet"), Some(AgentId(2)), Facts::default(), None));
    }

    #[test]
    fn an_event_names_the_accounts_of_its_topics_and_the_wallet_that_an_agent_is_given() {
        let named = |name: &str, event: &dyn Fn() -> alloy_primitives::LogData| {
            let log = event();
            named_accounts(name, log.topics(), &log.data)
        };
        let other = Address::repeat_byte(0xbb);
        let claimed =
            Escrow::RunClaimed { runId: U256::from(7), agentId: U256::from(2), wallet: WALLET, stakeAtRisk: U256::MAX, dueAt: U256::MAX };
        assert_eq!(named("RunClaimed", &|| claimed.encode_log_data()), [WALLET]);
        let transfer = Registry::Transfer { from: other, to: WALLET, tokenId: U256::from(u64::MAX) };
        assert_eq!(named("Transfer", &|| transfer.encode_log_data()), [other, WALLET]);
        let set = |key: &str, value: Vec<u8>| Registry::MetadataSet {
            agentId: U256::from(2),
            indexedMetadataKey: keccak256(key),
            metadataKey: key.to_owned(),
            metadataValue: value.into(),
        };
        assert_eq!(named("MetadataSet", &|| set("agentWallet", WALLET.to_vec()).encode_log_data()), [WALLET]);
        for (key, value) in [("agentWallet", Vec::new()), ("agentWallet", vec![1; 19]), ("colour", WALLET.to_vec())] {
            assert_eq!(named("MetadataSet", &|| set(key, value.clone()).encode_log_data()), [Address::ZERO; 0], "{key}");
        }
        assert_eq!(named_accounts("RunCreated", &[], &[]), [Address::ZERO; 0]);
    }

    #[test]
    fn the_same_signature_means_something_only_from_its_own_contract() {
        let (topics, data) = created("ipfs://a");
        assert_eq!(decode(&CONTRACTS, CONTRACTS.agent_stake, &topics, &data), Decoded::default());
        assert_eq!(decode(&CONTRACTS, CONTRACTS.usdc, &topics, &data), Decoded::default());
        assert_eq!(decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &data).name, Some("RunCreated"));
    }

    #[test]
    fn a_foreign_or_anonymous_log_has_no_name() {
        assert_eq!(decode(&CONTRACTS, CONTRACTS.run_escrow, &[B256::repeat_byte(9)], &[1, 2, 3]), Decoded::default());
        assert_eq!(decode(&CONTRACTS, CONTRACTS.run_escrow, &[], &[]), Decoded::default());
    }

    #[test]
    fn text_is_kept_byte_for_byte() {
        for text in [&b"\0nul"[..], b"\xff\xfe not utf-8 \xc3", b"", &vec![b'x'; 1 << 20]] {
            let (topics, data) = created(text.to_vec());
            match decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &data).facts.run {
                Some(RunEvent::Created { terms }) => assert_eq!(&terms.content_uri[..], text),
                other => panic!("not created: {other:?}"),
            }
        }
    }

    #[test]
    fn data_that_is_no_encoding_is_an_error_beside_its_subject() {
        let (topics, data) = created("ipfs://a");
        let offset = 4 * 32;
        let mut wrong_offset = data.clone();
        wrong_offset[offset..offset + 32].copy_from_slice(&[0xff; 32]);
        let mut endless = data.clone();
        endless[offset + 32..offset + 64].copy_from_slice(&U256::from(u64::MAX).to_be_bytes::<32>());
        for poison in [Vec::new(), data[..100].to_vec(), wrong_offset, endless] {
            let decoded = decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &poison);
            assert_eq!((decoded.name, decoded.run, decoded.facts), (Some("RunCreated"), Some(RunId(7)), Facts::default()));
            assert_eq!(decoded.error, Some(DecodeError::Malformed("RunCreated")));
        }
    }

    #[test]
    fn numbers_out_of_range_are_errors_and_name_nobody() {
        let (mut topics, data) = created("ipfs://a");
        topics[1] = U256::from(1_u64 << 63).into();
        let decoded = decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &data);
        assert_eq!(decoded.run, None);
        assert_eq!(decoded.error, Some(DecodeError::OutOfRange { field: "runId", value: U256::from(1_u64 << 63) }));

        let staked =
            |agent: u64| Stake::Staked { agentId: U256::from(agent), from: WALLET, amount: U256::MAX, stake: U256::MAX, owed: U256::ZERO };
        let largest = read(CONTRACTS.agent_stake, &staked((1 << 48) - 1));
        assert_eq!((largest.agent, largest.error), (Some(AgentId::MAX), None));
        let beyond = read(CONTRACTS.agent_stake, &staked(1 << 48));
        assert_eq!(beyond.agent, None);
        assert_eq!(beyond.error, Some(DecodeError::OutOfRange { field: "agentId", value: U256::from(1_u64 << 48) }));

        let (mut topics, data) = created("ipfs://a");
        topics[2] = B256::repeat_byte(0xff);
        assert!(matches!(
            decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &data).error,
            Some(DecodeError::OutOfRange { field: "poster", .. })
        ));
        topics.truncate(2);
        assert_eq!(decode(&CONTRACTS, CONTRACTS.run_escrow, &topics, &data).error, Some(DecodeError::MissingTopic(2)));
    }

    #[test]
    fn every_event_of_the_abi_has_a_name() {
        for (emitter, topics) in signatures(&CONTRACTS) {
            assert!(!topics.is_empty());
            for topic in topics {
                let decoded = decode(&CONTRACTS, emitter, &[B256::from(*topic)], &[]);
                assert!(decoded.name.is_some(), "{emitter} {}", B256::from(*topic));
            }
        }
    }
}

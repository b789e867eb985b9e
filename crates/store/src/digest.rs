//! One string for everything an index says: the state digest.
//!
//! Two indexes that agree about every run and every agent after a block have the same digest there, by whichever indexer and in whichever
//! batches. It is the sum, modulo 2^256, of one hash per row, so that a batch adjusts it by the rows it touches, in any order, and a full
//! pass over the rows gives the same number. Nothing that time alone changes is in it.
//!
//! # The row hash, for another implementation
//!
//! `keccak256` of the concatenation of these fields, in this order, with integers big-endian in as many bytes as their name says (`u8`, `u64`, `u256`), addresses 20 bytes, hashes 32 bytes, booleans `u8` 0 or 1;
//! `bytes` their length as `u64` and then themselves; `T?` a `u8` 0 where there is none, otherwise 1 and then `T`;
//! `T[]` the count as `u64` and then each. Amounts are base units of USDC, times are seconds of `block.timestamp`.
//!
//! - a run: the three ASCII bytes `run`; `u64` id; address poster; `u256` reward; `u256` fee; `u64` deadline; `u8` maxRevisions; `bytes`
//!   contentURI; `u8` state, its position in the Solidity enum; (`u64` agentId, address wallet, `u256` stakeAtRisk, `u64` claimedAt)?;
//!   (`bytes` deliverableURI, `u64` submittedAt)?; `u8` revisions; `bytes?` feedback; `u64?` dueAt; `u64?` reviewBy; `u64` createdAt;
//!   `u64?` fundedAt; `u64?` settledAt; boolean finalizedBySilence; hash of the transaction that created it; `u64` block of its latest
//!   event; boolean whether an event of it contradicts the rules.
//! - an agent: the five ASCII bytes `agent`; `u64` id; `address?` owner; `address?` wallet; `bytes` URI; `u64?` registeredAt; `u256` stake;
//!   `u256` owed; `u64` runsInHand; `u64` slashes; `u64` completions; `u64?` stakedSince; `u64` claimed; `u64` rejected; `u256` volume;
//!   (`u64` runId, `u256` amount, `u64` at)`[]` slashes, oldest first; `u64` block of its latest event; boolean whether an event of it
//!   contradicts the rules.
//!
//! No field can be mistaken for another, so different rows have different bytes. An empty index has the digest zero.

use std::fmt;

use alloy_primitives::{Address, B256, Keccak256, U256};
use clawpay_domain::{Timestamp, Usdc};
use futures::TryStreamExt;
use sqlx::{PgConnection, QueryBuilder};

use crate::{AgentRecord, AgentRow, Hash, RunRecord, RunRow, StoreError, agents, columns::bigint, runs};

/// The digest of a set of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateDigest(U256);

impl StateDigest {
    /// Of no rows.
    pub const EMPTY: Self = Self(U256::ZERO);

    /// With one more row.
    pub fn add(&mut self, row: B256) {
        self.0 = self.0.wrapping_add(row.into());
    }

    /// Without a row that is in it.
    pub fn remove(&mut self, row: B256) {
        self.0 = self.0.wrapping_sub(row.into());
    }

    /// As it is stored and shown: 32 bytes, big-endian.
    pub fn to_word(self) -> B256 {
        self.0.into()
    }
}

impl From<B256> for StateDigest {
    fn from(word: B256) -> Self {
        Self(word.into())
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_word().fmt(f)
    }
}

/// The digest after the kept block `number`, if its writer noted it.
pub(crate) async fn noted(connection: &mut PgConnection, number: u64) -> Result<Option<StateDigest>, StoreError> {
    let word = sqlx::query_scalar!(r#"SELECT state_digest AS "state_digest: Hash" FROM blocks WHERE number = $1"#, bigint(number)?)
        .fetch_optional(connection)
        .await?;
    Ok(word.flatten().map(|word| word.0.into()))
}

/// The digest after the kept block `number`, at which the rows stand. Where no writer noted it, it is computed from all rows and noted.
pub(crate) async fn at_cursor(connection: &mut PgConnection, number: u64) -> Result<StateDigest, StoreError> {
    if let Some(digest) = noted(connection, number).await? {
        return Ok(digest);
    }
    let digest = of_rows(connection).await?;
    sqlx::query!("UPDATE blocks SET state_digest = $2::bytea WHERE number = $1", bigint(number)?, Hash(digest.to_word()) as Hash)
        .execute(connection)
        .await?;
    Ok(digest)
}

/// The digest of all rows as they are, one after the other.
pub(crate) async fn of_rows(connection: &mut PgConnection) -> Result<StateDigest, StoreError> {
    let mut digest = StateDigest::EMPTY;
    let mut runs = QueryBuilder::new("SELECT ");
    runs.push(runs::COLUMNS).push(" FROM runs");
    let mut rows = runs.build_query_as::<RunRow>().fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        digest.add(RunRecord::try_from(row)?.row_hash());
    }
    drop(rows);
    let mut agents = QueryBuilder::new("SELECT ");
    agents.push(agents::COLUMNS).push(" FROM agents");
    let mut rows = agents.build_query_as::<AgentRow>().fetch(&mut *connection);
    while let Some(row) = rows.try_next().await? {
        digest.add(AgentRecord::try_from(row)?.row_hash());
    }
    Ok(digest)
}

impl RunRecord {
    /// The row's part of a [`StateDigest`].
    pub fn row_hash(&self) -> B256 {
        let Self { run, tx_hash, updated_block, inconsistency } = self;
        let mut row = Row::new(b"run");
        row.number(run.id.0);
        row.address(run.terms.poster);
        row.amount(run.terms.reward);
        row.amount(run.terms.fee);
        row.time(run.terms.deadline);
        row.byte(run.terms.max_revisions);
        row.bytes(&run.terms.content_uri);
        row.byte(run.state.index());
        row.optional(run.claim.as_ref(), |row, claim| {
            row.number(claim.agent.0);
            row.address(claim.wallet);
            row.amount(claim.stake_at_risk);
            row.time(claim.at);
        });
        row.optional(run.submission.as_ref(), |row, submission| {
            row.bytes(&submission.deliverable_uri);
            row.time(submission.at);
        });
        row.byte(run.revisions);
        row.optional(run.feedback.as_ref(), |row, feedback| row.bytes(feedback));
        row.optional(run.due_at, Row::time);
        row.optional(run.review_by, Row::time);
        row.time(run.created_at);
        row.optional(run.funded_at, Row::time);
        row.optional(run.settled_at, Row::time);
        row.byte(run.finalized_by_silence.into());
        row.hash(*tx_hash);
        row.number(*updated_block);
        row.byte(inconsistency.is_some().into());
        row.finish()
    }
}

impl AgentRecord {
    /// The row's part of a [`StateDigest`].
    pub fn row_hash(&self) -> B256 {
        let Self { agent, updated_block, inconsistency } = self;
        let mut row = Row::new(b"agent");
        row.number(agent.id.0);
        row.optional(agent.owner, Row::address);
        row.optional(agent.wallet, Row::address);
        row.bytes(&agent.uri);
        row.optional(agent.registered_at, Row::time);
        row.amount(agent.record.stake);
        row.amount(agent.record.owed);
        row.number(agent.record.runs_in_hand);
        row.number(agent.record.slashes);
        row.number(agent.record.completions);
        row.optional(agent.record.staked_since, Row::time);
        row.number(agent.track.claimed);
        row.number(agent.track.rejected);
        row.amount(agent.track.volume);
        row.count(agent.slash_history.len());
        for slash in &agent.slash_history {
            row.number(slash.run.0);
            row.amount(slash.amount);
            row.time(slash.at);
        }
        row.number(*updated_block);
        row.byte(inconsistency.is_some().into());
        row.finish()
    }
}

/// The canonical bytes of one row, hashed as they come.
struct Row(Keccak256);

impl Row {
    fn new(tag: &[u8]) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(tag);
        Self(hasher)
    }

    fn byte(&mut self, byte: u8) {
        self.0.update([byte]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        // No machine counts further than 64 bits.
        self.number(u64::try_from(count).unwrap_or(u64::MAX));
    }

    fn time(&mut self, at: Timestamp) {
        self.number(at.0);
    }

    fn amount(&mut self, amount: Usdc) {
        self.0.update(amount.0.to_be_bytes::<32>());
    }

    fn address(&mut self, address: Address) {
        self.0.update(address);
    }

    fn hash(&mut self, hash: B256) {
        self.0.update(hash);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn finish(self) -> B256 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, b256, hex, keccak256};
    use clawpay_domain::{Agent, AgentId, Claim, Run, RunId, RunState, SlashEntry, StakeRecord, Submission, Terms, TrackRecord};

    use super::*;

    fn full_run() -> RunRecord {
        let amount = Usdc(U256::MAX);
        RunRecord {
            run: Run {
                id: RunId(7),
                terms: Terms {
                    poster: Address::repeat_byte(0xaa),
                    reward: amount,
                    fee: Usdc(U256::from(5)),
                    deadline: Timestamp(1),
                    max_revisions: 3,
                    content_uri: Bytes::from_static(b"\0\xff"),
                },
                state: RunState::Submitted,
                claim: Some(Claim { agent: AgentId(2), wallet: Address::repeat_byte(0xbb), stake_at_risk: amount, at: Timestamp(2) }),
                submission: Some(Submission { deliverable_uri: Bytes::from_static(b"d"), at: Timestamp(3) }),
                revisions: 1,
                feedback: Some(Bytes::new()),
                due_at: None,
                review_by: Some(Timestamp(4)),
                created_at: Timestamp(5),
                funded_at: Some(Timestamp(6)),
                settled_at: None,
                finalized_by_silence: false,
            },
            tx_hash: B256::repeat_byte(0xcc),
            updated_block: 9,
            inconsistency: None,
        }
    }

    fn full_agent() -> AgentRecord {
        AgentRecord {
            agent: Agent {
                id: AgentId(2),
                owner: Some(Address::repeat_byte(1)),
                wallet: None,
                uri: Bytes::from_static(b"u"),
                registered_at: Some(Timestamp(1)),
                record: StakeRecord {
                    stake: Usdc(U256::from(1)),
                    owed: Usdc(U256::from(2)),
                    runs_in_hand: 3,
                    slashes: 4,
                    completions: 5,
                    staked_since: None,
                },
                track: TrackRecord { claimed: 6, rejected: 7, volume: Usdc(U256::from(8)) },
                slash_history: vec![SlashEntry { run: RunId(1), amount: Usdc(U256::from(9)), at: Timestamp(2) }],
            },
            updated_block: 10,
            inconsistency: Some("x".to_owned()),
        }
    }

    /// The documented bytes, written out by hand.
    #[test]
    fn a_run_is_hashed_as_documented() {
        let ones = "ff".repeat(32);
        let parts = [
            hex::encode("run"),
            "0000000000000007".into(),
            "aa".repeat(20),
            ones.clone(),
            format!("{:0>64}", "5"),
            "0000000000000001".into(),
            "03".into(),
            "0000000000000002".into(),
            "00ff".into(),
            "04".into(),
            "01".into(),
            "0000000000000002".into(),
            "bb".repeat(20),
            ones,
            "0000000000000002".into(),
            "01".into(),
            "0000000000000001".into(),
            hex::encode("d"),
            "0000000000000003".into(),
            "01".into(),
            "01".into(),
            "0000000000000000".into(),
            "00".into(),
            "01".into(),
            "0000000000000004".into(),
            "0000000000000005".into(),
            "01".into(),
            "0000000000000006".into(),
            "00".into(),
            "00".into(),
            "cc".repeat(32),
            "0000000000000009".into(),
            "00".into(),
        ];
        assert_eq!(full_run().row_hash(), keccak256(hex::decode(parts.concat()).unwrap()));
    }

    /// Computed from the documentation above with JavaScript's js-sha3.
    #[test]
    fn another_implementation_has_the_same_hashes() {
        assert_eq!(full_run().row_hash(), RUN_HASH);
        assert_eq!(full_agent().row_hash(), AGENT_HASH);
    }

    const RUN_HASH: B256 = b256!("0x6e533444ae61ca4c00cc09ff12c92dd9030ea9ac8fcdf5900fbfc3179f8c34b5");
    const AGENT_HASH: B256 = b256!("0x6a1487e8bef27006ac1bd88d8e606765c7b0ac2f3d658dfe0d802223a60a01ee");

    #[test]
    fn every_fact_of_a_run_is_in_its_hash() {
        let changes: [fn(&mut RunRecord); 24] = [
            |r| r.run.id.0 += 1,
            |r| r.run.terms.poster.0[0] ^= 1,
            |r| r.run.terms.reward = Usdc::ZERO,
            |r| r.run.terms.fee = Usdc::ZERO,
            |r| r.run.terms.deadline.0 += 1,
            |r| r.run.terms.max_revisions = 0,
            |r| r.run.terms.content_uri = Bytes::new(),
            |r| r.run.state = RunState::Approved,
            |r| r.run.claim = None,
            |r| r.run.claim.as_mut().unwrap().agent.0 += 1,
            |r| r.run.claim.as_mut().unwrap().wallet.0[0] ^= 1,
            |r| r.run.claim.as_mut().unwrap().stake_at_risk = Usdc::ZERO,
            |r| r.run.claim.as_mut().unwrap().at.0 += 1,
            |r| r.run.submission = None,
            |r| r.run.revisions = 0,
            |r| r.run.feedback = None,
            |r| r.run.due_at = Some(Timestamp(0)),
            |r| r.run.review_by = None,
            |r| r.run.created_at.0 += 1,
            |r| r.run.funded_at = None,
            |r| r.run.settled_at = Some(Timestamp(0)),
            |r| r.run.finalized_by_silence = true,
            |r| r.tx_hash.0[0] ^= 1,
            |r| r.updated_block += 1,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut record = full_run();
            change(&mut record);
            assert_ne!(record.row_hash(), full_run().row_hash(), "change {index}");
        }
    }

    #[test]
    fn every_fact_of_an_agent_is_in_its_hash() {
        let changes: [fn(&mut AgentRecord); 17] = [
            |r| r.agent.id.0 += 1,
            |r| r.agent.owner = None,
            |r| r.agent.wallet = r.agent.owner,
            |r| r.agent.uri = Bytes::new(),
            |r| r.agent.registered_at = None,
            |r| r.agent.record.stake = Usdc::ZERO,
            |r| r.agent.record.owed = Usdc::ZERO,
            |r| r.agent.record.runs_in_hand += 1,
            |r| r.agent.record.slashes += 1,
            |r| r.agent.record.completions += 1,
            |r| r.agent.record.staked_since = Some(Timestamp(0)),
            |r| r.agent.track.claimed += 1,
            |r| r.agent.track.rejected += 1,
            |r| r.agent.track.volume = Usdc::ZERO,
            |r| r.agent.slash_history.clear(),
            |r| r.updated_block += 1,
            |r| r.inconsistency = None,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut record = full_agent();
            change(&mut record);
            assert_ne!(record.row_hash(), full_agent().row_hash(), "change {index}");
        }
    }

    #[test]
    fn the_order_and_the_way_there_do_not_matter() {
        let (run, agent) = (full_run().row_hash(), full_agent().row_hash());
        let mut one = StateDigest::EMPTY;
        one.add(run);
        one.add(agent);
        let mut other = StateDigest::EMPTY;
        other.add(agent);
        other.add(B256::repeat_byte(0xff));
        other.add(run);
        other.remove(B256::repeat_byte(0xff));
        assert_eq!(one, other);
        one.remove(agent);
        one.remove(run);
        assert_eq!(one, StateDigest::EMPTY);
        assert_eq!(StateDigest::from(other.to_word()), other);
    }
}

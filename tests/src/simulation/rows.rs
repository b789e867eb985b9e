//! All rows of a database, and all rows that it must have.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use anyhow::{Context, Result, ensure};
use clawpay_domain::{AgentId, RunId, Timestamp};
use clawpay_store::{AgentRecord, AgentRow, Block, EventRecord, RunRecord, RunRow};
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};

use super::{
    script::{Finality, Setting, View},
    tree::Tree,
};

/// The cursor and everything it vouches for.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(crate) cursor: Cursor,
    blocks: BTreeMap<u64, Block>,
    events: Vec<EventRecord>,
    runs: BTreeMap<RunId, RunRecord>,
    agents: BTreeMap<AgentId, AgentRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    timestamp: Timestamp,
    pub(crate) safe: Option<u64>,
    pub(crate) finalized: Option<u64>,
    head: u64,
}

impl Cursor {
    /// The cursor alone; nothing before an indexer has started.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Option<Self>> {
        let row = sqlx::query("SELECT number, hash, timestamp, safe, finalized, head FROM cursor").fetch_optional(connection).await?;
        row.map(|row| {
            Ok(Self {
                number: number(&row, "number")?,
                hash: hash(&row, "hash")?,
                timestamp: Timestamp(number(&row, "timestamp")?),
                safe: optional(&row, "safe")?,
                finalized: optional(&row, "finalized")?,
                head: number(&row, "head")?,
            })
        })
        .transpose()
    }

    /// Whether it says all that the node says.
    pub(crate) fn has_reached(&self, tree: &Tree, view: &View) -> bool {
        let tip = tree.at(view.tip).block;
        let finality = match view.finalized {
            Some(finalized) => self.finalized == Some(finalized) && self.safe == view.safe.max(view.finalized),
            None => true,
        };
        (self.number, self.hash, self.head) == (tip.number, tip.hash, tip.number) && finality
    }
}

impl Rows {
    /// As of one moment.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self> {
        let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let cursor = Cursor::read(&mut snapshot).await?.context("there is no cursor")?;
        let blocks = sqlx::query("SELECT number, hash, parent_hash, timestamp FROM blocks").fetch_all(&mut *snapshot).await?;
        let events = sqlx::query(
            "SELECT e.block_number, e.log_index, e.block_hash, b.timestamp, e.tx_hash, e.tx_index, e.contract, e.topics, e.data, e.name,
                    e.run_id, e.agent_id, e.refusal
             FROM events e JOIN blocks b ON b.number = e.block_number ORDER BY e.block_number, e.log_index",
        )
        .fetch_all(&mut *snapshot)
        .await?;
        let runs: Vec<RunRow> = sqlx::query_as("SELECT * FROM runs").fetch_all(&mut *snapshot).await?;
        let agents: Vec<AgentRow> = sqlx::query_as(
            "SELECT id, owner, wallet, uri, registered_at, stake, owed, runs_in_hand, slashes, completions, staked_since, claimed, rejected,
                    volume, slash_history::text AS slash_history, updated_block, inconsistency
             FROM agents",
        )
        .fetch_all(&mut *snapshot)
        .await?;
        snapshot.rollback().await?;
        Ok(Self {
            cursor,
            blocks: blocks.iter().map(block).collect::<Result<_>>()?,
            events: events.iter().map(event).collect::<Result<_>>()?,
            runs: runs.into_iter().map(|row| RunRecord::try_from(row).map(|row| (row.run.id, row))).collect::<Result<_, _>>()?,
            agents: agents.into_iter().map(|row| AgentRecord::try_from(row).map(|row| (row.agent.id, row))).collect::<Result<_, _>>()?,
        })
    }

    /// Compares every row with what the view's chain makes it.
    pub(crate) fn compare(&self, tree: &Tree, setting: &Setting, view: &View) -> Result<()> {
        let tip = &tree.at(view.tip);
        let finalized = self.cursor.finalized;
        match setting.finality {
            Finality::Tags => ensure!(finalized == view.finalized, "final up to {finalized:?}, the node says {:?}", view.finalized),
            // By the highest head that was ever seen, which need not be every one that was shown.
            Finality::Confirmations(depth) => {
                let least = tip.block.number.checked_sub(depth);
                ensure!(
                    finalized >= least && finalized.unwrap_or_default() <= view.floor,
                    "final up to {finalized:?} at {}",
                    tip.block.number
                );
            }
        }
        let safe = view.safe.max(finalized);
        let expected = Cursor {
            number: tip.block.number,
            hash: tip.block.hash,
            timestamp: tip.block.timestamp,
            safe,
            finalized,
            head: tip.block.number,
        };
        ensure!(self.cursor == expected, "the cursor is {:?}, expected {expected:?}", self.cursor);

        let start = setting.deployment_block - 1;
        let mined = tree.branch(view.tip, start).into_iter().map(|id| tree.at(id));
        let kept = mined.clone().filter(|mined| !mined.events.is_empty() || Some(mined.block.number) >= finalized);
        same("block", &self.blocks, &kept.map(|mined| (mined.block.number, mined.block)).collect())?;
        let place = |event: &EventRecord| ((event.block_number, event.log_index), event.clone());
        let events = mined.flat_map(|mined| &mined.events).map(place).collect();
        same("event", &self.events.iter().map(place).collect(), &events)?;
        same("run", &self.runs, &tip.ledger.runs)?;
        same("agent", &self.agents, &tip.ledger.agents)
    }

    /// Fails if anything but the head's last check differs.
    pub(crate) fn require_unchanged(&self, before: &Self) -> Result<()> {
        ensure!(Cursor { head: 0, ..self.cursor.clone() } == Cursor { head: 0, ..before.cursor.clone() }, "the cursor moved");
        same("block", &self.blocks, &before.blocks)?;
        ensure!(self.events == before.events, "events changed");
        same("run", &self.runs, &before.runs)?;
        same("agent", &self.agents, &before.agents)
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.blocks.len() + self.events.len() + self.runs.len() + self.agents.len()
    }
}

fn same<K, V>(what: &str, rows: &BTreeMap<K, V>, expected: &BTreeMap<K, V>) -> Result<()>
where
    K: Ord + std::fmt::Debug,
    V: PartialEq + std::fmt::Debug,
{
    for (key, row) in rows {
        let expected = expected.get(key).with_context(|| format!("{what} {key:?} is too many: {row:?}"))?;
        ensure!(row == expected, "{what} {key:?} is\n  {row:?}\nexpected\n  {expected:?}");
    }
    let missing = expected.keys().find(|key| !rows.contains_key(key));
    ensure!(missing.is_none(), "{what} {missing:?} is missing");
    Ok(())
}

fn block(row: &PgRow) -> Result<(u64, Block)> {
    let height = number(row, "number")?;
    let timestamp = Timestamp(number(row, "timestamp")?);
    Ok((height, Block { number: height, hash: hash(row, "hash")?, parent_hash: hash(row, "parent_hash")?, timestamp }))
}

fn event(row: &PgRow) -> Result<EventRecord> {
    Ok(EventRecord {
        block_number: number(row, "block_number")?,
        log_index: number(row, "log_index")?,
        block_hash: hash(row, "block_hash")?,
        timestamp: Timestamp(number(row, "timestamp")?),
        tx_hash: hash(row, "tx_hash")?,
        tx_index: number(row, "tx_index")?,
        contract: Address::try_from(row.try_get::<&[u8], _>("contract")?)?,
        topics: row.try_get::<&[u8], _>("topics")?.chunks_exact(32).map(B256::from_slice).collect(),
        data: row.try_get::<Vec<u8>, _>("data")?.into(),
        name: row.try_get("name")?,
        run: optional(row, "run_id")?.map(RunId),
        agent: optional(row, "agent_id")?.map(AgentId),
        refusal: row.try_get("refusal")?,
    })
}

fn number(row: &PgRow, column: &str) -> Result<u64> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?)?)
}

fn optional(row: &PgRow, column: &str) -> Result<Option<u64>> {
    row.try_get::<Option<i64>, _>(column)?.map(|number| u64::try_from(number).map_err(Into::into)).transpose()
}

fn hash(row: &PgRow, column: &str) -> Result<B256> {
    Ok(B256::try_from(row.try_get::<&[u8], _>(column)?)?)
}

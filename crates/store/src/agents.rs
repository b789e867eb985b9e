//! Agents as rows.

use clawpay_domain::{Agent, AgentId, RunId, SlashEntry, StakeRecord, Timestamp, TrackRecord, Usdc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::{
    Account, Amount, StoreError,
    columns::{Cells, bigint, seconds, timestamp, unsigned},
};

/// An agent, and where its facts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its facts.
    pub agent: Agent,
    /// Block of the latest event that names it.
    pub updated_block: u64,
    /// The first of its events that contradicts the rules, if one does; the facts are then those without that event.
    pub inconsistency: Option<String>,
}

/// The columns of `agents`, for queries that are put together at run time. Select `slash_history::text`.
#[derive(Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "the migration documents the columns")]
pub struct AgentRow {
    pub id: i64,
    pub owner: Option<Account>,
    pub wallet: Option<Account>,
    pub uri: Vec<u8>,
    pub registered_at: Option<i64>,
    pub stake: Amount,
    pub owed: Amount,
    pub runs_in_hand: i64,
    pub slashes: i64,
    pub completions: i64,
    pub staked_since: Option<i64>,
    pub claimed: i64,
    pub rejected: i64,
    pub volume: Amount,
    pub slash_history: String,
    pub updated_block: i64,
    pub inconsistency: Option<String>,
}

/// The columns of an [`AgentRow`], as SQL.
macro_rules! columns {
    () => {
        "\
         id, owner, wallet, uri, registered_at, stake, owed, runs_in_hand, slashes, completions, staked_since, claimed, rejected, \
         volume, slash_history::text AS slash_history, updated_block, inconsistency"
    };
}

pub(crate) use columns;

/// The same, for queries that are put together at run time.
pub(crate) const COLUMNS: &str = columns!();

/// One entry of `slash_history`.
#[derive(Serialize, Deserialize)]
struct SlashJson {
    run: RunId,
    amount: Usdc,
    at: Timestamp,
}

fn history_to_json(history: &[SlashEntry]) -> Result<String, StoreError> {
    let entries: Vec<_> = history.iter().map(|entry| SlashJson { run: entry.run, amount: entry.amount, at: entry.at }).collect();
    serde_json::to_string(&entries).map_err(|error| StoreError::Corrupt { table: "agents", value: error.to_string() })
}

fn history_from_json(json: &str) -> Result<Vec<SlashEntry>, StoreError> {
    let entries: Vec<SlashJson> =
        serde_json::from_str(json).map_err(|error| StoreError::Corrupt { table: "agents", value: error.to_string() })?;
    Ok(entries.into_iter().map(|entry| SlashEntry { run: entry.run, amount: entry.amount, at: entry.at }).collect())
}

impl AgentRow {
    /// From cells in the order of the columns; nothing where an outer join found no row.
    pub(crate) fn take(cells: &mut Cells<'_>) -> Result<Option<Self>, sqlx::Error> {
        let Some(id) = cells.take()? else {
            cells.pass(16);
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            owner: cells.take()?,
            wallet: cells.take()?,
            uri: cells.take()?,
            registered_at: cells.take()?,
            stake: cells.take()?,
            owed: cells.take()?,
            runs_in_hand: cells.take()?,
            slashes: cells.take()?,
            completions: cells.take()?,
            staked_since: cells.take()?,
            claimed: cells.take()?,
            rejected: cells.take()?,
            volume: cells.take()?,
            slash_history: cells.take()?,
            updated_block: cells.take()?,
            inconsistency: cells.take()?,
        }))
    }
}

impl TryFrom<AgentRow> for AgentRecord {
    type Error = StoreError;

    fn try_from(row: AgentRow) -> Result<Self, StoreError> {
        let count = |number| unsigned("agents", number);
        let agent = Agent {
            id: AgentId(count(row.id)?),
            owner: row.owner.map(|owner| owner.0),
            wallet: row.wallet.map(|wallet| wallet.0),
            uri: row.uri.into(),
            registered_at: row.registered_at.map(|at| timestamp("agents", at)).transpose()?,
            record: StakeRecord {
                stake: row.stake.0,
                owed: row.owed.0,
                runs_in_hand: count(row.runs_in_hand)?,
                slashes: count(row.slashes)?,
                completions: count(row.completions)?,
                staked_since: row.staked_since.map(|at| timestamp("agents", at)).transpose()?,
            },
            track: TrackRecord { claimed: count(row.claimed)?, rejected: count(row.rejected)?, volume: row.volume.0 },
            slash_history: history_from_json(&row.slash_history)?,
        };
        Ok(Self { agent, updated_block: count(row.updated_block)?, inconsistency: row.inconsistency })
    }
}

/// The highest id there is.
pub(crate) async fn highest(connection: &mut PgConnection) -> Result<Option<AgentId>, StoreError> {
    let highest = sqlx::query_scalar!("SELECT max(id) FROM agents").fetch_one(connection).await?;
    highest.map(|id| unsigned("agents", id).map(AgentId)).transpose()
}

/// The agents with these ids; unknown ids are left out.
pub(crate) async fn read(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<AgentRecord>, StoreError> {
    sqlx::query_as::<_, AgentRow>(concat!("SELECT ", columns!(), " FROM agents WHERE id = ANY($1)"))
        .bind(ids)
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
}

/// Agents, column by column.
pub(crate) struct AgentColumns<'a> {
    pub(crate) ids: Vec<i64>,
    pub(crate) owners: Vec<Option<Account>>,
    pub(crate) wallets: Vec<Option<Account>>,
    pub(crate) uris: Vec<&'a [u8]>,
    pub(crate) registered_at: Vec<Option<i64>>,
    pub(crate) stakes: Vec<Amount>,
    pub(crate) owed: Vec<Amount>,
    pub(crate) runs_in_hand: Vec<i64>,
    pub(crate) slashes: Vec<i64>,
    pub(crate) completions: Vec<i64>,
    pub(crate) staked_since: Vec<Option<i64>>,
    pub(crate) claimed: Vec<i64>,
    pub(crate) rejected: Vec<i64>,
    pub(crate) volumes: Vec<Amount>,
    pub(crate) histories: Vec<String>,
    pub(crate) updated: Vec<i64>,
    pub(crate) inconsistencies: Vec<Option<&'a str>>,
}

impl<'a> AgentColumns<'a> {
    pub(crate) fn of(records: &[&'a AgentRecord]) -> Result<Self, StoreError> {
        let each = |field: fn(&AgentRecord) -> u64| records.iter().map(|record| bigint(field(record))).collect::<Result<Vec<_>, _>>();
        let optional = |field: fn(&Agent) -> Option<Timestamp>| {
            records.iter().map(|record| field(&record.agent).map(seconds).transpose()).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            ids: each(|record| record.agent.id.0)?,
            owners: records.iter().map(|record| record.agent.owner.map(Account)).collect(),
            wallets: records.iter().map(|record| record.agent.wallet.map(Account)).collect(),
            uris: records.iter().map(|record| record.agent.uri.as_ref()).collect(),
            registered_at: optional(|agent| agent.registered_at)?,
            stakes: records.iter().map(|record| Amount(record.agent.record.stake)).collect(),
            owed: records.iter().map(|record| Amount(record.agent.record.owed)).collect(),
            runs_in_hand: each(|record| record.agent.record.runs_in_hand)?,
            slashes: each(|record| record.agent.record.slashes)?,
            completions: each(|record| record.agent.record.completions)?,
            staked_since: optional(|agent| agent.record.staked_since)?,
            claimed: each(|record| record.agent.track.claimed)?,
            rejected: each(|record| record.agent.track.rejected)?,
            volumes: records.iter().map(|record| Amount(record.agent.track.volume)).collect(),
            histories: records.iter().map(|record| history_to_json(&record.agent.slash_history)).collect::<Result<_, _>>()?,
            updated: each(|record| record.updated_block)?,
            inconsistencies: records.iter().map(|record| record.inconsistency.as_deref()).collect(),
        })
    }
}

/// Removes these agents.
pub(crate) async fn delete(connection: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM agents WHERE id = ANY($1)", ids).execute(connection).await?;
    Ok(())
}

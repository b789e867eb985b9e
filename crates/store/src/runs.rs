//! Runs as rows.

use alloy_primitives::B256;
use clawpay_domain::{AgentId, Claim, Run, RunId, Submission, Terms, Timestamp};
use sqlx::PgConnection;

use crate::{
    Account, Amount, Hash, State, StoreError,
    columns::{Cells, bigint, seconds, small, timestamp, unsigned},
    copy,
};

/// A run, and where its facts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// Its facts.
    pub run: Run,
    /// Transaction that created it.
    pub tx_hash: B256,
    /// Block of the latest event that names it.
    pub updated_block: u64,
    /// The first of its events that contradicts the rules, if one does; the facts are then those without that event.
    pub inconsistency: Option<String>,
}

/// The columns of `runs`, for queries that are put together at run time.
#[derive(Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "the migration documents the columns")]
pub struct RunRow {
    pub id: i64,
    pub poster: Account,
    pub content_uri: Vec<u8>,
    pub reward: Amount,
    pub fee: Amount,
    pub deadline: i64,
    pub max_revisions: i16,
    pub state: State,
    pub agent_id: Option<i64>,
    pub wallet: Option<Account>,
    pub stake_at_risk: Option<Amount>,
    pub claimed_at: Option<i64>,
    pub deliverable_uri: Option<Vec<u8>>,
    pub submitted_at: Option<i64>,
    pub revisions: i16,
    pub feedback: Option<Vec<u8>>,
    pub due_at: Option<i64>,
    pub review_by: Option<i64>,
    pub created_at: i64,
    pub funded_at: Option<i64>,
    pub settled_at: Option<i64>,
    pub finalized_by_silence: bool,
    pub tx_hash: Hash,
    pub updated_block: i64,
    pub inconsistency: Option<String>,
}

/// The columns of a [`RunRow`], as SQL.
macro_rules! columns {
    () => {
        "\
         id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, claimed_at, \
         deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, settled_at, \
         finalized_by_silence, tx_hash, updated_block, inconsistency"
    };
}

pub(crate) use columns;

/// The same, for queries that are put together at run time.
pub(crate) const COLUMNS: &str = columns!();

impl RunRow {
    /// From cells in the order of the columns; nothing where an outer join found no row.
    pub(crate) fn take(cells: &mut Cells<'_>) -> Result<Option<Self>, sqlx::Error> {
        let Some(id) = cells.take()? else {
            cells.pass(24);
            return Ok(None);
        };
        Ok(Some(Self {
            id,
            poster: cells.take()?,
            content_uri: cells.take()?,
            reward: cells.take()?,
            fee: cells.take()?,
            deadline: cells.take()?,
            max_revisions: cells.take()?,
            state: cells.take()?,
            agent_id: cells.take()?,
            wallet: cells.take()?,
            stake_at_risk: cells.take()?,
            claimed_at: cells.take()?,
            deliverable_uri: cells.take()?,
            submitted_at: cells.take()?,
            revisions: cells.take()?,
            feedback: cells.take()?,
            due_at: cells.take()?,
            review_by: cells.take()?,
            created_at: cells.take()?,
            funded_at: cells.take()?,
            settled_at: cells.take()?,
            finalized_by_silence: cells.take()?,
            tx_hash: cells.take()?,
            updated_block: cells.take()?,
            inconsistency: cells.take()?,
        }))
    }
}

impl TryFrom<RunRow> for RunRecord {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self, StoreError> {
        let at = |at: Option<i64>| at.map(|at| timestamp("runs", at)).transpose();
        let claim = match (row.agent_id, row.wallet, row.stake_at_risk, row.claimed_at) {
            (Some(agent), Some(wallet), Some(stake_at_risk), Some(claimed_at)) => Some(Claim {
                agent: AgentId(unsigned("runs", agent)?),
                wallet: wallet.0,
                stake_at_risk: stake_at_risk.0,
                at: timestamp("runs", claimed_at)?,
            }),
            _ => None,
        };
        let submission = match (row.deliverable_uri, row.submitted_at) {
            (Some(deliverable_uri), Some(submitted_at)) => {
                Some(Submission { deliverable_uri: deliverable_uri.into(), at: timestamp("runs", submitted_at)? })
            }
            _ => None,
        };
        let run = Run {
            id: RunId(unsigned("runs", row.id)?),
            terms: Terms {
                poster: row.poster.0,
                reward: row.reward.0,
                fee: row.fee.0,
                deadline: timestamp("runs", row.deadline)?,
                max_revisions: small("runs", row.max_revisions)?,
                content_uri: row.content_uri.into(),
            },
            state: row.state.0,
            claim,
            submission,
            revisions: small("runs", row.revisions)?,
            feedback: row.feedback.map(Into::into),
            due_at: at(row.due_at)?,
            review_by: at(row.review_by)?,
            created_at: timestamp("runs", row.created_at)?,
            funded_at: at(row.funded_at)?,
            settled_at: at(row.settled_at)?,
            finalized_by_silence: row.finalized_by_silence,
        };
        Ok(Self { run, tx_hash: row.tx_hash.0, updated_block: unsigned("runs", row.updated_block)?, inconsistency: row.inconsistency })
    }
}

/// The runs with these ids; unknown ids are left out.
pub(crate) async fn read(connection: &mut PgConnection, ids: &[i64]) -> Result<Vec<RunRecord>, StoreError> {
    sqlx::query_as::<_, RunRow>(concat!("SELECT ", columns!(), " FROM runs WHERE id = ANY($1)"))
        .bind(ids)
        .fetch_all(connection)
        .await?
        .into_iter()
        .map(TryInto::try_into)
        .collect()
}

/// The highest id there is.
pub(crate) async fn highest(connection: &mut PgConnection) -> Result<Option<RunId>, StoreError> {
    let highest = sqlx::query_scalar!("SELECT max(id) FROM runs").fetch_one(connection).await?;
    highest.map(|id| unsigned("runs", id).map(RunId)).transpose()
}

/// Adds runs that are not there yet.
pub(crate) async fn insert(connection: &mut PgConnection, records: &[&RunRecord]) -> Result<(), StoreError> {
    const COPY: &str = concat!("COPY runs (", columns!(), ") FROM STDIN (FORMAT binary)");
    let optional = |at: Option<Timestamp>| at.map(seconds).transpose();
    copy::insert(connection, COPY, 25, records, |row, record| {
        let run = &record.run;
        row.put(bigint(run.id.0)?)?;
        row.put(run.terms.poster)?;
        row.put(run.terms.content_uri.as_ref())?;
        row.put(run.terms.reward)?;
        row.put(run.terms.fee)?;
        row.put(seconds(run.terms.deadline)?)?;
        row.put(i16::from(run.terms.max_revisions))?;
        row.put(run.state)?;
        row.put(run.claim.map(|claim| bigint(claim.agent.0)).transpose()?)?;
        row.put(run.claim.map(|claim| claim.wallet))?;
        row.put(run.claim.map(|claim| claim.stake_at_risk))?;
        row.put(optional(run.claim.map(|claim| claim.at))?)?;
        row.put(run.submission.as_ref().map(|submission| submission.deliverable_uri.as_ref()))?;
        row.put(optional(run.submission.as_ref().map(|submission| submission.at))?)?;
        row.put(i16::from(run.revisions))?;
        row.put(run.feedback.as_ref().map(|feedback| feedback.as_ref()))?;
        row.put(optional(run.due_at)?)?;
        row.put(optional(run.review_by)?)?;
        row.put(seconds(run.created_at)?)?;
        row.put(optional(run.funded_at)?)?;
        row.put(optional(run.settled_at)?)?;
        row.put(run.finalized_by_silence)?;
        row.put(record.tx_hash)?;
        row.put(bigint(record.updated_block)?)?;
        row.put(record.inconsistency.as_deref())
    })
    .await
}

/// Runs, column by column.
pub(crate) struct RunColumns<'a> {
    pub(crate) ids: Vec<i64>,
    pub(crate) posters: Vec<Account>,
    pub(crate) content_uris: Vec<&'a [u8]>,
    pub(crate) rewards: Vec<Amount>,
    pub(crate) fees: Vec<Amount>,
    pub(crate) deadlines: Vec<i64>,
    pub(crate) max_revisions: Vec<i16>,
    pub(crate) states: Vec<&'static str>,
    pub(crate) agents: Vec<Option<i64>>,
    pub(crate) wallets: Vec<Option<Account>>,
    pub(crate) stakes_at_risk: Vec<Option<Amount>>,
    pub(crate) claimed_at: Vec<Option<i64>>,
    pub(crate) deliverables: Vec<Option<&'a [u8]>>,
    pub(crate) submitted_at: Vec<Option<i64>>,
    pub(crate) revisions: Vec<i16>,
    pub(crate) feedback: Vec<Option<&'a [u8]>>,
    pub(crate) due_at: Vec<Option<i64>>,
    pub(crate) review_by: Vec<Option<i64>>,
    pub(crate) created_at: Vec<i64>,
    pub(crate) funded_at: Vec<Option<i64>>,
    pub(crate) settled_at: Vec<Option<i64>>,
    pub(crate) silence: Vec<bool>,
    pub(crate) tx_hashes: Vec<Hash>,
    pub(crate) updated: Vec<i64>,
    pub(crate) inconsistencies: Vec<Option<&'a str>>,
}

impl<'a> RunColumns<'a> {
    pub(crate) fn of(records: &[&'a RunRecord]) -> Result<Self, StoreError> {
        let optional = |field: fn(&Run) -> Option<Timestamp>| {
            records.iter().map(|record| field(&record.run).map(seconds).transpose()).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            ids: records.iter().map(|record| bigint(record.run.id.0)).collect::<Result<_, _>>()?,
            posters: records.iter().map(|record| Account(record.run.terms.poster)).collect(),
            content_uris: records.iter().map(|record| record.run.terms.content_uri.as_ref()).collect(),
            rewards: records.iter().map(|record| Amount(record.run.terms.reward)).collect(),
            fees: records.iter().map(|record| Amount(record.run.terms.fee)).collect(),
            deadlines: records.iter().map(|record| seconds(record.run.terms.deadline)).collect::<Result<_, _>>()?,
            max_revisions: records.iter().map(|record| i16::from(record.run.terms.max_revisions)).collect(),
            states: records.iter().map(|record| record.run.state.as_str()).collect(),
            agents: records
                .iter()
                .map(|record| record.run.claim.map(|claim| bigint(claim.agent.0)).transpose())
                .collect::<Result<_, _>>()?,
            wallets: records.iter().map(|record| record.run.claim.map(|claim| Account(claim.wallet))).collect(),
            stakes_at_risk: records.iter().map(|record| record.run.claim.map(|claim| Amount(claim.stake_at_risk))).collect(),
            claimed_at: optional(|run| run.claim.map(|claim| claim.at))?,
            deliverables: records
                .iter()
                .map(|record| record.run.submission.as_ref().map(|submission| submission.deliverable_uri.as_ref()))
                .collect(),
            submitted_at: optional(|run| run.submission.as_ref().map(|submission| submission.at))?,
            revisions: records.iter().map(|record| i16::from(record.run.revisions)).collect(),
            feedback: records.iter().map(|record| record.run.feedback.as_ref().map(|feedback| feedback.as_ref())).collect(),
            due_at: optional(|run| run.due_at)?,
            review_by: optional(|run| run.review_by)?,
            created_at: records.iter().map(|record| seconds(record.run.created_at)).collect::<Result<_, _>>()?,
            funded_at: optional(|run| run.funded_at)?,
            settled_at: optional(|run| run.settled_at)?,
            silence: records.iter().map(|record| record.run.finalized_by_silence).collect(),
            tx_hashes: records.iter().map(|record| Hash(record.tx_hash)).collect(),
            updated: records.iter().map(|record| bigint(record.updated_block)).collect::<Result<_, _>>()?,
            inconsistencies: records.iter().map(|record| record.inconsistency.as_deref()).collect(),
        })
    }
}

/// Removes these runs.
pub(crate) async fn delete(connection: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM runs WHERE id = ANY($1)", ids).execute(connection).await?;
    Ok(())
}

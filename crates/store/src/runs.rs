//! Runs as rows.

use alloy_primitives::B256;
use clawpay_domain::{AgentId, Claim, Run, RunId, Submission, Terms, Timestamp};
use sqlx::PgConnection;

use crate::{
    Account, Amount, Hash, State, StoreError,
    columns::{bigint, seconds, small, timestamp, unsigned},
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

/// The columns of an [`RunRow`], as SQL.
pub(crate) const COLUMNS: &str = "\
     id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, claimed_at, \
     deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, settled_at, finalized_by_silence, \
     tx_hash, updated_block, inconsistency";

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
    sqlx::query_as!(
        RunRow,
        r#"SELECT id, poster AS "poster: Account", content_uri, reward AS "reward: Amount", fee AS "fee: Amount", deadline, max_revisions,
                  state AS "state: State", agent_id, wallet AS "wallet: Account", stake_at_risk AS "stake_at_risk: Amount", claimed_at,
                  deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, settled_at,
                  finalized_by_silence, tx_hash AS "tx_hash: Hash", updated_block, inconsistency
           FROM runs WHERE id = ANY($1)"#,
        ids,
    )
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

/// Writes runs: the `changed` ones over what is there, and `new` ones, which are not there yet. All ids must be distinct.
pub(crate) async fn save(connection: &mut PgConnection, changed: &[&RunRecord], new: &[&RunRecord]) -> Result<(), StoreError> {
    if new.len() <= copy::FEW {
        return overwrite(connection, &[changed, new].concat()).await;
    }
    overwrite(connection, changed).await?;
    insert(connection, new).await
}

/// Adds runs that are not there yet.
async fn insert(connection: &mut PgConnection, records: &[&RunRecord]) -> Result<(), StoreError> {
    const COPY: &str = "COPY runs (id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, \
                        claimed_at, deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, \
                        settled_at, finalized_by_silence, tx_hash, updated_block, inconsistency) FROM STDIN (FORMAT binary)";
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

/// Writes these runs over what is there.
async fn overwrite(connection: &mut PgConnection, records: &[&RunRecord]) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let optional = |field: fn(&Run) -> Option<Timestamp>| {
        records.iter().map(|record| field(&record.run).map(seconds).transpose()).collect::<Result<Vec<_>, _>>()
    };
    let ids = records.iter().map(|record| bigint(record.run.id.0)).collect::<Result<Vec<_>, _>>()?;
    let posters: Vec<_> = records.iter().map(|record| Account(record.run.terms.poster)).collect();
    let content_uris: Vec<&[u8]> = records.iter().map(|record| record.run.terms.content_uri.as_ref()).collect();
    let rewards: Vec<_> = records.iter().map(|record| Amount(record.run.terms.reward)).collect();
    let fees: Vec<_> = records.iter().map(|record| Amount(record.run.terms.fee)).collect();
    let deadlines = records.iter().map(|record| seconds(record.run.terms.deadline)).collect::<Result<Vec<_>, _>>()?;
    let max_revisions: Vec<_> = records.iter().map(|record| i16::from(record.run.terms.max_revisions)).collect();
    let states: Vec<_> = records.iter().map(|record| record.run.state.as_str()).collect();
    let agents =
        records.iter().map(|record| record.run.claim.map(|claim| bigint(claim.agent.0)).transpose()).collect::<Result<Vec<_>, _>>()?;
    let wallets: Vec<_> = records.iter().map(|record| record.run.claim.map(|claim| Account(claim.wallet))).collect();
    let stakes: Vec<_> = records.iter().map(|record| record.run.claim.map(|claim| Amount(claim.stake_at_risk))).collect();
    let claimed_at = optional(|run| run.claim.map(|claim| claim.at))?;
    let deliverables: Vec<_> =
        records.iter().map(|record| record.run.submission.as_ref().map(|submission| submission.deliverable_uri.as_ref())).collect();
    let submitted_at = optional(|run| run.submission.as_ref().map(|submission| submission.at))?;
    let revisions: Vec<_> = records.iter().map(|record| i16::from(record.run.revisions)).collect();
    let feedback: Vec<_> = records.iter().map(|record| record.run.feedback.as_ref().map(|feedback| feedback.as_ref())).collect();
    let due_at = optional(|run| run.due_at)?;
    let review_by = optional(|run| run.review_by)?;
    let created_at = records.iter().map(|record| seconds(record.run.created_at)).collect::<Result<Vec<_>, _>>()?;
    let funded_at = optional(|run| run.funded_at)?;
    let settled_at = optional(|run| run.settled_at)?;
    let silence: Vec<_> = records.iter().map(|record| record.run.finalized_by_silence).collect();
    let tx_hashes: Vec<_> = records.iter().map(|record| Hash(record.tx_hash)).collect();
    let updated = records.iter().map(|record| bigint(record.updated_block)).collect::<Result<Vec<_>, _>>()?;
    let inconsistencies: Vec<_> = records.iter().map(|record| record.inconsistency.as_deref()).collect();
    sqlx::query!(
        "INSERT INTO runs (id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, claimed_at,
                           deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, settled_at,
                           finalized_by_silence, tx_hash, updated_block, inconsistency)
         SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::numeric[], $5::numeric[], $6::bigint[], $7::smallint[],
                              $8::text[]::run_state[], $9::bigint[], $10::bytea[], $11::numeric[], $12::bigint[], $13::bytea[],
                              $14::bigint[], $15::smallint[], $16::bytea[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
                              $21::bigint[], $22::boolean[], $23::bytea[], $24::bigint[], $25::text[])
         ON CONFLICT (id) DO UPDATE SET
             poster = excluded.poster, content_uri = excluded.content_uri, reward = excluded.reward, fee = excluded.fee,
             deadline = excluded.deadline, max_revisions = excluded.max_revisions, state = excluded.state, agent_id = excluded.agent_id,
             wallet = excluded.wallet, stake_at_risk = excluded.stake_at_risk, claimed_at = excluded.claimed_at,
             deliverable_uri = excluded.deliverable_uri, submitted_at = excluded.submitted_at, revisions = excluded.revisions,
             feedback = excluded.feedback, due_at = excluded.due_at, review_by = excluded.review_by, created_at = excluded.created_at,
             funded_at = excluded.funded_at, settled_at = excluded.settled_at, finalized_by_silence = excluded.finalized_by_silence,
             tx_hash = excluded.tx_hash, updated_block = excluded.updated_block, inconsistency = excluded.inconsistency",
        &ids,
        &posters as &[Account],
        &content_uris as &[&[u8]],
        &rewards as &[Amount],
        &fees as &[Amount],
        &deadlines,
        &max_revisions,
        &states as &[&str],
        &agents as &[Option<i64>],
        &wallets as &[Option<Account>],
        &stakes as &[Option<Amount>],
        &claimed_at as &[Option<i64>],
        &deliverables as &[Option<&[u8]>],
        &submitted_at as &[Option<i64>],
        &revisions,
        &feedback as &[Option<&[u8]>],
        &due_at as &[Option<i64>],
        &review_by as &[Option<i64>],
        &created_at,
        &funded_at as &[Option<i64>],
        &settled_at as &[Option<i64>],
        &silence,
        &tx_hashes as &[Hash],
        &updated,
        &inconsistencies as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes these runs.
pub(crate) async fn delete(connection: &mut PgConnection, ids: &[i64]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM runs WHERE id = ANY($1)", ids).execute(connection).await?;
    Ok(())
}

//! Runs and agents, written together.

use sqlx::PgConnection;

use crate::{
    Account, AgentRecord, Amount, Hash, RunRecord, StoreError,
    agents::AgentColumns,
    copy,
    runs::{self, RunColumns},
};

/// Writes runs and agents: the `changed` runs and all `agents` over what is there, and the `new` runs, which are not there yet. All ids must be
/// distinct.
pub(crate) async fn save(
    connection: &mut PgConnection,
    changed: &[&RunRecord],
    new: &[&RunRecord],
    agents: &[&AgentRecord],
) -> Result<(), StoreError> {
    if new.len() <= copy::FEW {
        return overwrite(connection, &[changed, new].concat(), agents).await;
    }
    overwrite(connection, changed, agents).await?;
    runs::insert(connection, new).await
}

/// Writes these over what is there: one statement, which is one exchange with the server.
async fn overwrite(connection: &mut PgConnection, runs: &[&RunRecord], agents: &[&AgentRecord]) -> Result<(), StoreError> {
    if runs.is_empty() && agents.is_empty() {
        return Ok(());
    }
    let agents = AgentColumns::of(agents)?;
    let runs = RunColumns::of(runs)?;
    sqlx::query!(
        "WITH agents_saved AS (
             INSERT INTO agents (id, owner, wallet, uri, registered_at, stake, owed, runs_in_hand, slashes, completions, staked_since, claimed,
                                 rejected, volume, slash_history, updated_block, inconsistency)
             SELECT * FROM unnest($26::bigint[], $27::bytea[], $28::bytea[], $29::bytea[], $30::bigint[], $31::numeric[], $32::numeric[],
                                  $33::bigint[], $34::bigint[], $35::bigint[], $36::bigint[], $37::bigint[], $38::bigint[], $39::numeric[],
                                  $40::text[]::jsonb[], $41::bigint[], $42::text[])
             ON CONFLICT (id) DO UPDATE SET
                 owner = excluded.owner, wallet = excluded.wallet, uri = excluded.uri, registered_at = excluded.registered_at,
                 stake = excluded.stake, owed = excluded.owed, runs_in_hand = excluded.runs_in_hand, slashes = excluded.slashes,
                 completions = excluded.completions, staked_since = excluded.staked_since, claimed = excluded.claimed,
                 rejected = excluded.rejected, volume = excluded.volume, slash_history = excluded.slash_history,
                 updated_block = excluded.updated_block, inconsistency = excluded.inconsistency
         )
         INSERT INTO runs (id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, claimed_at,
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
        &runs.ids,
        &runs.posters as &[Account],
        &runs.content_uris as &[&[u8]],
        &runs.rewards as &[Amount],
        &runs.fees as &[Amount],
        &runs.deadlines,
        &runs.max_revisions,
        &runs.states as &[&str],
        &runs.agents as &[Option<i64>],
        &runs.wallets as &[Option<Account>],
        &runs.stakes_at_risk as &[Option<Amount>],
        &runs.claimed_at as &[Option<i64>],
        &runs.deliverables as &[Option<&[u8]>],
        &runs.submitted_at as &[Option<i64>],
        &runs.revisions,
        &runs.feedback as &[Option<&[u8]>],
        &runs.due_at as &[Option<i64>],
        &runs.review_by as &[Option<i64>],
        &runs.created_at,
        &runs.funded_at as &[Option<i64>],
        &runs.settled_at as &[Option<i64>],
        &runs.silence,
        &runs.tx_hashes as &[Hash],
        &runs.updated,
        &runs.inconsistencies as &[Option<&str>],
        &agents.ids,
        &agents.owners as &[Option<Account>],
        &agents.wallets as &[Option<Account>],
        &agents.uris as &[&[u8]],
        &agents.registered_at as &[Option<i64>],
        &agents.stakes as &[Amount],
        &agents.owed as &[Amount],
        &agents.runs_in_hand,
        &agents.slashes,
        &agents.completions,
        &agents.staked_since as &[Option<i64>],
        &agents.claimed,
        &agents.rejected,
        &agents.volumes as &[Amount],
        &agents.histories,
        &agents.updated,
        &agents.inconsistencies as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

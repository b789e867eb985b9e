//! What waits for an account.

use alloy_primitives::Address;
use sqlx::QueryBuilder;

use super::{Direction, Snapshot, Stretch};
use crate::{Account, RunRecord, RunRow, StoreError, columns::seconds, runs::COLUMNS};

/// Runs that wait for their poster, as `Run::turn_of` says.
const POSTED: &str = "state IN ('DRAFT', 'OPEN', 'CLAIMED', 'IN_PROGRESS', 'SUBMITTED', 'REVISION_REQUESTED') AND CASE state
    WHEN 'DRAFT' THEN deadline > now WHEN 'OPEN' THEN deadline <= now WHEN 'SUBMITTED' THEN true ELSE due_at <= now END";

/// Runs that wait for who has them in hand.
const HELD: &str = "state IN ('CLAIMED', 'IN_PROGRESS', 'SUBMITTED', 'REVISION_REQUESTED')
    AND CASE state WHEN 'SUBMITTED' THEN review_by <= now ELSE due_at > now END";

/// A run, and who owns the agent that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRun {
    /// The run.
    pub record: RunRecord,
    /// The owner.
    pub agent_owner: Option<Address>,
}

#[derive(sqlx::FromRow)]
struct HeldRow {
    #[sqlx(flatten)]
    run: RunRow,
    agent_owner: Option<Account>,
}

impl Snapshot {
    /// The `limit` runs that `account` posted or has in hand and that wait for it, the earliest deadline first.
    pub async fn waiting_runs(&mut self, account: Address, limit: u32) -> Result<Stretch<HeldRun>, StoreError> {
        let account = Account(account);
        let mut query = QueryBuilder::new("WITH moment AS (SELECT ");
        query.push_bind(seconds(self.indexed.timestamp)?).push("::bigint AS now) SELECT ").push(COLUMNS);
        query.push(", (SELECT owner FROM agents a WHERE a.id = runs.agent_id) AS agent_owner FROM runs WHERE id IN (");
        query.push("SELECT id FROM runs, moment WHERE poster = ").push_bind(account).push(" AND ").push(POSTED);
        query.push(" UNION SELECT id FROM runs, moment WHERE wallet = ").push_bind(account).push(" AND ").push(HELD);
        query.push(" UNION SELECT id FROM runs, moment WHERE agent_id IN (SELECT id FROM agents WHERE owner = ").push_bind(account);
        query.push(") AND ").push(HELD).push(") ORDER BY CASE state WHEN 'DRAFT' THEN deadline WHEN 'OPEN' THEN deadline ");
        query.push("WHEN 'SUBMITTED' THEN review_by ELSE due_at END, id LIMIT ").push_bind(i64::from(limit) + 1);
        let rows: Vec<HeldRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        let held = |row: HeldRow| -> Result<HeldRun, StoreError> {
            Ok(HeldRun { record: row.run.try_into()?, agent_owner: row.agent_owner.map(|owner| owner.0) })
        };
        Ok(Stretch::of(rows.into_iter().map(held).collect::<Result<_, _>>()?, limit, Direction::Next))
    }
}

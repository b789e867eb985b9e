//! What an account or an agent did last: a client that asks for the same again may be told.

use alloy_primitives::Address;
use clawpay_domain::AgentId;
use sqlx::QueryBuilder;

use super::Snapshot;
use crate::{
    Account, AgentRecord, AgentRow, EventRecord, RunRecord, RunRow, StoreError, agents,
    columns::bigint,
    events::{self, EventRow},
    runs,
};

impl Snapshot {
    /// The `limit` runs that `poster` created last, the latest first. Fails when the database does not answer.
    pub async fn latest_runs(&mut self, poster: Address, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(runs::COLUMNS).push(" FROM runs WHERE poster = ").push_bind(Account(poster));
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<RunRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The `limit` youngest agents of `owner`, the youngest first. Fails when the database does not answer.
    pub async fn latest_agents(&mut self, owner: Address, limit: u32) -> Result<Vec<AgentRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(agents::COLUMNS).push(" FROM agents WHERE owner = ").push_bind(Account(owner));
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<AgentRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The `limit` latest events that name `agent`, the latest first. Fails when the database does not answer.
    pub async fn latest_events(&mut self, agent: AgentId, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let Ok(agent) = bigint(agent.0) else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(events::COLUMNS).push(" FROM events e JOIN blocks b ON b.number = e.block_number WHERE e.agent_id = ").push_bind(agent);
        query.push(" ORDER BY e.block_number DESC, e.log_index DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<EventRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

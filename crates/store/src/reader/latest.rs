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

/// Hash of `agentWallet`, as the index over an agent's metadata has it: a planner compares texts.
const AGENT_WALLET_KEY: &str = "2ac6109326e720d1435c0db66f7e35eda7839f52b6f1f5520a60788e132b4e39";

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

    /// The latest payment of a credit by `contract` to `account`. Fails when the database does not answer.
    pub async fn latest_credit_paid(&mut self, contract: Address, account: Address) -> Result<Option<EventRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(events::COLUMNS).push(" FROM events e JOIN blocks b ON b.number = e.block_number WHERE e.name = 'CreditPaid'");
        query.push(" AND substring(e.topics FROM 45 FOR 20) = ").push_bind(Account(account));
        query.push(" AND e.contract = ").push_bind(Account(contract));
        query.push(" ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1");
        let row: Option<EventRow> = query.build_query_as().fetch_optional(&mut *self.transaction).await?;
        row.map(TryInto::try_into).transpose()
    }

    /// The `limit` latest events that set metadata of `agent` other than its wallet, the latest first. Fails when the database does not
    /// answer.
    pub async fn latest_metadata(&mut self, agent: AgentId, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let Ok(agent) = bigint(agent.0) else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(events::COLUMNS).push(" FROM events e JOIN blocks b ON b.number = e.block_number WHERE e.agent_id = ").push_bind(agent);
        query.push(" AND e.name = 'MetadataSet' AND substring(e.topics FROM 65 FOR 32) <> '\\x").push(AGENT_WALLET_KEY).push("'");
        query.push(" ORDER BY e.block_number DESC, e.log_index DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<EventRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

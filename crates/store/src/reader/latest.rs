//! What an account or an agent did last: a client that asks for the same again may be told.

use alloy_primitives::Address;
use clawpay_domain::{AgentId, NewRun};
use sqlx::QueryBuilder;

use super::Snapshot;
use crate::{
    Account, AgentRecord, AgentRow, Amount, EventPosition, EventRecord, RunRecord, RunRow, StoreError, agents,
    columns::bigint,
    events::{self, EventRow},
    runs,
};

/// Hash of `agentWallet`, as the index over an agent's metadata has it: a planner compares texts.
const AGENT_WALLET_KEY: &str = "2ac6109326e720d1435c0db66f7e35eda7839f52b6f1f5520a60788e132b4e39";

/// How many of the latest rows are looked through for those that are like something: what is older is not found.
const LOOKED_THROUGH: i64 = 2_000;

impl Snapshot {
    /// The `limit` runs that `poster` created last, the latest first. Fails when the database does not answer.
    pub async fn latest_runs(&mut self, poster: Address, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(runs::COLUMNS).push(" FROM runs WHERE poster = ").push_bind(Account(poster));
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<RunRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Those of the latest runs of `poster` that have these terms, the latest first; `limit` at most. Fails when the database does not answer.
    pub async fn latest_runs_like(&mut self, poster: Address, offer: &NewRun, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
        let (Ok(deadline), Ok(max_revisions)) = (bigint(offer.deadline.0), i16::try_from(offer.max_revisions)) else {
            return Ok(Vec::new());
        };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(runs::COLUMNS).push(" FROM (SELECT * FROM runs WHERE poster = ").push_bind(Account(poster));
        query.push(" ORDER BY id DESC LIMIT ").push_bind(LOOKED_THROUGH).push(") runs WHERE reward = ").push_bind(Amount(offer.reward));
        query.push(" AND deadline = ").push_bind(deadline).push(" AND max_revisions = ").push_bind(max_revisions);
        query.push(" AND content_uri = ").push_bind(offer.content_uri.to_vec());
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

    /// Those of the latest events of `agent` that have this name and, if `account` is given, name it second, the latest first; `limit` at most.
    /// Fails when the database does not answer.
    pub async fn latest_events_named(
        &mut self,
        agent: AgentId,
        name: &str,
        account: Option<Address>,
        limit: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let Ok(agent) = bigint(agent.0) else { return Ok(Vec::new()) };
        let mut query = QueryBuilder::new("SELECT ");
        query.push(events::COLUMNS).push(" FROM (SELECT * FROM events WHERE agent_id = ").push_bind(agent);
        query.push(" ORDER BY block_number DESC, log_index DESC LIMIT ").push_bind(LOOKED_THROUGH);
        query.push(") e JOIN blocks b ON b.number = e.block_number WHERE e.name = ").push_bind(name);
        if let Some(account) = account {
            query.push(" AND substring(e.topics FROM 77 FOR 20) = ").push_bind(Account(account));
        }
        query.push(" ORDER BY e.block_number DESC, e.log_index DESC LIMIT ").push_bind(i64::from(limit));
        let rows: Vec<EventRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Who owned `agent` once the event at this place had happened; nothing where no transfer before it is known. Fails when the database does
    /// not answer.
    pub async fn owner_at(&mut self, agent: AgentId, place: EventPosition) -> Result<Option<Address>, StoreError> {
        let (Ok(agent), Ok(block), Ok(log)) = (bigint(agent.0), bigint(place.block), bigint(place.log)) else { return Ok(None) };
        let mut query = QueryBuilder::new("SELECT substring(topics FROM 77 FOR 20) FROM events WHERE agent_id = ");
        query.push_bind(agent).push(" AND name = 'Transfer' AND refusal IS NULL AND (block_number, log_index) <= (");
        query.push_bind(block).push(", ").push_bind(log).push(") ORDER BY block_number DESC, log_index DESC LIMIT 1");
        let owner: Option<Account> = query.build_query_scalar().fetch_optional(&mut *self.transaction).await?;
        Ok(owner.map(|owner| owner.0))
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

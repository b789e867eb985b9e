//! Lists of agents.

use std::ops::RangeInclusive;

use alloy_primitives::Address;
use clawpay_domain::{AgentId, AgentStatus, StakeParameters, Timestamp};
use sqlx::{Postgres, QueryBuilder};

use super::{
    Direction, Listing, Page, Position, Snapshot, SortKey, Stretch,
    keyset::{By, Order, Selection},
};
use crate::{
    Account, AgentRecord, AgentRow, Amount, StoreError,
    agents::COLUMNS,
    columns::{clamp, seconds},
};

/// Which agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Those this account acts for: as the token's owner or as the agent wallet.
    pub account: Option<Address>,
    /// With one of these statuses at the indexed block, each named once; with any if there are none.
    pub statuses: Vec<AgentStatus>,
}

/// In which order; agents that tie follow their ids, upwards where the order ascends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentSort {
    /// Highest id first.
    #[default]
    Newest,
    /// Lowest id first.
    Oldest,
    /// Largest stake first.
    LargestStake,
    /// Highest score first.
    HighestScore,
    /// Most earned first.
    LargestVolume,
    /// Most runs approved first.
    MostCompletions,
}

impl AgentSort {
    const fn order(self) -> Order {
        let (by, ascends) = match self {
            Self::Newest => (By::Id, false),
            Self::Oldest => (By::Id, true),
            Self::LargestStake => (By::Amount("stake"), false),
            Self::HighestScore => (By::Number("agent_score(completions, rejected, slashes)"), false),
            Self::LargestVolume => (By::Amount("volume"), false),
            Self::MostCompletions => (By::Number("completions"), false),
        };
        Order { by, ascends }
    }

    /// Where an agent stands in this order.
    pub fn position(self, record: &AgentRecord) -> Position<AgentId> {
        let agent = &record.agent;
        let key = match self {
            Self::Newest | Self::Oldest => SortKey::Id,
            Self::LargestStake => SortKey::Amount(agent.record.stake),
            Self::HighestScore => SortKey::Number(agent.score()),
            Self::LargestVolume => SortKey::Amount(agent.track.volume),
            Self::MostCompletions => SortKey::Number(agent.record.completions),
        };
        Position { key, id: record.agent.id }
    }

    /// Whether a place may be one in this order.
    pub const fn has(self, position: &Position<AgentId>) -> bool {
        self.order().has(position)
    }
}

impl Snapshot {
    /// One page of the agents that `filter` selects.
    pub async fn agents(&mut self, filter: &AgentFilter, sort: AgentSort, page: Page) -> Result<Listing<AgentRecord>, StoreError> {
        self.page(filter, sort.order(), page).await
    }

    /// The `limit` agents beside `position` that `filter` selects.
    pub async fn agents_beside(
        &mut self,
        filter: &AgentFilter,
        sort: AgentSort,
        position: &Position<AgentId>,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<AgentRecord>, StoreError> {
        self.beside(filter, sort.order(), position, direction, limit).await
    }
}

impl Snapshot {
    /// The agents with an id in `ids`, in order.
    pub async fn agents_in(&mut self, ids: RangeInclusive<AgentId>) -> Result<Vec<AgentRecord>, StoreError> {
        self.agents_where(|query| {
            query.push("id BETWEEN ").push_bind(clamp(ids.start().0)).push(" AND ").push_bind(clamp(ids.end().0));
        })
        .await
    }

    /// The first `limit` agents from `first` up whose id is not in `ids`, in order.
    pub async fn agents_outside(
        &mut self,
        ids: RangeInclusive<AgentId>,
        first: AgentId,
        limit: u16,
    ) -> Result<Vec<AgentRecord>, StoreError> {
        self.agents_where(|query| {
            query.push("id NOT BETWEEN ").push_bind(clamp(ids.start().0)).push(" AND ").push_bind(clamp(ids.end().0));
            query.push(" AND id >= ").push_bind(clamp(first.0)).push(" ORDER BY id LIMIT ").push_bind(i64::from(limit));
        })
        .await
    }

    async fn agents_where(&mut self, condition: impl FnOnce(&mut QueryBuilder<Postgres>)) -> Result<Vec<AgentRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM agents WHERE ");
        condition(&mut query);
        let rows: Vec<AgentRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        let mut agents = rows.into_iter().map(AgentRecord::try_from).collect::<Result<Vec<_>, _>>()?;
        agents.sort_unstable_by_key(|record| record.agent.id);
        Ok(agents)
    }
}

impl Selection for AgentFilter {
    type Row = AgentRow;
    type Record = AgentRecord;
    type Id = AgentId;
    type Lookup = AgentLookup;
    const TABLE: &'static str = "agents";
    const COLUMNS: &'static str = COLUMNS;
    const ID: &'static str = "id";

    async fn kept_count(&self, _: &mut Snapshot) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn length(&self, snapshot: &mut Snapshot) -> Result<u64, StoreError> {
        snapshot.rows_about("agents").await
    }

    fn lookups(&self) -> Vec<AgentLookup> {
        self.account.map(AgentLookup).into_iter().collect()
    }

    fn push_found(&self, AgentLookup(account): AgentLookup, query: &mut QueryBuilder<Postgres>, _: &Snapshot) -> Result<(), StoreError> {
        query.push(" FROM agents WHERE true");
        push_account(account, query);
        Ok(())
    }

    fn push_way(&self, _: usize, _: Order, query: &mut QueryBuilder<Postgres>, _: &Snapshot) -> Result<(), StoreError> {
        query.push(" FROM agents WHERE true");
        Ok(())
    }

    fn push_conditions(&self, query: &mut QueryBuilder<Postgres>, snapshot: &Snapshot) -> Result<(), StoreError> {
        if let Some(account) = self.account {
            push_account(account, query);
        }
        if !self.statuses.is_empty() {
            push_status(query, &snapshot.chain.parameters.stake, snapshot.indexed.timestamp)?;
            query.push(" = ANY(").push_bind(self.statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>()).push(")");
        }
        Ok(())
    }
}

/// The one condition upon agents that an index answers: for which account they act.
#[derive(Clone, Copy, Debug)]
pub(super) struct AgentLookup(Address);

fn push_account(account: Address, query: &mut QueryBuilder<Postgres>) {
    query.push(" AND (owner = ").push_bind(Account(account)).push(" OR wallet = ").push_bind(Account(account)).push(")");
}

/// Appends ` AND` and an agent's status at `now`: what `StakeRecord::status` says, in SQL.
fn push_status(query: &mut QueryBuilder<Postgres>, parameters: &StakeParameters, now: Timestamp) -> Result<(), StoreError> {
    query.push(" AND CASE WHEN slashes >= ").push_bind(clamp(parameters.banned_after_slashes)).push(" THEN 'BANNED'");
    query.push(" WHEN owed > 0 THEN 'FROZEN' WHEN stake < ").push_bind(Amount(parameters.minimum_stake)).push(" THEN 'UNVERIFIED'");
    query.push(" WHEN greatest(").push_bind(seconds(now)?).push(" - coalesce(staked_since, 0), 0) >= ");
    query.push_bind(clamp(parameters.established_after.0)).push(" AND completions >= ");
    query.push_bind(clamp(parameters.established_completions)).push(" THEN 'ESTABLISHED' ELSE 'PROVISIONAL' END");
    Ok(())
}

//! Lists of agents.

use std::ops::RangeInclusive;

use alloy_primitives::Address;
use clawpay_domain::AgentId;
use sqlx::{Postgres, QueryBuilder};

use super::{Direction, Listing, Page, Snapshot, Stretch};
use crate::{
    Account, AgentRecord, AgentRow, StoreError,
    agents::COLUMNS,
    columns::{clamp, unsigned},
};

/// Which agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentFilter {
    /// Those this account acts for: as the token's owner or as the agent wallet.
    pub account: Option<Address>,
}

impl Snapshot {
    /// One page of the agents that `filter` selects, newest first.
    pub async fn agents(&mut self, filter: &AgentFilter, page: Page) -> Result<Listing<AgentRecord>, StoreError> {
        let mut count = QueryBuilder::new("SELECT count(*) FROM agents");
        filter.push_to(&mut count);
        let total: i64 = count.build_query_scalar().fetch_one(&mut *self.transaction).await?;
        let total = unsigned("agents", total)?;

        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM agents");
        filter.push_to(&mut query);
        query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(page.limit) + 1).push(" OFFSET ").push_bind(page.offset());
        let Stretch { items, goes_on } = Stretch::of(self.fetch_agents(query).await?, page.limit, Direction::Next);
        Ok(Listing { items, total, goes_on })
    }

    /// The `limit` agents beside `place` that `filter` selects, newest first.
    pub async fn agents_beside(
        &mut self,
        filter: &AgentFilter,
        place: AgentId,
        direction: Direction,
        limit: u32,
    ) -> Result<Stretch<AgentRecord>, StoreError> {
        let mut query = QueryBuilder::new("SELECT ");
        query.push(COLUMNS).push(" FROM agents");
        filter.push_to(&mut query);
        let (beyond, order) = match direction {
            Direction::Next => (" AND id < ", " ORDER BY id DESC LIMIT "),
            Direction::Previous => (" AND id > ", " ORDER BY id LIMIT "),
        };
        query.push(beyond).push_bind(clamp(place.0)).push(order).push_bind(i64::from(limit) + 1);
        Ok(Stretch::of(self.fetch_agents(query).await?, limit, direction))
    }

    async fn fetch_agents(&mut self, mut query: QueryBuilder<Postgres>) -> Result<Vec<AgentRecord>, StoreError> {
        let rows: Vec<AgentRow> = query.build_query_as().fetch_all(&mut *self.transaction).await?;
        rows.into_iter().map(TryInto::try_into).collect()
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

impl AgentFilter {
    fn push_to(&self, query: &mut QueryBuilder<Postgres>) {
        query.push(" WHERE true");
        if let Some(account) = self.account {
            query.push(" AND (owner = ").push_bind(Account(account)).push(" OR wallet = ").push_bind(Account(account)).push(")");
        }
    }
}

//! Sums over runs and agents, and what the contracts' books come to.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use clawpay_domain::{RunState, Timestamp, Usdc};

use super::Snapshot;
use crate::{
    Account, Amount, State, StoreError,
    columns::{bigint, unsigned},
};

/// The runs in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTotals {
    /// The state.
    pub state: RunState,
    /// How many.
    pub count: u64,
    /// Their rewards.
    pub rewards: Usdc,
    /// Their fees.
    pub fees: Usdc,
}

/// The market in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketTotals {
    /// Runs by state, in the order of the states; those without a run are left out.
    pub runs: Vec<StateTotals>,
    /// Accounts that wrote down a run.
    pub posters: u64,
    /// Agents known.
    pub agents: u64,
    /// Their stakes.
    pub staked: Usdc,
}

/// What happened on one day of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// When it began: midnight in UTC.
    pub began_at: Timestamp,
    /// Runs written down.
    pub created: u64,
    /// Runs whose reward and fee were escrowed.
    pub funded: u64,
    /// Runs claimed.
    pub claimed: u64,
    /// Runs approved, by their posters or by their silence.
    pub approved: u64,
    /// Runs slashed.
    pub slashed: u64,
    /// Rewards of what was approved.
    pub volume: Usdc,
}

/// A contract's books, as far as its events that name no run's or agent's facts tell them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Custody {
    /// Payouts that did not reach their account and wait to be collected.
    pub credited: Usdc,
    /// Fees that have left it.
    pub collected: Usdc,
    /// Whether it takes no new business.
    pub is_paused: bool,
}

impl Snapshot {
    /// The last `count` days of the chain up to the indexed block's, oldest first; nothing in a schema that an older version made.
    pub async fn days(&mut self, count: u16) -> Result<Option<Vec<Day>>, StoreError> {
        const SECONDS: u64 = 86_400;
        if !self.kept.days {
            return Ok(None);
        }
        let today = self.indexed.timestamp.0 / SECONDS;
        let first = today.saturating_sub(u64::from(count).saturating_sub(1));
        let rows = sqlx::query!(
            r#"SELECT day, created, funded, claimed, approved, slashed, volume AS "volume: Amount" FROM days WHERE day BETWEEN $1 AND $2"#,
            bigint(first)?,
            bigint(today)?,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let number = |number| unsigned("days", number);
        let mut days = BTreeMap::new();
        for row in rows {
            let day = Day {
                began_at: Timestamp::default(),
                created: number(row.created)?,
                funded: number(row.funded)?,
                claimed: number(row.claimed)?,
                approved: number(row.approved)?,
                slashed: number(row.slashed)?,
                volume: row.volume.0,
            };
            days.insert(number(row.day)?, day);
        }
        let began_at = |day: u64| Timestamp(day.saturating_mul(SECONDS));
        let day = |day: u64| Day { began_at: began_at(day), ..days.get(&day).copied().unwrap_or_default() };
        Ok(Some((first..=today).map(day).collect()))
    }

    /// The books of one of the market's contracts; nothing in a schema that an older version made.
    pub async fn custody(&mut self, contract: Address) -> Result<Option<Custody>, StoreError> {
        if !self.kept.custody {
            return Ok(None);
        }
        let row = sqlx::query!(
            r#"SELECT credited AS "credited: Amount", collected AS "collected: Amount", pauses FROM custody WHERE contract = $1::bytea"#,
            Account(contract) as Account,
        )
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(Some(row.map_or_else(Custody::default, |row| Custody {
            credited: row.credited.0,
            collected: row.collected.0,
            is_paused: row.pauses > 0,
        })))
    }

    /// What `contract` owes `account` for payouts that did not reach it; nothing in a schema that an older version made.
    pub async fn credit(&mut self, contract: Address, account: Address) -> Result<Option<Usdc>, StoreError> {
        if !self.kept.custody {
            return Ok(None);
        }
        let amount = sqlx::query_scalar!(
            r#"SELECT amount AS "amount: Amount" FROM credits WHERE contract = $1::bytea AND account = $2::bytea"#,
            Account(contract) as Account,
            Account(account) as Account,
        )
        .fetch_optional(&mut *self.transaction)
        .await?;
        Ok(Some(amount.map_or(Usdc::ZERO, |amount| amount.0)))
    }

    /// The whole market's totals.
    pub async fn totals(&mut self) -> Result<MarketTotals, StoreError> {
        let (runs, posters) = if self.kept.posters {
            let runs = sqlx::query_as!(
                StateRow,
                r#"SELECT key::run_state AS "state!: State", count, rewards AS "rewards: Amount", fees AS "fees: Amount"
                   FROM run_counts WHERE kind = 'state' AND count <> 0 ORDER BY key::run_state"#
            );
            let posters = sqlx::query_scalar!(r#"SELECT count(*) AS "posters!" FROM poster_records WHERE created <> 0"#);
            (runs.fetch_all(&mut *self.transaction).await?, posters.fetch_one(&mut *self.transaction).await?)
        } else {
            let runs = sqlx::query_as!(
                StateRow,
                r#"SELECT state AS "state: State", count(*) AS "count!", sum(reward) AS "rewards!: Amount", sum(fee) AS "fees!: Amount"
                   FROM runs GROUP BY state ORDER BY state"#
            );
            let posters = sqlx::query_scalar!(r#"SELECT count(DISTINCT poster) AS "posters!" FROM runs"#);
            (runs.fetch_all(&mut *self.transaction).await?, posters.fetch_one(&mut *self.transaction).await?)
        };
        let agents = sqlx::query!(r#"SELECT count(*) AS "count!", coalesce(sum(stake), 0) AS "staked!: Amount" FROM agents"#)
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(MarketTotals {
            runs: runs.into_iter().map(TryInto::try_into).collect::<Result<_, StoreError>>()?,
            posters: unsigned("runs", posters)?,
            agents: unsigned("agents", agents.count)?,
            staked: agents.staked.0,
        })
    }
}

struct StateRow {
    state: State,
    count: i64,
    rewards: Amount,
    fees: Amount,
}

impl TryFrom<StateRow> for StateTotals {
    type Error = StoreError;

    fn try_from(row: StateRow) -> Result<Self, StoreError> {
        Ok(Self { state: row.state.0, count: unsigned("runs", row.count)?, rewards: row.rewards.0, fees: row.fees.0 })
    }
}

//! Sums over runs and agents.

use alloy_primitives::Address;
use clawpay_domain::{RunState, Usdc};

use super::Snapshot;
use crate::{Account, Amount, State, StoreError, columns::unsigned};

/// What the runs of one poster came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PosterRecord {
    /// Runs written down.
    pub created: u64,
    /// Runs whose reward and fee were escrowed.
    pub funded: u64,
    /// Approved by the poster itself.
    pub approved: u64,
    /// Approved by its silence.
    pub finalized: u64,
    /// Rejected.
    pub rejected: u64,
    /// Slashed after a timeout.
    pub slashed: u64,
    /// Withdrawn.
    pub cancelled: u64,
    /// Runs for which work was delivered at least once.
    pub delivered: u64,
    /// Revisions requested on those.
    pub revisions: u64,
    /// Rewards paid.
    pub paid: Usdc,
}

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

impl Snapshot {
    /// A poster's record; all zero for an account that never posted.
    pub async fn poster(&mut self, poster: Address) -> Result<PosterRecord, StoreError> {
        let row = sqlx::query!(
            r#"SELECT count(*) AS "created!",
                      count(funded_at) AS "funded!",
                      count(*) FILTER (WHERE state = 'APPROVED' AND NOT finalized_by_silence) AS "approved!",
                      count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence) AS "finalized!",
                      count(*) FILTER (WHERE state = 'REJECTED') AS "rejected!",
                      count(*) FILTER (WHERE state = 'SLASHED') AS "slashed!",
                      count(*) FILTER (WHERE state = 'CANCELLED') AS "cancelled!",
                      count(submitted_at) AS "delivered!",
                      coalesce(sum(revisions) FILTER (WHERE submitted_at IS NOT NULL), 0) AS "revisions!",
                      coalesce(sum(reward) FILTER (WHERE state = 'APPROVED'), 0) AS "paid!: Amount"
               FROM runs WHERE poster = $1::bytea"#,
            Account(poster) as Account,
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        let count = |number| unsigned("runs", number);
        Ok(PosterRecord {
            created: count(row.created)?,
            funded: count(row.funded)?,
            approved: count(row.approved)?,
            finalized: count(row.finalized)?,
            rejected: count(row.rejected)?,
            slashed: count(row.slashed)?,
            cancelled: count(row.cancelled)?,
            delivered: count(row.delivered)?,
            revisions: count(row.revisions)?,
            paid: row.paid.0,
        })
    }

    /// The whole market's totals.
    pub async fn totals(&mut self) -> Result<MarketTotals, StoreError> {
        let runs = sqlx::query!(
            r#"SELECT state AS "state: State", count(*) AS "count!", sum(reward) AS "rewards!: Amount", sum(fee) AS "fees!: Amount"
               FROM runs GROUP BY state ORDER BY state"#
        )
        .fetch_all(&mut *self.transaction)
        .await?
        .into_iter()
        .map(|row| Ok(StateTotals { state: row.state.0, count: unsigned("runs", row.count)?, rewards: row.rewards.0, fees: row.fees.0 }))
        .collect::<Result<_, StoreError>>()?;
        let posters =
            sqlx::query_scalar!(r#"SELECT count(DISTINCT poster) AS "posters!" FROM runs"#).fetch_one(&mut *self.transaction).await?;
        let agents = sqlx::query!(r#"SELECT count(*) AS "count!", coalesce(sum(stake), 0) AS "staked!: Amount" FROM agents"#)
            .fetch_one(&mut *self.transaction)
            .await?;
        Ok(MarketTotals { runs, posters: unsigned("runs", posters)?, agents: unsigned("agents", agents.count)?, staked: agents.staked.0 })
    }
}

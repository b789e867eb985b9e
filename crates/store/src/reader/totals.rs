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
        let poster = Account(poster);
        let row = if self.has_sums {
            sqlx::query_as!(
                PosterRow,
                r#"SELECT created, funded, approved, finalized, rejected, slashed, cancelled, delivered, revisions, paid AS "paid: Amount"
                   FROM poster_records WHERE poster = $1::bytea"#,
                poster as Account,
            )
            .fetch_optional(&mut *self.transaction)
            .await?
        } else {
            sqlx::query_as!(
                PosterRow,
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
                poster as Account,
            )
            .fetch_optional(&mut *self.transaction)
            .await?
        };
        row.map_or(Ok(PosterRecord::default()), TryInto::try_into)
    }

    /// The whole market's totals.
    pub async fn totals(&mut self) -> Result<MarketTotals, StoreError> {
        let (runs, posters) = if self.has_sums {
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

struct PosterRow {
    created: i64,
    funded: i64,
    approved: i64,
    finalized: i64,
    rejected: i64,
    slashed: i64,
    cancelled: i64,
    delivered: i64,
    revisions: i64,
    paid: Amount,
}

impl TryFrom<PosterRow> for PosterRecord {
    type Error = StoreError;

    fn try_from(row: PosterRow) -> Result<Self, StoreError> {
        let count = |number| unsigned("runs", number);
        Ok(Self {
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

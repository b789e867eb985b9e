//! Reads that are one statement: what is asked for, and the block that it is as of, in one exchange.

use std::sync::atomic::Ordering;

use clawpay_domain::{AgentId, RunId};
use sqlx::{
    Postgres,
    postgres::{PgArguments, PgRow},
    query::Query,
};

use super::{
    Poster, PosterRecord, Reader, Snapshot, UNDEFINED_COLUMN, UNDEFINED_TABLE,
    posters::{self, PosterRow},
};
use crate::{
    AgentRecord, AgentRow, Chain, IndexedBlock, RunRecord, RunRow, StoreError, agents,
    blocks::{CursorRow, cursor_columns},
    columns::{Cells, bigint, unsigned},
    runs,
};

/// What a read found, as of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight<T> {
    /// The block; its timestamp is the "now" of what was found.
    pub indexed: IndexedBlock,
    /// The market the database holds.
    pub chain: Chain,
    /// What was found.
    pub found: T,
}

/// A run, and what its poster's runs came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedRun {
    /// The run.
    pub record: RunRecord,
    /// Of all its poster's runs.
    pub poster: PosterRecord,
}

/// The cursor, and what tells a market from any other: all else that is known of one never changes, and is kept in memory.
macro_rules! market {
    () => {
        concat!("(SELECT ", cursor_columns!("epoch"), ", chain_id, genesis_hash, run_escrow, forwarder FROM cursor, chain) AS market")
    };
}

/// A run and its poster's record beside it.
macro_rules! posted_run {
    () => {
        concat!(
            " LEFT JOIN (SELECT ",
            runs::columns!(),
            " FROM runs) AS run ON run.id = $1 LEFT JOIN (SELECT ",
            posters::columns!(),
            " FROM poster_records) AS record ON record.poster = run.poster"
        )
    };
}

/// What a statement begins with that finds a list: its total, the highest id where that is asked for, and its items.
pub(super) const LIST: &str = concat!("SELECT market.*, kept.total, kept.highest, list.* FROM ", market!(), ", (SELECT ");

const GLANCE: &str = concat!("SELECT market.* FROM ", market!());
const RUN: &str = concat!("SELECT market.*, run.*, record.* FROM ", market!(), posted_run!());
const CLAIM: &str = concat!(
    "SELECT market.*, run.*, record.*, agent.* FROM ",
    market!(),
    posted_run!(),
    " LEFT JOIN (SELECT ",
    agents::columns!(),
    " FROM agents) AS agent ON agent.id = $2"
);

/// What came of a statement.
pub(super) enum Look<T> {
    /// No indexer has started on this database.
    Nothing,
    /// What was asked for.
    Seen(Box<Sight<T>>),
    /// The database is of an older version, or of a market that is not known yet: a view will tell.
    Unknown,
}

impl Reader {
    /// The last indexed block, and nothing else; nothing before an indexer has started on this database.
    pub async fn glance(&self) -> Result<Option<Sight<()>>, StoreError> {
        match self.look(sqlx::query(GLANCE), |_| Ok(())).await? {
            Look::Nothing => Ok(None),
            Look::Seen(sight) => Ok(Some(*sight)),
            Look::Unknown => Ok(self.snapshot().await?.map(|view| view.sight(()))),
        }
    }

    /// A run and its poster's record; nothing before an indexer has started on this database.
    pub async fn run(&self, id: RunId) -> Result<Option<Sight<Option<PostedRun>>>, StoreError> {
        // An id beyond a bigint names nothing that could have been stored.
        let key = bigint(id.0).unwrap_or(-1);
        match self.look(sqlx::query(RUN).bind(key), |rows| one(rows, PostedRun::take)).await? {
            Look::Nothing => Ok(None),
            Look::Seen(sight) => Ok(Some(*sight)),
            Look::Unknown => {
                let Some(mut view) = self.snapshot().await? else { return Ok(None) };
                let found = view.posted_run(id).await?;
                Ok(Some(view.sight(found)))
            }
        }
    }

    /// A run with its poster's record, and an agent; nothing before an indexer has started on this database.
    pub async fn run_and_agent(
        &self,
        id: RunId,
        agent: AgentId,
    ) -> Result<Option<Sight<(Option<PostedRun>, Option<AgentRecord>)>>, StoreError> {
        let keys = (bigint(id.0).unwrap_or(-1), bigint(agent.0).unwrap_or(-1));
        let read = |cells: &mut Cells<'_>| {
            let run = PostedRun::take(cells)?;
            Ok((run, AgentRow::take(cells)?.map(TryInto::try_into).transpose()?))
        };
        match self.look(sqlx::query(CLAIM).bind(keys.0).bind(keys.1), |rows| one(rows, read)).await? {
            Look::Nothing => Ok(None),
            Look::Seen(sight) => Ok(Some(*sight)),
            Look::Unknown => {
                let Some(mut view) = self.snapshot().await? else { return Ok(None) };
                let found = (view.posted_run(id).await?, view.agent(agent).await?);
                Ok(Some(view.sight(found)))
            }
        }
    }

    /// What one statement finds whose rows begin with the market's cells; `read` gets all of them.
    pub(super) async fn look<T>(
        &self,
        statement: Query<'_, Postgres, PgArguments>,
        read: impl FnOnce(&[PgRow]) -> Result<T, StoreError>,
    ) -> Result<Look<T>, StoreError> {
        if !self.keeps_all.load(Ordering::Relaxed) {
            return Ok(Look::Unknown);
        }
        let rows = match self.lines.fetch(statement).await {
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| [UNDEFINED_TABLE, UNDEFINED_COLUMN].contains(&&*code)) => {
                // Another database has taken the place of the one that was known.
                self.keeps_all.store(false, Ordering::Relaxed);
                return Ok(Look::Unknown);
            }
            rows => rows?,
        };
        let Some(first) = rows.first() else { return Ok(Look::Nothing) };
        let mut cells = Cells::of(first);
        let indexed = CursorRow::take(&mut cells)?.try_into()?;
        let chain_id = unsigned("chain", cells.take()?)?;
        let Some(chain) = self.chain.with(chain_id, cells.take()?, cells.take()?, cells.take()?) else { return Ok(Look::Unknown) };
        Ok(Look::Seen(Box::new(Sight { indexed, chain, found: read(&rows)? })))
    }
}

/// How many cells a row has of the market.
pub(super) const MARKET_CELLS: usize = 13;

/// Reads the one row of a statement, behind the market's cells.
fn one<T>(rows: &[PgRow], read: impl FnOnce(&mut Cells<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let mut cells = Cells::of(row);
    cells.pass(MARKET_CELLS);
    read(&mut cells)
}

impl PostedRun {
    /// From the cells of a run and of a poster's record; nothing where there is no run.
    fn take(cells: &mut Cells<'_>) -> Result<Option<Self>, StoreError> {
        let run = RunRow::take(cells)?;
        let poster = PosterRow::take(cells)?.map(Poster::try_from).transpose()?.map(|poster| poster.record).unwrap_or_default();
        run.map(|run| Ok(Self { record: run.try_into()?, poster })).transpose()
    }
}

impl Snapshot {
    /// What was found in this view.
    pub(super) const fn sight<T>(&self, found: T) -> Sight<T> {
        Sight { indexed: self.indexed, chain: self.chain, found }
    }

    /// A run and its poster's record.
    async fn posted_run(&mut self, id: RunId) -> Result<Option<PostedRun>, StoreError> {
        let Some(record) = self.run(id).await? else { return Ok(None) };
        let poster = self.poster(record.run.terms.poster).await?;
        Ok(Some(PostedRun { record, poster }))
    }
}

//! An index, row by row, to be compared with another one of the same chain.

use std::collections::BTreeMap;

use anyhow::Result;
use sqlx::{Connection, PgConnection};

/// Each table as text, in the order of its key.
const TABLES: [(&str, &str); 12] = [
    ("chain", "SELECT row(c.*)::text FROM chain c"),
    // Two indexes of the same chain need not share when the head was checked last, how often the rows were rewritten, nor what listeners were
    // told on the way.
    ("cursor", "SELECT (to_jsonb(c) - 'head_checked_at' - 'epoch' - 'feed')::text FROM cursor c"),
    ("blocks", "SELECT row(b.*)::text FROM blocks b ORDER BY number"),
    ("events", "SELECT row(e.*)::text FROM events e ORDER BY block_number, log_index"),
    ("runs", "SELECT row(r.*)::text FROM runs r ORDER BY id"),
    ("agents", "SELECT row(a.*)::text FROM agents a ORDER BY id"),
    ("days", "SELECT row(d.*)::text FROM days d WHERE (created, funded, claimed, approved, slashed) <> (0, 0, 0, 0, 0) ORDER BY day"),
    ("credits", "SELECT row(c.*)::text FROM credits c WHERE amount <> 0 ORDER BY contract, account"),
    ("custody", "SELECT row(c.*)::text FROM custody c WHERE (credited, collected, pauses) <> (0, 0, 0) ORDER BY contract"),
    ("run_words", "SELECT row(w.*)::text FROM run_words w ORDER BY id"),
    // A count of nothing is as good as none.
    ("run_counts", "SELECT row(c.*)::text FROM run_counts c WHERE count <> 0 ORDER BY kind, key"),
    ("poster_records", "SELECT row(p.*)::text FROM poster_records p WHERE created <> 0 ORDER BY poster"),
];

/// Every row of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDump(BTreeMap<&'static str, Vec<String>>);

impl IndexDump {
    /// All of the database at `url`, as of one moment.
    pub async fn read(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let mut tables = BTreeMap::new();
        for (table, query) in TABLES {
            tables.insert(table, sqlx::query_scalar(query).fetch_all(&mut *snapshot).await?);
        }
        snapshot.rollback().await?;
        Ok(Self(tables))
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> usize {
        self.0[table].len()
    }

    /// Fails with the first rows that differ, table by table.
    pub fn assert_same(&self, other: &Self) {
        for (table, rows) in &self.0 {
            let others = &other.0[table];
            for (index, (row, other)) in rows.iter().zip(others).enumerate() {
                assert_eq!(row, other, "row {index} of {table}");
            }
            assert_eq!(rows.len(), others.len(), "rows of {table}");
        }
    }
}

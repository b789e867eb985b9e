//! What no indexer can beat: the node's answers thrown away, and the finished rows copied in.

use std::time::{Duration, Instant};

use alloy::{
    eips::BlockNumberOrTag,
    providers::{DynProvider, Provider},
    rpc::{
        client::BatchRequest,
        types::{Block, Filter},
    },
};
use anyhow::{Context, Result};
use bytes::Bytes;
use clawpay_bindings::Deployment;
use clawpay_store::Writer;
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Blocks a question, and questions on their way at once: what the node answers fastest.
const SPAN: u64 = 100;
const AT_ONCE: usize = 4;
/// What a backfill fills.
const TABLES: [&str; 5] = ["blocks", "events", "feed", "runs", "agents"];

/// Asks for every header and every log up to `head`, and discards them. Answers how many logs there were, and how long it took.
pub(crate) async fn node(provider: &DynProvider, deployment: &Deployment, head: u64) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let mut spans = Vec::new();
    let mut from = deployment.deployment_block;
    while from <= head {
        let to = head.min(from + SPAN - 1);
        spans.push(ask(provider, deployment, from, to));
        from = to + 1;
    }
    let counts: Vec<usize> = stream::iter(spans).buffer_unordered(AT_ONCE).try_collect().await?;
    Ok((counts.into_iter().sum(), started.elapsed()))
}

async fn ask(provider: &DynProvider, deployment: &Deployment, from: u64, to: u64) -> Result<usize> {
    let mut batch = BatchRequest::new(provider.client());
    let headers = (from..=to)
        .map(|number| batch.add_call::<_, Block>("eth_getBlockByNumber", &(BlockNumberOrTag::Number(number), false)))
        .collect::<Result<Vec<_>, _>>()?;
    let filter = Filter::new().address(deployment.contracts.indexed().to_vec()).from_block(from).to_block(to);
    let (_, logs) = futures::try_join!(
        async {
            batch.send().await?;
            futures::future::try_join_all(headers).await
        },
        provider.get_logs(&filter)
    )?;
    Ok(logs.len())
}

/// Copies the rows of the index at `full` into the empty database at `empty`, in one transaction that also moves the cursor. Answers how
/// long that took, reading not counted.
pub(crate) async fn database(full: &str, empty: &str) -> Result<Duration> {
    Writer::new(empty)?.migrate().await?;
    let mut source = PgConnection::connect(full).await?;
    let mut target = PgConnection::connect(empty).await?;
    let mut rows = Vec::new();
    for table in TABLES {
        let copied: Vec<Bytes> = source.copy_out_raw(&format!("COPY {table} TO STDOUT (FORMAT binary)")).await?.try_collect().await?;
        rows.push(joined(&copied));
    }
    let cursor: String = sqlx::query_scalar("SELECT to_jsonb(c)::text FROM cursor c").fetch_one(&mut source).await?;

    let started = Instant::now();
    sqlx::query("BEGIN").execute(&mut target).await?;
    for (table, chunks) in TABLES.iter().zip(rows) {
        let mut copy = target.copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
        for chunk in chunks {
            copy.send(chunk).await?;
        }
        copy.finish().await?;
    }
    sqlx::query("INSERT INTO cursor SELECT (jsonb_populate_record(NULL::cursor, $1::text::jsonb)).*")
        .bind(cursor)
        .execute(&mut target)
        .await?;
    sqlx::query("COMMIT").execute(&mut target).await?;
    Ok(started.elapsed())
}

/// Row by row is how rows come, and not how they are best sent.
fn joined(rows: &[Bytes]) -> Vec<Vec<u8>> {
    const CHUNK: usize = 1 << 20;
    let mut chunks = vec![Vec::with_capacity(CHUNK)];
    for row in rows {
        if chunks.last().is_some_and(|chunk| chunk.len() + row.len() > CHUNK) {
            chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.extend_from_slice(row);
        }
    }
    chunks
}

/// Writes everything out, so that no measurement pays for the one before it.
pub(crate) async fn checkpoint(url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query(AssertSqlSafe("CHECKPOINT".to_owned())).execute(&mut connection).await.context("only a superuser may")?;
    Ok(())
}

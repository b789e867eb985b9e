//! Runs by the million, written straight into an index: what the chain would take days to make.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256};
use anyhow::{Context, Result};
use clawpay_domain::{Parameters, Timestamp};
use clawpay_store::{Block, Chain, Tags, Writer};
use sqlx::{Connection, PgConnection};

/// Posters and agents among whom the runs are divided.
const POSTERS: i64 = 1_000;
const AGENTS: i64 = 500;
/// Runs of which the rows are written in one statement.
const BATCH: usize = 500_000;

/// Chain time of an index that [`empty_index`] makes; deadlines of bulk runs lie on both sides of it.
pub const BULK_NOW: Timestamp = Timestamp(1_800_000_000);

/// Makes the index of a market in which nothing has happened yet, of no chain in particular.
pub async fn empty_index(url: &str) -> Result<()> {
    let address = |byte| Address::repeat_byte(byte);
    let chain = Chain {
        chain_id: 31_337,
        genesis_hash: B256::repeat_byte(9),
        run_escrow: address(4),
        agent_stake: address(3),
        agent_registry: address(2),
        usdc: address(1),
        forwarder: address(5),
        deployment_block: 10,
        parameters: Parameters::default(),
    };
    let start = Block { number: 9, hash: B256::repeat_byte(1), parent_hash: B256::repeat_byte(2), timestamp: BULK_NOW };
    let writer = Writer::new(url)?;
    writer.migrate().await?;
    let mut session = writer.try_lock().await?.context("somebody else is writing")?;
    session.initialise(&chain, &start, &Tags { head: 9, safe: None, finalized: None }).await?;
    session.build_indexes().await?;
    Ok(())
}

/// Adds runs with these ids to the index at `url`. What a run is follows from its id: most are settled, one in ten is OPEN.
pub async fn bulk_runs(url: &str, ids: RangeInclusive<u64>) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let bounds = (i64::try_from(*ids.start())?, i64::try_from(*ids.end())?);
    sqlx::query(
        "INSERT INTO runs (id, poster, content_uri, reward, fee, deadline, max_revisions, state, agent_id, wallet, stake_at_risk, claimed_at,
                           deliverable_uri, submitted_at, revisions, feedback, due_at, review_by, created_at, funded_at, settled_at,
                           finalized_by_silence, tx_hash, updated_block, inconsistency)
         SELECT id, decode(lpad(to_hex(id % $3 + 1), 40, '0'), 'hex'), convert_to('ipfs://bafy' || id, 'UTF8'), reward, reward / 20,
                $5 - 500000 + id * 104729 % 1000000, 3, state, CASE WHEN claimed THEN id % $4 + 1 END,
                CASE WHEN claimed THEN decode(lpad(to_hex(id % $4 + 1), 40, 'a'), 'hex') END, CASE WHEN claimed THEN 10000000 END,
                CASE WHEN claimed THEN $5 - 86400 END, CASE WHEN delivered THEN convert_to('ipfs://work' || id, 'UTF8') END,
                CASE WHEN delivered THEN $5 - 3600 END, 0, NULL, CASE WHEN claimed THEN $5 - 3600 + id % 7200 END,
                CASE WHEN delivered THEN $5 - 3600 + id % 7200 END, $5 - 1000000, $5 - 1000000, CASE WHEN settled THEN $5 - 60 END, false,
                sha256(int8send(id)), 9, NULL
         FROM (SELECT id, state, reward, state IN ('CLAIMED', 'SUBMITTED', 'APPROVED', 'REJECTED', 'SLASHED') AS claimed,
                      state IN ('SUBMITTED', 'APPROVED', 'REJECTED') AS delivered,
                      state IN ('APPROVED', 'REJECTED', 'SLASHED', 'CANCELLED') AS settled
               FROM (SELECT id, (1 + id * 7919 % 1000)::numeric * 1000000 AS reward,
                            (CASE WHEN id % 100 < 10 THEN 'OPEN' WHEN id % 100 < 15 THEN 'CLAIMED' WHEN id % 100 < 20 THEN 'SUBMITTED'
                                  WHEN id % 100 < 90 THEN 'APPROVED' WHEN id % 100 < 93 THEN 'REJECTED' WHEN id % 100 < 96 THEN 'SLASHED'
                                  WHEN id % 100 < 98 THEN 'CANCELLED' ELSE 'DRAFT' END)::run_state AS state
                     FROM generate_series($1, $2) AS id) AS words) AS run",
    )
    .bind(bounds.0)
    .bind(bounds.1)
    .bind(POSTERS)
    .bind(AGENTS)
    .bind(i64::try_from(BULK_NOW.0)?)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(())
}

/// As [`bulk_runs`], for very many: the indexes are built once, when all rows are there.
pub async fn bulk_runs_at_once(url: &str, ids: RangeInclusive<u64>) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::raw_sql("SELECT leave_out_indexes()").execute(&mut connection).await?;
    let (first, last) = ids.into_inner();
    for from in (first..=last).step_by(BATCH) {
        bulk_runs(url, from..=last.min(from + BATCH as u64 - 1)).await?;
    }
    sqlx::raw_sql("SET maintenance_work_mem = '2GB'; SELECT build_left_out_indexes()").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Gives each of these runs the events that the index has of `model`, a run of the chain, and tells of them. No indexer may be writing.
pub async fn bulk_events(url: &str, model: u64, ids: RangeInclusive<u64>) -> Result<u64> {
    let mut connection = PgConnection::connect(url).await?;
    // That each event's block is there need not be looked up for each.
    sqlx::raw_sql("SET session_replication_role = replica").execute(&mut connection).await?;
    let (first, last) = ids.into_inner();
    let mut told = 0;
    for from in (first..=last).step_by(BATCH) {
        let to = last.min(from + BATCH as u64 - 1);
        // A run's id is the second topic.
        let written = sqlx::query(
            "WITH written AS (
                 INSERT INTO events (block_number, log_index, block_hash, tx_hash, tx_index, contract, topics, data, name, run_id, agent_id)
                 SELECT block_number, 1000000 + id * 100 + log_index, block_hash, sha256(int8send(id)), tx_index, contract,
                        overlay(topics PLACING int8send(id) FROM 57 FOR 8), data, name, id, agent_id
                 FROM events CROSS JOIN generate_series($2::bigint, $3) AS id WHERE run_id = $1 AND log_index < 1000000
                 RETURNING block_number, log_index
             ), told AS (
                 INSERT INTO feed (seq, block_number, log_index)
                 SELECT feed + row_number() OVER (ORDER BY log_index), block_number, log_index FROM written CROSS JOIN (SELECT feed FROM cursor) AS last
                 RETURNING seq
             )
             UPDATE cursor SET feed = feed + (SELECT count(*) FROM told) RETURNING (SELECT count(*) FROM told)",
        );
        let (model, from, to) = (i64::try_from(model)?, i64::try_from(from)?, i64::try_from(to)?);
        let count: i64 = sqlx::Row::try_get(&written.bind(model).bind(from).bind(to).fetch_one(&mut connection).await?, 0)?;
        told += u64::try_from(count)?;
    }
    connection.close().await?;
    Ok(told)
}

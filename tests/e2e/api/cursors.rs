//! Reading lists by cursor: every run once, in order, in both directions, while others write.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use clawpay_api::Config;
use clawpay_tests::{Api, Database, bulk_runs, empty_index};
use reqwest::{Client, Response};
use serde_json::Value;
use sqlx::{Connection, PgConnection};

/// Runs that are there before anything is read.
const RUNS: u64 = 150;

/// An index of bulk runs beside which no indexer runs, and its API.
struct Shelf {
    database: Database,
    api: Api,
    http: Client,
}

impl Shelf {
    async fn with(runs: u64) -> Result<Self> {
        let database = Database::start()?;
        empty_index(&database.url()).await?;
        bulk_runs(&database.url(), 1..=runs).await?;
        let api = Api::start(Config::new("http://127.0.0.1:1".parse()?, database.url())).await?;
        Ok(Self { database, api, http: Client::new() })
    }

    async fn get(&self, path: &str) -> Result<Response> {
        Ok(self.http.get(self.api.url().join(path)?).send().await?)
    }

    async fn read(&self, query: &str) -> Result<Value> {
        let answer = self.get(&format!("api/runs?{query}")).await?;
        ensure!(answer.status() == 200, "{query}: {} {}", answer.status(), answer.text().await?);
        Ok(answer.json().await?)
    }

    /// All ids that `query` selects, page by page.
    async fn by_page(&self, query: &str) -> Result<Vec<u64>> {
        let mut all = Vec::new();
        for page in 1.. {
            let part = self.read(&format!("{query}&limit=100&page={page}")).await?;
            all.extend(ids(&part));
            if part["pagination"]["next"].is_null() {
                ensure!(part["pagination"]["total"] == all.len(), "{query}: {}", part["pagination"]);
                break;
            }
        }
        Ok(all)
    }
}

fn ids(list: &Value) -> Vec<u64> {
    list["runs"].as_array().unwrap().iter().map(|run| run["bountyId"].as_u64().unwrap()).collect()
}

/// What selects, in all kinds and together.
fn filters() -> [String; 11] {
    let poster = format!("poster=0x{:040x}", 7);
    [
        String::new(),
        "state=OPEN".into(),
        "state=APPROVED&minReward=300.5&maxReward=700".into(),
        poster.clone(),
        format!("{poster}&state=OPEN"),
        "agentId=51".into(),
        "claimable=true".into(),
        "finalizable=true&minReward=10".into(),
        "slashable=false&q=ipfs%3A%2F%2Fbafy1".into(),
        "state=CLAIMED%2COPEN%2CDRAFT".into(),
        "state=REJECTED,APPROVED,SLASHED&maxReward=400".into(),
    ]
}

const SORTS: [&str; 6] = ["newest", "oldest", "reward_desc", "reward_asc", "deadline_asc", "deadline_desc"];

#[tokio::test]
async fn cursors_go_through_the_list_and_back_for_every_filter_and_order() -> Result<()> {
    let shelf = Shelf::with(RUNS).await?;
    for (filter, limit) in filters().iter().zip([7, 3, 10, 1, 2, 1, 9, 100, 13, 2, 11]) {
        for sort in SORTS {
            let query = format!("{filter}&sort={sort}");
            let expected = shelf.by_page(&query).await?;
            let (mut there, mut back) = (Vec::new(), Vec::new());
            let mut part = shelf.read(&format!("{query}&limit={limit}")).await?;
            ensure!(part["pagination"]["previous"].is_null(), "{query}: there is nothing before the first page");
            loop {
                there.extend(ids(&part));
                let Some(next) = part["pagination"]["next"].as_str() else { break };
                part = shelf.read(&format!("cursor={next}&limit={limit}")).await?;
                ensure!(part["pagination"].get("total").is_none() && part["pagination"].get("page").is_none(), "{}", part["pagination"]);
            }
            assert_eq!(there, expected, "{query}");
            loop {
                let page = ids(&part);
                back.splice(0..0, page);
                let Some(previous) = part["pagination"]["previous"].as_str() else { break };
                part = shelf.read(&format!("cursor={previous}&limit={limit}")).await?;
            }
            assert_eq!(back, expected, "{query}, backwards");
        }
    }
    Ok(())
}

#[tokio::test]
async fn cursors_miss_nothing_and_repeat_nothing_while_runs_are_added_and_removed() -> Result<()> {
    let shelf = Shelf::with(RUNS).await?;
    let url = shelf.database.url();
    let mut connection = PgConnection::connect(&url).await?;
    let mut highest = RUNS;
    for (filter, limit) in filters().iter().zip([19, 4, 17, 1, 1, 1, 5, 6, 23, 3, 16]) {
        for sort in SORTS {
            let query = format!("{filter}&sort={sort}");
            let before: BTreeSet<u64> = shelf.by_page(&query).await?.into_iter().collect();
            let mut seen = Vec::new();
            let mut part = shelf.read(&format!("{query}&limit={limit}")).await?;
            loop {
                seen.extend(ids(&part));
                bulk_runs(&url, highest + 1..=highest + 3).await?;
                sqlx::query("DELETE FROM runs WHERE id = $1").bind(i64::try_from(highest + 2)?).execute(&mut connection).await?;
                highest += 3;
                let Some(next) = part["pagination"]["next"].as_str() else { break };
                part = shelf.read(&format!("cursor={next}&limit={limit}")).await?;
                ensure!(seen.len() < 5_000, "{query} does not end");
            }
            let distinct: BTreeSet<u64> = seen.iter().copied().collect();
            assert_eq!(distinct.len(), seen.len(), "{query} repeats a run");
            assert!(before.is_subset(&distinct), "{query} misses {:?}", before.difference(&distinct));
        }
        sqlx::query("DELETE FROM runs WHERE id > $1").bind(i64::try_from(RUNS)?).execute(&mut connection).await?;
    }
    Ok(())
}

#[tokio::test]
async fn neighbours_are_in_the_link_header_and_a_cursor_stands_alone() -> Result<()> {
    let shelf = Shelf::with(50).await?;
    let first = shelf.get("api/runs?state=APPROVED&limit=5&minBlock=1").await?;
    let link = first.headers()["link"].to_str()?.to_owned();
    let first: Value = first.json().await?;
    let next = first["pagination"]["next"].as_str().context("next")?;
    assert_eq!(link, format!("</api/runs?cursor={next}&limit=5>; rel=\"next\""));

    let second = shelf.get(&format!("api/runs?cursor={next}&limit=5&minBlock=9")).await?;
    let link = second.headers()["link"].to_str()?.to_owned();
    assert!(link.contains("rel=\"next\"") && link.contains("rel=\"prev\""), "{link}");

    for (query, code, field) in [
        (format!("cursor={next}&state=OPEN"), "invalid_value", "state"),
        (format!("cursor={next}&page=2"), "invalid_value", "page"),
        ("cursor=abc".to_owned(), "invalid_cursor", "cursor"),
        ("cursor=".to_owned(), "invalid_cursor", "cursor"),
        // Another version, a place in another order, a query that there cannot be.
        (format!("cursor={}", alloy::primitives::hex::encode("2:n:i.7:")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:i.7:sort=reward_asc")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:i.7:state=DONE")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:i.7:page=2")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:i.7:state=OPEN&minBlock=9")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:i.7:status=FROZEN")), "invalid_cursor", "cursor"),
        (format!("cursor={}", alloy::primitives::hex::encode("1:n:n.7.5:sort=reward_asc")), "invalid_cursor", "cursor"),
    ] {
        let answer = shelf.get(&format!("api/runs?{query}")).await?;
        assert_eq!(answer.status(), 400, "{query}");
        let problem: Value = answer.json().await?;
        assert_eq!((&problem["code"], &problem["field"]), (&code.into(), &field.into()), "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn lengths_and_sums_are_kept_exactly_whoever_writes() -> Result<()> {
    let shelf = Shelf::with(RUNS).await?;
    let mut connection = PgConnection::connect(&shelf.database.url()).await?;
    for sql in [
        "SELECT 1",
        "UPDATE runs SET state = 'SLASHED' WHERE id % 7 = 0",
        "UPDATE runs SET poster = decode(repeat('ab', 20), 'hex') WHERE id BETWEEN 20 AND 29",
        "UPDATE runs SET agent_id = NULL, wallet = NULL, stake_at_risk = NULL, claimed_at = NULL WHERE id % 5 = 0",
        "UPDATE runs SET agent_id = 3 WHERE agent_id = 4",
        "DELETE FROM runs WHERE id % 3 = 0",
        "INSERT INTO runs SELECT (r).* FROM (SELECT jsonb_populate_record(r, jsonb_build_object('id', r.id + 9000)) AS r FROM runs r) AS copies",
        "INSERT INTO runs SELECT * FROM runs WHERE id < 50 ON CONFLICT (id) DO UPDATE SET state = 'CANCELLED'",
        "UPDATE runs SET revisions = 1 WHERE false",
        "UPDATE runs SET revisions = revisions + 2, reward = reward + 1, fee = fee + 3 WHERE id % 2 = 0",
        "UPDATE runs SET finalized_by_silence = true, funded_at = NULL WHERE id % 4 = 0",
        "UPDATE runs SET deliverable_uri = NULL, submitted_at = NULL WHERE id % 6 = 0",
        "DELETE FROM runs",
    ] {
        sqlx::query(sql).execute(&mut connection).await?;
        let differing: Vec<String> = sqlx::query_scalar(
            "SELECT row(kept.*, counted.*)::text FROM (SELECT * FROM run_counts WHERE count <> 0) kept FULL JOIN (
                 SELECT 'all' AS kind, '' AS key, count(*) FROM runs HAVING count(*) > 0
                 UNION ALL SELECT 'state', state::text, count(*) FROM runs GROUP BY state
                 UNION ALL SELECT 'poster', encode(poster, 'hex'), count(*) FROM runs GROUP BY poster
                 UNION ALL SELECT 'agent', agent_id::text, count(*) FROM runs WHERE agent_id IS NOT NULL GROUP BY agent_id
             ) counted USING (kind, key) WHERE kept.count IS DISTINCT FROM counted.count",
        )
        .fetch_all(&mut connection)
        .await?;
        assert!(differing.is_empty(), "{sql}: {differing:?}");
        for summed in [POSTERS_SUMMED, STATES_SUMMED, DAYS_SUMMED] {
            let differing: Vec<String> = sqlx::query_scalar(summed).fetch_all(&mut connection).await?;
            assert!(differing.is_empty(), "{sql}: {differing:?}");
        }
    }
    assert_eq!(shelf.read("").await?["pagination"]["total"], 0);
    bulk_runs(&shelf.database.url(), 1..=RUNS).await?;
    sqlx::query("TRUNCATE runs").execute(&mut connection).await?;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM poster_records").fetch_one(&mut connection).await?;
    assert_eq!(left, 0);
    Ok(())
}

/// The posters whose record is not the sum of their runs.
const POSTERS_SUMMED: &str = "
    SELECT row(kept.*, summed.*)::text FROM (SELECT * FROM poster_records WHERE created <> 0) kept FULL JOIN (
        SELECT poster, count(*) AS created, count(*) FILTER (WHERE funded_at IS NOT NULL) AS funded,
               count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence IS FALSE) AS approved,
               count(*) FILTER (WHERE state = 'APPROVED' AND finalized_by_silence IS TRUE) AS finalized,
               count(*) FILTER (WHERE state = 'REJECTED') AS rejected, count(*) FILTER (WHERE state = 'SLASHED') AS slashed,
               count(*) FILTER (WHERE state = 'CANCELLED') AS cancelled, count(*) FILTER (WHERE deliverable_uri IS NOT NULL) AS delivered,
               sum(CASE WHEN deliverable_uri IS NULL THEN 0 ELSE revisions END) AS revisions,
               sum(CASE state WHEN 'APPROVED' THEN reward ELSE 0 END) AS paid
        FROM runs GROUP BY poster
    ) summed USING (poster)
    WHERE (kept.created, kept.funded, kept.approved, kept.finalized, kept.rejected, kept.slashed, kept.cancelled, kept.delivered,
           kept.revisions, kept.paid)
          IS DISTINCT FROM (summed.created, summed.funded, summed.approved, summed.finalized, summed.rejected, summed.slashed,
                            summed.cancelled, summed.delivered, summed.revisions, summed.paid)";

/// The states whose totals are not those of the runs in them, and sums where there are to be none.
const STATES_SUMMED: &str = "
    SELECT row(kept.*, summed.*)::text FROM (SELECT * FROM run_counts WHERE kind = 'state' AND count <> 0) kept
    FULL JOIN (SELECT state::text AS key, count(*), sum(reward) AS rewards, sum(fee) AS fees FROM runs GROUP BY state) summed USING (key)
    WHERE (kept.count, kept.rewards, kept.fees) IS DISTINCT FROM (summed.count, summed.rewards, summed.fees)
    UNION ALL SELECT row(other.*)::text FROM run_counts other WHERE (kind <> 'state' OR count = 0) AND (rewards <> 0 OR fees <> 0)";

/// The days whose sums are not those of the runs.
const DAYS_SUMMED: &str = "
    SELECT row(kept.*, counted.*)::text
    FROM (SELECT * FROM days WHERE (created, funded, claimed, approved, slashed, volume) <> (0, 0, 0, 0, 0, 0)) kept
    FULL JOIN (
        SELECT day, count(*) FILTER (WHERE what = 'created') AS created, count(*) FILTER (WHERE what = 'funded') AS funded,
               count(*) FILTER (WHERE what = 'claimed') AS claimed, count(*) FILTER (WHERE what = 'APPROVED') AS approved,
               count(*) FILTER (WHERE what = 'SLASHED') AS slashed, coalesce(sum(reward) FILTER (WHERE what = 'APPROVED'), 0) AS volume
        FROM (
            SELECT created_at / 86400 AS day, 'created' AS what, reward FROM runs
            UNION ALL SELECT funded_at / 86400, 'funded', reward FROM runs WHERE funded_at IS NOT NULL
            UNION ALL SELECT claimed_at / 86400, 'claimed', reward FROM runs WHERE claimed_at IS NOT NULL
            UNION ALL SELECT settled_at / 86400, state::text, reward FROM runs
                      WHERE state IN ('APPROVED', 'SLASHED') AND settled_at IS NOT NULL
        ) facts GROUP BY day
    ) counted USING (day)
    WHERE (kept.created, kept.funded, kept.claimed, kept.approved, kept.slashed, kept.volume)
          IS DISTINCT FROM (counted.created, counted.funded, counted.claimed, counted.approved, counted.slashed, counted.volume)";

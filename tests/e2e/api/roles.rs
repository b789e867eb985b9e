//! The API under a database role of its own, made by the SQL that README.md gives operators.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clawpay_api::RelayOptions;
use clawpay_domain::Usdc;
use clawpay_store::{Standby, SubmittedTransactions, Writer};
use clawpay_tests::{Indexer, Stack, key};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;

use super::{
    relay::{RELAYER, accepted, newcomer, register, registration, until_mined},
    served::{Served, account, signer, with},
};

/// What the API writes, and nothing else.
const OWN_TABLES: [&str; 4] = ["answered", "idempotency_keys", "relayed", "sent"];

/// The block of README.md's SQL that begins with this comment.
fn documented(head: &str) -> Result<String> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"))?;
    let blocks = readme.split("```sql\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let mut blocks = blocks.filter_map(|block| block.strip_prefix("-- ")?.strip_prefix(head)?.strip_prefix('\n'));
    blocks.next().map(str::to_owned).with_context(|| format!("README.md has no SQL under {head:?}"))
}

/// Runs a documented block, a statement at a time as psql does.
async fn run(url: &str, head: &str) -> Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    for statement in documented(head)?.split(";\n").map(|statement| statement.trim_end_matches(';')) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.with_context(|| statement.to_owned())?;
    }
    Ok(connection.close().await?)
}

/// The password that the documentation gives a role.
fn password(role: &str) -> Result<String> {
    let block = documented("in any database")?;
    let rest = block.split(&format!("{role} LOGIN PASSWORD '")).nth(1);
    rest.and_then(|rest| rest.split('\'').next()).map(str::to_owned).with_context(|| format!("{role} has no password"))
}

fn url_of(role: &str, superuser: &str) -> Result<String> {
    let mut url = Url::parse(superuser)?;
    url.set_username(role).ok().context("a user")?;
    url.set_password(Some(&password(role)?)).ok().context("a password")?;
    Ok(url.into())
}

/// A server with the documented roles and the database that is theirs, and its address for them.
async fn with_roles() -> Result<(Stack, String, String)> {
    let (stack, superuser) = Stack::and_database().await?;
    let mut elsewhere = Url::parse(&superuser)?;
    elsewhere.set_path("postgres");
    let mut connection = PgConnection::connect(elsewhere.as_str()).await?;
    // The documentation makes a database of this name.
    sqlx::raw_sql("ALTER DATABASE clawpay RENAME TO before").execute(&mut connection).await?;
    connection.close().await?;
    run(elsewhere.as_str(), "in any database").await?;
    run(&superuser, "in the database clawpay").await?;
    let (writer, api) = (url_of("clawpay_writer", &superuser)?, url_of("clawpay_api", &superuser)?);
    Ok((stack, writer, api))
}

async fn rows<T>(url: &str, sql: &str) -> Result<Vec<T>>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    let mut connection = PgConnection::connect(url).await?;
    Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await?)
}

#[tokio::test]
async fn under_its_own_role_the_api_reads_everything_and_writes_its_own_tables_alone() -> Result<()> {
    let (stack, writer, api) = with_roles().await?;
    let superuser = stack.database_url()?;
    let indexer = Indexer::start(stack.index_config(), &writer)?;
    stack.until_indexed(&superuser).await?;
    let notes = SubmittedTransactions::new(&api)?;
    assert_eq!(notes.tables_not_writable().await?, ["answered", "idempotency_keys", "relayed", "sent"]);
    run(&superuser, "in the database clawpay, with its tables").await?;
    assert!(notes.tables_not_writable().await?.is_empty());
    let mut served = Served::unindexed(stack, |config| {
        config.database_url = api.clone();
        config.relay = Some(RelayOptions::new(key(RELAYER)));
    })
    .await?;
    served.indexer = Some(indexer);

    // A run from its posting to its payment, some of it under a key, and one registration relayed.
    served.stack.mint(account(1), Usdc::whole(200)).await?;
    served.stack.mint(account(2), Usdc::whole(200)).await?;
    served.settle().await?;
    let deadline = time::OffsetDateTime::from_unix_timestamp((served.stack.now().await?.0 + 86_400).try_into()?)?;
    let deadline = deadline.format(&time::format_description::well_known::Rfc3339)?;
    let offer = json!({ "posterAddress": account(1), "reward": "100000000", "deadline": deadline, "ipfsHash": "ipfs://QmContent" });
    let keyed = served.send(served.request(Method::POST, "/api/runs").header("Idempotency-Key", "order 7").json(&offer)).await?;
    ensure!(keyed.status.as_u16() == 202, "{:#}", keyed.body);
    served.act(1, "/api/runs", &offer).await?;
    let agent = served.act(2, "/api/agents/register", &registration(account(2))).await?["agent"]["id"].clone();
    served.act(2, &format!("/api/agents/{agent}/stake"), &with(&signer(2), "amount", json!("20000000"))).await?;
    served.act(2, "/api/runs/1/claim", &with(&signer(2), "agentId", agent.clone())).await?;
    served.act(2, "/api/runs/1/submit", &with(&signer(2), "deliverableURI", json!("ipfs://done"))).await?;
    served.act(1, "/api/runs/1/approve", &signer(1)).await?;
    let wallet = newcomer(&served).await?;
    until_mined(&served, accepted(&served, &register(&served, &wallet).await?).await?).await?;

    // Two things alike in one transaction, of which one is handed out.
    assert_eq!(notes.answer(alloy::primitives::B256::repeat_byte(1), &[3, 4], None).await?, Some((3, false)));

    // Every read.
    let document: Value = serde_json::from_str(&clawpay_api::openapi()?)?;
    let paths = document["paths"].as_object().context("paths")?;
    let reads: Vec<&String> = paths.iter().filter(|(_, item)| item["get"].is_object()).map(|(path, _)| path).collect();
    assert!(reads.len() > 15, "{reads:?}");
    let hash = format!("{:?}", alloy::primitives::B256::ZERO);
    for path in reads {
        let path = path.replace("{address}", &account(1).to_string()).replace("{hash}", &hash).replace("{id}", "1");
        let query = match path.as_str() {
            "/api/events" => "?wait=0",
            "/api/runs/1/claim-eligibility" => "?agentId=1",
            "/api/runs/1/actions" => &format!("?wallet={}", account(1)),
            "/api/runs" => "?q=content&state=APPROVED&sort=reward_desc",
            _ => "",
        };
        let status = served.request(Method::GET, &format!("{path}{query}")).send().await?.status();
        // There is nothing to show where nothing is counted.
        ensure!(status.is_success() || path == "/metrics" && status.as_u16() == 404, "{path}{query}: {status}");
    }

    let tables: Vec<String> = rows(
        &superuser,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1",
    )
    .await?;
    assert!(tables.len() > 15, "{tables:?}");
    for table in &tables {
        let is_own = OWN_TABLES.contains(&table.as_str());
        rows::<i64>(&api, &format!("SELECT count(*) FROM {table}")).await?;
        for privilege in ["INSERT", "UPDATE", "DELETE"] {
            let may: Vec<bool> = rows(&api, &format!("SELECT has_table_privilege('{table}', '{privilege}')")).await?;
            assert_eq!(may, [is_own], "{privilege} {table}");
        }
        if is_own {
            let written: Vec<i64> = rows(&api, &format!("SELECT count(*) FROM {table}")).await?;
            assert!(written[0] > 0, "the API has written nothing to {table}");
        }
    }
    for refused in [
        "DELETE FROM runs",
        "UPDATE agents SET stake = 0",
        "INSERT INTO cursor SELECT * FROM cursor",
        "TRUNCATE sent",
        "DROP TABLE sent",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "SET ROLE clawpay_owner",
        "ALTER TABLE relayed ADD COLUMN mine int",
    ] {
        let mut connection = PgConnection::connect(&api).await?;
        let error = sqlx::raw_sql(refused).execute(&mut connection).await.err().with_context(|| format!("allowed: {refused}"))?;
        let code = error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_standby_under_the_writers_role_ends_a_silent_writer() -> Result<()> {
    let (_stack, writer, _) = with_roles().await?;
    let silent = Writer::new(&writer)?;
    silent.migrate().await?;
    let _session = silent.try_lock().await?.context("the lock")?;
    let mut told = Vec::new();
    let (pause, patience) = (Duration::from_millis(50), Duration::from_millis(200));
    let taking_over = Writer::new(&writer)?;
    let session = tokio::time::timeout(Duration::from_secs(20), taking_over.lock(pause, patience, |standby| told.push(standby))).await??;
    session.close().await?;
    assert_eq!(told, [Standby::Waiting, Standby::WriterDisconnected]);
    let owners: Vec<String> = rows(&writer, "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'").await?;
    assert_eq!(owners, ["clawpay_owner"], "whichever login made them");
    Ok(())
}

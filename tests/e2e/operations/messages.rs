//! What an operator is told who has set something wrong: what to do, and no secret.

use std::{fs, time::Duration};

use anyhow::Result;
use clawpay_tests::{Clawpay, Database, scratch};
use url::Url;

/// Starting and refusing takes less.
const WITHIN: Duration = Duration::from_secs(60);

/// What a command says that is started with this `.env` file and ends by itself, with this code.
async fn refused(command: &str, env_file: &str, code: i32) -> Result<String> {
    let directory = scratch()?;
    fs::write(directory.path().join(".env"), env_file)?;
    let mut process = Clawpay::start(&[command], directory.path(), [])?;
    let status = process.end(WITHIN).await?;
    assert_eq!(status.code(), Some(code), "{command}: {}", process.output());
    Ok(process.output())
}

#[tokio::test]
async fn a_database_address_that_would_be_misread_is_refused_with_how_to_write_it() -> Result<()> {
    for (address, told) in [
        ("postgres://clawpay:pa$sesame@127.0.0.1/clawpay", "DATABASE_URL='…'"),
        ("postgres://clawpay:pa#sesame@127.0.0.1/clawpay", "# as %23"),
        ("postgres://clawpay:pa sesame@127.0.0.1/clawpay", "DATABASE_URL='…'"),
        ("mysql://clawpay:sesame@127.0.0.1/clawpay", "mysql://, and this needs a Postgres"),
        ("sesame", "postgres://user:password@host:port/database"),
    ] {
        for command in ["serve", "index"] {
            let said = refused(command, &format!("RPC_URL=http://127.0.0.1:1\nDATABASE_URL={address}\n"), 2).await?;
            assert!(said.contains(told) && said.contains("DATABASE_URL") && !said.contains("sesame"), "{address}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_and_a_database_that_is_not_there_are_told_with_what_to_do() -> Result<()> {
    let database = Database::start()?;
    let mut wrong = Url::parse(&database.url())?;
    wrong.set_password(Some("sesame")).ok();
    let mut absent = Url::parse(&database.url())?;
    absent.set_path("nothing");
    for (address, told) in [(&wrong, "check the user and the password in DATABASE_URL"), (&absent, "CREATE DATABASE")] {
        let said =
            refused("serve", &format!("RPC_URL=http://127.0.0.1:1\nDATABASE_URL='{address}'\nCLAWPAY_API_PORT={}\n", port()?), 1).await?;
        assert!(said.contains(told) && !said.contains("sesame"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_before_any_index_says_what_is_missing_and_goes_on() -> Result<()> {
    let database = Database::start()?;
    let directory = scratch()?;
    let (url, port) = (database.url(), port()?);
    let settings = [("DATABASE_URL", url.as_str()), ("RPC_URL", "http://127.0.0.1:1"), ("CLAWPAY_API_PORT", &port)];
    let mut process = Clawpay::start(&["serve"], directory.path(), settings)?;
    process.until_it_says("Serving the API", WITHIN).await?;
    assert!(process.output().contains("start `clawpay index` with the same database"), "{}", process.output());
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/api/runs")).await?;
    assert_eq!(answer.status(), 503);
    let problem: serde_json::Value = answer.json().await?;
    assert_eq!(problem["code"], "nothing_indexed");
    process.require_running()
}

fn port() -> Result<String> {
    Ok(clawpay_cli::local::free_port()?.to_string())
}

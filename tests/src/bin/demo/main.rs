//! `make demo`: plays two runs on a market of its own, one paid and one slashed, as people would, through the API and with their own keys.
//! Then it prints what became of the money, and checks every figure against an expectation worked out by hand, three times: with the
//! contracts, with the index, and with the API.
//!
//! Exit codes: 0 all agree; 1 something differs or failed; 130 interrupted.

mod books;
mod cast;
mod expected;
mod in_index;
mod market;
mod movements;
mod on_chain;
mod over_http;
mod report;
mod story;
mod table;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clawpay_cli::{
    output::{self, progress},
    shutdown,
};
use clawpay_tests::{Api, Indexer, Stack};

use crate::{cast::Cast, market::Market, report::Accounts, story::Story};

/// Exit code of a program that an interrupt ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let interrupted = match shutdown::on_signal() {
        Ok(interrupted) => interrupted,
        Err(error) => return failed(&error),
    };
    tokio::select! {
        // Dropping the demo stops the market it runs on.
        () = interrupted.cancelled() => ExitCode::from(INTERRUPTED),
        outcome = demo() => match outcome {
            Ok(differences) if differences.is_empty() => {
                output::result("\nChain, index and API agree with the expectation to the base unit.");
                ExitCode::SUCCESS
            }
            Ok(differences) => {
                output::result("\nNot as expected:");
                for difference in differences {
                    output::result(format_args!("  {difference}"));
                }
                ExitCode::FAILURE
            }
            Err(error) => failed(&error),
        },
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    progress(format_args!("demo: {error:#}"));
    ExitCode::FAILURE
}

/// Plays and checks; answers what differs from the expectation.
async fn demo() -> Result<Vec<String>> {
    progress("Starting a market: chain, contracts, database, indexer, API");
    let stack = Stack::with_database().await?;
    let database_url = stack.database_url()?;
    let _indexer = Indexer::start(stack.index_config(), &database_url)?;
    let server = Api::start(clawpay_api::Config::new(stack.rpc_url(), database_url.as_str())).await?;
    let market = Market::at(server.url().clone())?;
    stack.until_indexed(&database_url).await?;
    let cast = Cast::new();

    progress("Playing");
    let purposes = Story::new(&stack, &market, &cast).tell().await?;

    progress("Checking");
    // Nothing happens any more: from here on, all sources speak of the same block.
    stack.until_indexed(&database_url).await?;
    let expected = expected::books(&cast);
    let chain = on_chain::books(&stack, &cast).await.context("cannot read the chain")?;
    let index = in_index::books(&database_url, &cast).await.context("cannot read the index")?;
    let api = over_http::books(&market, &cast).await.context("cannot read the API")?;
    let movements = movements::read(&stack, &cast, &purposes).await?;
    let accounts = Accounts { expected: &expected, chain: &chain, index: &index, api: &api };
    report::print(&accounts, &movements, &cast, &stack.deployment.contracts);

    let mut differences = movements::differences(&expected::movements(), &movements);
    for (source, books) in [("chain", chain), ("index", index), ("API", api)] {
        differences.extend(expected.differences(&books).into_iter().map(|difference| format!("{source}: {difference}")));
    }
    Ok(differences)
}

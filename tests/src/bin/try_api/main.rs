//! `make try-api`: a real market is served, and schemathesis tries every path of the API by the API's own description. Its arguments are
//! handed on; its end is this program's.

use std::{
    num::NonZeroU32,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clawpay_api::{Config, RateLimit};
use clawpay_cli::{local::Toolbox, output::progress};
use clawpay_domain::{Seconds, Usdc};
use clawpay_tests::{Api, Indexer, Stack};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress(format_args!("try-api: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool> {
    let stack = Stack::with_database().await?;
    let indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    trade(&stack).await?;
    stack.until_indexed(&stack.database_url()?).await?;
    let mut config = Config::new(stack.rpc_url(), stack.database_url()?);
    config.rate_limit = RateLimit { per_second: 0, burst: 0, includes_loopback: true };
    config.confirmation_wait = std::time::Duration::from_secs(1);
    // A stream has no end that a client who only asks would wait for.
    config.events.lifetime = std::time::Duration::from_secs(1);
    config.database.connections = NonZeroU32::MIN.saturating_add(15);
    let api = Api::start(config).await?;

    let root = Toolbox::find()?.root().to_owned();
    let url = api.url().as_str().trim_end_matches('/').to_owned();
    let tried = tokio::task::spawn_blocking(move || schemathesis(&root, &url)).await??;
    api.stop().await?;
    indexer.stop().await??;
    Ok(tried)
}

/// A run in each state that is easily reached, so that ids near 1 find something.
async fn trade(stack: &Stack) -> Result<()> {
    let poster = stack.funded_actor(1, Usdc::whole(10_000)).await?;
    let (worker, agent) = stack.staked_agent(2).await?;
    stack.funded_actor(2, Usdc::whole(1_000)).await?;
    worker.stake(agent, Usdc::whole(100)).await?;
    let offer = async || stack.offer(Usdc::whole(10)).await;
    poster.post(offer().await?).await?;
    poster.draft(offer().await?).await?;
    for step in 0..4 {
        let run = poster.post(offer().await?).await?;
        worker.claim(run, agent).await?;
        if step > 0 {
            worker.submit(run, "ipfs://work").await?;
        }
        if step > 1 {
            poster.approve(run).await?;
        }
    }
    let withdrawn = poster.post(offer().await?).await?;
    poster.cancel(withdrawn).await?;
    stack.warp(Seconds::days(8)).await
}

fn schemathesis(root: &Path, url: &str) -> Result<bool> {
    let program = root.join("target/tools/api-venv/bin/schemathesis");
    let document = root.join("crates/api/openapi.json");
    let status = Command::new(&program)
        .arg("--config-file")
        .arg(root.join("tools/schemathesis.toml"))
        .args(["--no-color", "run", "--url", url, "--checks", "all"])
        .args(std::env::args_os().skip(1))
        .arg(document)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", root.join("tools"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(root.join("target"))
        .status()
        .with_context(|| format!("cannot start {}: `make try-api` installs it", program.display()))?;
    Ok(status.success())
}

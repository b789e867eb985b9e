//! The `clawpay` program. See the library for everything it does.

use std::process::ExitCode;

use clap::Parser;
use clawpay_cli::{
    args::{Arguments, Command},
    commands,
    config::Config,
    output::{self, FAILED, MISUSED},
    redact, telemetry,
};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => return output::failure(&error, MISUSED),
    };
    redact::keep(config.secrets());
    // Each client that listens is an open file, of which a process gets far fewer than the system allows unless it asks.
    let _as_many_as_there_were = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return output::failure(&error.into(), FAILED),
    };
    // On the main thread: the children of `up` end with the thread that starts them.
    let outcome = runtime.block_on(run(&arguments, &config));
    // Blocking work that is still going on must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => {
            if matches!(arguments.command, Command::Index | Command::Serve) {
                output::progress("Stopped, as it was told to");
            }
            ExitCode::SUCCESS
        }
        Err(error) => output::failure(&error, FAILED),
    }
}

async fn run(arguments: &Arguments, config: &Config) -> anyhow::Result<()> {
    let (default_filter, json) = match arguments.command {
        Command::Up | Command::Deploy(_) | Command::Verify(_) | Command::Reindex => ("warn", false),
        Command::Index | Command::Serve => ("info", !std::io::IsTerminal::is_terminal(&std::io::stderr())),
    };
    telemetry::start(config.log.as_deref().unwrap_or(default_filter), json);
    match &arguments.command {
        Command::Up => commands::up::run(config).await,
        Command::Index => commands::index::run(config).await,
        Command::Serve => commands::serve::run(config).await,
        Command::Verify(verify) => commands::verify::run(*verify, config).await,
        Command::Reindex => commands::reindex::run(config).await,
        Command::Deploy(deploy) => commands::deploy::run(deploy, config).await,
    }
}

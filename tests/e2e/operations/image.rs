//! The image's root, made by the tool that makes it and run as a container runs it: read-only, by an ordinary user, with nothing else there.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clawpay_tests::{Indexer, Stack, clawpay, scratch};

/// What is started, killed when it goes out of scope.
struct Contained(Child);

impl Drop for Contained {
    fn drop(&mut self) {
        // One that has ended by itself is as good.
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The program in `root`, which is all that it sees, as the user that the Containerfile names.
fn contained(root: &Path, settings: &[(&str, String)]) -> Result<Command> {
    let file = std::fs::read_to_string(repository().join("deployments/hosting/Containerfile"))?;
    let line = |name: &str| file.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"));
    let (user, group) = line("USER ")?.split_once(':').context("a user and a group")?;
    let (name, value) = line("ENV ")?.split_once('=').context("a variable")?;
    let entry: Vec<String> = serde_json::from_str(line("ENTRYPOINT ")?)?;
    let mut command = Command::new("bwrap");
    command.arg("--ro-bind").arg(root).arg("/").args(["--proc", "/proc", "--dev", "/dev"]);
    command.args(["--unshare-user", "--unshare-pid", "--unshare-ipc", "--die-with-parent", "--cap-drop", "ALL", "--clearenv"]);
    command.args(["--uid", user, "--gid", group, "--chdir", line("WORKDIR ")?, "--setenv", name, value]);
    for (name, value) in settings {
        command.args(["--setenv", name, value]);
    }
    command.arg("--").args(&entry).stdin(Stdio::null());
    Ok(command)
}

#[tokio::test]
#[ignore = "needs bwrap on the PATH"]
async fn the_image_serves_read_only_as_an_ordinary_user() -> Result<()> {
    let directory = scratch()?;
    let root = directory.path().join("root");
    let made = Command::new(repository().join("tools/image-root")).arg(clawpay()?).arg(&root).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));

    // Before anything is asked of it: every library is there.
    let version = contained(&root, &[])?.arg("--version").output()?;
    ensure!(version.status.success(), "{}", String::from_utf8_lossy(&version.stderr));
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("clawpay "));

    let stack = Stack::with_database().await?;
    let _indexer = Indexer::start(stack.index_config(), &stack.database_url()?)?;
    stack.until_indexed(&stack.database_url()?).await?;
    let port = clawpay_cli::local::free_port()?;
    let settings =
        [("DATABASE_URL", stack.database_url()?), ("RPC_URL", stack.rpc_url().to_string()), ("CLAWPAY_API_PORT", port.to_string())];
    let mut command = contained(&root, &settings)?;
    command.arg("serve").stdout(Stdio::null()).stderr(Stdio::null());
    let mut contained = Contained(command.spawn().context("bwrap is not installed")?);

    let ready = format!("http://127.0.0.1:{port}/readyz");
    let waiting = async {
        loop {
            ensure!(contained.0.try_wait()?.is_none(), "it ended");
            if reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.context("it is not ready")??;
    let runs = reqwest::get(format!("http://127.0.0.1:{port}/api/runs")).await?;
    assert_eq!(runs.status(), 200);
    Ok(())
}

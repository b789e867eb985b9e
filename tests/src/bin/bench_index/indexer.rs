//! The indexer as people run it: `clawpay index`, a process of its own, whose memory the system accounts for.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clawpay_tests::{Stack, memory_kib};
use sqlx::{Connection, PgConnection};

use crate::watch::Watch;

/// Longest wait for a block.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two looks at whether it is still there.
const PAUSE: Duration = Duration::from_millis(500);

/// A running `clawpay index`. Dropping it kills it.
pub(crate) struct Indexer {
    child: Child,
    log: PathBuf,
}

impl Indexer {
    /// Starts one on the node's WebSocket and the database at `database_url`.
    pub(crate) fn start(stack: &Stack, database_url: &str, directory: &Path) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("clawpay");
        let deployment = directory.join("deployment.json");
        fs::write(&deployment, serde_json::to_vec(&stack.deployment)?)?;
        let log = directory.join("indexer.log");
        let child = Command::new(&program)
            .arg("index")
            .env("DATABASE_URL", database_url)
            .env("RPC_URL", stack.ws_url().as_str())
            .env("CLAWPAY_DEPLOYMENT", &deployment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("{} is not built", program.display()))?;
        Ok(Self { child, log })
    }

    /// Waits until the database is at `head`. Waits to be told, because asking again and again slows down what is measured.
    pub(crate) async fn until_at(&mut self, watch: &mut Watch, head: u64) -> Result<()> {
        let indexing = watch.until(head, None, PATIENCE);
        tokio::pin!(indexing);
        loop {
            tokio::select! {
                indexed = &mut indexing => return indexed.map(|_at| ()).with_context(|| fs::read_to_string(&self.log).unwrap_or_default()),
                () = tokio::time::sleep(PAUSE) => {
                    if self.child.try_wait()?.is_some() {
                        bail!("the indexer did not get to block {head}: {}", fs::read_to_string(&self.log)?);
                    }
                }
            }
        }
    }

    /// Sends it a signal, such as `STOP`.
    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").args([&format!("-{signal}"), &pid]).status()?.success(), "kill failed");
        Ok(())
    }

    /// The most memory it ever held, in MB of 10^6 bytes.
    pub(crate) fn peak_mb(&self) -> Result<u64> {
        Ok((memory_kib(&self.child, "VmHWM")? * 1024).div_ceil(1_000_000))
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Waits until no index is left out any more, which the indexer sees to once it has read the past.
pub(crate) async fn until_built(database_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(database_url).await?;
    let building = async {
        while sqlx::query_scalar("SELECT EXISTS (SELECT FROM left_out_indexes)").fetch_one(&mut connection).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, building).await.context("the indexes were never built")?
}

/// Waits until an indexer that was just started has looked at the node, which it does after all that it has to ask when it starts.
pub(crate) async fn until_looking(database_url: &str) -> Result<()> {
    const CHECKED: &str = "SELECT extract(epoch FROM head_checked_at)::text FROM cursor";
    let mut connection = PgConnection::connect(database_url).await?;
    let before: String = sqlx::query_scalar(CHECKED).fetch_one(&mut connection).await?;
    let starting = async {
        while sqlx::query_scalar::<_, String>(CHECKED).fetch_one(&mut connection).await? == before {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, starting).await.context("the indexer does not start")?
}

/// Checks that an index holds so many runs, each without a contradiction.
pub(crate) async fn require_runs(database_url: &str, expected: u64) -> Result<()> {
    let mut connection = PgConnection::connect(database_url).await?;
    let count = "SELECT count(*) FILTER (WHERE inconsistency IS NULL), count(*) FROM runs";
    let (sound, all): (i64, i64) = sqlx::query_as(count).fetch_one(&mut connection).await?;
    ensure!(sound == all && u64::try_from(all)? == expected, "of {expected} runs there are {all}, and {sound} without contradiction");
    Ok(())
}

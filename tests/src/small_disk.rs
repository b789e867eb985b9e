//! A Postgres server on a disk that can be full.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clawpay_cli::local::{Toolbox, free_port};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::database;

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Runs as root of its own namespaces: mounts the disk, starts the server whenever it is not running, fills and frees the disk when told to.
/// Ends with its standard input, whose other end the test holds, and takes the whole namespace with it.
const KEEPER: &str = r#"
set -e
home=$1 template=$2 bin=$3 port=$4
mount -t tmpfs -o size=160m,mode=0700 tmpfs "$home/disk"
cp -a "$template/." "$home/disk/"
rm -f "$home/disk/data/postmaster.pid"
(
  while :; do
    if [ -e "$home/fill" ]; then
      dd if=/dev/zero of="$home/disk/ballast" bs=64k 2>/dev/null || true
      dd if=/dev/zero of="$home/disk/rest" bs=1k 2>/dev/null || true
      mv "$home/fill" "$home/filled"
    fi
    if [ -e "$home/free" ]; then rm -f "$home/disk/ballast" "$home/disk/rest"; mv "$home/free" "$home/freed"; fi
    sleep 0.02
  done
) &
while :; do
  rm -f "$home/disk/data/postmaster.pid"
  unshare --user --map-user=65534 --map-group=65534 "$bin" -D "$home/disk/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c shared_buffers=16MB -c max_connections=30 -c fsync=off >>"$home/postgres.log" 2>&1 || true
  sleep 0.1
done &
exec cat >/dev/null
"#;

/// A running server, restarted whenever it gives up. Dropped, it ends, and its disk is gone.
#[derive(Debug)]
pub struct SmallDisk {
    keeper: Child,
    url: String,
    directory: TempDir,
}

impl SmallDisk {
    /// Whether this system lets a test mount a disk of its own.
    pub fn is_possible() -> bool {
        let mut probe = Command::new("unshare");
        probe.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Starts one with an empty database.
    pub async fn start() -> Result<Self> {
        let toolbox = Toolbox::find()?;
        let template = database::template(&toolbox)?;
        let directory = database::scratch()?;
        fs::create_dir(directory.path().join("disk"))?;
        let port = free_port()?;
        let mut keeper = Command::new("unshare");
        keeper.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", KEEPER, "keeper"]);
        keeper.arg(directory.path()).arg(&template).arg(toolbox.postgres()?).arg(port.to_string());
        keeper.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = keeper.spawn().context("unshare")?;
        let password = fs::read_to_string(template.join("password"))?;
        let url = format!("postgres://clawpay:{password}@127.0.0.1:{port}/clawpay");
        let disk = Self { keeper, url, directory };
        let started = Instant::now();
        while let Err(error) = PgConnection::connect(&disk.url).await {
            ensure!(started.elapsed() < PATIENCE, "{error}: {}", disk.log());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(disk)
    }

    /// Connection string of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Leaves no byte of the disk free.
    pub async fn fill(&self) -> Result<()> {
        self.tell("fill", "filled").await
    }

    /// Gives the room back.
    pub async fn free(&self) -> Result<()> {
        self.tell("free", "freed").await
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("postgres.log")).unwrap_or_default()
    }

    async fn tell(&self, order: &str, done: &str) -> Result<()> {
        fs::write(self.path(order), "")?;
        let started = Instant::now();
        while !self.path(done).exists() {
            ensure!(started.elapsed() < PATIENCE, "the keeper does not {order} the disk");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(fs::remove_file(self.path(done))?)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The namespace ends with its first process, and everything in it.
        let _gone = self.keeper.kill();
        let _status = self.keeper.wait();
    }
}

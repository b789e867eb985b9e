//! A local chain: anvil with its ten default accounts, which mines each transaction at once.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use url::Url;

use super::{ChildProcess, Toolbox, child, ports};

/// The phrase behind anvil's default accounts. Public: never a secret, never for a real chain.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";

const READY_WITHIN: Duration = Duration::from_secs(20);
/// What it has not saved by then it has saved within the last second.
const STOP_WITHIN: Duration = Duration::from_millis(1_500);
/// How long a node whose launcher was killed may take to save its state.
const PREDECESSOR_WITHIN: Duration = Duration::from_secs(10);

/// Names the node's process, for a successor after a kill.
const PID_FILE: &str = "anvil.pid";

/// What to start.
#[derive(Clone, Debug)]
pub struct AnvilOptions {
    /// Loopback port.
    pub port: u16,
    /// Where logs and caches go; must exist.
    pub directory: PathBuf,
    /// File the chain is loaded from if it exists, and saved to every second and when the node stops.
    pub state: Option<PathBuf>,
    /// Timestamp of block 0 on a new chain, seconds; the clock's if not given. The chain's clock then runs that far behind.
    pub genesis_time: Option<u64>,
}

/// A running node.
#[derive(Debug)]
pub struct Anvil {
    child: ChildProcess,
    port: u16,
}

impl Anvil {
    /// Waits until a node that a killed launcher left in `directory` has saved its state and given its port back.
    pub fn settle_predecessor(directory: &Path) -> Result<()> {
        match fs::read_to_string(directory.join(PID_FILE)).map(|text| text.trim().parse()) {
            Ok(Ok(pid)) => child::outwait("anvil", pid, directory, PREDECESSOR_WITHIN),
            _ => Ok(()),
        }
    }

    /// Starts a node and waits until it listens; [`PortTaken`](super::PortTaken) if another process does. The calling thread must live as
    /// long as the node.
    pub fn start(toolbox: &Toolbox, options: &AnvilOptions) -> Result<Self> {
        let log_path = options.directory.join("anvil.log");
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        // Written once the port is the node's: an answer on the port might be another process's.
        let listening = options.directory.join("anvil.listening.json");
        if listening.exists() {
            fs::remove_file(&listening).with_context(|| format!("cannot remove {}", listening.display()))?;
        }
        let cache = options.directory.join("anvil-cache");
        fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;

        let mut command = Command::new(toolbox.anvil()?);
        command
            .args(["--quiet", "--color", "never", "--host", "127.0.0.1", "--port", &options.port.to_string()])
            .args(["--mnemonic", MNEMONIC, "--chain-id", "31337"])
            // No page of a browser may ask it: its accounts are unlocked.
            .args(["--allow-origin", loopback("http", options.port).as_str().trim_end_matches('/')])
            .arg("--cache-path")
            .arg(&cache)
            .arg("--config-out")
            .arg(&listening)
            .current_dir(&options.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some(state) = &options.state {
            command.arg("--state").arg(state).args(["--state-interval", "1"]);
        }
        if let Some(time) = options.genesis_time {
            command.args(["--timestamp", &time.to_string()]);
        }
        let mut child = ChildProcess::spawn("anvil", &mut command, STOP_WITHIN)?;
        fs::write(options.directory.join(PID_FILE), child.id().to_string()).context("cannot note anvil's process id")?;
        let port = options.port;
        child::wait_until_ready(&mut child, READY_WITHIN, &log_path, || listening.exists().then_some(()))
            .map_err(|error| ports::explain(error, port, &log_path))?;
        Ok(Self { child, port })
    }

    /// The loopback port it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// JSON-RPC over HTTP.
    pub fn http_url(&self) -> Url {
        loopback("http", self.port)
    }

    /// JSON-RPC and subscriptions over WebSocket, on the same port.
    pub fn ws_url(&self) -> Url {
        loopback("ws", self.port)
    }

    /// The process, to watch or to end.
    pub fn process(&mut self) -> &mut ChildProcess {
        &mut self.child
    }

    /// Stops the node, which saves its state.
    pub fn stop(mut self) {
        self.child.stop();
    }
}

/// `scheme://127.0.0.1:port/`.
#[allow(clippy::expect_used, reason = "a literal with a number in it is always a URL")]
fn loopback(scheme: &str, port: u16) -> Url {
    Url::parse(&format!("{scheme}://127.0.0.1:{port}/")).expect("a literal URL parses")
}

//! The real `clawpay` program, as a child of a test.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

/// Looks again this often.
const PAUSE: Duration = Duration::from_millis(20);

/// Where cargo has put the program: beside another that runs, and of a test beside its `deps`.
pub fn clawpay() -> Result<PathBuf> {
    let running = std::env::current_exe()?;
    let mut places = running.ancestors().skip(1).take(2).map(|directory| directory.join("clawpay"));
    places.find(|program| program.is_file()).context("clawpay is not built: run `cargo build -p clawpay-cli`")
}

/// A running `clawpay`, in a process group of its own, whose settings are only those given. Dropping it kills it.
#[derive(Debug)]
pub struct Clawpay {
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Clawpay {
    /// Starts it in `directory`.
    pub fn start<'a>(arguments: &[&str], directory: &Path, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut command = Command::new(clawpay()?);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CLAWPAY_") || name == "DATABASE_URL" || name == "RPC_URL" {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .envs(settings)
            .current_dir(directory)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = Arc::default();
        collect(child.stdout.take(), &output);
        collect(child.stderr.take(), &output);
        Ok(Self { child, output })
    }

    /// Everything it has printed so far, both streams together.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Fails if it has ended.
    pub fn require_running(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("ended ({status}): {}", self.output());
        }
        Ok(())
    }

    /// Waits until it has printed `text`.
    pub async fn until_it_says(&mut self, text: &str, within: Duration) -> Result<()> {
        let started = Instant::now();
        while !self.output().contains(text) {
            self.require_running().with_context(|| format!("before saying {text:?}"))?;
            ensure!(started.elapsed() < within, "did not say {text:?} within {within:?}: {}", self.output());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// What it printed between `name` and the end of that line.
    pub fn printed(&self, name: &str) -> Result<String> {
        let output = self.output();
        let line = output.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(' '));
        line.map(|line| line.trim().to_owned()).with_context(|| format!("no line {name} in {output}"))
    }

    /// Sends a signal, such as `INT`, to the whole process group, as a terminal does.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let group = format!("-{}", self.child.id());
        ensure!(Command::new("kill").args([&format!("-{signal}"), "--", &group]).status()?.success(), "kill failed");
        Ok(())
    }

    /// What the system accounts for its memory under this name, such as `VmRSS`, in KiB.
    pub fn memory_kib(&self, name: &str) -> Result<u64> {
        memory_kib(&self.child, name)
    }

    /// Waits until it ends, and all it printed is there.
    pub async fn end(&mut self, within: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                // The readers see the end of the pipes a moment later.
                while Arc::strong_count(&self.output) > 1 && started.elapsed() < within {
                    tokio::time::sleep(PAUSE).await;
                }
                return Ok(status);
            }
            ensure!(started.elapsed() < within, "still running after {within:?}: {}", self.output());
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Drop for Clawpay {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Appends each line of a stream to `output`, until the stream ends.
fn collect(stream: Option<impl Read + Send + 'static>, output: &Arc<Mutex<String>>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let lines = stream.into_iter().flat_map(|stream| BufReader::new(stream).lines());
        for line in lines.map_while(Result::ok) {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
        }
    });
}

/// What the system accounts for a process's memory under this name, such as `VmRSS`, in KiB.
pub fn memory_kib(process: &Child, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = value.context("the system does not account for memory")?;
    Ok(value.trim().trim_end_matches("kB").trim().parse()?)
}

/// The processes that name `directory` on their command line.
pub fn processes_of(directory: &Path) -> Result<Vec<String>> {
    let name = directory.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        // One that has just ended has no command line any more.
        let Ok(bytes) = fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        if line.contains(&name) {
            found.push(line);
        }
    }
    Ok(found)
}

/// Waits until no process names `directory` any more.
pub async fn until_no_process_of(directory: &Path, within: Duration) -> Result<()> {
    let started = Instant::now();
    loop {
        let left = processes_of(directory)?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(started.elapsed() < within, "still running: {left:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

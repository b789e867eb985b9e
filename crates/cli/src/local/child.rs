//! A child process that never outlives this one.
#![allow(unsafe_code, reason = "prctl before exec and kill have no safe wrapper among the dependencies")]

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

/// How often a wait looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running child. Dropping it stops it.
#[derive(Debug)]
pub struct ChildProcess {
    name: &'static str,
    child: Child,
    grace: Duration,
}

impl ChildProcess {
    /// Starts `command` in a process group of its own, so that a terminal's Ctrl-C reaches this process alone, which then stops its
    /// children in order.
    ///
    /// The kernel interrupts the child when the thread that called this ends, also by SIGKILL: call it from a thread that lives as long
    /// as the child should. `grace` is how long a stop may take before it is enforced.
    pub fn spawn(name: &'static str, command: &mut Command, grace: Duration) -> Result<Self> {
        command.process_group(0);
        die_with_parent(command);
        let child = command.spawn().with_context(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
        Ok(Self { name, child, grace })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop (SIGINT), waits, and kills it if it takes longer than its grace.
    pub fn stop(&mut self) {
        self.end_by(libc::SIGINT);
    }

    /// Asks it to stop without saving anything (SIGQUIT), waits, and kills it if it takes longer than its grace.
    pub fn quit(&mut self) {
        self.end_by(libc::SIGQUIT);
    }

    fn end_by(&mut self, signal: libc::c_int) {
        if self.ended().is_some() {
            return;
        }
        self.signal(signal);
        if self.wait(self.grace).is_none() {
            tracing::warn!(child = self.name, "did not stop in time; killing it");
            self.kill();
        }
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        // An error means that it is gone already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }

    /// Sends SIGINT without waiting.
    pub fn interrupt(&self) {
        self.signal(libc::SIGINT);
    }

    fn signal(&self, signal: libc::c_int) {
        if let Ok(pid) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: plain system call on the id of a child that has not been waited for, so the id cannot have been reused.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Waits until it ends or `within` has passed.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= until {
                return None;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until `ready` answers something, `child` ends, or `within` has passed. `log` names the file that says why it did not start.
pub(super) fn wait_until_ready<T>(
    child: &mut ChildProcess,
    within: Duration,
    log: &std::path::Path,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + within;
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        if let Some(status) = child.ended() {
            anyhow::bail!("{} ended while starting ({status}): {}", child.name, last_lines(log));
        }
        if Instant::now() >= until {
            anyhow::bail!("{} is not ready after {} s: {}", child.name, within.as_secs(), last_lines(log));
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Waits until process `pid`, left by a launcher that was killed, is gone: it was told to stop and may still be saving. Whether it is one
/// of ours is told by its name and its current directory.
pub(super) fn outwait(name: &str, pid: u32, directory: &std::path::Path, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    while runs_in(name, pid, directory) {
        if Instant::now() >= until {
            anyhow::bail!("{name} (process {pid}) still uses {}: stop it first", directory.display());
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

fn runs_in(name: &str, pid: u32, directory: &std::path::Path) -> bool {
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    let is_named = std::fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim() == name);
    // A process of another user hides its directory; then the name decides.
    is_named
        && match std::fs::read_link(process.join("cwd")) {
            Ok(cwd) => directory.canonicalize().is_ok_and(|directory| cwd == directory),
            Err(_) => true,
        }
}

/// The end of a log file, on one line, for an error message.
pub(super) fn last_lines(log: &std::path::Path) -> String {
    const LINES: usize = 5;
    match std::fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            lines[lines.len().saturating_sub(LINES)..].join(" | ")
        }
        Err(error) => format!("no log at {}: {error}", log.display()),
    }
}

/// Makes the kernel interrupt the child when its parent is gone.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    // SAFETY: getpid cannot fail.
    let parent = unsafe { libc::getpid() };
    // SAFETY: prctl and getppid are async-signal-safe and touch no memory of ours.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the request was in place.
            if libc::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Other systems have no such request; an orderly stop still stops the child.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_command: &mut Command) {}

//! An embedded Postgres over the npm binaries, which refuse to run as root and ship neither `psql` nor `createdb`.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{self, Path},
    process::{Command, Stdio},
    time::Duration,
};

use alloy::{hex, primitives::B256};
use anyhow::{Context, Result, bail};

use super::{ChildProcess, Toolbox, child, on_free_port, ports};

/// The server's superuser and its database; both names are ours.
const NAME: &str = "clawpay";
/// `nobody`, on every system these binaries run on.
const NOBODY: u32 = 65534;

const READY_WITHIN: Duration = Duration::from_secs(30);
/// A fast shutdown writes a checkpoint; one that is cut short is made up for at the next start.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How long a server whose launcher was killed may take to shut down.
const PREDECESSOR_WITHIN: Duration = Duration::from_secs(20);

/// What a server owes its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Survives a power failure.
    Kept,
    /// Thrown away afterwards: no syncing, immediate stop.
    ThrowAway,
}

impl Durability {
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Kept => &["shared_buffers=128MB"],
            Self::ThrowAway => &["shared_buffers=32MB", "fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off"],
        }
    }

    /// Of the write-ahead log, in MB. All other limits of the log follow from it: small ones are quickly made, and slow to write much to.
    fn segment_size(self) -> &'static str {
        match self {
            Self::Kept => "16",
            Self::ThrowAway => "1",
        }
    }
}

/// A running server with one database, `clawpay`.
#[derive(Debug)]
pub struct Postgres {
    child: ChildProcess,
    port: u16,
    password: String,
    durability: Durability,
}

impl Postgres {
    /// Starts the server whose files are in `directory`, creating them the first time, and waits until it accepts connections.
    ///
    /// It listens on a free loopback port and asks for a random password, since other users of the machine reach that port too. The calling
    /// thread must live as long as the server.
    pub fn start(toolbox: &Toolbox, directory: &Path, durability: Durability) -> Result<Self> {
        let identity = Identity::choose()?;
        // The server's programs run inside the directory, where a relative path would lead elsewhere.
        let directory = &path::absolute(directory)?;
        let data = directory.join("data");
        if !data.join("PG_VERSION").exists() || !directory.join("password").exists() {
            initialise(toolbox, directory, &identity, durability)?;
        }
        let password = fs::read_to_string(directory.join("password")).context("cannot read the embedded Postgres's password")?;
        identity.own(directory)?;
        settle_predecessor(&data)?;

        let (child, port) = on_free_port(|port| {
            let log_path = directory.join("postgres.log");
            let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
            let mut command = identity.command(&toolbox.postgres()?);
            command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
            for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60"] {
                command.args(["-c", setting]);
            }
            for setting in durability.settings() {
                command.args(["-c", setting]);
            }
            command.current_dir(directory).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
            let mut child = ChildProcess::spawn("postgres", &mut command, STOP_WITHIN)?;
            child::wait_until_ready(&mut child, READY_WITHIN, &log_path, || is_ready(&data).then_some(()))
                .map_err(|error| ports::explain(error, port, &log_path))?;
            Ok((child, port))
        })?;
        Ok(Self { child, port, password, durability })
    }

    /// Connection string of the database. It carries the password.
    pub fn url(&self) -> String {
        format!("postgres://{NAME}:{}@127.0.0.1:{}/{NAME}", self.password, self.port)
    }

    /// The process, to watch or to end.
    pub fn process(&mut self) -> &mut ChildProcess {
        &mut self.child
    }

    /// Disconnects everybody and stops the server.
    pub fn stop(mut self) {
        self.child.stop();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.durability == Durability::ThrowAway {
            // There is nothing to save, but a server that is killed leaves its shared memory behind.
            self.child.quit();
        }
    }
}

/// Creates the data directory and the database, completely or not at all: an interrupted attempt is begun anew.
fn initialise(toolbox: &Toolbox, directory: &Path, identity: &Identity, durability: Durability) -> Result<()> {
    let data = directory.join("data");
    remove_all(&data)?;
    let password_path = directory.join("password");
    remove_all(&password_path)?;
    if !directory.exists() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    // Written under another name first: the final name says that everything below it is complete.
    let draft = directory.join("password.draft");
    remove_all(&draft)?;
    let password = hex::encode(B256::random());
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?.write_all(password.as_bytes())?;
    identity.own(directory)?;

    let mut initdb = identity.command(&toolbox.initdb()?);
    initdb
        .arg("-D")
        .arg(&data)
        .arg("--pwfile")
        .arg(&draft)
        .args(["--username", NAME, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"])
        .args(["--wal-segsize", durability.segment_size(), "--no-sync", "--no-instructions"])
        .current_dir(directory);
    run("initdb", &mut initdb, "")?;

    let mut single = identity.command(&toolbox.postgres()?);
    single.args(["--single", "-D"]).arg(&data).arg("postgres").current_dir(directory);
    run("postgres --single", &mut single, &format!("CREATE DATABASE {NAME};\n"))?;

    fs::rename(&draft, &password_path).context("cannot keep the embedded Postgres's password")
}

/// Runs a short-lived program to its end.
fn run(name: &str, command: &mut Command, input: &str) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("{name} reads no input"))?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{name} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// The eighth line of `postmaster.pid` is the server's own word that it accepts connections.
fn is_ready(data: &Path) -> bool {
    fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
}

/// Deals with the `postmaster.pid` of a server that was not stopped in order: waits for one that is still shutting down, removes what a
/// dead one left. Postgres itself would refuse to start whenever another process has inherited that process id.
fn settle_predecessor(data: &Path) -> Result<()> {
    let pid_file = data.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else { return Ok(()) };
    if let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) {
        child::outwait("postgres", pid, data, PREDECESSOR_WITHIN)?;
    }
    remove_all(&pid_file)
}

/// Who the server runs as.
#[derive(Debug)]
enum Identity {
    /// The user that runs this, an ordinary one.
    Myself,
    /// Root, who looks like `nobody` to the program: files stay root's, so a root-owned 0700 directory is no obstacle.
    Mapped,
    /// Root where user namespaces are not allowed: `nobody`, who must own the data directory and be able to reach it.
    Nobody,
}

impl Identity {
    fn choose() -> Result<Self> {
        // The owner of a process's directory in /proc is its effective user; elsewhere no process has to become another user.
        let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        if !is_root {
            return Ok(Self::Myself);
        }
        let mapped = mapped("true".as_ref()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        match mapped {
            Ok(status) if status.success() => Ok(Self::Mapped),
            Ok(_) => Ok(Self::Nobody),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nobody),
            Err(error) => Err(error).context("cannot run `unshare`"),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match self {
            Self::Myself => Command::new(program),
            Self::Mapped => mapped(program),
            Self::Nobody => {
                let mut command = Command::new(program);
                command.uid(NOBODY).gid(NOBODY);
                command
            }
        };
        // Settings of the person's own server must not reach this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C");
        command
    }

    /// Hands `directory` to the server's user where that is another one.
    fn own(&self, directory: &Path) -> Result<()> {
        match self {
            Self::Myself | Self::Mapped => Ok(()),
            Self::Nobody => hand_over(directory)
                .and_then(|()| directory.parent().map_or(Ok(()), let_through))
                .with_context(|| format!("cannot give {} to nobody", directory.display())),
        }
    }
}

/// `program` in a user namespace where root is `nobody`.
fn mapped(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=65534", "--map-group=65534"]).arg(program);
    command
}

fn hand_over(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.uid() != NOBODY {
        chown(path, Some(NOBODY), Some(NOBODY))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path())?;
        }
    }
    Ok(())
}

/// Lets others pass through a directory, though not look into it.
fn let_through(directory: &Path) -> io::Result<()> {
    let mut permissions = fs::metadata(directory)?.permissions();
    permissions.set_mode(permissions.mode() | 0o001);
    fs::set_permissions(directory, permissions)
}

/// Removes a file or a directory, if there is one.
fn remove_all(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        _ => Ok(()),
    }
}

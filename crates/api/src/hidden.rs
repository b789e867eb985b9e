//! What the operator has to keep from being shown: runs, agents and accounts that a file names, each with the reason.
//!
//! It is about what this server shows, and nothing else. The chain, the index and what is decided by them do not know of it, so that a wallet that has money
//! in a hidden run can still act.

mod list;
mod subject;

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use list::{BadLine, HideFault};
pub(crate) use list::{HideList, Hideable};

/// Largest file.
const MOST_BYTES: u64 = 1024 * 1024;

/// How often the file is looked at. One that is being written changes between two looks, and is read once it does not.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a file does not say what is hidden.
#[derive(Debug, Error)]
pub enum HideError {
    /// It is not there, or not for this process to read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It is no file.
    #[error("{} is no file", path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// It is larger than 1 MiB.
    #[error("{} has more than {MOST_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// One of its lines is not as it must be.
    #[error("{}, {line}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, and how so.
        line: BadLine,
    },
}

/// What is hidden now, by a file that may change. Cheap to clone; by default nothing is hidden.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    list: watch::Sender<Arc<HideList>>,
    file: Option<Arc<Watched>>,
}

/// A file, and which version of it was read first.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    first: Option<Stamp>,
}

/// What sets a version of a file apart from the next: which file it is, when it last changed in any way, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
    length: u64,
}

impl Stamp {
    /// Of what is at `path` now; nothing where that cannot be said.
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Some(Self { file: (metadata.dev(), metadata.ino()), changed, length: metadata.len() })
    }
}

impl Hidden {
    /// What the file at `path` says: one entry a line, `run 17 reason`, `agent 3 reason` or `account 0x… reason`; after `#` comes a comment.
    ///
    /// # Errors
    /// Names the file, and the line where it is about one.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, HideError> {
        let path = path.into();
        // Before it is read: what is written meanwhile is seen as a change.
        let first = Stamp::of(&path);
        let list = watch::Sender::new(Arc::new(read(&path)?));
        Ok(Self { list, file: Some(Arc::new(Watched { path, first })) })
    }

    /// What is hidden at this moment.
    pub(crate) fn now(&self) -> Arc<HideList> {
        Arc::clone(&self.list.borrow())
    }

    /// Reads the file anew whenever it has changed, until `shutdown`. While it is not as it must be, what it said before stays in force.
    pub(crate) async fn follow(&self, shutdown: &CancellationToken) {
        let Some(watched) = &self.file else { return };
        let (mut read_last, mut seen_last) = (watched.first, watched.first);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let looked = Arc::clone(watched);
            let is_read = move |seen: Option<Stamp>| seen == seen_last && seen != read_last;
            let look = move || {
                let seen = Stamp::of(&looked.path);
                (seen, is_read(seen).then(|| read(&looked.path)))
            };
            let Ok((seen, found)) = tokio::task::spawn_blocking(look).await else { continue };
            seen_last = seen;
            match found {
                None => continue,
                Some(Ok(list)) => {
                    tracing::info!(entries = list.len(), "CLAWPAY_HIDE was read anew");
                    self.list.send_replace(Arc::new(list));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "CLAWPAY_HIDE has changed and cannot be used: what it said before stays in force")
                }
            }
            read_last = seen;
        }
    }
}

/// What the file at `path` says.
fn read(path: &Path) -> Result<HideList, HideError> {
    let unreadable = |cause| HideError::Unreadable { path: path.to_owned(), cause };
    // A pipe would be waited for.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(HideError::NoFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(HideError::TooLarge { path: path.to_owned() });
    }
    HideList::parse(&bytes).map_err(|line| HideError::Line { path: path.to_owned(), line })
}

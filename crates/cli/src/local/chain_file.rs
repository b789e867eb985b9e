//! The local chain's state on disk.
//!
//! anvil's file alone does not survive everything. It is rewritten in place every second, so a kill in that moment leaves half a file; a second
//! file therefore keeps the last complete one, replaced by renaming. And each start adds a block 0 of that moment to it, among which a later
//! start picks any: so all but the first are taken out before anvil reads the file.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use alloy::primitives::U64;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Both files.
#[derive(Clone, Debug)]
pub struct ChainFile {
    live: PathBuf,
    kept: PathBuf,
}

impl ChainFile {
    /// The files in `directory`.
    pub fn new(directory: &Path) -> Self {
        Self { live: directory.join("state.json"), kept: directory.join("state.kept.json") }
    }

    /// The file for anvil.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Before anvil starts: gives it the longer of the two complete files, with one block 0. Answers the height it will start from; nothing if
    /// there is no complete file, in which case none is left.
    pub fn restore(&self) -> Result<Option<u64>> {
        let states = [&self.kept, &self.live].map(|path| State::parse(&fs::read_to_string(path).ok()?));
        // Of two equals, the last: the live one.
        let Some(mut state) = states.into_iter().flatten().max_by_key(State::height) else {
            self.remove()?;
            return Ok(None);
        };
        state.keep_first_genesis()?;
        replace(&self.live, &serde_json::to_vec(&state.members)?)?;
        Ok(Some(state.height()))
    }

    /// While anvil runs: keeps what it has saved, if that is complete and has reached block `head`.
    pub fn keep(&self, head: u64) -> Result<bool> {
        let Ok(text) = fs::read_to_string(&self.live) else { return Ok(false) };
        if State::parse(&text).is_none_or(|state| state.height() < head) {
            return Ok(false);
        }
        replace(&self.kept, text.as_bytes())?;
        Ok(true)
    }

    /// Forgets the chain.
    pub fn remove(&self) -> Result<()> {
        for path in [&self.live, &self.kept] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A complete state file. What is not looked at stays the text it was.
struct State {
    members: BTreeMap<String, Box<RawValue>>,
    head: Header,
}

/// The part of a block that tells which one it is.
#[derive(Clone, Copy, Deserialize)]
struct Header {
    number: U64,
    timestamp: U64,
}

#[derive(Deserialize)]
struct Block {
    header: Header,
}

impl State {
    /// Nothing if the file is cut, or not a state file.
    fn parse(text: &str) -> Option<Self> {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
        let head = serde_json::from_str(members.get("block")?.get()).ok()?;
        Some(Self { members, head })
    }

    fn height(&self) -> u64 {
        self.head.number.to()
    }

    fn keep_first_genesis(&mut self) -> Result<()> {
        let Some(blocks) = self.members.get("blocks") else { return Ok(()) };
        let blocks: Vec<Box<RawValue>> = serde_json::from_str(blocks.get()).context("the chain's state holds no list of blocks")?;
        let mut others = Vec::with_capacity(blocks.len());
        let mut genesis: Option<(U64, Box<RawValue>)> = None;
        for block in blocks {
            let Block { header } = serde_json::from_str(block.get()).context("the chain's state holds a block that is none")?;
            if !header.number.is_zero() {
                others.push(block);
            } else if genesis.as_ref().is_none_or(|(first, _)| header.timestamp < *first) {
                genesis = Some((header.timestamp, block));
            }
        }
        others.extend(genesis.map(|(_, block)| block));
        self.members.insert("blocks".to_owned(), serde_json::value::to_raw_value(&others)?);
        Ok(())
    }
}

/// Writes a file, completely or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = path.with_extension("draft");
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(number: u64) -> String {
        format!(r#"{{"accounts":{{}},"block":{{"number":"{number:#x}","timestamp":"0x1"}},"blocks":[]}}"#)
    }

    fn kept_height(files: &ChainFile) -> Option<u64> {
        State::parse(&fs::read_to_string(&files.kept).ok()?).map(|state| state.height())
    }

    fn files() -> (tempfile::TempDir, ChainFile) {
        let directory = tempfile::tempdir().unwrap();
        let files = ChainFile::new(directory.path());
        (directory, files)
    }

    #[test]
    fn no_file_is_a_new_chain() {
        let (_directory, files) = files();
        assert_eq!(files.restore().unwrap(), None);
    }

    #[test]
    fn half_a_file_gives_way_to_the_kept_one() {
        let (_directory, files) = files();
        fs::write(files.live(), state(7)).unwrap();
        assert!(files.keep(7).unwrap());
        fs::write(files.live(), &state(9)[..30]).unwrap();
        assert_eq!(files.restore().unwrap(), Some(7));
        assert_eq!(fs::read_to_string(files.live()).unwrap(), state(7));
    }

    #[test]
    fn a_complete_file_wins_over_an_older_kept_one() {
        let (_directory, files) = files();
        fs::write(files.live(), state(7)).unwrap();
        files.keep(7).unwrap();
        fs::write(files.live(), state(9)).unwrap();
        assert_eq!(files.restore().unwrap(), Some(9));
        assert_eq!(fs::read_to_string(files.live()).unwrap(), state(9));
    }

    #[test]
    fn half_a_file_alone_is_removed() {
        let (_directory, files) = files();
        fs::write(files.live(), &state(9)[..30]).unwrap();
        assert_eq!(files.restore().unwrap(), None);
        assert!(!files.live().exists());
    }

    #[test]
    fn nothing_is_kept_before_it_reaches_the_head_or_when_it_is_cut() {
        let (_directory, files) = files();
        fs::write(files.live(), state(7)).unwrap();
        assert!(!files.keep(8).unwrap());
        fs::write(files.live(), &state(9)[..30]).unwrap();
        assert!(!files.keep(0).unwrap());
        assert_eq!(kept_height(&files), None);
    }

    #[test]
    fn of_several_block_zeros_the_first_in_time_stays() {
        let (_directory, files) = files();
        let block = |number: u64, timestamp: u64| format!(r#"{{"header":{{"number":"{number:#x}","timestamp":"{timestamp:#x}"}}}}"#);
        let blocks = [block(0, 900), block(1, 101), block(0, 100), block(0, 950), block(2, 102)].join(",");
        fs::write(files.live(), format!(r#"{{"block":{{"number":"0x2","timestamp":"0x66"}},"blocks":[{blocks}],"n":1e400}}"#)).unwrap();
        assert_eq!(files.restore().unwrap(), Some(2));
        let expected = [block(1, 101), block(2, 102), block(0, 100)].join(",");
        let restored = fs::read_to_string(files.live()).unwrap();
        assert_eq!(restored, format!(r#"{{"block":{{"number":"0x2","timestamp":"0x66"}},"blocks":[{expected}],"n":1e400}}"#));
    }
}

//! What a deployment has sent so far: the file from which the next attempt continues.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256, Bytes, keccak256};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Notes of one deployment, on disk or only in memory.
#[derive(Debug, Default)]
pub struct Journal {
    path: Option<PathBuf>,
    notes: Notes,
}

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Notes {
    chain_id: u64,
    genesis_hash: B256,
    deployer: Address,
    contracts: BTreeMap<String, Note>,
}

/// One contract that was about to be created.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Note {
    /// Where it comes to stand, by the deployer's nonce.
    address: Address,
    /// Hash of creation code and arguments: other code, or other arguments, is another contract.
    code_hash: B256,
    /// The chain's height when it was sent.
    sent_at: u64,
}

impl Note {
    pub(super) fn new(address: Address, code: &Bytes, sent_at: u64) -> Self {
        Self { address, code_hash: keccak256(code), sent_at }
    }
}

impl Journal {
    /// One that ends with this process.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// The one that belongs to the deployment file at `deployment`: read, if an interrupted deployment has left it.
    pub fn beside(deployment: &Path) -> Result<Self> {
        let mut name = deployment.file_name().context("the deployment file has no name")?.to_owned();
        name.push(".unfinished");
        let path = deployment.with_file_name(name);
        let notes = match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| format!("{} is not what a deployment has left", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Notes::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self { path: Some(path), notes })
    }

    /// Whether the next attempt would find something to continue.
    pub fn has_notes_on_disk(&self) -> bool {
        self.path.is_some() && !self.notes.contracts.is_empty()
    }

    /// Forgets everything, on disk too: the deployment is complete.
    pub fn remove(self) -> Result<()> {
        match &self.path {
            Some(path) if path.exists() => fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display())),
            _ => Ok(()),
        }
    }

    /// Forgets notes about another chain or account: they say nothing here.
    pub(super) fn belong_to(&mut self, chain_id: u64, genesis_hash: B256, deployer: Address) {
        let notes = &self.notes;
        if (notes.chain_id, notes.genesis_hash, notes.deployer) != (chain_id, genesis_hash, deployer) {
            self.notes = Notes { chain_id, genesis_hash, deployer, contracts: BTreeMap::new() };
        }
    }

    /// Notes, on disk too, that `name` is being created.
    pub(super) fn note(&mut self, name: &str, note: Note) -> Result<()> {
        self.notes.contracts.insert(name.to_owned(), note);
        let Some(path) = &self.path else { return Ok(()) };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        }
        let draft = path.with_extension("unfinished.draft");
        fs::write(&draft, serde_json::to_string_pretty(&self.notes)? + "\n")
            .and_then(|()| fs::rename(&draft, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where `name` was being created.
    pub(super) fn address(&self, name: &str) -> Option<Address> {
        self.notes.contracts.get(name).map(|note| note.address)
    }

    /// Where `name` was being created, if it was by exactly this code.
    pub(super) fn address_of(&self, name: &str, code: &Bytes) -> Option<Address> {
        self.notes.contracts.get(name).filter(|note| note.code_hash == keccak256(code)).map(|note| note.address)
    }

    /// The block after which the first of these addresses was sent.
    pub(super) fn first_block(&self, addresses: &[Address]) -> Option<u64> {
        self.notes.contracts.values().filter(|note| addresses.contains(&note.address)).map(|note| note.sent_at + 1).min()
    }
}

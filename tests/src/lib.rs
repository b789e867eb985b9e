//! What the workspace's tests share: [`Stack`], a market of its own for one test. Never part of a release.

mod database;
mod stack;

pub use database::scratch;
pub use stack::{OPERATOR, Stack, key};

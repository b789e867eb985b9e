//! A market that exists only on paper, on a chain that does too, behind a node that is often wrong, for an indexer that dies now and then.
//!
//! A [`Script`](script::Script) follows from a seed: blocks with real hashes and filters, branches that replace one another, kills, cut
//! connections. The real indexer meets it over a real socket and writes to a real database, in which [`guards`](GUARDS) watch every commit.
//! Whenever things calm down, each row must be what the reference makes of the chain's logs.
//!
//! What repeats with a seed: the chain and its changes, by the number of calls before each; every fault, by what is asked and how often it
//! was asked before; the kills, by the number of calls and of polls. What need not repeat is the order of calls that are under way at once,
//! how often an idle indexer looks at the head while Postgres is slow, and which statement a poll or a cut connection meets.

mod answers;
mod dice;
mod endpoint;
mod faults;
mod ledger;
mod play;
mod provider;
mod rows;
mod scenario;
mod script;
mod tree;
mod world;

pub use scenario::{Outcome, Scenario, Stage};

/// Triggers that check every commit.
const GUARDS: &str = include_str!("simulation/guards.sql");

//! The API on a real node, a real database and a real indexer, used as clients and wallets use it.

mod confirmations;
mod faults;
mod lists;
mod node_proxy;
mod refusals;
mod served;
mod shapes;
mod strict_wallet;
mod verbs;

//! The API on a real node, a real database and a real indexer, used as clients and wallets use it.

mod accounts;
mod by_the_document;
mod codes;
mod conditional;
mod confirmations;
mod cursors;
mod documentation;
mod events;
mod faults;
mod hygiene;
mod idempotency;
mod limits;
mod lists;
mod node_proxy;
mod pooler;
mod refusals;
mod relay;
mod replica;
mod run_actions;
mod served;
mod shapes;
mod signing;
mod strict_wallet;
mod transactions;
mod verbs;
mod wallet_libraries;

//! What goes over the wire, each shape made from domain words by a `From` or a `new` of its own.

pub(crate) mod agent;
pub(crate) mod consent;
pub(crate) mod event;
pub(crate) mod feed;
pub(crate) mod feed_json;
pub(crate) mod market;
pub(crate) mod metadata;
pub(crate) mod outcome;
pub(crate) mod page;
pub(crate) mod poster;
pub(crate) mod prepared;
pub(crate) mod relay;
pub(crate) mod run;
pub(crate) mod run_actions;
pub(crate) mod stamped;
pub(crate) mod transaction;
pub(crate) mod typed_data;
pub(crate) mod wallet;

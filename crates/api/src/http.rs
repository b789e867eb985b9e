//! The API as HTTP: requests into domain words, answers into JSON, and the description of both.
//!
//! It knows what is below it (actions, transactions, relay, feed); nothing below knows of HTTP.

mod app;
mod cursor;
mod documents;
pub(crate) mod dto;
mod event_stream;
mod extract;
mod gate;
pub(crate) mod layers;
mod openapi;
mod problem;
mod reading;
mod routes;

pub use app::App;
pub(crate) use event_stream::Listens;
pub(crate) use openapi::print;
pub(crate) use problem::Problem;
pub(crate) use routes::{document, paths, probes};

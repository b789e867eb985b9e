//! What an API server counts, for a process that installs a recorder.

use std::time::Duration;

use axum::http::Method;
use clawpay_store::IndexedBlock;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUESTS: &str = "clawpay_http_requests_total";
const REFUSED: &str = "clawpay_http_connections_refused_total";
const LATENCY: &str = "clawpay_http_request_seconds";
const DATABASE: &str = "clawpay_api_database_up";
const INDEXED: &str = "clawpay_api_indexed_block";
const REPLICA: &str = "clawpay_api_replica_up";
const LAG: &str = "clawpay_api_lag_blocks";
const STALENESS: &str = "clawpay_api_staleness_seconds";

/// Tells the recorder what each number means.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Requests answered, by method, path as in the documentation, and status.");
    describe_counter!(REFUSED, Unit::Count, "Connections turned away, by what was full: the places of their address, or all.");
    describe_histogram!(LATENCY, Unit::Seconds, "Time to answer them, by path.");
    describe_gauge!(DATABASE, Unit::Count, "1 if the database answered this scrape.");
    describe_gauge!(
        REPLICA,
        Unit::Count,
        "1 if reads are answered from the replica, 0 if it is away or too far behind; without one, nothing."
    );
    describe_gauge!(INDEXED, Unit::Count, "The last block in the database.");
    describe_gauge!(LAG, Unit::Count, "Blocks that the node had at the indexer's last check of it and the database has not.");
    describe_gauge!(STALENESS, Unit::Seconds, "How long ago that check was.");
}

/// A method as it is counted and logged. Clients may invent as many as they like, and each would be a series of its own.
pub(crate) fn method(method: &Method) -> &'static str {
    const COUNTED: [Method; 7] = [Method::GET, Method::HEAD, Method::POST, Method::OPTIONS, Method::PUT, Method::PATCH, Method::DELETE];
    const NAMES: [&str; 7] = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"];
    COUNTED.iter().position(|counted| counted == method).map_or("other", |position| NAMES[position])
}

/// A request was answered. `path` is the route, so that ids do not make a series each.
pub(crate) fn answered(method: &'static str, path: &str, status: u16, took: Duration) {
    counter!(REQUESTS, "method" => method, "path" => path.to_owned(), "status" => status.to_string()).increment(1);
    histogram!(LATENCY, "path" => path.to_owned()).record(took);
}

/// What came was refused before it was a request.
pub(crate) fn refused(status: u16) {
    counter!(REQUESTS, "method" => "other", "path" => "-", "status" => status.to_string()).increment(1);
}

/// A connection was turned away.
pub(crate) fn turned_away(is_address_full: bool) {
    counter!(REFUSED, "full" => if is_address_full { "address" } else { "all" }).increment(1);
}

/// How the index stands at this scrape.
pub(crate) fn read(indexed: &IndexedBlock) {
    gauge!(DATABASE).set(1.0);
    gauge!(INDEXED).set(number(indexed.number));
    gauge!(LAG).set(number(indexed.lag()));
    gauge!(STALENESS).set(indexed.staleness.as_secs_f64());
}

/// The database did not answer this scrape.
pub(crate) fn unread() {
    gauge!(DATABASE).set(0.0);
}

/// Whether reads are answered from the replica.
pub(crate) fn replica(is_up: bool) {
    gauge!(REPLICA).set(if is_up { 1.0 } else { 0.0 });
}

/// A gauge holds 53 bits exactly, which no block number exceeds.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn number(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_client_invents_is_no_series_of_its_own() {
        for name in ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"] {
            assert_eq!(method(&name.parse().unwrap()), name);
        }
        for name in ["BREW", "get", "CONNECT", "PROPFIND"] {
            assert_eq!(method(&name.parse().unwrap()), "other", "{name}");
        }
    }
}

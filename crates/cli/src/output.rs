//! What people see. Results go to standard output, progress and complaints to standard error; a closed pipe is not an error.

use std::{fmt::Display, io::Write, process::ExitCode};

use clawpay_indexer::IndexError;
use clawpay_store::StoreError;

use crate::redact;

/// Something failed.
pub const FAILED: u8 = 1;
/// The command line or the environment is wrong; clap uses the same.
pub const MISUSED: u8 = 2;

/// One line of progress.
pub fn progress(line: impl Display) {
    let _closed = writeln!(std::io::stderr(), "{}", redact::hide(&line.to_string()));
}

/// A result.
pub fn result(text: impl Display) {
    let mut out = std::io::stdout();
    let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Why it ended, with all causes, as one line; and on another what to do, where that is known.
pub fn failure(error: &anyhow::Error, code: u8) -> ExitCode {
    let _closed = writeln!(std::io::stderr(), "clawpay: {}", redact::hide(&with_causes(error)));
    if let Some(advice) = error.chain().find_map(advice) {
        progress(format_args!("clawpay: {advice}"));
    }
    ExitCode::from(code)
}

/// What went wrong and why. Some errors say their cause themselves, and it is not said again.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |said, cause| {
        let cause = cause.to_string();
        match &*said {
            "" => cause,
            said if said.contains(&cause) => said.to_owned(),
            said => format!("{said}: {cause}"),
        }
    })
}

/// What to do about one of the causes.
fn advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    // An indexer's error stands for the store's, and hides it.
    let of_indexer =
        cause.downcast_ref::<IndexError>().and_then(|error| if let IndexError::Store(error) = error { Some(error) } else { None });
    of_indexer.or_else(|| cause.downcast_ref::<StoreError>()).and_then(StoreError::advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let refused = || std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused");
        let repeats = anyhow::Error::new(refused()).context(format!("database: {}", refused())).context("DATABASE_URL");
        assert_eq!(with_causes(&repeats), "DATABASE_URL: database: connection refused");
        assert_eq!(with_causes(&anyhow::Error::new(refused()).context("reading .env")), "reading .env: connection refused");
    }
}

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
    let _closed = writeln!(std::io::stderr(), "clawpay: {}", redact::hide(&format!("{error:#}")));
    if let Some(advice) = error.chain().find_map(advice) {
        progress(format_args!("clawpay: {advice}"));
    }
    ExitCode::from(code)
}

/// What to do about one of the causes.
fn advice(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    // An indexer's error stands for the store's, and hides it.
    let of_indexer =
        cause.downcast_ref::<IndexError>().and_then(|error| if let IndexError::Store(error) = error { Some(error) } else { None });
    of_indexer.or_else(|| cause.downcast_ref::<StoreError>()).and_then(StoreError::advice)
}

//! What people see. Results go to standard output, progress and complaints to standard error; a closed pipe is not an error.

use std::{fmt::Display, io::Write, process::ExitCode};

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

/// Why it ended, with all causes, as one line.
pub fn failure(error: &anyhow::Error, code: u8) -> ExitCode {
    let _closed = writeln!(std::io::stderr(), "clawpay: {}", redact::hide(&format!("{error:#}")));
    ExitCode::from(code)
}

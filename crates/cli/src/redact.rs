//! What must not be shown: the keys in the nodes' addresses. Libraries' errors repeat whole addresses, so everything that this program writes
//! to standard error goes through here.

use std::{
    io::{self, Write},
    sync::OnceLock,
};

use clawpay_indexer::Secrets;

static SECRETS: OnceLock<Secrets> = OnceLock::new();

/// Hides `secrets` from here on. A second call changes nothing.
pub fn keep(secrets: Secrets) {
    let _already = SECRETS.set(secrets);
}

/// `text` without what is secret.
pub fn hide(text: &str) -> String {
    SECRETS.get().map_or_else(|| text.to_owned(), |secrets| secrets.hide(text))
}

/// Writes what it is given without what is secret. A secret must come in one piece, as it does in a log line.
#[derive(Debug)]
pub struct Redacting<W>(pub W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(hide(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_written() {
        keep(Secrets::of([&"https://node.example/v3/0123456789abcdef".parse().unwrap()]));
        let mut written = Redacting(Vec::new());
        let line = b"error sending request for url (https://node.example/v3/0123456789abcdef)";
        assert_eq!(written.write(line).unwrap(), line.len());
        assert_eq!(written.0, b"error sending request for url (https://node.example(hidden))");
    }
}

//! Loopback ports. A port that was free a moment ago may be another process's by the time it is used: what starts a server finds out then.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use anyhow::{Context, Result};
use thiserror::Error;

/// Another process listens there.
#[derive(Clone, Copy, Debug, Error)]
#[error("port {0} is taken")]
pub struct PortTaken(pub u16);

/// How many ports are tried where any will do.
const ATTEMPTS: usize = 5;

/// A port that no process listens on at this moment.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether `port` can be listened on at this moment.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Starts something on a free port, and on another one when another process was quicker, which `start` reports as [`PortTaken`].
pub fn on_free_port<T>(mut start: impl FnMut(u16) -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match start(free_port().context("no free port")?) {
            Err(error) if error.is::<PortTaken>() && attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

/// Turns the failure of a server whose `log` says that its port is taken into [`PortTaken`].
pub(super) fn explain(error: anyhow::Error, port: u16, log: &Path) -> anyhow::Error {
    match std::fs::read(log) {
        Ok(text) if String::from_utf8_lossy(&text).contains("Address already in use") => PortTaken(port).into(),
        _ => error,
    }
}

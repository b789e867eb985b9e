//! Listening on the addresses that the operator asks for.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

use crate::config::ApiAddresses;

/// Connections that may wait to be taken.
const BACKLOG: u32 = 1024;

/// Listens on all addresses of the API. One that cannot be had is an error that names it.
pub(crate) fn on_all(asked: &ApiAddresses) -> Result<Vec<TcpListener>> {
    asked.addresses.iter().map(|address| on(*address, asked)).collect()
}

/// Listens on `address`, which is one of those that were asked for.
pub(crate) fn on(address: SocketAddr, asked: &ApiAddresses) -> Result<TcpListener> {
    let setting = asked.setting;
    listen(address, &asked.addresses).with_context(|| match setting {
        Some(setting) => format!("cannot listen on {address}, which {setting} asks for"),
        None => format!("cannot listen on {address}; CLAWPAY_API_ADDR chooses another address"),
    })
}

/// Listens on the operator's own address, if there is one.
pub(crate) fn for_metrics(address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = listen(address, &[]).with_context(|| format!("cannot listen on {address}, which CLAWPAY_METRICS_ADDR asks for"))?;
    Ok(Some(listener))
}

fn listen(address: SocketAddr, beside: &[SocketAddr]) -> Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The port is free again as soon as its last owner is gone.
    socket.set_reuseaddr(true)?;
    let takes_all_of_ipv4 = |other: &SocketAddr| other.is_ipv4() && other.ip().is_unspecified() && other.port() == address.port();
    if address.is_ipv6() && beside.iter().any(takes_all_of_ipv4) {
        // All addresses of IPv6 are those of IPv4 as well, unless they are said not to be.
        SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.bind(address)?;
    Ok(socket.listen(BACKLOG)?)
}

/// Where a client on this machine finds what listens on `address`.
pub(crate) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

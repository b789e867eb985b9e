//! Whom a request is from, for the limits that count by address.
//!
//! That is the connection's address, unless a proxy that the operator trusts is at its other end. Such a proxy says in `Forwarded` (RFC 7239)
//! or `X-Forwarded-For` whom it speaks for, behind whatever was said to it. So the list is read from its end for as long as those who speak
//! are trusted, and what a client puts before that is never looked at.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;
use thiserror::Error;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client of a request, as limits count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// Its address; of IPv6, its network of 2^64.
    pub address: IpAddr,
    /// It is on this very machine, and nothing says that it speaks for another.
    pub is_local: bool,
}

impl Client {
    /// The client that a connection is with.
    pub(crate) fn of(peer: IpAddr) -> Self {
        let peer = peer.to_canonical();
        Self { address: household(peer), is_local: peer.is_loopback() }
    }
}

/// The proxies that are believed whom they speak for: addresses, and networks of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Why a text names no proxies.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0} is neither an address nor a network such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl FromStr for TrustedProxies {
    type Err = NotANetwork;

    /// Addresses and networks, separated by commas.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let networks = parts.map(|part| {
            let network = part.parse().or_else(|_| part.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical())));
            network.map_err(|_| NotANetwork(part.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Whether this one is believed.
    pub(crate) fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whom a request with these headers is from, which came from `peer`.
    pub(crate) fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> Client {
        let direct = Client::of(peer);
        if !self.include(peer) {
            return direct;
        }
        let forwarded = headers.contains_key(FORWARDED).then(|| self.behind(peer, from_the_end(headers, &FORWARDED).map(element)));
        let listed = headers.contains_key(&X_FORWARDED_FOR).then(|| self.behind(peer, from_the_end(headers, &X_FORWARDED_FOR).map(node)));
        let address = match (forwarded, listed) {
            (None, None) => return direct,
            (Some(address), None) | (None, Some(address)) => address,
            (Some(address), Some(other)) if address == other => address,
            // The proxy writes one of the two and hands on the other, which then is the client's own.
            (Some(_), Some(_)) => peer.to_canonical(),
        };
        Client { address: household(address), is_local: false }
    }

    /// The first of `hops`, each of which is named by the one before, who is not trusted; where one is not named by an address, the last before.
    fn behind(&self, peer: IpAddr, hops: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in hops {
            let Some(hop) = hop else { break };
            client = hop;
            if !self.include(hop) {
                break;
            }
        }
        client
    }
}

/// The parts of a list in a header, the last first. No address has a comma in it, so a quote that a client leaves open hides nothing behind it.
fn from_the_end<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().rev().flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
}

/// Whom an element of `Forwarded` names.
fn element(text: &str) -> Option<IpAddr> {
    let mut named = text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let value = named.next()?;
    if named.next().is_some() {
        return None;
    }
    node(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// An address, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// One customer of IPv6 has a whole /64 of addresses.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whom a request is from that came from `peer` with these headers, where 10.0.0.0/8, loopback and one address of IPv6 are trusted.
    fn client(peer: &str, headers: &[(HeaderName, &str)]) -> Client {
        let trusted: TrustedProxies = "10.0.0.0/8, 127.0.0.1,2001:db8::1".parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        trusted.client_of(address(peer), &map)
    }

    fn listed(values: &[&str]) -> IpAddr {
        client(PROXY, &values.iter().map(|value| (X_FORWARDED_FOR, *value)).collect::<Vec<_>>()).address
    }

    fn forwarded(value: &str) -> IpAddr {
        client(PROXY, &[(FORWARDED, value)]).address
    }

    #[test]
    fn a_list_is_read_from_its_end_up_to_the_first_who_is_not_trusted() {
        for (values, expected) in [
            (&["203.0.113.7"][..], "203.0.113.7"),
            (&["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            (&["203.0.113.7, 10.1.2.3"], "203.0.113.7"),
            (&["198.51.100.1,203.0.113.7 ,10.1.2.3,10.0.0.9"], "203.0.113.7"),
            (&["198.51.100.1", "203.0.113.7", "10.1.2.3"], "203.0.113.7"),
            (&["10.1.2.3, 10.0.0.9"], "10.1.2.3"),
            (&["203.0.113.7:4711"], "203.0.113.7"),
            (&["::ffff:203.0.113.7"], "203.0.113.7"),
            (&["2001:db8:1:2:3::4"], "2001:db8:1:2::"),
            (&["[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::"),
        ] {
            assert_eq!(listed(values), address(expected), "{values:?}");
        }
    }

    #[test]
    fn elements_of_forwarded_are_read_likewise() {
        for (value, expected) in [
            ("for=203.0.113.7", "203.0.113.7"),
            ("for=198.51.100.1, For=\"203.0.113.7:80\";proto=https;by=10.0.0.1", "203.0.113.7"),
            ("proto=http; for=\"[2001:db8:1:2::9]:4711\" , for=10.0.0.9;by=10.0.0.1", "2001:db8:1:2::"),
            ("for=\"[2001:db8:1:2::9]\"", "2001:db8:1:2::"),
            ("for=\"198.51.100.1, for=203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(forwarded(value), address(expected), "{value}");
        }
    }

    #[test]
    fn where_a_hop_has_no_address_the_last_that_is_trusted_counts() {
        for value in ["", "unknown", "_hidden", "203.0.113.7.8", "203.0.113.7,", "203.0.113.7;", "203.0.113.7 198.51.100.1"] {
            assert_eq!(listed(&[value]), address(PROXY), "{value}");
        }
        assert_eq!(listed(&["203.0.113.7, unknown, 10.1.2.3"]), address("10.1.2.3"));
        for value in ["", "for", "for=", "for=unknown", "for=_a", "by=203.0.113.7", "for=203.0.113.7;for=198.51.100.1", "for=\"203.0.113.7"]
        {
            assert_eq!(forwarded(value), address(PROXY), "{value}");
        }
        assert!(!client("127.0.0.1", &[(X_FORWARDED_FOR, "unknown")]).is_local, "a limit would not hold");
    }

    #[test]
    fn who_is_not_trusted_names_nobody() {
        let mine = client("203.0.113.7", &[(X_FORWARDED_FOR, "198.51.100.1"), (FORWARDED, "for=198.51.100.1")]);
        assert_eq!(mine, Client { address: address("203.0.113.7"), is_local: false });
        let nobody = TrustedProxies::default();
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        assert_eq!(nobody.client_of(address("127.0.0.1"), &headers), Client { address: address("127.0.0.1"), is_local: true });
    }

    #[test]
    fn a_header_that_the_proxy_only_hands_on_moves_nobody_elsewhere() {
        let both = |forwarded: &str| client(PROXY, &[(X_FORWARDED_FOR, "203.0.113.7"), (FORWARDED, forwarded)]).address;
        assert_eq!(both("for=203.0.113.7"), address("203.0.113.7"));
        assert_eq!(both("for=198.51.100.1"), address(PROXY));
    }

    #[test]
    fn a_proxy_that_speaks_for_itself_is_a_client() {
        assert_eq!(client("127.0.0.1", &[]), Client { address: address("127.0.0.1"), is_local: true });
        assert_eq!(client("::ffff:10.0.0.1", &[]), Client { address: address(PROXY), is_local: false });
    }

    #[test]
    fn addresses_and_networks_are_taken_and_nothing_else() {
        assert_eq!("".parse(), Ok(TrustedProxies::default()));
        assert!("::ffff:192.0.2.1".parse::<TrustedProxies>().unwrap().include(address("192.0.2.1")));
        for wrong in ["nginx", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.0/8 127.0.0.1"] {
            assert_eq!(wrong.parse::<TrustedProxies>(), Err(NotANetwork(wrong.to_owned())));
        }
    }
}

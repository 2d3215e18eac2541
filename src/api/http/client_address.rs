//! Determines the address of a request's client, which only trusted proxies may name.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use poem::http::HeaderMap;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Returns whether the peer is a trusted proxy.
#[must_use]
pub fn is_trusted(peer: IpAddr, trusted_proxies: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted_proxies.iter().any(|net| net.contains(&peer))
}

/// Returns the peer's address or, behind trusted proxies, the last address in `X-Forwarded-For` that is not one of
/// them.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(client, trusted_proxies) {
        return client;
    }
    let lists = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lists.flat_map(|list| list.split(',')).collect();
    for hop in hops.into_iter().rev() {
        let Some(hop) = hop_address(hop.trim()) else { break };
        client = hop.to_canonical();
        if !is_trusted(client, trusted_proxies) {
            break;
        }
    }
    client
}

/// Parses an address as proxies write it: alone or with a port, and an IPv6 address also in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(bracketed).or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_trusted_on_a_listener_for_both_versions_of_ip_too() {
        let nets = ["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().expect("a network"));
        for (peer, trusted) in [
            ("10.255.255.255", true),
            ("::ffff:10.0.0.0", true),
            ("11.0.0.0", false),
            ("::ffff:11.0.0.0", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(is_trusted(peer.parse().expect("an address"), &nets), trusted, "{peer}");
        }
    }
}

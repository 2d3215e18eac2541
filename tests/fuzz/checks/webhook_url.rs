//! URLs of webhooks. An input is a URL.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use orgkeys::domain::address::{LONGEST_URL, Target};
use orgkeys::domain::webhook::{check_literal, parse_url};

use super::assert_discreet;

pub fn check(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match Target::parse(text) {
        Ok(target) => {
            assert_accepted(text, &target);
            assert_destination(text, &target);
        }
        Err(error) => {
            assert_eq!(error.field, "url");
            assert_discreet(&error.to_string());
            assert!(parse_url(text).is_err() && check_literal(text, &[]).is_err());
        }
    }
}

fn assert_accepted(text: &str, target: &Target) {
    assert!(text.len() <= LONGEST_URL);
    assert_eq!(parse_url(text).as_deref(), Ok(text));
    let (authority, path) = (target.authority(), target.path());
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_plain(authority) && !authority.contains(['@', '/', '?', '#', '\\']), "{authority:?}");
    assert!(is_plain(path) && path.starts_with('/') && !path.contains('#'), "{path:?}");
    assert!(target.port() > 0 && target.name().len() <= 253);
    assert_eq!(target.name().is_empty(), target.literal().is_some());
    assert_eq!(format!("{target:?}"), format!("Target({authority})"), "only host and port are shown");
    let scheme = if target.is_https() { "https" } else { "http" };
    let printed = format!("{scheme}://{authority}{path}");
    if printed.len() <= LONGEST_URL {
        let again = Target::parse(&printed).unwrap_or_else(|error| panic!("{printed} is refused: {error}"));
        assert_eq!((again.path(), &again), (path, target), "{printed}");
    }
}

/// Checks where deliveries may go, with what the standard library knows of networks.
fn assert_destination(text: &str, target: &Target) {
    let everything: [IpNet; 2] = ["0.0.0.0/0", "::/0"].map(|net| net.parse().expect("a network"));
    let (closed, opened) = (check_literal(text, &[]), check_literal(text, &everything));
    for refusal in [&closed, &opened].into_iter().filter_map(|checked| checked.as_ref().err()) {
        assert_discreet(&refusal.to_string());
    }
    let Some(address) = target.literal() else {
        assert_eq!((closed, opened), (Ok(()), Ok(())), "a name is checked when a connection is made");
        return;
    };
    assert!(closed.is_err() || opened.is_ok(), "an open network refuses what a closed one permits");
    if closed.is_ok() {
        assert!(target.is_https() && is_public(address), "{address}");
    }
    if opened.is_ok() {
        assert!(!is_metadata(address), "{address}");
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation())
                && !(v4.is_multicast() || v4.is_unspecified() || is_shared || first == 0 || first >= 240)
        }
        IpAddr::V6(v6) => {
            let is_global = v6.segments()[0] & 0xe000 == 0x2000;
            is_global && !v6.is_unique_local() && !v6.is_unicast_link_local() && embedded(v6).is_none_or(is_public)
        }
    }
}

fn is_metadata(address: IpAddr) -> bool {
    let metadata = [[169, 254, 169, 254], [100, 100, 100, 200], [168, 63, 129, 16]].map(IpAddr::from);
    match address.to_canonical() {
        IpAddr::V6(v6) => embedded(v6).is_some_and(is_metadata),
        v4 @ IpAddr::V4(_) => metadata.contains(&v4),
    }
}

/// Returns the IPv4 address to which 6to4 or NAT64 would lead.
fn embedded(address: Ipv6Addr) -> Option<IpAddr> {
    let bytes = address.octets();
    let four = |at: usize| IpAddr::from([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    match address.segments() {
        [0x2002, ..] => Some(four(2)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(four(12)),
        _ => None,
    }
}

//! Addresses. The first line of an input is the address of the peer, the second a list of trusted proxies, and each further
//! line is a header `X-Forwarded-For`. Every line is also tried as the address that a node has.

use std::net::IpAddr;

use ipnet::IpNet;
use orgkeys::api::http::client_address::{client, is_trusted};
use orgkeys::api::http::proxied::is_proxied;
use orgkeys::domain::address::Target;
use orgkeys::domain::node::{ip_key, parse_ip, url};
use poem::http::{HeaderMap, HeaderValue};

use super::assert_discreet;

pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = |line: Option<&[u8]>| line.and_then(|line| str::from_utf8(line).ok()).unwrap_or_default().to_owned();
    let (peer, networks) = (first(lines.next()), first(lines.next()));
    let lists: Vec<HeaderValue> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    for line in input.split(|byte| *byte == b'\n').filter_map(|line| str::from_utf8(line).ok()) {
        assert_node(line);
    }
    let Some(trusted) = trusted_proxies(&networks) else { return };
    if let Ok(peer) = peer.parse() {
        assert_client(peer, &lists, &trusted);
    }
}

/// Reads a list of networks. How the setting is read is checked as a setting.
fn trusted_proxies(text: &str) -> Option<Vec<IpNet>> {
    let networks = text.split(',').map(str::trim).filter(|network| !network.is_empty());
    networks.map(|network| network.parse().ok().or_else(|| network.parse().map(IpAddr::into).ok())).collect()
}

fn assert_client(peer: IpAddr, lists: &[HeaderValue], trusted: &[IpNet]) {
    let with = |lists: &[HeaderValue]| {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append("x-forwarded-for", list.clone());
        }
        assert_eq!(is_proxied(&headers), !lists.is_empty());
        client(peer, &headers, trusted)
    };
    let found = with(lists);
    assert_eq!(found, found.to_canonical());
    if !is_trusted(peer, trusted) {
        assert_eq!(found, peer.to_canonical(), "a peer that is not trusted names its client");
    }
    // A client writes what it likes before what a trusted proxy appends.
    if !is_trusted(found, trusted) {
        for written in ["192.0.2.66", "nonsense, ,", "10.0.0.1", "::ffff:127.0.0.1, [::1]"] {
            let mut forged = vec![HeaderValue::from_static(written)];
            forged.extend_from_slice(lists);
            assert_eq!(with(&forged), found, "the client chose its address");
        }
    }
    if let Some(last) = lists.last().and_then(|list| list.to_str().ok())
        && let Ok(last) = last.rsplit(',').next().unwrap_or_default().trim().parse::<IpAddr>()
        && is_trusted(peer, trusted)
        && !is_trusted(last, trusted)
    {
        assert_eq!(found, last.to_canonical(), "the trusted proxy named another client");
    }
}

fn assert_node(text: &str) {
    let Ok(ip) = parse_ip(text).inspect_err(|error| assert_discreet(&error.to_string())) else { return };
    assert_eq!(ip, text);
    let key = ip_key(&ip);
    assert_eq!(ip_key(&key), key, "{ip:?}");
    assert!(ip.parse::<IpAddr>().is_err() || key.parse::<IpAddr>().is_ok());
    if let Some(shown) = url(&ip) {
        let target = Target::parse(&shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert!(target.is_https() && target.path() == "/", "{shown}");
        assert_eq!(url(target.authority()).as_deref(), Some(&*shown), "{ip:?}");
    }
}

//! Tests of which URLs and addresses are accepted.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn opened(nets: &[&str]) -> Vec<IpNet> {
    nets.iter().map(|net| net.parse().expect("a network")).collect()
}

fn reach(address: &str, nets: &[&str]) -> Result<(), &'static str> {
    may_reach(address.parse().expect(address), &opened(nets))
}

#[test]
fn a_plain_url_is_parsed_into_its_parts() {
    let target = Target::parse("https://Hooks.Example.org/a/b?c=d").expect("a target");
    assert_eq!((target.name(), target.port(), target.is_https()), ("hooks.example.org", 443, true));
    assert_eq!((target.authority(), target.path()), ("hooks.example.org", "/a/b?c=d"));
    let target = Target::parse("HTTP://[2001:DB8::1]:8080").expect("a target");
    assert_eq!((target.name(), target.port(), target.is_https()), ("", 8080, false));
    assert_eq!((target.authority(), target.path()), ("[2001:db8::1]:8080", "/"));
    assert_eq!(format!("{target:?}"), "Target([2001:db8::1]:8080)");
    assert_eq!(Target::parse("https://bücher.example/").expect("a target").name(), "xn--bcher-kva.example");
}

#[test]
fn ambiguous_and_invalid_urls_are_refused() {
    for url in [
        "",
        "example.org",
        "//example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https:example.org",
        "https:/example.org",
        "https:///example.org",
        "https://",
        "https://:443/",
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://@example.org/",
        "https://example.org@127.0.0.1/",
        "https://example.org/#part",
        "https://example.org/#",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:x/",
        "https://example.org\\@127.0.0.1/",
        "https:\\\\example.org",
        " https://example.org",
        "https://exa\tmple.org",
        "https://example.org/\n",
        "https://exa mple.org/",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://1.2.3.4.5/",
        "https://256.256.256.256/",
        "https://0x100000000/",
        "https://./",
        "https://%00/",
        "https://a%2fb/",
        "https://a<b/",
        "data:text/plain,hello",
        "javascript:alert(1)",
        "unix:///run/docker.sock",
        "https+unix://x/",
        "https://exa\u{a0}mple.org/",
        "https://exa\u{200b}mple.org/",
        "https://example.org/\u{202e}gpj",
    ] {
        assert!(Target::parse(url).is_err(), "{url}");
    }
    let url = |path: usize| format!("https://a.example/{}", "x".repeat(path - 18));
    assert!(Target::parse(&url(2_048)).is_ok());
    assert!(Target::parse(&url(2_049)).is_err());
    let host = |labels: usize, last: usize| format!("https://{}{}/", "a.".repeat(labels), "b".repeat(last));
    assert!(Target::parse(&host(100, 53)).is_ok());
    assert!(Target::parse(&host(100, 54)).is_err());
}

#[test]
fn unusual_notations_of_an_address_are_recognized() {
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1.",
        "0x7F.0.0.0x1",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "127.0.0.00001",
    ] {
        let target = Target::parse(&format!("https://{host}/")).expect(host);
        assert_eq!(target.literal(), Some("127.0.0.1".parse().expect("an address")), "{host}");
    }
}

#[test]
fn public_addresses_may_be_reached() {
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "198.17.0.1",
        "223.255.255.255",
    ] {
        assert_eq!(reach(address, &[]), Ok(()), "{address}");
    }
    for address in ["2606:4700:4700::1111", "2a00:1450:4001:800::200e", "2001:4860:4860::8888", "2001:200::1"] {
        assert_eq!(reach(address, &[]), Ok(()), "{address}");
    }
}

#[test]
fn internal_and_reserved_addresses_may_not_be_reached() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.1.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "64:ff9b:1:7f00:0:100::",
        "100::1",
        "2001::1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "4000::1",
        "2606:4700::5efe:127.0.0.1",
        "2606:4700::200:5efe:10.0.0.1",
    ] {
        assert!(reach(address, &[]).is_err(), "{address}");
    }
}

/// Every network that is closed by default, and a word of the reason.
const CLOSED: [(&str, &str); 22] = [
    ("0.0.0.0/8", "reserved"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "private"),
    ("127.0.0.0/8", "private"),
    ("169.254.0.0/16", "private"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "reserved"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "reserved"),
    ("198.51.100.0/24", "reserved"),
    ("203.0.113.0/24", "reserved"),
    ("224.0.0.0/4", "reserved"),
    ("240.0.0.0/4", "reserved"),
    // All but 2000::/3. The first address, `::`, embeds no other.
    ("::/3", "private"),
    ("4000::/2", "private"),
    ("8000::/1", "private"),
    ("2001::/23", "mapped"),
    ("2001:db8::/32", "reserved"),
    ("2002::/16", "mapped"),
    ("3fff::/20", "reserved"),
];

#[test]
fn each_closed_network_begins_and_ends_where_it_should() {
    let is_closed = |address: &IpAddr| CLOSED.iter().any(|(net, _)| opened(&[net])[0].contains(address));
    let beside = |address: IpAddr, step: i8| match address {
        IpAddr::V4(v4) => v4.to_bits().checked_add_signed(step.into()).map(|bits| Ipv4Addr::from_bits(bits).into()),
        IpAddr::V6(v6) => v6.to_bits().checked_add_signed(step.into()).map(|bits| Ipv6Addr::from_bits(bits).into()),
    };
    let mut outside = 0;
    for (net, word) in CLOSED {
        let network = opened(&[net])[0];
        let (first, last) = (network.network(), network.broadcast());
        for inside in [first, last] {
            let refused = may_reach(inside, &[]).expect_err(net);
            assert!(refused.contains(word), "{inside} of {net}: {refused}");
            // Where an IPv6 address stands for an IPv4 address, that must be opened too.
            let both = opened(&[net, "0.0.0.0/0"]);
            assert_eq!(may_reach(inside, &both), Ok(()), "{inside} of {net}");
        }
        for beyond in [beside(first, -1), beside(last, 1)].into_iter().flatten().filter(|address| !is_closed(address)) {
            assert_eq!(may_reach(beyond, &[]), Ok(()), "{beyond} beside {net}");
            outside += 1;
        }
    }
    assert_eq!(outside, 36, "all edges but the ends, and those between two closed networks");
}

#[test]
fn permitting_a_network_does_not_permit_its_embedded_ipv6_forms() {
    assert_eq!(reach("127.0.0.1", &["127.0.0.0/8"]), Ok(()));
    assert_eq!(reach("192.168.1.5", &["10.0.0.0/8", "192.168.1.5/32"]), Ok(()));
    assert_eq!(reach("fd00::5", &["fd00::/8"]), Ok(()));
    assert!(reach("192.168.1.6", &["192.168.1.5/32"]).is_err());
    assert!(reach("::ffff:127.0.0.1", &["127.0.0.0/8"]).is_err());
    assert!(reach("::ffff:127.0.0.1", &["::/0"]).is_err());
    assert!(reach("64:ff9b::7f00:1", &["64:ff9b::/96"]).is_err());
    assert_eq!(reach("64:ff9b::808:808", &["64:ff9b::/96"]), Ok(()));
    assert_eq!(reach("::ffff:127.0.0.1", &["::/0", "127.0.0.0/8"]), Ok(()));
}

#[test]
fn metadata_services_are_never_permitted_in_any_notation() {
    for address in [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd00:ec2:1::254",
        "fd00:a9fe:a9fe::1",
        "fd00:c1::a9fe:a9fe",
        "fd00:100::100:200",
        "fd20:ce::254",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001::5601:5601",
        "fe80::5efe:169.254.169.254",
        "::ffff:100.100.100.200",
    ] {
        for opened in [&["0.0.0.0/0", "::/0"][..], &["fc00::/7", "fe80::/10"], &[]] {
            assert!(reach(address, opened).is_err(), "{address}: {opened:?}");
        }
    }
}

/// RFC 6052, section 2.2: an IPv4 address may begin at any of these bits, and is interrupted by the bits 64 to 71. A translator
/// ignores what is behind it, so whoever chooses the address can make everything else in it public.
#[test]
fn an_address_behind_a_local_translator_is_found_at_each_place() {
    for (bit, address) in [
        (48, "64:ff9b:1:a9fe:a9:fe08:808:808"),
        (56, "64:ff9b:1:8a9:fe:a9fe:808:808"),
        (64, "64:ff9b:1:808:a9:fea9:fe08:808"),
        (96, "64:ff9b:1:808:8:808:a9fe:a9fe"),
    ] {
        let refused = Err("the address is a cloud metadata service, which is never permitted");
        assert_eq!(reach(address, &["0.0.0.0/0", "::/0"]), refused, "{bit}");
    }
    assert_eq!(reach("64:ff9b:1:808:8:808:808:808", &["64:ff9b:1::/48"]), Ok(()), "8.8.8.8 at each place");
}

#[test]
fn each_metadata_service_is_blocked_alone_whatever_is_permitted() {
    let blocked = "the address is a cloud metadata service, which is never permitted";
    for (address, neighbours) in [
        ("169.254.169.254", ["169.254.169.255", "169.254.169.252"]),
        ("169.254.169.253", ["169.254.169.252", "169.254.169.255"]),
        ("169.254.169.123", ["169.254.169.122", "169.254.169.124"]),
        ("169.254.170.2", ["169.254.170.1", "169.254.170.3"]),
        ("169.254.170.23", ["169.254.170.22", "169.254.170.24"]),
        ("169.254.0.23", ["169.254.0.22", "169.254.0.24"]),
        ("169.254.42.42", ["169.254.42.41", "169.254.42.43"]),
        ("100.100.100.200", ["100.100.100.199", "100.100.100.201"]),
        ("168.63.129.16", ["168.63.129.15", "168.63.129.17"]),
        ("192.0.0.192", ["192.0.0.191", "192.0.0.193"]),
        ("fd00:ec2::", ["fd00:ec1:ffff:ffff:ffff:ffff:ffff:ffff", "fd00:ec3::"]),
        ("fd00:ec2:ffff:ffff:ffff:ffff:ffff:ffff", ["fd00:ec1:ffff:ffff:ffff:ffff:ffff:ffff", "fd00:ec3::"]),
        ("fd00:42::42", ["fd00:42::41", "fd00:42::43"]),
        ("fd20:ce::254", ["fd20:ce::253", "fd20:ce::255"]),
        ("fd00:a9fe:a9fe::1", ["fd00:a9fe:a9fe::", "fd00:a9fe:a9fe::2"]),
        ("fe80::a9fe:a9fe", ["fe80::a9fe:a9fd", "fe80::a9fe:a9ff"]),
        ("fd00:c1::a9fe:a9fe", ["fd00:c1::a9fe:a9fd", "fd00:c1::a9fe:a9ff"]),
        ("fd00:100::100:200", ["fd00:100::100:1ff", "fd00:100::100:201"]),
    ] {
        for nets in
            [&["0.0.0.0/0", "::/0"][..], &[&format!("{address}/{}", if address.contains(':') { 128 } else { 32 })], &[]]
        {
            assert_eq!(reach(address, nets), Err(blocked), "{address}: {nets:?}");
        }
        for neighbour in neighbours {
            assert_eq!(reach(neighbour, &["0.0.0.0/0", "::/0"]), Ok(()), "{neighbour}");
        }
    }
}

#[test]
fn plain_http_reaches_only_permitted_networks() {
    let (http, https) = (Target::parse("http://a.example/"), Target::parse("https://a.example/"));
    let (http, https) = (http.expect("a target"), https.expect("a target"));
    let (public, home) = ("8.8.8.8".parse().expect("an address"), "10.0.0.1".parse().expect("an address"));
    let opened = opened(&["10.0.0.0/8"]);
    assert_eq!(https.may_reach(public, &opened), Ok(()));
    assert!(http.may_reach(public, &opened).is_err());
    assert_eq!(http.may_reach(home, &opened), Ok(()));
    assert_eq!(https.may_reach(home, &opened), Ok(()));
    assert!(https.may_reach(home, &[]).is_err());
}

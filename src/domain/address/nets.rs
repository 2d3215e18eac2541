//! Which networks lead where? The special ones of IANA's registries (RFC 6890 and its followers), and the addresses within addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOCAL: &str = "the address is in a private network; webhook_allow opens one";
const NOWHERE: &str = "the address is reserved and leads to no receiver; webhook_allow opens a network";
const STANDS_IN: &str =
    "the address stands for another one (mapped, translated or tunnelled); webhook_allow opens it where it opens both";

/// IPv4 that is not delivered to: first address, length of the prefix, why.
const V4: [(Ipv4Addr, u32, &str); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8, NOWHERE),
    (Ipv4Addr::new(10, 0, 0, 0), 8, LOCAL),
    (Ipv4Addr::new(100, 64, 0, 0), 10, LOCAL),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOCAL),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, LOCAL),
    (Ipv4Addr::new(192, 0, 0, 0), 24, NOWHERE),
    (Ipv4Addr::new(192, 0, 2, 0), 24, NOWHERE),
    (Ipv4Addr::new(192, 88, 99, 0), 24, NOWHERE),
    (Ipv4Addr::new(192, 168, 0, 0), 16, LOCAL),
    (Ipv4Addr::new(198, 18, 0, 0), 15, NOWHERE),
    (Ipv4Addr::new(198, 51, 100, 0), 24, NOWHERE),
    (Ipv4Addr::new(203, 0, 113, 0), 24, NOWHERE),
    // Multicast; all above it is reserved, up to broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 4, NOWHERE),
    (Ipv4Addr::new(240, 0, 0, 0), 4, NOWHERE),
    (Ipv4Addr::BROADCAST, 32, NOWHERE),
];

/// The only IPv6 that is global: `2000::/3`, and what is not within it.
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const V6: [(Ipv6Addr, u32, &str); 4] = [
    // Teredo (2001::/32), benchmarking, ORCHID and other protocols' own.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, STANDS_IN),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, NOWHERE),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, STANDS_IN),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, NOWHERE),
];

/// Where clouds hand out credentials and settings to whoever asks from within: Amazon, Azure, Google, Oracle, `OpenStack`
/// and others (169.254.169.254), and the own ones of Amazon, Alibaba, Azure, Oracle, Tencent, Scaleway and Google.
const METADATA_V4: [Ipv4Addr; 10] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 169, 123),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// Those of IPv6: Amazon's, Scaleway's, Google's, Akamai's, the one of `OpenStack` and of whoever builds on it, Oracle's, and
/// Alibaba's.
const METADATA_V6: [(Ipv6Addr, u32); 7] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), 128),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200), 128),
];

/// Whether a cloud's metadata service is at this address.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.iter().any(|(net, length)| within_v6(address, *net, *length)),
    }
}

/// Why this address is not delivered to unless it is opened; `None` if it leads out.
pub(super) fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            V4.iter().find(|(net, length, _)| within_v4(address, *net, *length)).map(|(_, _, why)| *why)
        }
        IpAddr::V6(address) if !inner(address.into()).is_empty() => Some(STANDS_IN),
        IpAddr::V6(address) if !within_v6(address, GLOBAL.0, GLOBAL.1) => Some(LOCAL),
        IpAddr::V6(address) => {
            V6.iter().find(|(net, length, _)| within_v6(address, *net, *length)).map(|(_, _, why)| *why)
        }
    }
}

/// The IPv4 addresses that an IPv6 address may lead to by some way of mapping, translating or tunnelling.
pub(super) fn inner(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let words = address.segments();
    let pair = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    let last = pair(words[6], words[7]);
    match words {
        // Neither is one of IPv4.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // Compatible (RFC 4291, 2.5.5.1), mapped (2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => vec![last],
        [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // Local NAT64 (RFC 8215): within 64:ff9b:1::/48 the address may lie at each of the places of RFC 6052, 2.2.
        [0x64, 0xff9b, 1, third, fourth, fifth, ..] => {
            let after_56 = pair(third << 8 | (fourth & 0xff), fifth);
            vec![
                last,
                pair(third, fourth << 8 | fifth >> 8),
                after_56,
                pair((fourth << 8) | (fifth >> 8), (fifth << 8) | (words[6] >> 8)),
            ]
        }
        // 6to4 (RFC 3056), Teredo (RFC 4380: its server, and its client inverted).
        [0x2002, high, low, ..] => vec![pair(high, low)],
        [0x2001, 0, high, low, ..] => vec![pair(high, low), pair(!words[6], !words[7])],
        // ISATAP (RFC 5214).
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => vec![last],
        _ => Vec::new(),
    }
}

fn within_v4(address: Ipv4Addr, net: Ipv4Addr, length: u32) -> bool {
    (address.to_bits() ^ net.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0
}

fn within_v6(address: Ipv6Addr, net: Ipv6Addr, length: u32) -> bool {
    (address.to_bits() ^ net.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
}

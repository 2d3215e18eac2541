//! Special-purpose networks from the IANA registries (RFC 6890 and its successors), and IPv4 addresses embedded in IPv6
//! addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const LOCAL: &str = "the address is in a private network; to permit it, add the network to webhook_allow";
const NOWHERE: &str = "the address is reserved; to permit it, add its network to webhook_allow";
const STANDS_IN: &str =
    "the address is mapped, translated or tunnelled to another one; to permit it, add both networks to webhook_allow";

/// IPv4 networks that are not permitted by default: first address, prefix length, reason.
const V4: [(Ipv4Addr, u32, &str); 14] = [
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
    // Multicast, and everything above it, which is reserved up to the broadcast address.
    (Ipv4Addr::new(224, 0, 0, 0), 3, NOWHERE),
];

/// The only global range of IPv6, `2000::/3`, and the networks in it that are not permitted by default, beside those
/// whose addresses stand for IPv4 addresses ([`inner`]).
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const V6: [(Ipv6Addr, u32, &str); 3] = [
    // Teredo (2001::/32), benchmarking, ORCHID and other protocol assignments.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, STANDS_IN),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, NOWHERE),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, NOWHERE),
];

/// Addresses at which clouds serve credentials and settings to their machines: 169.254.169.254 of Amazon, Azure,
/// Google, Oracle, `OpenStack` and others, then those specific to Amazon, Alibaba, Azure, Oracle, Tencent, Scaleway and
/// Google.
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
/// The IPv6 ones: those of Amazon, Scaleway, Google, Akamai, `OpenStack` and clouds built on it, Oracle, and Alibaba.
const METADATA_V6: [(Ipv6Addr, u32); 7] = [
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128),
    (Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128),
    (Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1), 128),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe), 128),
    (Ipv6Addr::new(0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200), 128),
];

/// Returns whether the address belongs to a cloud's metadata service.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.iter().any(|(net, length)| within_v6(address, *net, *length)),
    }
}

/// Returns why this address is not permitted by default; `None` if it is a public address.
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

/// Returns the IPv4 addresses to which an IPv6 address may be mapped, translated or tunnelled.
pub(super) fn inner(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return Vec::new() };
    let words = address.segments();
    let pair = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    let last = pair(words[6], words[7]);
    match words {
        // The unspecified address and loopback embed no IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        // Compatible (RFC 4291, 2.5.5.1), mapped (2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => vec![last],
        [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // Local NAT64 (RFC 8215): in 64:ff9b:1::/48 the IPv4 address may be at any of the positions of RFC 6052,
        // section 2.2.
        [0x64, 0xff9b, 1, third, fourth, fifth, ..] => {
            let after_56 = pair(third << 8 | (fourth & 0xff), fifth);
            vec![
                last,
                pair(third, fourth << 8 | fifth >> 8),
                after_56,
                pair((fourth << 8) | (fifth >> 8), (fifth << 8) | (words[6] >> 8)),
            ]
        }
        // 6to4 (RFC 3056); Teredo (RFC 4380): its server, and its client with inverted bits.
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

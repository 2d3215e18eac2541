//! Nodes: machines of an organization that authenticate by signing their registration with an organization key.

use std::net::IpAddr;
use std::time::Duration;

use super::address::Target;
use super::id::{NodeId, OrgId, OrgKeyId};
use super::text::{self, InvalidField};
use super::time::Time;

/// The maximum of the setting that limits how far a signed timestamp may differ from the server's time.
pub const WIDEST_WINDOW: Duration = Duration::from_mins(15);

/// The maximum of the setting that limits nodes per organization.
pub const MOST_PER_ORG: u32 = 1_000_000;

/// The defined bits of `nodeServices`: STORAGE 1, AILLM 2, CHAT 4.
const SERVICES: i64 = 0b111;

/// Integer timestamps from here on are milliseconds, smaller ones seconds (10^11 s is the year 5138).
const FIRST_MILLISECONDS: i64 = 100_000_000_000;

/// The end of the year 9999, in milliseconds: the latest moment that is accepted.
const LAST_MILLISECOND: i64 = 253_402_300_799_999;

/// A registered node.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's id.
    pub id: NodeId,
    /// The organization that it belongs to.
    pub org: OrgId,
    /// What the node reports about itself.
    pub profile: NodeProfile,
    /// The key that verified its last registration, as long as that key exists.
    pub key: Option<OrgKeyId>,
    /// When its last signed call was accepted.
    pub last_contact: Time,
    /// When an administrator deleted it, if it is deleted.
    pub deleted_at: Option<Time>,
}

impl Node {
    /// Returns when the node fell silent, if it is silent at `now`: that is `patience` after its last contact.
    #[must_use]
    pub fn silent_since(&self, patience: Duration, now: Time) -> Option<Time> {
        let since = self.last_contact.plus(patience);
        (self.deleted_at.is_none() && since <= now).then_some(since)
    }
}

/// What a node reports about itself when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeProfile {
    /// Its address, as last signed: 1 to 253 printable characters. [`ip_key`] is unique within the organization.
    pub ip: String,
    /// Its region, as signed.
    pub region: String,
    /// The cloud it runs on; empty if not reported.
    pub provider: String,
    /// Free text, never used for authorization.
    pub status: String,
    /// The version of its software.
    pub version: String,
    /// The services it offers.
    pub services: Services,
}

/// A set of services: STORAGE 1, AILLM 2, CHAT 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services(u8);

impl Services {
    /// Parses a sum of bits, 0 to 7.
    pub fn parse(bits: i64) -> Result<Self, InvalidField> {
        u8::try_from(bits)
            .ok()
            .filter(|bits| i64::from(*bits) <= SERVICES)
            .map(Self)
            .ok_or_else(|| InvalidField::new("nodeServices", "must be a sum of STORAGE 1, AILLM 2 and CHAT 4: 0 to 7"))
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// Whether a node calls as it should. A node that is deleted is neither of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It has called lately.
    Active,
    /// It has not called for so long that it counts as silent.
    Silent,
    /// An administrator deleted it.
    Deleted,
}

/// Selects nodes of an organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFilter {
    /// Nodes that offer any of these services; no service means all nodes.
    pub services: Services,
    /// Nodes whose last registration this key verified.
    pub key: Option<OrgKeyId>,
    /// Nodes in this state; `None` means all that are not deleted.
    pub state: Option<NodeState>,
    /// Nodes of this region.
    pub region: Option<String>,
    /// Nodes whose address, region or version contains this text in any letter case (ASCII), or whose id it is.
    pub search: Option<String>,
}

/// When a node signed, as it claims: the text in the signed message, and the moment that it denotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAt {
    /// The text as sent.
    pub text: String,
    /// The moment.
    pub time: Time,
}

impl SignedAt {
    /// Parses decimal digits (seconds, or milliseconds from 10^11 on) or RFC 3339.
    pub fn parse(text: &str) -> Result<Self, InvalidField> {
        let time = if text.len() <= 18 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            text.parse().ok().map(Self::moment)
        } else {
            (text.len() <= 40).then(|| Time::parse_rfc3339(text)).flatten()
        };
        let problem = "must be a whole number of Unix seconds or milliseconds, or RFC 3339 with an offset such as 2024-01-15T10:30:00Z";
        let time = time.filter(|time| time.millis() <= LAST_MILLISECOND);
        let time = time.ok_or_else(|| InvalidField::new("timestamp", problem))?;
        Ok(Self { text: text.to_owned(), time })
    }

    fn moment(number: i64) -> Time {
        Time::from_millis(if number < FIRST_MILLISECONDS { number * 1_000 } else { number })
    }
}

/// Parses an address: 1 to 253 characters of text without `|`.
pub fn parse_ip(value: &str) -> Result<String, InvalidField> {
    text::parse_signed("ip", value, 1..=253)
}

/// Returns what identifies a node within its organization: its IP address in canonical form, or else the text itself.
#[must_use]
pub fn ip_key(ip: &str) -> String {
    ip_address(ip).map_or_else(|| ip.to_owned(), |address| address.to_string())
}

/// Returns the URL of a node with this address; `None` if the text is no host, with or without a port.
#[must_use]
pub fn url(ip: &str) -> Option<String> {
    match ip_address(ip) {
        Some(IpAddr::V4(address)) => Some(format!("https://{address}")),
        Some(IpAddr::V6(address)) => Some(format!("https://[{address}]")),
        None => named_url(ip),
    }
}

/// Parses an IP address in any of its spellings, also with the brackets that IPv6 addresses have in URLs.
fn ip_address(ip: &str) -> Option<IpAddr> {
    let bracketed = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).filter(|ip| ip.contains(':'));
    bracketed.unwrap_or(ip).parse().ok().map(|address: IpAddr| address.to_canonical())
}

fn named_url(ip: &str) -> Option<String> {
    let url = format!("https://{ip}");
    // Path, query and fragment are no part of a host.
    let target = Target::parse(&url).ok().filter(|_| !ip.contains(['/', '?', '#']))?;
    // URL parsers read a number such as 012 or 65536 as an IPv4 address; whoever signed it meant something else.
    let host = ip.rsplit_once(':').map_or(ip, |(host, _)| host);
    let meant = target.literal().is_none_or(|address| ip_address(host) == Some(address.to_canonical()));
    meant.then(|| format!("https://{}", target.authority()))
}

/// Parses a region: 1 to 64 characters of text without `|`.
pub fn parse_region(value: &str) -> Result<String, InvalidField> {
    text::parse_signed("region", value, 1..=64)
}

/// Parses a text to search nodes by: 1 to 253 characters.
pub fn parse_search(value: &str) -> Result<String, InvalidField> {
    text::parse("search", value, 1..=253)
}

/// Parses S3, GCS, AZURE, AWS or GCP in any letter case; absent and empty both mean "not reported".
pub fn parse_provider(value: Option<&str>) -> Result<String, InvalidField> {
    let provider = value.unwrap_or_default().to_ascii_uppercase();
    match provider.as_str() {
        "" | "S3" | "GCS" | "AZURE" | "AWS" | "GCP" => Ok(provider),
        _ => Err(InvalidField::new("provider", "must be S3, GCS, AZURE, AWS or GCP, or be omitted")),
    }
}

/// Parses a status: up to 32 characters of free text.
pub fn parse_status(value: &str) -> Result<String, InvalidField> {
    text::parse("status", value, 0..=32)
}

/// Parses a version: up to 64 characters of free text.
pub fn parse_version(value: &str) -> Result<String, InvalidField> {
    text::parse("version", value, 0..=64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timestamp_format_is_parsed_to_the_same_time() {
        for text in ["1705314600", "1705314600000", "2024-01-15T10:30:00Z", "2024-01-15T12:30:00.000+02:00"] {
            let signed = SignedAt::parse(text).expect(text);
            assert_eq!((signed.time.millis(), signed.text.as_str()), (1_705_314_600_000, text));
        }
        assert_eq!(SignedAt::parse("99999999999").expect("seconds").time.millis(), 99_999_999_999_000);
        assert_eq!(SignedAt::parse("100000000000").expect("milliseconds").time.millis(), 100_000_000_000);
        let last = SignedAt::parse("000253402300799999").expect("18 digits, and the last moment");
        assert_eq!(last.time.millis(), LAST_MILLISECOND);
        for text in ["253402300800000", "0000000001705314600", "9999-12-31T23:59:59-00:01"] {
            assert!(SignedAt::parse(text).is_err(), "{text}");
        }
        for text in ["", "-1", "1705314600.5", "1.7e9", "2024-01-15T10:30:00", "9999999999999999999"] {
            assert!(SignedAt::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_has_one_key_in_every_spelling_and_a_name_is_its_own() {
        for (spellings, key) in [
            (&["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8::0001", "[2001:db8::1]"][..], "2001:db8::1"),
            (&["192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201", "[::ffff:192.0.2.1]"], "192.0.2.1"),
            (&["::", "0:0:0:0:0:0:0:0"], "::"),
        ] {
            for spelling in spellings {
                assert_eq!(ip_key(spelling), key, "{spelling}");
            }
        }
        for text in ["edge", "Edge", "192.0.2.01", "192.0.2", "[192.0.2.1]", "fe80::1%eth0", "192.0.2.1 ", "[::1", "1"]
        {
            assert_eq!(ip_key(text), text);
        }
    }

    #[test]
    fn a_url_is_made_only_of_a_host() {
        for (ip, expected) in [
            ("192.0.2.1", "https://192.0.2.1"),
            ("192.0.2.1:8443", "https://192.0.2.1:8443"),
            ("2001:DB8:0::1", "https://[2001:db8::1]"),
            ("[2001:db8::1]", "https://[2001:db8::1]"),
            ("[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
            ("::ffff:192.0.2.1", "https://192.0.2.1"),
            ("edge-1.example.org", "https://edge-1.example.org"),
            ("edge_1", "https://edge_1"),
            ("edge.example.org:8443", "https://edge.example.org:8443"),
            ("bücher.example", "https://xn--bcher-kva.example"),
        ] {
            assert_eq!(url(ip).as_deref(), Some(expected), "{ip}");
        }
        for ip in [
            "edge 1",
            "192.0.2.1 ",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "a\\b",
            "a:b:c",
            "a:65536",
            "fe80::1%eth0",
            "[::1",
            "::1]",
            ":80",
            "192.0.2.01",
            "0x7f.1",
            "1",
            "65536:80",
            "1.2.3.4.5",
            "a<b",
            "a%2fb",
            ".",
            "https://a",
            "2001:db8::1:g",
        ] {
            assert_eq!(url(ip), None, "{ip}");
        }
    }

    #[test]
    fn fields_of_a_node_are_validated() {
        assert!(parse_ip(&"a".repeat(253)).is_ok() && parse_ip(&"a".repeat(254)).is_err());
        assert!(parse_ip("").is_err() && parse_ip("1|2").is_err() && parse_ip("1\n2").is_err());
        assert!(parse_status(&"s".repeat(32)).is_ok() && parse_status(&"s".repeat(33)).is_err());
        assert!(Services::parse(7).is_ok() && Services::parse(8).is_err() && Services::parse(-1).is_err());
        assert_eq!(parse_provider(Some("aws")).as_deref(), Ok("AWS"));
        assert!(parse_provider(None).is_ok() && parse_provider(Some("IBM")).is_err());
    }
}

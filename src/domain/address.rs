//! Where may a webhook go? To a URL with one plain meaning, and to an address that leads out of the house or into a network that was opened.

mod nets;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Position, Url};

use super::text::InvalidField;

/// The most bytes of a URL.
pub const LONGEST_URL: usize = 2_048;

/// The most bytes of a name (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// A URL that a webhook may have. Whether its address may be reached is known only where it is connected to.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    https: bool,
    host: Host<String>,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    /// Reads a URL: http or https, a host, a port other than 0; no userinfo, no fragment, and nothing that readers of URLs
    /// are known to disagree on. Every spelling of an IPv4 address (decimal, octal, hexadecimal, short) becomes that address.
    pub fn parse(text: &str) -> Result<Self, InvalidField> {
        let refuse = |problem: &str| Err(InvalidField::new("url", problem));
        if text.len() > LONGEST_URL {
            return refuse("must have at most 2048 bytes");
        }
        // A reader as browsers have it strips or turns these silently; what was meant is anybody's guess.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return refuse("must not contain control characters, spaces or backslashes");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return refuse("must begin with https:// or http://") };
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return refuse("must begin with https:// or http://");
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return refuse("must not contain a user name or a password");
        }
        if authority.is_empty() || authority.starts_with(':') {
            return refuse("must name a host");
        }
        let Ok(url) = Url::parse(text) else { return refuse("must be a URL such as https://example.org/hook") };
        if url.fragment().is_some() {
            return refuse("must not contain a fragment, which is never sent");
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if name.len() <= LONGEST_NAME && !name.trim_end_matches('.').is_empty() => {
                Host::Domain(name.to_owned())
            }
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            Some(Host::Domain(_)) | None => return refuse("must name a host of at most 253 bytes"),
        };
        let Some(port) = url.port_or_known_default().filter(|port| *port != 0) else {
            return refuse("must not have port 0");
        };
        let authority = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let path = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Self { https, host, port, authority, path })
    }

    /// Whether it is encrypted on the way.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The address that the URL states itself, if it has no name to look up.
    #[must_use]
    pub const fn literal(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// The name to look up and to ask the certificate for; empty if the URL states an address.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.host {
            Host::Domain(name) => name,
            Host::Ipv4(_) | Host::Ipv6(_) => "",
        }
    }

    /// The port, 1 or more.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as HTTP's `Host` states them.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query, as they are asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it may be delivered to this address: [`may_reach`], and in the clear only where a network was opened, since
    /// whoever listens in between could read the events and answer in the receiver's place.
    pub fn may_reach(&self, address: IpAddr, opened: &[IpNet]) -> Result<(), &'static str> {
        may_reach(address, opened)?;
        if self.https || is_opened(address, opened) {
            Ok(())
        } else {
            Err("http:// goes only to networks that webhook_allow opens; use https://")
        }
    }
}

/// The host alone: a path is often the receiver's secret.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.authority)
    }
}

/// Whether anything may be sent to this address; an error says in words why not.
///
/// An address that stands for another one (mapped, translated, tunnelled) is opened only if both are; the addresses at
/// which clouds hand out credentials never are.
pub fn may_reach(address: IpAddr, opened: &[IpNet]) -> Result<(), &'static str> {
    let inner = nets::inner(address);
    if nets::is_metadata(address) || inner.iter().any(|inner| nets::is_metadata((*inner).into())) {
        return Err("the address is a cloud's metadata service, which is never opened");
    }
    if !is_opened(address, opened) {
        return nets::refused(address).map_or(Ok(()), Err);
    }
    inner.into_iter().try_for_each(|inner| may_reach(inner.into(), opened))
}

fn is_opened(address: IpAddr, opened: &[IpNet]) -> bool {
    opened.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(nets: &[&str]) -> Vec<IpNet> {
        nets.iter().map(|net| net.parse().expect("a network")).collect()
    }

    fn reach(address: &str, nets: &[&str]) -> Result<(), &'static str> {
        may_reach(address.parse().expect(address), &opened(nets))
    }

    #[test]
    fn a_plain_url_is_taken_apart() {
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
    fn what_has_no_plain_meaning_is_refused() {
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
    fn odd_spellings_of_an_address_are_that_address() {
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
    fn what_leads_out_of_the_house_may_be_reached() {
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
    fn what_leads_into_the_house_or_nowhere_may_not() {
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

    #[test]
    fn a_network_is_opened_by_its_name_and_no_other_spelling() {
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
    fn metadata_services_are_never_opened_in_any_spelling() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
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
            assert!(reach(address, &["0.0.0.0/0", "::/0"]).is_err(), "{address}");
            assert!(reach(address, &[]).is_err(), "{address}");
        }
    }

    #[test]
    fn in_the_clear_only_opened_networks_are_reached() {
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
}

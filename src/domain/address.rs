//! Destinations of webhooks: unambiguous URLs, and public addresses or addresses in networks that the configuration
//! allows.

mod nets;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Position, Url};

use super::text::{InvalidField, is_default_ignorable};

/// The maximum length of a URL, in bytes.
pub const LONGEST_URL: usize = 2_048;

/// The maximum length of a host name, in bytes (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// A URL that a webhook may have. Whether its address may be reached is known only when the connection is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    https: bool,
    host: Host<String>,
    port: u16,
    authority: String,
    path: String,
}

impl Target {
    /// Parses a URL: http or https, a host, and a port other than 0; no user information, no fragment, and nothing that
    /// URL parsers are known to disagree on. Every spelling of an IPv4 address (decimal, octal, hexadecimal, short) is
    /// normalized to that address.
    pub fn parse(text: &str) -> Result<Self, InvalidField> {
        let refuse = |problem: &str| Err(InvalidField::new("url", problem));
        if text.len() > LONGEST_URL {
            return refuse("must be at most 2048 bytes long");
        }
        // URL parsers that follow browsers strip or convert these silently, so the intended URL cannot be known.
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || is_default_ignorable(c) || c == '\\') {
            return refuse("must not contain control characters, spaces, invisible characters or backslashes");
        }
        let Some((scheme, rest)) = text.split_once("://") else { return refuse("must start with https:// or http://") };
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return refuse("must start with https:// or http://");
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

    /// Returns whether the scheme is https.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.https
    }

    /// The address in the URL, or `None` if the URL contains a host name.
    #[must_use]
    pub const fn literal(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// The host name to resolve and to verify the certificate against; empty if the URL contains an address.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.host {
            Host::Domain(name) => name,
            Host::Ipv4(_) | Host::Ipv6(_) => "",
        }
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as in HTTP's `Host` header.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query as in the request line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Checks whether a delivery to this address is permitted: [`may_reach`], and plain http only to allowed networks,
    /// because anybody on the path could read the events and respond in place of the receiver.
    pub fn may_reach(&self, address: IpAddr, opened: &[IpNet]) -> Result<(), &'static str> {
        may_reach(address, opened)?;
        if self.https || is_opened(address, opened) {
            Ok(())
        } else {
            Err("http:// is permitted only to networks in webhook_allow; use https://")
        }
    }
}

/// Shows host and port only: the path often contains a secret of the receiver.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.authority)
    }
}

/// Checks whether a delivery to this address is permitted; the error says why it is not.
///
/// An IPv6 address that embeds an IPv4 address (mapped, translated or tunnelled) is permitted only if both are. The
/// metadata addresses of cloud providers are never permitted.
pub fn may_reach(address: IpAddr, opened: &[IpNet]) -> Result<(), &'static str> {
    let inner = nets::inner(address);
    if nets::is_metadata(address) || inner.iter().any(|inner| nets::is_metadata((*inner).into())) {
        return Err("the address is a cloud metadata service, which is never permitted");
    }
    if !is_opened(address, opened) {
        return nets::refused(address).map_or(Ok(()), Err);
    }
    inner.into_iter().try_for_each(|inner| may_reach(inner.into(), opened))
}

/// Returns whether the address is in one of the allowed networks.
#[must_use]
pub fn is_opened(address: IpAddr, opened: &[IpNet]) -> bool {
    opened.iter().any(|net| net.contains(&address))
}

//! Where may a webhook go? To a URL with one plain meaning, and to an address that leads out of the house or into a network that was opened.

mod nets;
#[cfg(test)]
mod tests;

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

/// Whether the address lies in a network that was opened by its name.
#[must_use]
pub fn is_opened(address: IpAddr, opened: &[IpNet]) -> bool {
    opened.iter().any(|net| net.contains(&address))
}

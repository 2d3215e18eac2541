//! The address of a server: scheme, host, port, and the path below which a proxy serves the API.

use std::fmt;

use url::{Host, Url};

use super::failure::{Failure, Outcome};

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    https: bool,
    host: Host,
    port: Option<u16>,
    /// Empty, or starts with `/` and does not end with it.
    prefix: String,
}

impl BaseUrl {
    /// Parses an address such as `https://keys.example.org` or `http://127.0.0.1:3000/keys`.
    pub fn parse(text: &str) -> Outcome<Self> {
        let wrong = |why: &str| {
            Failure::usage(format!(
                "the server's URL {why}: write it as https://keys.example.org or http://127.0.0.1:3000"
            ))
        };
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("must start with https:// or http://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("must not contain a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not contain ? or #"));
        }
        let host = url.host().ok_or_else(|| wrong("names no host"))?.to_owned();
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { https: url.scheme() == "https", host, port: url.port(), prefix })
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether requests leave this machine unencrypted.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        let loopback = match &self.host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        };
        !self.https && !loopback
    }

    /// The host, as a name or an address without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The port, which may be the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// The host and, unless it is the scheme's, the port, as in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.port.map_or_else(|| self.host.to_string(), |port| format!("{}:{port}", self.host))
    }

    /// The path and query of a request on the server.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_printed_alike() {
        for (text, printed, authority, port) in [
            ("https://keys.example.org", "https://keys.example.org", "keys.example.org", 443),
            ("https://keys.example.org:443/", "https://keys.example.org", "keys.example.org", 443),
            ("HTTP://Keys.Example.org:3000/keys/", "http://keys.example.org:3000/keys", "keys.example.org:3000", 3000),
            ("http://[::1]:3000", "http://[::1]:3000", "[::1]:3000", 3000),
        ] {
            let url = BaseUrl::parse(text).expect(text);
            assert_eq!(
                (url.to_string(), url.authority(), url.port()),
                (printed.to_owned(), authority.to_owned(), port)
            );
        }
        assert_eq!(BaseUrl::parse("http://h/keys/").expect("a URL").path("/node?take=1"), "/keys/node?take=1");
        assert_eq!(BaseUrl::parse("http://[::1]/").expect("a URL").host(), "::1");
    }

    #[test]
    fn only_plain_http_beyond_this_machine_is_exposed() {
        for (text, exposed) in [
            ("http://127.0.0.1:3000", false),
            ("http://[::1]:3000", false),
            ("http://127.9.9.9", false),
            ("http://localhost:3000", false),
            ("http://keys.localhost", false),
            ("http://localhost.example.org", true),
            ("http://notlocalhost", true),
            ("http://[2001:db8::1]", true),
            ("https://keys.example.org", false),
            ("http://keys.example.org", true),
            ("http://10.0.0.1", true),
        ] {
            assert_eq!(BaseUrl::parse(text).expect(text).is_exposed(), exposed, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_servers_url_is_refused() {
        for text in [
            "",
            "keys.example.org",
            "127.0.0.1:3000",
            "ftp://h",
            "https://",
            "https://a:b@h",
            "https://a@h",
            "https://:b@h",
            "unix:/run/orgkeys.sock",
            "https://h?x",
            "https://h#x",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text}");
        }
    }
}

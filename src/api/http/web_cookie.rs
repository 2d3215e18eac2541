//! The cookie that has one half of a web session's token, and the check that the page is the server's own.

use std::sync::Arc;

use poem::Request;
use poem::http::uri::Scheme;
use poem::http::{HeaderName, header};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::session::WEB_LONGEST;
use crate::engine::error::{Error, ErrorKind};

/// The name of this server's cookie, attached to each request.
#[derive(Clone)]
pub struct CookieName(Arc<str>);

/// Attached to a request that a trusted proxy forwarded.
#[derive(Clone, Copy)]
pub struct ViaTrustedProxy;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl CookieName {
    /// The name of the cookie of the server with this mark.
    #[must_use]
    pub fn of(mark: &str) -> Self {
        Self(format!("orgkeys-{mark}").into())
    }
}

/// Returns the value of the cookie in a request, if it is there.
pub fn half(request: &Request) -> Result<Option<&str>, Error> {
    let Some(CookieName(name)) = request.data() else { return Ok(None) };
    let lines = request.headers().get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let mut values = cookies.filter(|(given, _)| **given == **name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => {
            let message = "The request has two cookies of a web session: send exactly one credential";
            Err(Error::unauthenticated("TWO_CREDENTIALS", message))
        }
        (value, None) => Ok(value),
    }
}

/// Returns the header that stores the cookie in a browser.
#[must_use]
pub fn stored(request: &Request, half: &SecretString) -> String {
    line(request, half.expose_secret(), WEB_LONGEST.as_secs())
}

/// Returns the header that removes the cookie from a browser.
#[must_use]
pub fn removed(request: &Request) -> String {
    line(request, "", 0)
}

fn line(request: &Request, value: &str, seconds: u64) -> String {
    let name = request.data::<CookieName>().map_or("orgkeys", |name| &*name.0);
    // On a connection in the clear, a browser drops a cookie that is `Secure`.
    let secure = if is_encrypted(request) { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// Returns whether the browser's connection is encrypted: by this server, or by a proxy that is trusted to say so.
#[must_use]
pub fn is_encrypted(request: &Request) -> bool {
    *request.scheme() == Scheme::HTTPS
        || forwarded(request, &FORWARDED_PROTO).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// Returns the first value of a header that a trusted proxy has set: what the browser asked for.
fn forwarded<'r>(request: &'r Request, name: &HeaderName) -> Option<&'r str> {
    request.data::<ViaTrustedProxy>()?;
    request.headers().get(name)?.to_str().ok()?.split(',').next().map(str::trim)
}

/// Refuses a request that a page of another host makes. Clients that are no browsers send no `Origin`.
pub fn check_origin(request: &Request) -> Result<(), Error> {
    let mut origins = request.headers().get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (origins.next(), origins.next()) else {
        return if request.headers().contains_key(header::ORIGIN) { Err(foreign()) } else { Ok(()) };
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let asked = [host, forwarded(request, &FORWARDED_HOST)];
    if asked.into_iter().flatten().any(|host| is_of(origin, host)) { Ok(()) } else { Err(foreign()) }
}

/// Returns whether an origin is a page of this host. Its scheme is not compared, because a proxy may have encrypted the
/// connection.
fn is_of(origin: &str, host: &str) -> bool {
    let (page, port) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
        (Some(page), _) => (page, ":443"),
        (None, Some(page)) => (page, ":80"),
        (None, None) => return false,
    };
    let host = host.strip_suffix(port).unwrap_or(host);
    !host.is_empty() && page.eq_ignore_ascii_case(host)
}

fn foreign() -> Error {
    let message = "The request comes from a page of another host, as its Origin header says. If a reverse proxy is in front of \
        the server, let it pass the Host header on unchanged";
    Error::new(ErrorKind::Denied, "FOREIGN_ORIGIN", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_of_the_host_with_the_same_name_and_port() {
        for (origin, host) in [
            ("http://nas:3000", "nas:3000"),
            ("https://keys.example.org", "keys.example.org"),
            ("https://keys.example.org", "keys.example.org:443"),
            ("http://keys.example.org", "KEYS.example.org:80"),
            ("http://[::1]:3000", "[::1]:3000"),
        ] {
            assert!(is_of(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://nas:3001", "nas:3000"),
            ("http://nas", "nas:3000"),
            ("https://keys.example.org", "keys.example.org:80"),
            ("https://keys.example.org.example.net", "keys.example.org"),
            ("https://keys.example.org", "example.org"),
            ("ftp://nas", "nas"),
            ("null", "null"),
            ("http://", ""),
            ("", ""),
            ("nas", "nas"),
        ] {
            assert!(!is_of(origin, host), "{origin} {host}");
        }
    }
}

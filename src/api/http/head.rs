//! Refuses requests whose head is ambiguous: more or less than one host, or lines that do not end in CR LF. A proxy in
//! front of the server might read such a request differently.

use poem::http::uri::Authority;
use poem::http::{HeaderValue, Version, header};
use poem::{Request, Response};

use super::envelope::Family;
use super::error;
use crate::engine::error::{Error, ErrorKind};

/// Attached to a request by the listener: a line of its head ended in LF alone.
#[derive(Clone, Copy, Debug)]
pub struct BareLf;

/// Returns the response to a request whose head is ambiguous.
pub fn refuse(request: &Request) -> Option<Response> {
    let error = Error::new(ErrorKind::Invalid, "INVALID_REQUEST", flaw(request)?);
    let mut response = error::respond(Family::of(request.uri().path()), error);
    // It is ambiguous where the next request begins, too.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

/// Returns what is wrong with a head (RFC 9112, sections 2.2 and 3.2). HTTP/1.0 requests, which some health checks
/// still send, need no `Host`.
fn flaw(request: &Request) -> Option<&'static str> {
    if request.data::<BareLf>().is_some() {
        return Some("A line of the request head ends in LF alone: HTTP requires CR LF");
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => {
            Some("The request has no Host header: HTTP/1.1 requires one")
        }
        (_, Some(_)) => Some("The request has more than one Host header: send exactly one"),
        (Some(host), None) if !is_host(host) => {
            Some("The Host header is invalid: send a host name or address with an optional port")
        }
        (_, None) => None,
    }
}

fn is_host(value: &HeaderValue) -> bool {
    value.is_empty() || !value.as_bytes().contains(&b'@') && Authority::try_from(value.as_bytes()).is_ok()
}

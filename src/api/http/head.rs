//! Is the head of a request one that HTTP allows? One host, and lines that end as they must; else nobody could be sure that a proxy before us reads it as we do.

use poem::http::uri::Authority;
use poem::http::{HeaderValue, Version, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use super::envelope::Family;
use super::error;
use crate::engine::error::{Error, ErrorKind};

/// Beside a request: a line of its head ended in LF alone. The listener sets it.
#[derive(Clone, Copy, Debug)]
pub struct BareLf;

/// The middleware that refuses other heads.
pub struct Strict;

/// An endpoint that is only called with a good head.
pub struct Sound<E>(E);

impl<E: Endpoint> Middleware<E> for Strict {
    type Output = Sound<E>;

    fn transform(&self, inner: E) -> Sound<E> {
        Sound(inner)
    }
}

impl<E: Endpoint> Endpoint for Sound<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let Some(flaw) = flaw(&request) else {
            return self.0.call(request).await.map(IntoResponse::into_response);
        };
        let error = Error::new(ErrorKind::Invalid, "INVALID_REQUEST", flaw);
        let mut response = error::respond(Family::of(request.uri().path()), error);
        // Where the next request begins is not sure either.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(response)
    }
}

/// What is wrong with a head (RFC 9112, sections 2.2 and 3.2). HTTP/1.0 has no Host, and health checks still speak it.
fn flaw(request: &Request) -> Option<&'static str> {
    if request.data::<BareLf>().is_some() {
        return Some("A line of the request's head ends in LF alone: HTTP requires CR LF");
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => {
            Some("The request has no Host header: HTTP/1.1 requires one")
        }
        (_, Some(_)) => Some("The request has more than one Host header: send one"),
        (Some(host), None) if !is_host(host) => {
            Some("The Host header cannot be read: it is a host's name or address, and perhaps a port")
        }
        (_, None) => None,
    }
}

fn is_host(value: &HeaderValue) -> bool {
    value.is_empty() || !value.as_bytes().contains(&b'@') && Authority::try_from(value.as_bytes()).is_ok()
}

//! CORS: which web pages may call the API from a browser. None, unless a setting lists their origins.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{IntoResponse, Request, Response};

/// The origins whose pages may call the API.
pub struct Cors(pub Vec<String>);

/// What a browser is told about one request. Nothing, unless a setting lists origins.
pub struct Clearance {
    is_needed: bool,
    /// The origin of the page, if it may call the API.
    origin: Option<HeaderValue>,
    is_preflight: bool,
}

impl Cors {
    /// Returns what a browser is told about this request.
    pub fn clearance(&self, request: &Request) -> Clearance {
        let headers = request.headers();
        let allowed = |origin: &&HeaderValue| self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes());
        Clearance {
            is_needed: !self.0.is_empty(),
            origin: headers.get(header::ORIGIN).filter(allowed).cloned(),
            is_preflight: request.method() == Method::OPTIONS
                && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        }
    }
}

impl Clearance {
    /// Returns the response to a request that only asks whether another one is allowed.
    pub fn preflight(&self) -> Option<Response> {
        (self.is_preflight && self.origin.is_some()).then(|| StatusCode::NO_CONTENT.into_response())
    }

    /// Adds to a response what the browser is told.
    pub fn apply(self, response: &mut Response) {
        let headers = response.headers_mut();
        if self.is_needed {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.origin {
            clear(headers, origin, self.is_preflight);
        }
    }
}

fn clear(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static(
        "Content-Disposition, Retry-After, WWW-Authenticate, X-Key-Id, X-Request-Id, X-Total-Count",
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if is_preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = HeaderValue::from_static("Authorization, Content-Type, Last-Event-ID, X-Api-Key, X-Request-Id");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

//! CORS: which web pages may call the API from a browser. None, unless a setting lists their origins.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

/// Middleware with the list of allowed origins.
pub struct Cors(pub Vec<String>);

/// An endpoint that pages of the allowed origins may call.
pub struct Cleared<E> {
    inner: E,
    origins: Vec<String>,
}

impl<E: Endpoint> Middleware<E> for Cors {
    type Output = Cleared<E>;

    fn transform(&self, inner: E) -> Cleared<E> {
        Cleared { inner, origins: self.0.clone() }
    }
}

impl<E: Endpoint> Endpoint for Cleared<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if self.origins.is_empty() {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        }
        let origin = request.headers().get(header::ORIGIN).filter(|origin| self.allows(origin)).cloned();
        let preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = match &origin {
            Some(_) if preflight => StatusCode::NO_CONTENT.into_response(),
            _ => self.inner.call(request).await?.into_response(),
        };
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin {
            clear(response.headers_mut(), origin, preflight);
        }
        Ok(response)
    }
}

impl<E> Cleared<E> {
    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes())
    }
}

fn clear(headers: &mut HeaderMap, origin: HeaderValue, preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static(
        "Content-Disposition, Retry-After, WWW-Authenticate, X-Key-Id, X-Request-Id, X-Total-Count",
    );
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    if preflight {
        let methods = HeaderValue::from_static("GET, POST, PUT, DELETE");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        let allowed = HeaderValue::from_static("Authorization, Content-Type, Last-Event-ID, X-Api-Key, X-Request-Id");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

//! Where is the document seen and tried out? At `/docs`, in a Swagger UI that is part of the program and needs no network.

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoEndpoint, IntoResponse, Request, Response, Route, get, handler};

use super::document;

/// Only our own files run; styles may be inline since Swagger UI sets some.
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page, its script and style, and the files of swagger-ui-dist (Apache-2.0).
const FILES: [(&str, &str, &[u8]); 5] = [
    ("", "text/html; charset=utf-8", include_bytes!("../../../openapi/swagger-ui/index.html")),
    ("init.js", "text/javascript; charset=utf-8", include_bytes!("../../../openapi/swagger-ui/init.js")),
    ("orgkeys.css", "text/css; charset=utf-8", include_bytes!("../../../openapi/swagger-ui/orgkeys.css")),
    ("swagger-ui.css", "text/css; charset=utf-8", include_bytes!("../../../openapi/swagger-ui/swagger-ui.css")),
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../openapi/swagger-ui/swagger-ui-bundle.js"),
    ),
];

/// Changes with the program, which is all that these files change with.
const ETAG: &str = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");

/// Swagger UI, to be nested at `/docs`.
pub fn endpoint() -> Route {
    Route::new().at("/", get(file)).at("/:name", get(file))
}

/// The document, to be put at `/openapi.json`.
pub fn document() -> impl IntoEndpoint {
    get(json)
}

#[handler]
fn file(request: &Request) -> poem::Result<Response> {
    let name = request.raw_path_param("name").unwrap_or_default();
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, content_type, bytes) = found.ok_or(poem::error::NotFoundError)?;
    let known = request.header(header::IF_NONE_MATCH) == Some(ETAG);
    let response = Response::builder()
        .header(header::CONTENT_TYPE, *content_type)
        .header(header::ETAG, ETAG)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::CONTENT_SECURITY_POLICY, CSP)
        .header(header::REFERRER_POLICY, "no-referrer");
    Ok(if known { response.status(StatusCode::NOT_MODIFIED).finish() } else { response.body(*bytes) })
}

#[handler]
fn json() -> Response {
    let mut response = document::text().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

//! Serves Swagger UI at `/docs`. It is part of the program and needs no network.

use std::sync::LazyLock;

use poem::http::{HeaderValue, header};
use poem::{IntoEndpoint, Request, Response, Route, get, handler};

use super::asset::{Asset, CSS, HTML, SCRIPT, built};
use super::document;
use crate::engine::error::Error;

/// Only the server's own files may run. Inline styles are allowed because Swagger UI sets some.
const CSP: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page, its script and style, and the files of swagger-ui-dist (Apache-2.0), by name.
static FILES: LazyLock<[(&str, Asset); 5]> = LazyLock::new(|| {
    [
        ("", Asset::compressed(HTML, built!("docs/index.html"))),
        ("init.js", Asset::compressed(SCRIPT, built!("docs/init.js"))),
        ("orgkeys.css", Asset::compressed(CSS, built!("docs/orgkeys.css"))),
        ("swagger-ui.css", Asset::compressed(CSS, built!("docs/swagger-ui.css"))),
        ("swagger-ui-bundle.js", Asset::compressed(SCRIPT, built!("docs/swagger-ui-bundle.js"))),
    ]
});

static DOCUMENT: LazyLock<std::io::Result<Asset>> = LazyLock::new(|| Asset::text("application/json", document::text()));

/// Returns Swagger UI, to be nested at `/docs`.
pub fn endpoint() -> Route {
    Route::new().at("/", get(file)).at("/:name", get(file))
}

/// Returns the document, to be served at `/openapi.json`.
pub fn document() -> impl IntoEndpoint {
    get(json)
}

#[handler]
fn file(request: &Request) -> poem::Result<Response> {
    let name = request.raw_path_param("name").unwrap_or_default();
    let (_, asset) = FILES.iter().find(|(known, _)| *known == name).ok_or(poem::error::NotFoundError)?;
    let mut response = asset.answer(request);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

#[handler]
fn json(request: &Request) -> poem::Result<Response> {
    DOCUMENT.as_ref().map(|asset| asset.answer(request)).map_err(|error| super::error::refused(Error::internal(error)))
}

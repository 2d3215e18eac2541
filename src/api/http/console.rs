//! Serves the console at `/console/`: a page that calls the API. It is part of the program and needs no network.

use std::sync::LazyLock;

use poem::http::{HeaderName, HeaderValue, StatusCode, header};
use poem::{Request, Response, Route, get, handler};

use super::asset::{Asset, CSS, HTML, SCRIPT, built};
use super::web_cookie::is_encrypted;

/// Only the server's own files may run, and scripts cannot create HTML from text.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The page uses none of these features.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), \
    magnetometer=(), microphone=(), payment=(), usb=()";

/// The headers of each file.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// Keeps pages of others that open the console away from its window. Only for encrypted connections: in the clear,
/// browsers ignore it and complain.
const OPENER_POLICY: (HeaderName, &str) = (HeaderName::from_static("cross-origin-opener-policy"), "same-origin");

/// The page, its script and its style, by name.
static FILES: LazyLock<[(&str, Asset); 3]> = LazyLock::new(|| {
    [
        ("", Asset::compressed(HTML, built!("console/index.html"))),
        ("app.js", Asset::compressed(SCRIPT, built!("console/app.js"))),
        ("app.css", Asset::compressed(CSS, built!("console/app.css"))),
    ]
});

/// Where the console is, relative to the paths beside it: a proxy may serve the server below a path of its own.
pub const LOCATION: &str = "console/";

/// Adds the console to the routes.
pub fn on(route: Route) -> Route {
    route.at("/console", get(to_page)).at("/console/", get(file)).at("/console/:name", get(file))
}

#[handler]
fn to_page() -> Response {
    Response::builder().status(StatusCode::FOUND).header(header::LOCATION, LOCATION).finish()
}

#[handler]
fn file(request: &Request) -> poem::Result<Response> {
    let name = request.raw_path_param("name").unwrap_or_default();
    let (_, asset) = FILES.iter().find(|(known, _)| *known == name).ok_or(poem::error::NotFoundError)?;
    let mut response = asset.answer(request);
    for (name, value) in HEADERS.into_iter().chain(is_encrypted(request).then_some(OPENER_POLICY)) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

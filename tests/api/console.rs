//! The console's files: headers that let nothing but them run, sent compressed on request and again only when changed, and
//! reachable below the path of a proxy.

use std::collections::HashSet;
use std::io::Read;

use hyper::{HeaderMap, Method, StatusCode};
use url::Url;

use crate::harness::{Answer, Server, with_body};

const FILES: [(&str, &str); 3] =
    [("/console/", "text/html"), ("/console/app.js", "text/javascript"), ("/console/app.css", "text/css")];

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-cache"),
    ("vary", "Accept-Encoding"),
];

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = server.request(Method::GET, path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    server.send(with_body(request, None)).await
}

fn has_headers(headers: &HeaderMap, of: &str) {
    for (name, value) in HEADERS {
        assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), [value], "{name} of {of}");
    }
    let features = headers["permissions-policy"].to_str().expect("text");
    for feature in ["camera", "geolocation", "microphone", "payment", "usb"] {
        assert!(features.split(", ").any(|off| off == format!("{feature}=()")), "{feature} of {of}: {features}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_its_headers_and_is_sent_compressed_on_request_and_again_only_when_changed() {
    let server = Server::start().await;
    let mut tags = HashSet::new();
    for (path, content_type) in FILES {
        let plain = get(&server, path, &[]).await;
        let gzip = get(&server, path, &[("accept-encoding", "gzip")]).await;
        assert_eq!((plain.status, gzip.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert!(plain.headers["content-type"].to_str().expect("text").starts_with(content_type), "{path}");
        assert_eq!(
            (plain.headers.get("content-encoding"), &gzip.headers["content-encoding"]),
            (None, &"gzip".parse().expect("it"))
        );
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut inflated).expect("gzip");
        assert_eq!(inflated, plain.body, "{path}");
        let tag = plain.headers["etag"].to_str().expect("text");
        let same = get(&server, path, &[("if-none-match", tag)]).await;
        assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        let changed = get(&server, path, &[("if-none-match", "W/\"0123456789abcdef\"")]).await;
        assert_eq!((changed.status, &changed.body), (StatusCode::OK, &plain.body), "{path}");
        for answer in [&plain, &gzip, &same, &changed] {
            has_headers(&answer.headers, path);
            assert_eq!(answer.headers["etag"], tag, "{path}");
        }
        assert!(tags.insert(tag.to_owned()), "{path} has the ETag of another file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_kept_apart_only_where_the_connection_is_encrypted() {
    let proxied = Server::with(|flags| flags.with("trusted_proxy", "127.0.0.1")).await;
    let direct = Server::start().await;
    for (server, proto, expected) in
        [(&proxied, "https", Some("same-origin")), (&proxied, "http", None), (&direct, "https", None)]
    {
        let answer = get(server, "/console/", &[("x-forwarded-proto", proto)]).await;
        let policy = answer.headers.get("cross-origin-opener-policy").map(|value| value.to_str().expect("text"));
        assert_eq!((answer.status, policy), (StatusCode::OK, expected), "{proto}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_redirect_and_link_stays_below_the_path_of_a_proxy() {
    let server = Server::start().await;
    // A proxy serves the server at /keys/, and passes the rest of the path on.
    let below = Url::parse("https://example.org/keys/").expect("a URL");
    for (asked, browser) in [("", true), ("console", false), ("console", true)] {
        let accept = if browser { "text/html" } else { "*/*" };
        let answer = get(&server, &format!("/{asked}"), &[("accept", accept)]).await;
        assert_eq!(answer.status, StatusCode::FOUND, "{asked}");
        let location = answer.headers["location"].to_str().expect("text");
        let reached = below.join(asked).and_then(|asked| asked.join(location)).expect("a URL");
        assert_eq!(reached.as_str(), "https://example.org/keys/console/", "{asked}");
    }
    let page = get(&server, "/console/", &[]).await;
    let page = String::from_utf8(page.body.to_vec()).expect("text");
    let links = page.split(['"', '\'']).filter(|text| [".js", ".css", "/docs"].iter().any(|end| text.ends_with(end)));
    let base = below.join("console/").expect("a URL");
    let mut linked = 0;
    for link in links {
        let reached = base.join(link).expect("a URL");
        let path = reached.as_str().strip_prefix("https://example.org/keys").unwrap_or_else(|| panic!("{link}"));
        assert_eq!(get(&server, path, &[]).await.status, StatusCode::OK, "{link}");
        linked += 1;
    }
    assert!(linked >= 2, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_name_is_served() {
    let server = Server::start().await;
    for name in ["index.html", "app.js.gz", "App.js", "app.js/", "..%2fdocs", "app.js%00", "a/app.js"] {
        let answer = get(&server, &format!("/console/{name}"), &[]).await;
        assert_eq!(answer.refusal(), (404, "NO_SUCH_PATH".to_owned()), "{name}");
    }
    assert_eq!(get(&server, "/console/app.js?version=2", &[]).await.status, StatusCode::OK);
}

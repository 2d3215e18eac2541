//! The documentation page: sent compressed on request, and sent again only when it has changed.

use std::collections::HashSet;
use std::io::Read;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Request, StatusCode};

use crate::harness::{Answer, Server};

/// Everything that a browser fetches until the page can be used.
const PAGE: [&str; 6] = [
    "/docs",
    "/docs/init.js",
    "/docs/orgkeys.css",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/openapi.json",
];

/// What the page may do, and what it tells other sites of where it was: nothing from elsewhere runs in it, no page of
/// another site can frame it, and it sends nothing away.
const POLICIES: [&str; 2] = [
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; \
     form-action 'none'",
    "no-referrer",
];

fn policies(answer: &Answer) -> [Option<&str>; 2] {
    ["content-security-policy", "referrer-policy"].map(|name| answer.headers.get(name)?.to_str().ok())
}

/// The decompressed content of a gzip stream.
fn plain(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).expect("gzip");
    plain
}

async fn get(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::get(format!("http://{}{path}", server.address));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    server.send(request.body(Full::new(Bytes::new())).expect("a request")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_gzip_the_page_is_at_most_600_kb_and_decompresses_identically() {
    let server = Server::start().await;
    let mut sent = 0;
    for path in PAGE {
        let compressed = get(&server, path, &[("accept-encoding", "gzip, deflate, br")]).await;
        let whole = get(&server, path, &[]).await;
        assert_eq!((compressed.status, whole.status), (StatusCode::OK, StatusCode::OK), "{path}");
        assert_eq!(compressed.headers["content-encoding"], "gzip", "{path}");
        assert!(whole.headers.get("content-encoding").is_none(), "{path}");
        assert_eq!(plain(&compressed.body), whole.body, "{path}");
        for answer in [&compressed, &whole] {
            assert_eq!(answer.headers["vary"], "Accept-Encoding", "{path}");
            assert_eq!(answer.headers["cache-control"], "no-cache", "{path}");
            assert_eq!(
                policies(answer),
                if path == "/openapi.json" { [None; 2] } else { POLICIES.map(Some) },
                "{path}"
            );
        }
        sent += compressed.body.len();
    }
    assert!(sent <= 600_000, "{sent} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_its_own_etag_and_is_not_resent_if_unchanged() {
    let server = Server::start().await;
    let mut tags = HashSet::new();
    for path in PAGE {
        let tag = get(&server, path, &[]).await.headers["etag"].to_str().expect("text").to_owned();
        let same = get(&server, path, &[("accept-encoding", "gzip")]).await;
        assert_eq!(same.headers["etag"], tag.as_str(), "{path}");
        for known in [tag.clone(), format!("\"other\", {tag}")] {
            let unchanged = get(&server, path, &[("if-none-match", &known)]).await;
            assert_eq!((unchanged.status, unchanged.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
            assert_eq!(unchanged.headers["etag"], tag.as_str(), "{path}");
            assert_eq!(
                policies(&unchanged),
                if path == "/openapi.json" { [None; 2] } else { POLICIES.map(Some) },
                "{path}"
            );
        }
        let changed = get(&server, path, &[("if-none-match", "\"0.1.0\"")]).await;
        assert_eq!(changed.status, StatusCode::OK, "{path}");
        assert!(tags.insert(tag), "{path} has the ETag of another file");
    }
}

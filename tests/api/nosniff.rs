//! Every response carries `X-Content-Type-Options: nosniff`, whatever produces it.

use hyper::{Method, StatusCode};

use crate::access::{Column, Credential, Scene, filled};
use crate::harness::{Answer, Server, raw, registration};
use crate::openapi::operations;

fn is_nosniff(answer: &Answer, of: &str) {
    let values: Vec<_> = answer.headers.get_all("x-content-type-options").iter().collect();
    assert_eq!(values, ["nosniff"], "{of}: {answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_sends_nosniff_on_success_and_refusal() {
    let mut scene = Scene::new().await;
    let column = Column::new(Credential::Token(scene.owner.token.clone()), &scene.owner.user);
    let (mut asked, mut done) = (0, 0);
    for (method, path, operation) in operations() {
        let name = operation["operationId"].as_str().expect("an id");
        let (ids, body) = scene.ready(name, &column).await;
        let path = filled(path, &ids);
        let answer = scene.call(method, &path, &column.credential, body.as_ref()).await;
        is_nosniff(&answer, name);
        done += usize::from(answer.status.is_success());
        let method: Method = method.to_uppercase().parse().expect("a method");
        is_nosniff(&scene.server.call(method, &path, None).await, name);
        asked += 1;
    }
    assert!(asked > 50 && done > 40, "{asked} were called, {done} succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_path_sends_nosniff() {
    let server = Server::with(|flags| flags.with("cors_origins", "https://app.example.org")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&body)).await.status, StatusCode::OK);
    let browser = "Accept: text/html\r\n";
    let preflight = "Origin: https://app.example.org\r\nAccess-Control-Request-Method: POST\r\n";
    let bundle = server.call(Method::GET, "/docs/swagger-ui-bundle.js", None).await;
    let tag = format!("If-None-Match: {}\r\n", bundle.headers["etag"].to_str().expect("text"));
    let cases = [
        ("GET", "/", "", 200),
        ("GET", "/", browser, 302),
        ("GET", "/docs", "", 200),
        ("GET", "/docs/init.js", "", 200),
        ("GET", "/docs/orgkeys.css", "", 200),
        ("GET", "/docs/swagger-ui.css", "", 200),
        ("GET", "/docs/swagger-ui-bundle.js", "", 200),
        ("GET", "/docs/swagger-ui-bundle.js", &tag, 304),
        ("GET", "/docs/nothing.js", "", 404),
        ("GET", "/console", "", 302),
        ("GET", "/console/", "", 200),
        ("GET", "/console/app.js", "", 200),
        ("GET", "/console/nothing.js", "", 404),
        ("GET", "/openapi.json", "", 200),
        ("HEAD", "/openapi.json", "", 200),
        ("GET", "/health", "", 200),
        ("HEAD", "/health", "", 200),
        ("GET", "/ready", "", 200),
        ("GET", "/metrics", "", 200),
        ("OPTIONS", "/register", preflight, 204),
        ("OPTIONS", "/register", "", 405),
        ("GET", "/register", "", 405),
        ("GET", "/nowhere", "", 404),
        ("GET", "/api/nowhere", "", 404),
        ("POST", "/register", "Content-Length: 70000\r\n", 413),
        ("GET", "/api/api-keys/verify", "", 401),
        ("GET", "/api/api-keys/verify", "Content-Length: 3\r\n", 401),
        ("CONNECT", "example.org:443", "", 404),
    ];
    for (method, path, headers, status) in cases {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\r\n");
        let answer = raw(server.address, request).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {headers}: {answer:?}");
        is_nosniff(&answer, path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_get_nosniff_too() {
    let server = Server::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [
        ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost a\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        (many, 431),
        (long, 431),
    ] {
        let answer = raw(server.address, request).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        is_nosniff(&answer, "hyper's own");
    }
}

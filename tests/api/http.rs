//! The HTTP layer: what is refused before an operation runs, and in which format.

use hyper::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Server, raw, with_body};
use crate::openapi::operations;

/// Part of every bad input of these tests, and of no response.
const CANARY: &str = "c4n4ry";

/// Checks that a refusal has the format of its family and repeats nothing of the input. Returns the message.
fn refusal(answer: &Answer, wrapped: bool, status: u16, code: &str) -> String {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert!(answer.headers["content-type"].to_str().expect("text").contains("application/json"), "{answer:?}");
    assert!(answer.headers.contains_key("x-request-id"), "{answer:?}");
    let body = answer.json();
    let message = if wrapped { &body["errors"][0] } else { &body["message"] };
    let message = message.as_str().expect("a message").to_owned();
    assert!(!message.is_empty() && !message.contains(CANARY), "{message}");
    let mut expected = if wrapped {
        json!({
            "success": false, "errors": [message], "messages": [], "result": null, "resultInfo": code,
            "statusCode": status,
        })
    } else {
        json!({ "success": false, "message": message, "errorCode": code })
    };
    if body.get("error_code").is_some() {
        // Login, refresh and logout state the code twice; a test of their own requires it.
        expected["error_code"] = json!(code);
    }
    if body.get("errorMessage").is_some() {
        // On signed calls; every response is checked for it.
        expected["errorMessage"] = json!(message);
    }
    assert_eq!(body, expected);
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_get_404_in_the_error_format_of_their_family() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let cases = [
        ("/c4n4ry", false),
        ("/organization", false),
        ("/organization/c4n4ry/key/", false),
        ("//health", false),
        ("/health/", false),
        ("/docs/c4n4ry", false),
        ("/console/c4n4ry", false),
        ("/apic4n4ry", false),
        ("/api", true),
        ("/api/", true),
        ("/api/c4n4ry?c4n4ry=1", true),
        ("/api/organizations/c4n4ry/keys", true),
    ];
    for (path, wrapped) in cases {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = server.call_as(&owner, method.clone(), path, None).await;
            if (path.starts_with("/docs") || path.starts_with("/console")) && method != Method::GET {
                refusal(&answer, wrapped, 405, "METHOD_NOT_ALLOWED");
                continue;
            }
            refusal(&answer, wrapped, 404, "NO_SUCH_PATH");
        }
    }
    // An id that is no text is one that does not exist.
    let answer = server.call_as(&owner, Method::GET, "/organization/%FF/key", None).await;
    refusal(&answer, false, 403, "ACCESS_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_gets_405_and_the_allowed_methods() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut paths: Vec<(&str, Vec<String>)> =
        ["/docs", "/console", "/console/", "/openapi.json"].map(|path| (path, vec!["GET".into()])).to_vec();
    for (method, path, _) in operations() {
        match paths.iter_mut().find(|(known, _)| *known == path) {
            Some((_, methods)) => methods.push(method.to_uppercase()),
            None => paths.push((path, vec![method.to_uppercase()])),
        }
    }
    for (path, mut taken) in paths {
        if taken.contains(&"GET".to_owned()) {
            taken.push("HEAD".to_owned());
        }
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            if taken.iter().any(|name| *name == method.as_str()) {
                continue;
            }
            let filled = path.replace('{', "c4n4ry").replace('}', "");
            let answer = server.call_as(&owner, method, &filled, Some(&json!({}))).await;
            refusal(&answer, path.starts_with("/api/"), 405, "METHOD_NOT_ALLOWED");
            let mut allowed: Vec<_> = answer.headers["allow"].to_str().expect("text").split(", ").collect();
            allowed.sort_unstable();
            taken.sort_unstable();
            assert_eq!(allowed, taken, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_in_bodies_and_parameters_name_the_field_and_not_the_value() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let bearer = format!("Bearer {}", owner.token);
    let post = async |body: &str| {
        let request = server.request(Method::POST, "/systemevent").header("authorization", &bearer);
        let request = request.header("content-type", "application/json");
        server.send(request.body(body.to_owned().into()).expect("a request")).await
    };
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_field = format!(r#"{{"userId": {deep}}}"#);
    let all_fields = r#"["2024-01-15T10:30:00Z", null, null, null, null, null, null, null, null, null]"#;
    let cases = [
        ("c4n4ry", "not JSON"),
        (r#"{"userId": "c4n4ry""#, "not JSON"),
        (r#"{"userId": "c4n4ry"} c4n4ry"#, "not JSON"),
        (r#""c4n4ry""#, "must be"),
        (r#"{"take": "c4n4ry"}"#, "take must be a whole number"),
        (r#"{"skip": -1}"#, "skip must be a whole number"),
        (r#"{"userId": ["c4n4ry"]}"#, "userId must be a string"),
        (r#"{"userId": "c4n4ry", "userId": "c4n4ry"}"#, "duplicate field userId"),
        (r#"{"userId": "c4n4ry\u0000"}"#, "userId must not contain control characters"),
        ("", "The body is empty"),
        (deep.as_str(), "must be a JSON object"),
        (deep_field.as_str(), "userId must be a string"),
        (all_fields, "must be a JSON object"),
    ];
    for (body, expected) in cases {
        let message = refusal(&post(body).await, false, 400, "INVALID_FIELD");
        assert!(message.contains(expected), "{body:.40}: {message}");
    }
    let key = format!("/organization/{}/key", owner.org);
    let cases = [
        (Method::GET, "/node?nodeServices=c4n4ry".to_owned(), "nodeServices"),
        (Method::GET, "/node?skip=-1".to_owned(), "skip"),
        (Method::GET, "/node?take=4294967296".to_owned(), "take"),
        (Method::GET, "/node?nodeServices=8".to_owned(), "nodeServices"),
        (Method::POST, format!("{key}?format=c4n4ry"), "format"),
        (Method::POST, "/systemevent/read?ids=c4n4ry".to_owned(), "ids"),
    ];
    for (method, path, name) in cases {
        let message = refusal(&server.call_as(&owner, method, &path, None).await, false, 400, "INVALID_FIELD");
        assert!(message.contains(name), "{path}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_must_be_sent_as_application_json() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let post = async |path: &str, content_type: Option<&str>| {
        let request = server.request(Method::POST, path).header("authorization", format!("Bearer {}", owner.token));
        let request = content_type.into_iter().fold(request, |request, name| request.header("content-type", name));
        server.send(request.body(r#"{"id": 1}"#.into()).expect("a request")).await
    };
    for path in ["/systemevent", "/systemevent/read"] {
        for good in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"] {
            assert_eq!(post(path, Some(good)).await.status, StatusCode::OK, "{good}");
        }
        for bad in [
            None,
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("application/jsonx"),
            Some("c4n4ry"),
        ] {
            refusal(&post(path, bad).await, false, 415, "UNSUPPORTED_MEDIA_TYPE");
        }
    }
    let signed = server.request(Method::POST, "/register").body("{}".into()).expect("a request");
    refusal(&server.send(signed).await, false, 415, "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_have_at_most_64_kib() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let most = 64 * 1024;
    let body = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    let head = |path: &str, length: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Connection: close\r\n{length}\r\n\r\n",
            owner.token
        )
    };
    let declared =
        |path: &str, length: usize| format!("{}{}", head(path, &format!("Content-Length: {length}")), body(length));
    let chunked = |path: &str, length: usize| {
        format!("{}{length:x}\r\n{}\r\n0\r\n\r\n", head(path, "Transfer-Encoding: chunked"), body(length))
    };
    for (path, wrapped) in [("/systemevent", false), ("/api/organizations", true), ("/c4n4ry", false)] {
        for (request, fits) in [
            (declared(path, most), true),
            (declared(path, most + 1), false),
            (chunked(path, most), true),
            (chunked(path, most + 1), false),
        ] {
            let answer = raw(server.address, request).await;
            if !fits {
                refusal(&answer, wrapped, 413, "BODY_TOO_LARGE");
                assert_eq!(answer.headers["connection"], "close");
            } else if path == "/systemevent" {
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            } else {
                refusal(&answer, wrapped, 404, "NO_SUCH_PATH");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_request_id_is_kept_and_any_other_is_replaced() {
    let server = Server::start().await;
    let sixty_four = "a".repeat(64);
    let asked = async |id: Option<&str>| {
        let request = server.request(Method::GET, "/c4n4ry");
        let request = id.into_iter().fold(request, |request, id| request.header("x-request-id", id));
        let answer = server.send(with_body(request, None)).await;
        answer.headers["x-request-id"].to_str().expect("text").to_owned()
    };
    for id in ["a", "req-1_2.3", "0190b6b0-0000-7000-8000-000000000000", &sixty_four] {
        assert_eq!(asked(Some(id)).await, id);
    }
    let long = "a".repeat(65);
    let mut ids = Vec::new();
    for id in [None, Some(""), Some("a b"), Some("a,b"), Some("<script>"), Some("a/b"), Some(&long)] {
        let given = asked(id).await;
        assert!(given.len() == 36 && Some(given.as_str()) != id, "{id:?}: {given}");
        assert!(!ids.contains(&given), "{given} was given twice");
        ids.push(given);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_and_parameters_are_ignored() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let mut body = crate::harness::registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    body["hostname"] = json!({ "anything": [1, null] });
    let registered = server.call(Method::POST, "/register?api-version=1.0", Some(&body)).await;
    assert_eq!(registered.status, StatusCode::OK, "{registered:?}");
    let body = json!({ "api-version": "1.0", "orgId": 7 });
    let deep = format!(r#"{{"other": {}{}}}"#, "[".repeat(30_000), "]".repeat(30_000));
    let request =
        server.request(Method::POST, "/systemevent").header("authorization", format!("Bearer {}", owner.token));
    let request = request.header("content-type", "application/json").body(deep.into()).expect("a request");
    assert_eq!(server.send(request).await.status, StatusCode::OK, "however deeply nested");
    for (method, path, body) in [
        (Method::POST, "/systemevent?api-version=1.0", Some(&body)),
        (Method::GET, "/user/profile?api-version=1.0", None),
        (Method::GET, "/node?api-version=1.0", Some(&body)),
        (Method::POST, "/systemevent/read?api-version=1.0&ids=1", Some(&body)),
    ] {
        assert_eq!(server.call_as(&owner, method, path, body).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_states_the_version_and_redirects_browsers_to_the_console() {
    let server = Server::start().await;
    let get = async |path: &str, accept: &str| {
        server.send(with_body(server.request(Method::GET, path).header("accept", accept), None)).await
    };
    let here = json!({ "success": true, "message": concat!("orgkeys ", env!("CARGO_PKG_VERSION")), "setup": true });
    for accept in ["*/*", "application/json"] {
        let answer = get("/", accept).await;
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, here.clone()));
    }
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let sent = get("/", browser).await;
    assert_eq!((sent.status, &sent.headers["location"]), (StatusCode::FOUND, &"console/".parse().expect("a value")));
    let docs = get("/docs", browser).await;
    assert_eq!(docs.status, StatusCode::OK);
    assert!(docs.headers["content-type"].to_str().expect("text").starts_with("text/html"));
    let page = String::from_utf8(docs.body.to_vec()).expect("text");
    assert!(page.contains("href=\"/console/\""), "{page}");
    let is_file = |text: &&str| [".js", ".css"].iter().any(|end| text.ends_with(end));
    let linked: Vec<&str> = page.split(['"', '\'']).filter(is_file).collect();
    assert!(linked.len() >= 3, "{page}");
    for link in linked {
        let path = if link.starts_with('/') { link.to_owned() } else { format!("/{}", link.trim_start_matches("./")) };
        assert_eq!(get(&path, "*/*").await.status, StatusCode::OK, "{link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_responds_like_get_without_the_body() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let get: Vec<String> = operations()
        .into_iter()
        // A stream has no end.
        .filter(|(method, path, _)| *method == "get" && !path.ends_with("/stream"))
        .map(|(_, path, _)| path.replace("{idOrg}", &owner.org).replace("{orgId}", &owner.org))
        .collect();
    assert!(get.len() >= 8);
    for path in get.iter().map(String::as_str).chain([
        "/docs",
        "/docs/init.js",
        "/console/",
        "/openapi.json",
        "/nowhere",
        "/api/nowhere",
    ]) {
        let (get, head) = (
            server.call_as(&owner, Method::GET, path, None).await,
            server.call_as(&owner, Method::HEAD, path, None).await,
        );
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
        assert_eq!(head.headers.get("content-type"), get.headers.get("content-type"), "{path}");
        let told: fn(&HeaderMap) -> Option<Value> =
            |headers| headers.get("allow").map(|allow| json!(allow.to_str().ok()));
        assert_eq!(told(&head.headers), told(&get.headers), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_literal_path_segment_takes_precedence_over_an_id() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for (path, methods) in [
        ("/organization/users", "GET, POST, HEAD"),
        ("/organization/org-1", "GET, PUT, HEAD"),
        ("/organization/users/key", "GET, PUT, DELETE, HEAD"),
        ("/user/profile", "GET, HEAD"),
        ("/user/verify-email", "POST"),
        ("/user/user-1", "GET, PUT, HEAD"),
    ] {
        let refused = server.call_as(&owner, Method::PATCH, path, None).await;
        let allow = refused.headers["allow"].to_str().expect("text");
        assert_eq!((refused.status.as_u16(), allow), (405, methods), "{path}");
    }
    let listed = server.call_as(&owner, Method::GET, "/organization/users", None).await.json();
    assert_eq!(listed["total"], 1);
}

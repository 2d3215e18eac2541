//! Request bodies in forms that the server does not read, and values of other types: each has its own message.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::{Answer, Identity, Server, registration};

async fn send(server: &Server, owner: &Identity, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut request = server.request(Method::POST, path).header("authorization", format!("Bearer {}", owner.token));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(Full::new(Bytes::from(body.to_vec()))).expect("a request")).await
}

fn message(answer: &Answer) -> String {
    let body = answer.json();
    body["message"].as_str().or(body["errors"][0].as_str()).expect("a message").to_owned()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn each_form_of_a_body_that_is_not_plain_json_has_its_message() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let project = format!("/api/organizations/{}/projects", owner.org);
    let utf_16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
    for path in [project.as_str(), "/register", "/unregister", "/secrets", "/user/login", "/systemevent"] {
        for (headers, body, status, expected) in [
            (&[JSON][..], "\u{feff}{}".as_bytes(), 400, "begins with a byte order mark"),
            (&[JSON], &utf_16, 400, "is UTF-16"),
            (&[JSON], b"{\"name\": \"\xe4\"}", 400, "is not UTF-8"),
            (&[JSON], &gzip, 400, "compressed with gzip"),
            (&[JSON, ("content-encoding", "gzip")], &gzip, 415, "compressed (Content-Encoding): send it uncompressed"),
            (&[JSON, ("content-encoding", "br")], b"{}", 415, "compressed (Content-Encoding)"),
            (&[JSON, ("content-encoding", "identity"), ("content-encoding", "gzip")], b"{}", 415, "compressed"),
            (&[], b"{}", 415, "send Content-Type: application/json"),
            (
                &[("content-type", "application/x-www-form-urlencoded")],
                b"a=b",
                415,
                "send Content-Type: application/json",
            ),
            (&[JSON], b"7", 400, "The body must be a JSON object"),
            (&[JSON], b"\"name\"", 400, "The body must be a JSON object"),
            (&[JSON], b"null", 400, "The body must be a JSON object"),
            (&[JSON], b"[]", 400, "The body must be a JSON object"),
            (&[JSON], b"name=a", 400, "The body is not JSON"),
        ] {
            let answer = send(&server, &owner, path, headers, body).await;
            assert_eq!(answer.status.as_u16(), status, "{path} {body:?}: {answer:?}");
            assert!(message(&answer).contains(expected), "{path}: {} does not say {expected}", message(&answer));
        }
    }
    let plain = [JSON, ("content-encoding", "identity")];
    let answer = send(&server, &owner, &project, &plain, b"{\"name\": \"web\"}").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_another_type_has_a_message_in_the_words_of_json() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let whole = "timestamp must be a whole number of Unix seconds or milliseconds";
    for timestamp in
        [json!(1_705_314_600.5), json!(1.7e9), json!(-1), json!("1705314600.5"), json!(true), json!([]), json!({})]
    {
        let mut body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
        body["timestamp"] = timestamp.clone();
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{timestamp}");
        assert!(message(&answer).starts_with(whole), "{timestamp}: {}", message(&answer));
    }
    let keys = format!("/api/organizations/{}/api-keys", owner.org);
    for (path, body, expected) in [
        ("/systemevent", json!({ "take": 1.5 }), "take must be a whole number"),
        ("/systemevent", json!({ "take": "1" }), "take must be a whole number"),
        ("/systemevent", json!({ "context": 1e300 }), "context must be a whole number"),
        ("/systemevent", json!({ "showUnread": 1 }), "showUnread must be true or false"),
        ("/systemevent", json!({ "from_timestamp": 1_705_314_600 }), "from_timestamp must be a string"),
        ("/systemevent/read", json!({ "ids": 1 }), "ids must be an array"),
        ("/systemevent/read", json!({ "ids": ["1"] }), "ids[0] must be a whole number"),
        (keys.as_str(), json!({ "listProjectsId": [], "roleId": 0, "userApiKey": 1 }), "userApiKey must be an object"),
        (&keys, json!({ "listProjectsId": [7], "roleId": 0 }), "listProjectsId[0] must be a string"),
        (&keys, json!({ "listProjectsId": [], "roleId": 0, "userApiKey": {} }), "missing field apiName"),
    ] {
        let answer = server.call_as(&owner, Method::POST, path, Some(&body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
        assert!(message(&answer).starts_with(expected), "{body}: {}", message(&answer));
        for word in ["struct ", "i64", "u32", "`", "invalid type", "expected"] {
            assert!(!message(&answer).contains(word), "{body}: {}", message(&answer));
        }
    }
}

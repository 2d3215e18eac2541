//! Organization keys: the private half is returned once and never stored, and the quota holds.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_sent_as_pem_unless_json_is_requested() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let path = format!("/organization/{}/key", owner.org);
    let bearer = format!("Bearer {}", owner.token);
    // (query, Accept, whether the answer is JSON)
    let cases = [
        ("", None, false),
        ("", Some("*/*"), false),
        ("", Some("application/json;q=0, */*"), false),
        ("", Some("text/html, application/json;q=0.1"), true),
        ("?format=pem", Some("application/json"), false),
        ("?format=json", Some("application/x-pem-file"), true),
    ];
    for (query, accept, json) in cases {
        let mut request = server.request(Method::POST, &format!("{path}{query}")).header("authorization", &bearer);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = server.send(crate::harness::with_body(request, None)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let id = answer.headers["x-key-id"].to_str().expect("text").to_owned();
        if json {
            let body = answer.json();
            assert_eq!((&body["data"]["id"], &body["data"]["orgId"]), (&json!(id), &json!(owner.org)));
            let private = body["data"]["privateKey"].as_str().expect("a key");
            assert!(private.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"), "{query} {accept:?}");
        } else {
            assert_eq!(answer.headers["content-type"], "application/x-pem-file", "{query} {accept:?}");
            assert_eq!(answer.headers["content-disposition"], format!("attachment; filename=\"{id}.pem\""));
            assert!(answer.body.starts_with(b"-----BEGIN RSA PRIVATE KEY-----\n"));
        }
        server.call_as(&owner, Method::DELETE, &path, None).await;
    }
    let unknown = server.call_as(&owner, Method::POST, &format!("{path}?format=der"), None).await;
    assert_eq!(unknown.refusal(), (400, "INVALID_FIELD".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_quota_is_refused_with_the_documented_message() {
    let server = Server::with(|flags| flags.with("max", "1")).await;
    let owner = server.owner_of("acme").await;
    server.key(&owner).await;
    let answer = server.call_as(&owner, Method::POST, &format!("/organization/{}/key", owner.org), None).await;
    let message = "Maximum number of organization keys (1) has been reached. Please delete existing keys before creating new ones.";
    let expected = json!({ "success": false, "message": message, "errorCode": "KEY_LIMIT_REACHED" });
    assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_never_exceed_the_quota() {
    // Room for one key, since every key that is generated takes a tenth of a second.
    let server = Arc::new(Server::with(|flags| flags.with("org_keys_max", "1")).await);
    let owner = server.owner_of("acme").await;
    let path = format!("/organization/{}/key", owner.org);
    for round in 0..50 {
        let calls: Vec<_> = (0..64)
            .map(|_| {
                let (server, owner, path) = (Arc::clone(&server), owner.clone(), path.clone());
                tokio::spawn(async move { server.call_as(&owner, Method::POST, &path, None).await.status })
            })
            .collect();
        let mut made = 0;
        for call in calls {
            match call.await.expect("an answer") {
                StatusCode::OK => made += 1,
                status => assert_eq!(status, StatusCode::BAD_REQUEST),
            }
        }
        let listed = server.call_as(&owner, Method::GET, &path, None).await.json();
        assert_eq!((made, listed["data"].as_array().map(Vec::len)), (1, Some(1)), "round {round}");
        server.call_as(&owner, Method::DELETE, &path, None).await;
    }
}

//! The three responses of organization keys that existing clients rely on, word for word.

use hyper::{Method, StatusCode};
use serde_json::json;

use crate::harness::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_listed_with_its_nodes() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.mint(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, "203.0.113.7").await.status, StatusCode::OK);
    let path = format!("/organization/{}/key", owner.org);
    let answer = server.call_as(&owner, Method::GET, &path, None).await;
    let body = answer.json();
    let public_key = body["data"][0]["publicKey"].as_str().expect("a key");
    assert!(
        public_key.starts_with("-----BEGIN PUBLIC KEY-----\n") && public_key.ends_with("-----END PUBLIC KEY-----\n")
    );
    let thumbprint = body["data"][0]["thumbprint"].as_str().expect("a thumbprint");
    assert_eq!(thumbprint.len(), 43);
    // The first five fields are those that existing clients know.
    let expected = json!({
        "success": true,
        "message": "Organization keys retrieved successfully",
        "data": [{
            "id": key, "orgId": owner.org, "publicKey": public_key, "createdAt": "2024-01-15T10:30:00.000Z",
            "nodeKeys": [{ "keyId": key, "nodeId": "203.0.113.7", "lastUsed": "2024-01-15T10:30:00.000Z" }],
            "name": "", "state": "active", "retireAt": null, "retireWhenUnused": false, "successorId": null,
            "lastUsed": "2024-01-15T10:30:00.000Z", "algorithm": "RSA", "bits": 2048, "thumbprint": thumbprint,
            "brought": false,
        }],
    });
    assert_eq!((answer.status, body), (StatusCode::OK, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_all_keys_states_how_many() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for _ in 0..3 {
        server.mint(&owner).await;
    }
    let path = format!("/organization/{}/key", owner.org);
    for count in [3, 0] {
        let answer = server.call_as(&owner, Method::DELETE, &path, None).await;
        let message = format!("Successfully deleted {count} organization key(s)");
        assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({ "success": true, "message": message })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_one_key_confirms_it_and_a_missing_key_gets_404() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.mint(&owner).await;
    let path = format!("/organization/{}/key/{key}", owner.org);
    let answer = server.call_as(&owner, Method::DELETE, &path, None).await;
    let done = json!({ "success": true, "message": "Organization key deleted successfully" });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, done));
    let again = server.call_as(&owner, Method::DELETE, &path, None).await;
    let missing = json!({
        "success": false, "message": "Organization key not found or does not belong to this organization",
        "errorCode": "KEY_NOT_FOUND",
    });
    assert_eq!((again.status, again.json()), (StatusCode::NOT_FOUND, missing));
}

//! How many keys an organization has in each state.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::json;

use super::{census, keys_of, register_all, rotate, rotated, state};
use crate::announcements::keep_house;
use crate::harness::{Identity, Server};

/// Public keys whose private halves were thrown away. Keys that sign nothing need not be generated for each run.
const PUBLIC_KEYS: &str = include_str!("public-keys.pem");

fn public_keys() -> impl Iterator<Item = &'static str> {
    PUBLIC_KEYS.split_inclusive("-----END PUBLIC KEY-----\n")
}

/// Imports a public key; returns its id.
async fn import(server: &Server, owner: &Identity, key: &str) -> String {
    let body = json!({ "publicKey": key });
    let made =
        server.call_as(owner, Method::POST, &format!("/organization/{}/keys/import", owner.org), Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()["data"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_takes_the_place_of_its_predecessor() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(server.key(&owner).await.0);
    }
    let create = async || server.call_as(&owner, Method::POST, &keys_of(&owner, ""), None).await;
    assert_eq!(create().await.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    for (count, key) in keys.iter().enumerate() {
        rotated(&server, &owner, key, &json!({})).await;
        assert_eq!(census(&server, &owner).await, [5, count + 1, 0, 0]);
        assert_eq!(create().await.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    }
    let active = super::all(&server, &owner).await[0]["id"].as_str().expect("an id").to_owned();
    // Nothing was generated or stored for the sixth.
    let sixth = rotate(&server, &owner, &active, &json!({})).await;
    assert_eq!(sixth.refusal(), (409, "TOO_MANY_RETIRING".to_owned()));
    assert_eq!(rotate(&server, &owner, &keys[0], &json!({})).await.refusal(), (409, "KEY_ALREADY_ROTATED".to_owned()));
    assert_eq!(census(&server, &owner).await, [5, 5, 0, 0]);
    // One that ends at once is never retiring.
    rotated(&server, &owner, &active, &json!({ "overlapSeconds": 0 })).await;
    assert_eq!(census(&server, &owner).await, [5, 5, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_retired_and_deleted_keys_are_kept_the_oldest_give_way() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (mut key, mut pem) = server.key(&owner).await;
    register_all(&server, &owner, &pem, 0..1).await;
    let mut old = Vec::new();
    for _ in 0..10 {
        server.pass(1_000);
        old.push(key.clone());
        (key, pem) = rotated(&server, &owner, &key, &json!({})).await;
        server.pass(1_000);
        register_all(&server, &owner, &pem, 0..1).await;
    }
    assert_eq!(census(&server, &owner).await, [1, 0, 5, 0]);
    assert_eq!(state(&server, &owner, &old[5]).await.0, "retired");
    let mut public_keys = public_keys();
    for public_key in public_keys.by_ref().take(15) {
        server.pass(1_000);
        let key = import(&server, &owner, public_key).await;
        server.call_as(&owner, Method::DELETE, &keys_of(&owner, &format!("/{key}")), None).await;
    }
    assert_eq!(census(&server, &owner).await, [1, 0, 5, 10]);
    // All that verified can come back after the deletion of all.
    for public_key in public_keys.by_ref().take(4) {
        import(&server, &owner, public_key).await;
    }
    let active: Vec<_> = super::all(&server, &owner).await.into_iter().filter(|key| key["state"] == "active").collect();
    for (key, public_key) in active.iter().zip(public_keys) {
        let id = key["id"].as_str().expect("an id");
        assert_eq!(rotate(&server, &owner, id, &json!({ "publicKey": public_key })).await.status, StatusCode::OK);
    }
    let before: Vec<_> = super::all(&server, &owner).await;
    let verifying = before.iter().filter(|key| key["state"] == "active" || key["state"] == "retiring");
    let verifying: Vec<_> = verifying.map(|key| key["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(verifying.len(), 10);
    server.pass(1_000);
    server.call_as(&owner, Method::DELETE, &keys_of(&owner, ""), None).await;
    for key in &verifying {
        let path = keys_of(&owner, &format!("/{key}/restore"));
        assert_eq!(server.call_as(&owner, Method::POST, &path, None).await.status, StatusCode::OK);
    }
    assert_eq!(census(&server, &owner).await[..2], [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_retired_and_deleted_keys_those_that_ended_first_give_way() {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let mut public_keys = public_keys();
    let mut next = || public_keys.next().expect("a key");
    let first = import(&server, &owner, next()).await;
    let mut replace = async |key: &str, overlap: u32| {
        let body = json!({ "publicKey": next(), "overlapSeconds": overlap });
        let answer = rotate(&server, &owner, key, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        server.pass(1_000);
        answer.json()["data"]["id"].as_str().expect("an id").to_owned()
    };
    let second = replace(&first, 3_600).await;
    let third = replace(&second, 0).await;
    assert_eq!(census(&server, &owner).await, [1, 1, 1, 0]);
    server.pass(3_600_000);
    assert_eq!(census(&server, &owner).await, [1, 0, 2, 0], "nothing has changed since");
    keep_house(&server).await;
    assert_eq!(census(&server, &owner).await, [1, 0, 1, 0]);
    assert_eq!(state(&server, &owner, &first).await.0, "retired", "the older key ended later");
    let delete = async |key: &str| {
        server.pass(1_000);
        let path = keys_of(&owner, &format!("/{key}"));
        assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    };
    delete(&third).await;
    let fourth = import(&server, &owner, next()).await;
    delete(&fourth).await;
    // It can verify nothing even if its deletion is undone.
    delete(&first).await;
    let left: Vec<_> = super::all(&server, &owner).await.into_iter().map(|key| key["id"].clone()).collect();
    assert_eq!(left, [json!(fourth), json!(third)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_concurrent_rotations_of_a_key_succeeds() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    for _ in 0..5 {
        let (key, _) = server.key(&owner).await;
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let (server, owner, key) = (Arc::clone(&server), owner.clone(), key.clone());
                tokio::spawn(async move { rotate(&server, &owner, &key, &json!({})).await })
            })
            .collect();
        let mut made = 0;
        for call in calls {
            let answer = call.await.expect("an answer");
            if answer.status == StatusCode::OK {
                made += 1;
            } else {
                assert_eq!(answer.refusal(), (409, "KEY_ALREADY_ROTATED".to_owned()));
            }
        }
        assert_eq!(made, 1);
    }
    assert_eq!(census(&server, &owner).await, [5, 5, 0, 0]);
}

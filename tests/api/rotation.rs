//! Organization keys change hands without a refused registration: rotation, the nodes that are left, and the end of the old
//! key.

mod announced;
mod changed;
mod imported;
mod quota;
mod undone;

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::announcements::keep_house;
use crate::harness::{Answer, BEGIN, Identity, Server, entries, registration, with_body};
use crate::stream::Reader;
use crate::webhooks::Hook;

const DAY: i64 = 24 * 3_600 * 1_000;

/// The path of an organization's keys, or of what is below it.
fn keys_of(owner: &Identity, rest: &str) -> String {
    format!("/organization/{}/key{rest}", owner.org)
}

/// Rotates a key, and asks for JSON.
pub async fn rotate(server: &Server, owner: &Identity, key: &str, body: &Value) -> Answer {
    let path = keys_of(owner, &format!("/{key}/rotate?format=json"));
    server.call_as(owner, Method::POST, &path, Some(body)).await
}

/// Rotates a key. Returns the successor's id and private key.
async fn rotated(server: &Server, owner: &Identity, key: &str, body: &Value) -> (String, String) {
    let answer = rotate(server, owner, key, body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let data = answer.json()["data"].clone();
    let text = |name: &str| data[name].as_str().expect(name).to_owned();
    (text("id"), text("privateKey"))
}

/// Rotates a key without a format, which gives a PEM file. Returns the successor's id.
async fn rotated_in_default_format(server: &Server, owner: &Identity, key: &str, body: &Value) -> String {
    let answer = server.call_as(owner, Method::POST, &keys_of(owner, &format!("/{key}/rotate")), Some(body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let header = |name: &str| answer.headers[name].to_str().expect("text").to_owned();
    let id = header("x-key-id");
    let expected = ["application/x-pem-file", "no-store", &format!("attachment; filename=\"{id}.pem\"")];
    assert_eq!(["content-type", "cache-control", "content-disposition"].map(header), expected);
    assert!(answer.body.starts_with(b"-----BEGIN RSA PRIVATE KEY-----\n"));
    id
}

/// The keys of an organization, with those that are retired and deleted.
async fn all(server: &Server, owner: &Identity) -> Vec<Value> {
    let answer = server.call_as(owner, Method::GET, &keys_of(owner, "?retired=true"), None).await;
    answer.json()["data"].as_array().expect("keys").clone()
}

/// A key, as it is listed.
async fn shown(server: &Server, owner: &Identity, key: &str) -> Value {
    let keys = all(server, owner).await;
    keys.into_iter().find(|shown| shown["id"] == key).unwrap_or_else(|| panic!("{key} is not listed"))
}

/// The state of a key, and how many nodes it has.
async fn state(server: &Server, owner: &Identity, key: &str) -> (String, usize) {
    let key = shown(server, owner, key).await;
    (key["state"].as_str().expect("a state").to_owned(), key["nodeKeys"].as_array().expect("nodes").len())
}

/// How many keys are in each state: active, retiring, retired and deleted.
async fn census(server: &Server, owner: &Identity) -> [usize; 4] {
    let keys = all(server, owner).await;
    ["active", "retiring", "retired", "deleted"].map(|state| keys.iter().filter(|key| key["state"] == state).count())
}

/// The audit entries about organization keys that changed something: action, key and detail.
async fn history(server: &Server) -> Vec<(String, String, Value)> {
    let recorded = entries(&server.database).await.into_iter();
    let recorded = recorded.filter(|entry| entry.action.starts_with("org_key.") && entry.change.is_some());
    recorded
        .map(|entry| {
            let detail = entry.detail.as_deref().map(|detail| serde_json::from_str(detail).expect("JSON"));
            (entry.action.clone(), entry.context_id.clone().expect("an id"), detail.unwrap_or_default())
        })
        .collect()
}

fn ip(node: u32) -> String {
    format!("203.0.113.{node}")
}

fn moment(millis: i64) -> String {
    orgkeys::domain::time::Time::from_millis(millis).to_string()
}

async fn register_all(server: &Server, owner: &Identity, pem: &str, nodes: std::ops::Range<u32>) {
    for node in nodes {
        let answer = server.register(&owner.org, pem, &ip(node)).await;
        assert_eq!(answer.status, StatusCode::OK, "{node}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_nodes_move_and_the_old_key_ends_with_the_last() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, old_pem) = server.key(&owner).await;
    register_all(&server, &owner, &old_pem, 0..20).await;
    let hook = Hook::make(&server, &owner, &json!({ "url": "https://a.example", "contexts": [10] })).await;
    let mut reader = Reader::of(&server, &owner, "?context=10").await;

    let answer = rotate(&server, &owner, &old, &json!({})).await;
    let data = answer.json()["data"].clone();
    let (new, pem) = (data["id"].as_str().expect("an id"), data["privateKey"].as_str().expect("a key"));
    assert_eq!((&data["predecessorId"], &data["retireAt"]), (&json!(old), &json!(moment(BEGIN + 7 * DAY))));
    assert_eq!(answer.headers["x-key-id"].to_str().expect("text"), new);
    let shown_old = shown(&server, &owner, &old).await;
    assert_eq!((&shown_old["successorId"], &shown_old["retireWhenUnused"]), (&json!(new), &json!(true)));
    assert_eq!(state(&server, &owner, &old).await, ("retiring".to_owned(), 20));
    assert_eq!(state(&server, &owner, new).await, ("active".to_owned(), 0));

    // Both keys register, and the node with the old one is told that it ends.
    server.pass(1_000);
    let with_old = server.register(&owner.org, &old_pem, &ip(19)).await.json();
    let warning = &with_old["warnings"][0];
    assert_eq!((&warning["code"], &warning["at"]), (&json!("KEY_RETIRING"), &json!(moment(BEGIN + 7 * DAY))));
    let with_new = server.register(&owner.org, pem, &ip(0)).await.json();
    assert_eq!((&with_new["data"]["keyId"], with_new.get("warnings")), (&json!(new), None));

    server.pass(1_000);
    register_all(&server, &owner, pem, 1..19).await;
    assert_eq!(state(&server, &owner, &old).await, ("retiring".to_owned(), 1));
    let left = format!("/organization/{}/nodes?keyId={old}", owner.org);
    let left = server.call_as(&owner, Method::GET, &left, None).await.json();
    assert_eq!((&left["total"], &left["data"][0]["ip"]), (&json!(1), &json!(ip(19))));
    register_all(&server, &owner, pem, 19..20).await;
    assert_eq!(state(&server, &owner, &old).await, ("retired".to_owned(), 0));
    assert_eq!(state(&server, &owner, new).await, ("active".to_owned(), 20));

    let end = history(&server).await.split_off(1);
    let retire_at = moment(BEGIN + 7 * DAY);
    let expected = [
        ("org_key.rotate", &*old, json!({ "successor": new, "retireAt": retire_at, "nodes": 20 })),
        ("org_key.create", new, json!({ "brought": false, "bits": 2_048 })),
        ("org_key.unused", &*old, Value::Null),
        ("org_key.retired", &*old, json!({ "why": "unused", "nodes": 0 })),
    ];
    let expected = expected.map(|(action, key, detail)| (action.to_owned(), key.to_owned(), detail));
    assert_eq!(end, expected);
    let sent: Vec<_> = reader.events(4).await.into_iter().map(|(_, event)| event["contextId"].clone()).collect();
    assert_eq!(sent, [json!(old), json!(new), json!(old), json!(old)]);
    assert_eq!(hook.deliveries(&server, &owner, "").await["total"], 4);
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner, ""), None).await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "a retired key is not listed by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_retired_key_is_told_which_key_replaced_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, old_pem) = server.key(&owner).await;
    register_all(&server, &owner, &old_pem, 0..1).await;
    let (new, pem) = rotated(&server, &owner, &old, &json!({})).await;
    server.pass(1_000);
    register_all(&server, &owner, &pem, 0..1).await;
    server.pass(1_000);
    let refused = server.register(&owner.org, &old_pem, &ip(0)).await;
    assert_eq!(refused.refusal(), (400, "KEY_RETIRED".to_owned()));
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains(&old) && advice.contains(&format!("Its successor is {new}")), "{advice}");
    let unregister = registration(&owner.org, &old_pem, &ip(0), server.now() / 1_000 + 1);
    let refused = server.call(Method::POST, "/unregister", Some(&unregister)).await;
    assert_eq!(refused.refusal(), (400, "KEY_RETIRED".to_owned()));
    assert_eq!(rotate(&server, &owner, &old, &json!({})).await.refusal(), (409, "KEY_RETIRED".to_owned()));

    // The successor's successor, once it has replaced that one.
    let newest = rotated_in_default_format(&server, &owner, &new, &json!({ "retireWhenUnused": false })).await;
    server.pass(1_000);
    let refused = server.register(&owner.org, &old_pem, &ip(0)).await;
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains(&new) && !advice.contains(&newest), "the first that verifies: {advice}");
    server.pass(7 * DAY);
    let refused = server.register(&owner.org, &old_pem, &ip(0)).await;
    assert!(refused.json()["errorMessage"].as_str().expect("advice").contains(&newest), "{refused:?}");
    // Whoever does not hold the key is told nothing about it.
    let (_, strange) = server.key(&server.owner_of("other").await).await;
    server.pass(1_000);
    assert_eq!(server.register(&owner.org, &strange, &ip(0)).await.refusal(), (400, "BAD_SIGNATURE".to_owned()));
    server.call_as(&owner, Method::DELETE, &keys_of(&owner, &format!("/{newest}")), None).await;
    server.pass(1_000);
    let refused = server.register(&owner.org, &old_pem, &ip(0)).await;
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains(&new) && !advice.contains(&newest), "a deleted key replaces nothing: {advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_end_unused_verifies_until_its_end_and_not_at_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, old_pem) = server.key(&owner).await;
    register_all(&server, &owner, &old_pem, 0..1).await;
    let body = json!({ "overlapSeconds": 3_600, "retireWhenUnused": false, "name": "autumn" });
    let (new, pem) = rotated(&server, &owner, &old, &body).await;
    assert_eq!(shown(&server, &owner, &new).await["name"], "autumn");
    server.pass(1_000);
    register_all(&server, &owner, &pem, 0..1).await;
    server.pass(3_600_000 - 1_000 - 1);
    register_all(&server, &owner, &old_pem, 1..2).await;
    server.pass(1);
    let refused = server.register(&owner.org, &old_pem, &ip(2)).await;
    assert_eq!(refused.refusal(), (400, "KEY_RETIRED".to_owned()));
    // The node that was left over stays beside the retired key.
    assert_eq!(state(&server, &owner, &old).await, ("retired".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_node_used_waits_for_its_end() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, old_pem) = server.key(&owner).await;
    let request = server.request(Method::POST, &keys_of(&owner, &format!("/{old}/rotate")));
    let request =
        request.header("authorization", format!("Bearer {}", owner.token)).header("accept", "application/json");
    let answer = server.send(with_body(request, Some(&json!({ "overlapSeconds": 3_600 })))).await;
    let answer = answer.json();
    let pem = answer["data"]["privateKey"].as_str().expect("a key in JSON, as the header says");
    register_all(&server, &owner, pem, 0..2).await;
    assert_eq!(state(&server, &owner, &old).await.0, "retiring");
    // An image with the old key appears, and moves: that was its last node.
    server.pass(1_000);
    register_all(&server, &owner, &old_pem, 2..3).await;
    assert_eq!(state(&server, &owner, &old).await, ("retiring".to_owned(), 1));
    server.pass(1_000);
    register_all(&server, &owner, pem, 2..3).await;
    assert_eq!(state(&server, &owner, &old).await.0, "retired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_a_key_when_it_is_unregistered_or_deleted_too() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for way in ["unregistered", "deleted"] {
        let (old, old_pem) = server.key(&owner).await;
        register_all(&server, &owner, &old_pem, 0..1).await;
        rotated(&server, &owner, &old, &json!({})).await;
        server.pass(1_000);
        let answer = if way == "deleted" {
            let path = format!("/organization/{}/node/{}", owner.org, ip(0));
            server.call_as(&owner, Method::DELETE, &path, None).await
        } else {
            let body = registration(&owner.org, &old_pem, &ip(0), server.now() / 1_000);
            server.call(Method::POST, "/unregister", Some(&body)).await
        };
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(state(&server, &owner, &old).await.0, "retired", "{way}");
        let ended = history(&server).await;
        let count = ended.iter().filter(|(action, key, _)| action == "org_key.retired" && *key == old).count();
        assert_eq!(count, 1, "{way}");
    }
    keep_house(&server).await;
    let by: Vec<_> = entries(&server.database).await;
    let by = by.iter().filter(|entry| entry.action == "org_key.retired" || entry.action == "org_key.unused");
    assert!(by.clone().count() == 4 && by.into_iter().all(|entry| entry.actor_kind == "system"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_registration_is_refused_while_keys_are_rotated() {
    const NODES: u8 = 24;
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (mut key, mut pem) = server.key(&owner).await;
    let at_once = async |pem: &str, second: i64| {
        let calls: Vec<_> = (0..NODES)
            .map(|node| {
                let body = registration(&owner.org, pem, &ip(node.into()), server.now() / 1_000 + second);
                let server = Arc::clone(&server);
                tokio::spawn(async move { server.call(Method::POST, "/register", Some(&body)).await })
            })
            .collect();
        for call in calls {
            let answer = call.await.expect("an answer");
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    };
    at_once(&pem, 0).await;
    for round in 0..50 {
        let terms = json!({});
        let ((), (successor, successor_pem)) = tokio::join!(at_once(&pem, 1), rotated(&server, &owner, &key, &terms));
        at_once(&successor_pem, 2).await;
        assert_eq!(state(&server, &owner, &key).await.0, "retired", "round {round}");
        assert_eq!(
            state(&server, &owner, &successor).await,
            ("active".to_owned(), usize::from(NODES)),
            "round {round}"
        );
        (key, pem) = (successor, successor_pem);
        server.pass(10_000);
    }
    let ends: Vec<_> = history(&server).await.into_iter().filter(|(action, ..)| action == "org_key.retired").collect();
    let keys: std::collections::BTreeSet<_> = ends.iter().map(|(_, key, _)| key).collect();
    assert_eq!((ends.len(), keys.len()), (50, 50), "each key ends once");
}

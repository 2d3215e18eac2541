//! What a deletion would do, and how it is undone.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{DAY, all, census, ip, keys_of, moment, register_all, rotate, rotated, state};
use crate::harness::{Answer, BEGIN, Identity, Server};

async fn restore(server: &Server, owner: &Identity, key: &str) -> Answer {
    server.call_as(owner, Method::POST, &keys_of(owner, &format!("/{key}/restore")), None).await
}

async fn delete(server: &Server, owner: &Identity, key: &str) -> Answer {
    server.call_as(owner, Method::DELETE, &keys_of(owner, &format!("/{key}")), None).await
}

async fn impact(server: &Server, owner: &Identity, query: &str) -> Value {
    let path = format!("/organization/{}/keys/impact{query}", owner.org);
    let answer = server.call_as(owner, Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_can_be_undone_for_a_day() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    register_all(&server, &owner, &pem, 0..2).await;
    assert_eq!(restore(&server, &owner, &key).await.refusal(), (400, "KEY_NOT_DELETED".to_owned()));
    assert_eq!(restore(&server, &owner, "key-1").await.refusal(), (404, "KEY_NOT_FOUND".to_owned()));
    assert_eq!(delete(&server, &owner, &key).await.status, StatusCode::OK);
    assert_eq!(state(&server, &owner, &key).await, ("deleted".to_owned(), 0));
    let (action, about, detail) = super::history(&server).await.pop().expect("an entry");
    assert_eq!((action.as_str(), &about), ("org_key.delete", &key));
    assert_eq!(detail, json!({ "nodes": 2, "until": moment(BEGIN + DAY) }));
    server.pass(1_000);
    assert_eq!(server.register(&owner.org, &pem, &ip(0)).await.refusal(), (400, "NO_KEYS".to_owned()));
    assert_eq!(delete(&server, &owner, &key).await.refusal(), (404, "KEY_NOT_FOUND".to_owned()));
    for method in [Method::PUT, Method::POST] {
        let (path, body) = match method {
            Method::PUT => (keys_of(&owner, &format!("/{key}")), json!({ "name": "a" })),
            _ => (keys_of(&owner, &format!("/{key}/rotate")), json!({})),
        };
        let answer = server.call_as(&owner, method, &path, Some(&body)).await;
        assert_eq!(answer.refusal(), (404, "KEY_NOT_FOUND".to_owned()));
    }

    server.pass(DAY - 1_000 - 1);
    let restored = restore(&server, &owner, &key).await;
    assert_eq!((restored.status, &restored.json()["data"]["state"]), (StatusCode::OK, &json!("active")));
    assert_eq!(state(&server, &owner, &key).await, ("active".to_owned(), 0));
    register_all(&server, &owner, &pem, 0..1).await;
    assert_eq!(state(&server, &owner, &key).await, ("active".to_owned(), 1));

    delete(&server, &owner, &key).await;
    server.pass(DAY);
    assert_eq!(restore(&server, &owner, &key).await.refusal(), (410, "KEY_GONE".to_owned()));
    assert_eq!(state(&server, &owner, &key).await.0, "deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_key_needs_room_and_its_end_has_not_moved() {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let (first, _) = server.key(&owner).await;
    delete(&server, &owner, &first).await;
    let (second, _) = server.key(&owner).await;
    assert_eq!(restore(&server, &owner, &first).await.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    let (third, _) = rotated(&server, &owner, &second, &json!({ "overlapSeconds": 3_600 })).await;
    delete(&server, &owner, &second).await;
    let (_, _) = rotated(&server, &owner, &third, &json!({})).await;
    assert_eq!(restore(&server, &owner, &second).await.refusal(), (409, "TOO_MANY_RETIRING".to_owned()));
    server.pass(3_600_000);
    let restored = restore(&server, &owner, &second).await.json();
    assert_eq!((&restored["data"]["state"], &restored["data"]["successorId"]), (&json!("retired"), &json!(third)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_key_that_is_retired_gives_way_like_the_others() {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let (first, _) = server.key(&owner).await;
    let replace = async |key: &str| {
        let body = json!({ "publicKey": server.pair().public, "overlapSeconds": 0 });
        let answer = rotate(&server, &owner, key, &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        server.pass(1_000);
        answer.json()["data"]["id"].as_str().expect("an id").to_owned()
    };
    let second = replace(&first).await;
    delete(&server, &owner, &first).await;
    replace(&second).await;
    assert_eq!(census(&server, &owner).await, [1, 0, 1, 1]);
    assert_eq!(restore(&server, &owner, &first).await.status, StatusCode::OK);
    assert_eq!(census(&server, &owner).await, [1, 0, 1, 0]);
    assert_eq!(state(&server, &owner, &second).await.0, "retired", "the one that ended last");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_time_to_undo_a_deleted_key_is_gone_at_once() {
    let server = Server::with(|flags| flags.with("key_undo", "0")).await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    delete(&server, &owner, &key).await;
    assert_eq!(all(&server, &owner).await.len(), 0);
    assert_eq!(restore(&server, &owner, &key).await.refusal(), (404, "KEY_NOT_FOUND".to_owned()));
    let (.., detail) = super::history(&server).await.pop().expect("an entry");
    assert_eq!(detail, json!({ "nodes": 0, "until": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_successor_is_deleted_does_not_end_unused_and_can_be_rotated_again() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, old_pem) = server.key(&owner).await;
    register_all(&server, &owner, &old_pem, 0..1).await;
    let (new, _) = rotated(&server, &owner, &old, &json!({})).await;
    delete(&server, &owner, &new).await;
    let (other, pem) = server.key(&owner).await;
    server.pass(1_000);
    register_all(&server, &owner, &pem, 0..1).await;
    assert_eq!(state(&server, &owner, &old).await.0, "retiring");
    let (newest, _) = rotated(&server, &owner, &old, &json!({ "overlapSeconds": 31_536_000 })).await;
    let shown = super::shown(&server, &owner, &old).await;
    assert_eq!(shown["successorId"], json!(newest));
    assert_eq!(shown["retireAt"], json!(moment(BEGIN + 7 * DAY)), "a rotation does not move an end that was set");
    assert_eq!(state(&server, &owner, &other).await.0, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preview_says_which_nodes_a_deletion_concerns_and_deletes_nothing() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (first, first_pem) = server.key(&owner).await;
    let (second, second_pem) = server.key(&owner).await;
    register_all(&server, &owner, &first_pem, 0..25).await;
    server.pass(DAY);
    assert_eq!(impact(&server, &owner, "").await["heardToday"], 25, "the last millisecond of a day");
    server.pass(1);
    register_all(&server, &owner, &second_pem, 30..33).await;
    server.pass(1);
    register_all(&server, &owner, &first_pem, 3..4).await;
    let found = impact(&server, &owner, &format!("?key={first}")).await;
    let sample = found["sample"].as_array().expect("addresses");
    assert_eq!((sample.len(), &sample[0]), (20, &json!(ip(3))), "the node that called last");
    let figures = |found: &Value| {
        ["keys", "nodes", "heardToday", "unaffected"].map(|name| found[name].as_i64().expect("a number"))
    };
    assert_eq!((figures(&found), &found["lastUsed"]), ([1, 25, 1, 3], &json!(moment(BEGIN + DAY + 2))));
    assert_eq!(super::shown(&server, &owner, &first).await["lastUsed"], found["lastUsed"], "as in the list");
    let everything = [2, 28, 4, 0];
    // A misspelled parameter means all keys, and still nothing is deleted.
    for query in ["", "?keys=x", "?dryRun=false", "?idKey=x"] {
        let found = impact(&server, &owner, query).await;
        assert_eq!((figures(&found), &found["sample"][0]), (everything, &json!(ip(3))), "{query}");
    }
    let path = format!("/organization/{}/keys/impact?key=key-1", owner.org);
    let unknown = server.call_as(&owner, Method::GET, &path, None).await;
    assert_eq!(unknown.refusal(), (404, "KEY_NOT_FOUND".to_owned()));
    assert_eq!(census(&server, &owner).await, [2, 0, 0, 0]);

    delete(&server, &owner, &second).await;
    let figures_now = figures(&impact(&server, &owner, "").await);
    assert_eq!(figures_now, [1, 25, 1, 3], "nodes without a key are not concerned");
    let path = format!("/organization/{}/node/{}", owner.org, ip(30));
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!(figures(&impact(&server, &owner, "").await), [1, 25, 1, 2], "a deleted node does not count");
}

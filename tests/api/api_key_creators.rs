//! Who created an API key, and which keys an administrator should rotate once their creator is deleted.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{Identity, Server, entries, new_api_key};
use crate::sessions::change;
use crate::users::{delete, put};

/// The keys of the caller's organization, newest first.
async fn listed(server: &Server, who: &Identity) -> Vec<Value> {
    server.call_as(who, Method::GET, &keys_of(who), None).await.result().as_array().expect("keys").clone()
}

async fn named(server: &Server, who: &Identity, name: &str) -> i64 {
    let body = new_api_key(name, 0, &[]);
    let made = server.call_as(who, Method::POST, &keys_of(who), Some(&body)).await.result();
    made["id"].as_i64().expect("an id")
}

async fn rotate(server: &Server, who: &Identity, id: i64, overlap: i64) -> i64 {
    let path = format!("{}/{id}/rotate", keys_of(who));
    let made = server.call_as(who, Method::POST, &path, Some(&json!({ "overlapSeconds": overlap }))).await.result();
    made["id"].as_i64().expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_says_who_created_it_and_when() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let first = named(&server, &administrator, "a").await;
    server.pass(1_000);
    let second = rotate(&server, &owner, first, 60).await;
    let body = json!({
        "id": first, "name": "b", "startDate": "2024-01-15T10:30:00Z", "expireDate": "2024-01-15T10:31:01Z",
        "hasExpireTime": true, "roleId": 0,
    });
    server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&body)).await.result();
    let told = |key: &Value| {
        (key["apiKeyId"].as_i64(), key["apiKeyName"].clone(), key["createdAt"].clone(), key["createdBy"].clone())
    };
    let expected = [
        (Some(second), json!("a"), json!("2024-01-15T10:30:01.000Z"), json!(owner.user)),
        (Some(first), json!("b"), json!("2024-01-15T10:30:00.000Z"), json!(administrator.user)),
    ];
    let server = server.restart().await;
    assert_eq!(listed(&server, &owner).await.iter().map(told).collect::<Vec<_>>(), expected);
    change(&server, &format!("UPDATE api_key SET created_by = NULL WHERE id = {first}"));
    let old = &listed(&server, &owner).await[1];
    assert_eq!(
        (&old["createdBy"], &old["createdByName"]),
        (&Value::Null, &Value::Null),
        "from before this was recorded"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_names_its_creator_also_after_they_were_renamed_or_deleted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let eve = server.member_of(&owner.org, Role::Administrator).await;
    for name in ["a", "b"] {
        named(&server, &eve, name).await;
    }
    named(&server, &owner, "c").await;
    let names = async |expected: [&str; 3]| {
        let keys = listed(&server, &owner).await;
        assert_eq!(keys.iter().map(|key| key["createdByName"].clone()).collect::<Vec<_>>(), expected);
    };
    names(["Ada Lovelace", "Ada Lovelace", "Ada Lovelace"]).await;
    let renamed = put(&server, &owner, &eve.user, json!({ "name": "Eve", "lastName": "" })).await;
    assert_eq!(renamed.status, StatusCode::OK, "{renamed:?}");
    names(["Ada Lovelace", "Eve", "Eve"]).await;
    assert_eq!(delete(&server, &owner, &eve.user).await.status, StatusCode::OK);
    names(["Ada Lovelace", "Eve", "Eve"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_user_names_the_keys_that_they_created_and_that_are_still_valid() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let eve = server.member_of(&owner.org, Role::Administrator).await;
    let plain = named(&server, &eve, "plain").await;
    let disabled = named(&server, &eve, "disabled").await;
    let (expired, deleted) = (named(&server, &eve, "expired").await, named(&server, &eve, "deleted").await);
    let rotated = named(&server, &eve, "rotated").await;
    named(&server, &owner, "another's").await;
    let body = |id: i64, ends: Option<i64>| {
        json!({
            "id": id, "name": if ends.is_some() { "expired" } else { "disabled" }, "startDate": "2020-01-01T00:00:00Z",
            "expireDate": ends.map(|end| Time::from_millis(end).to_string()), "hasExpireTime": ends.is_some(), "roleId": 0,
            "disabled": ends.is_none(),
        })
    };
    for body in [body(disabled, None), body(expired, Some(server.now() + 1_000))] {
        server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&body)).await.result();
    }
    server.call_as(&owner, Method::DELETE, &format!("{}/{deleted}", keys_of(&owner)), None).await.result();
    let successor = rotate(&server, &eve, rotated, 60).await;
    server.pass(1_000);
    let before = listed(&server, &owner).await;
    let answer = delete(&server, &owner, &eve.user).await;
    let key = |id: i64, name: &str| json!({ "apiKeyId": id, "apiKeyName": name });
    let expected = json!({
        "success": true, "message": "User deleted successfully",
        "apiKeys": [key(successor, "rotated"), key(rotated, "rotated"), key(disabled, "disabled"), key(plain, "plain")],
        "apiKeysTotal": 4,
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected));
    let last = entries(&server.database).await.pop().expect("an entry");
    let ids = [successor, rotated, disabled, plain].map(|id| id.to_string());
    let detail = json!({ "tokensEnded": 1, "apiKeys": ids, "apiKeysTotal": 4 });
    assert_eq!((last.action.as_str(), last.detail), ("user.delete", Some(detail.to_string())));
    assert_eq!(listed(&server, &owner).await, before, "the keys belong to the organization and stay");
    let user = server.member_of(&owner.org, Role::User).await;
    let answer = delete(&server, &owner, &user.user).await.json();
    assert_eq!((&answer["apiKeys"], &answer["apiKeysTotal"]), (&json!([]), &json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_names_at_most_100_keys_and_counts_all() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let eve = server.member_of(&owner.org, Role::Administrator).await;
    let mut ids = Vec::new();
    for _ in 0..101 {
        ids.insert(0, named(&server, &eve, "a").await);
    }
    let answer = delete(&server, &owner, &eve.user).await.json();
    let named: Vec<_> = answer["apiKeys"].as_array().expect("keys").iter().map(|key| &key["apiKeyId"]).collect();
    assert_eq!((named.len(), named[0], named[99]), (100, &json!(ids[0]), &json!(ids[99])));
    assert_eq!(answer["apiKeysTotal"], 101);
    let last = entries(&server.database).await.pop().expect("an entry");
    let detail: Value = serde_json::from_str(last.detail.as_deref().expect("a detail")).expect("JSON");
    assert_eq!((detail["apiKeys"].as_array().map(Vec::len), &detail["apiKeysTotal"]), (Some(100), &json!(101)));
}

//! Limits on API keys: 50 active keys per project, and a configured number per organization, also under concurrency.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{Answer, Identity, Server, new_api_key};

const OF_A_PROJECT: &str = "Maximum number of API keys of a project (50) has been reached. Please delete existing keys before creating new ones.";

async fn create(server: &Server, who: &Identity, projects: &[&str]) -> Answer {
    server.call_as(who, Method::POST, &keys_of(who), Some(&new_api_key("a", 0, projects))).await
}

/// Creates a key that expires in a second.
async fn create_short(server: &Server, who: &Identity, projects: &[&str]) -> i64 {
    let mut body = new_api_key("a", 0, projects);
    body["userApiKey"]["hasExpireTime"] = json!(true);
    body["userApiKey"]["expireDateTime"] = json!(time(server.now() + 1_000));
    let made = server.call_as(who, Method::POST, &keys_of(who), Some(&body)).await.result();
    made["id"].as_i64().expect("an id")
}

fn time(millis: i64) -> String {
    orgkeys::domain::time::Time::from_millis(millis).to_string()
}

/// The body of an update that removes a key's expiry.
fn endless(id: i64) -> Value {
    json!({ "id": id, "name": "a", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0 })
}

async fn change(server: &Server, who: &Identity, body: &Value) -> Answer {
    server.call_as(who, Method::PUT, &keys_of(who), Some(body)).await
}

fn full(message: &str) -> Value {
    json!({
        "success": false, "errors": [message], "messages": [], "result": null,
        "resultInfo": "API_KEY_LIMIT_REACHED", "statusCode": 400,
    })
}

/// How many of 32 concurrent creations succeed.
async fn of_32_at_once(server: Server, owner: &Identity, projects: Vec<String>) -> (Server, usize) {
    let server = Arc::new(server);
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (server, owner, projects) = (Arc::clone(&server), owner.clone(), projects.clone());
            tokio::spawn(async move {
                let projects: Vec<&str> = projects.iter().map(String::as_str).collect();
                create(&server, &owner, &projects).await
            })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::CREATED {
            made += 1;
        } else {
            assert_eq!(answer.refusal(), (400, "API_KEY_LIMIT_REACHED".to_owned()));
        }
    }
    (Arc::into_inner(server).expect("no more calls"), made)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_concurrent_creations_in_a_project_with_49_keys_one_succeeds() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, other) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    for _ in 0..49 {
        create(&server, &owner, &[&id]).await.result();
    }
    let (server, made) = of_32_at_once(server, &owner, vec![id.clone()]).await;
    assert_eq!(made, 1);
    let path = format!("/api/projects/{id}/api-keys");
    let listed = server.call_as(&owner, Method::GET, &path, None).await.result();
    assert_eq!(listed.as_array().map(Vec::len), Some(50));
    let refused = create(&server, &owner, &[&other, &id]).await;
    assert_eq!((refused.status.as_u16(), refused.json()), (400, full(OF_A_PROJECT)));
    let of_other = format!("/api/projects/{other}/api-keys");
    let none = server.call_as(&owner, Method::GET, &of_other, None).await.result();
    assert_eq!(none, json!([]), "nothing was created");
    create(&server, &owner, &[&other]).await.result();
    create(&server, &owner, &[]).await.result();
    let newest = listed[0]["apiKeyId"].as_i64().expect("an id");
    server.call_as(&owner, Method::DELETE, &format!("{}/{newest}", keys_of(&owner)), None).await.result();
    create(&server, &owner, &[&id, &other]).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_cannot_exceed_the_limit_of_a_project() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, other) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    let short = create_short(&server, &owner, &[&id]).await;
    for _ in 0..49 {
        create(&server, &owner, &[&id]).await.result();
    }
    // It counts no longer, because its successor does.
    let path = format!("{}/{}/rotate", keys_of(&owner), short + 1);
    server.call_as(&owner, Method::POST, &path, Some(&json!({ "overlapSeconds": 3_600 }))).await.result();
    assert_eq!(
        create(&server, &owner, &[&id]).await.status,
        StatusCode::BAD_REQUEST,
        "the key that is about to expire still counts"
    );
    let elsewhere = create(&server, &owner, &[&other]).await.result()["id"].as_i64().expect("an id");
    let mut joins = endless(elsewhere);
    joins["listProjectsId"] = json!([other, id]);
    server.pass(999);
    assert_eq!(change(&server, &owner, &joins).await.json(), full(OF_A_PROJECT));
    server.pass(1);
    change(&server, &owner, &joins).await.result();
    let extended = change(&server, &owner, &endless(short)).await;
    assert_eq!(extended.json(), full(OF_A_PROJECT), "an expired key cannot come back over the limit");
    change(&server, &owner, &joins).await.result();
    let mut renamed = endless(elsewhere);
    renamed["listProjectsId"] = json!([id]);
    change(&server, &owner, &renamed).await.result();
    let mut moved = endless(short);
    moved["listProjectsId"] = json!([other]);
    change(&server, &owner, &moved).await.result();
    let listed = server.call_as(&owner, Method::GET, &format!("/api/projects/{id}/api-keys"), None).await.result();
    assert_eq!(listed.as_array().map(Vec::len), Some(50 + 1));
    // Where there is room, it comes back.
    let expired = create_short(&server, &owner, &[&other]).await;
    server.pass(1_000);
    let mut again = endless(expired);
    again["listProjectsId"] = json!([other]);
    change(&server, &owner, &again).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creations_fill_an_organization_exactly_to_its_limit() {
    let server = Server::with(|flags| flags.with("api_keys_max", "10")).await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    for _ in 0..3 {
        create(&server, &owner, &[]).await.result();
        create(&server, &other, &[]).await.result();
    }
    let (server, made) = of_32_at_once(server, &owner, Vec::new()).await;
    assert_eq!(made, 7);
    let message =
        "Maximum number of API keys (10) has been reached. Please delete existing keys before creating new ones.";
    let refused = create(&server, &owner, &[]).await;
    assert_eq!((refused.status.as_u16(), refused.json()), (400, full(message)));
    create(&server, &other, &[]).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_and_rotated_keys_do_not_count_but_disabled_keys_do() {
    let server = Server::with(|flags| flags.with("api_keys_max", "2")).await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    for _ in 0..2 {
        create(&server, &other, &[]).await.result();
    }
    let first = create(&server, &owner, &[]).await.result()["id"].as_i64().expect("an id");
    let mut disabled = endless(first);
    disabled["disabled"] = json!(true);
    change(&server, &owner, &disabled).await.result();
    let short = create_short(&server, &owner, &[]).await;
    let over = async || create(&server, &owner, &[]).await.status == StatusCode::BAD_REQUEST;
    assert!(over().await, "a disabled key counts");
    let rotate = json!({ "overlapSeconds": 3_600 });
    let path = format!("{}/{short}/rotate", keys_of(&owner));
    server.call_as(&owner, Method::POST, &path, Some(&rotate)).await.result();
    assert!(over().await, "a successor replaces the rotated key in the count");
    server.pass(999);
    assert!(over().await);
    server.pass(1);
    let (third, _) = server.api_key(&owner, Role::User, &[]).await;
    assert!(over().await);
    let successor = short + 1;
    let extended = change(&server, &owner, &endless(successor)).await;
    assert_eq!(extended.refusal(), (400, "API_KEY_LIMIT_REACHED".to_owned()));
    server.call_as(&owner, Method::DELETE, &format!("{}/{third}", keys_of(&owner)), None).await.result();
    change(&server, &owner, &endless(successor)).await.result();
    assert!(over().await);
    change(&server, &owner, &endless(first)).await.result();
    change(&server, &owner, &endless(successor)).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_beyond_the_limit_are_deleted_and_recorded() {
    let server = Server::with(|flags| flags.with("api_keys_max", "2")).await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    for _ in 0..2 {
        create_short(&server, &other, &[]).await;
    }
    server.pass(1_000);
    let mut made = Vec::new();
    for _ in 0..6 {
        made.push(create_short(&server, &owner, &[]).await);
        server.pass(1_000);
    }
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    let left: Vec<_> = listed.as_array().expect("a list").iter().filter_map(|key| key["apiKeyId"].as_i64()).collect();
    assert_eq!(left, [made[5], made[4], made[3]], "two expired ones may stay beside the newest");
    let of_other = server.call_as(&other, Method::GET, &keys_of(&other), None).await.result();
    assert_eq!(of_other.as_array().map(Vec::len), Some(2), "those of another organization neither count nor go");
    let entries = crate::harness::entries(&server.database).await;
    let deleted = entries.iter().filter(|entry| entry.action == "api_key.delete").count();
    assert_eq!(deleted, 6 - left.len(), "every deletion is recorded");
}

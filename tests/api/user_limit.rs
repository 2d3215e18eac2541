//! The limit of users per organization, also under concurrent additions.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::Server;
use crate::users::{USERS, delete, guest, path, people, put};

const LIMIT: &str = "The organization has reached its limit of 4 users, including deleted ones: ask the server's administrator to \
   raise people_max";

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_additions_cannot_exceed_people_max() {
    let server = Arc::new(Server::with(|flags| flags.with("people_max", "4")).await);
    let owner = server.owner_of("acme").await;
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let (server, owner) = (Arc::clone(&server), owner.clone());
        calls.spawn(async move {
            let body = guest(&format!("guest-{number}@example.org"), 0);
            server.call_as(&owner, Method::POST, USERS, Some(&body)).await
        });
    }
    let mut added = 0;
    for answer in calls.join_all().await {
        if answer.status == StatusCode::CREATED {
            added += 1;
        } else {
            assert_eq!(answer.refusal(), (400, "USER_LIMIT_REACHED".to_owned()));
            assert_eq!(answer.json()["message"], LIMIT);
        }
    }
    assert_eq!((added, people(&server, &owner).await.len()), (3, 4), "the owner is the fourth");
    let other = server.owner_of("other").await;
    let elsewhere = server.call_as(&other, Method::POST, USERS, Some(&guest("eve@example.net", 0))).await;
    assert_eq!(elsewhere.status, StatusCode::CREATED, "another organization has its own limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_users_count_and_existing_users_can_be_reactivated_and_updated() {
    let server = Server::with(|flags| flags.with("people_max", "2")).await;
    let owner = server.owner_of("acme").await;
    let guest_id = server.member_of(&owner.org, Role::User).await.user;
    assert_eq!(delete(&server, &owner, &guest_id).await.status, StatusCode::OK);
    for body in [
        guest("eve@example.net", 0),
        json!({ "email": "eve@example.net", "firstName": "Eve", "lastName": "Hall", "orgRole": 0, "password": "a cat on 3 roofs" }),
    ] {
        let answer = server.call_as(&owner, Method::POST, USERS, Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "USER_LIMIT_REACHED".to_owned()), "{answer:?}");
    }
    let activate = format!("{}/activate", path(&guest_id));
    assert_eq!(server.call_as(&owner, Method::POST, &activate, None).await.status, StatusCode::OK);
    assert_eq!(put(&server, &owner, &guest_id, json!({ "firstName": "Ada" })).await.status, StatusCode::OK);
}

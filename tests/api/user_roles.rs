//! Roles: nobody can act above their own, and an organization always keeps an OWNER.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::json;

use crate::harness::{Identity, Server, entries};
use crate::sessions::conn;
use crate::users::{USERS, delete, guest, path, people, put};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_grant_change_or_revoke_a_role_above_their_own() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let workspaces = server.member_of(&owner.org, Role::Workspaces).await;
    let second = server.member_of(&owner.org, Role::Owner).await;
    let invited = server.call_as(&owner, Method::POST, USERS, Some(&guest("eve@example.org", 254))).await.json();
    let eve = invited["data"]["id"].as_str().expect("an id").to_owned();
    let deleted = server.member_of(&owner.org, Role::Administrator).await.user;
    delete(&server, &owner, &deleted).await;
    let before = people(&server, &owner).await;
    let recorded = entries(&server.database).await.len();
    let role = |number: u8| Some(json!({ "orgRole": number }));
    let calls = [
        (&workspaces, Method::POST, USERS.to_owned(), Some(guest("bob@example.org", 254))),
        (&workspaces, Method::POST, format!("{}/resend-invitation", path(&eve)), None),
        (&workspaces, Method::POST, format!("{}/activate", path(&deleted)), None),
        (&administrator, Method::POST, USERS.to_owned(), Some(guest("bob@example.org", 255))),
        (&administrator, Method::PUT, path(&workspaces.user), role(255)),
        (&administrator, Method::PUT, path(&administrator.user), role(255)),
        (&administrator, Method::PUT, format!("/user/{}/role", administrator.user), role(255)),
        (&administrator, Method::PUT, format!("/user/{}/role", second.user), role(254)),
        (&administrator, Method::PUT, path(&second.user), role(0)),
        (&administrator, Method::PUT, path(&second.user), Some(json!({ "name": "Mallory" }))),
        (&administrator, Method::DELETE, path(&second.user), None),
    ];
    for (number, (caller, method, path, body)) in calls.iter().enumerate() {
        let refused = server.call_as(caller, method.clone(), path, body.as_ref()).await;
        assert_eq!(refused.refusal(), (403, "ACCESS_DENIED".to_owned()), "{method} {path}: {refused:?}");
        let message = refused.json()["message"].as_str().expect("text").to_owned();
        assert!(message.contains("is above your own role"), "{message}");
        let last = entries(&server.database).await.split_off(recorded + number);
        let last: Vec<_> = last.iter().map(|entry| (entry.action.as_str(), entry.actor_id.as_str())).collect();
        assert_eq!(last, [("access.denied", caller.user.as_str())], "{method} {path}");
    }
    let mut with_password = guest("bob@example.org", 254);
    (with_password["sendInvite"], with_password["password"]) = (json!(false), json!("a cat on 3 roofs"));
    let refused = server.call_as(&workspaces, Method::POST, USERS, Some(&with_password)).await;
    assert_eq!(refused.refusal(), (403, "ACCESS_DENIED".to_owned()), "denied before the password is hashed");
    assert_eq!(people(&server, &owner).await, before, "nothing was changed");
    let up_to_their_own = server.call_as(&workspaces, Method::POST, USERS, Some(&guest("bob@example.org", 2))).await;
    assert_eq!(up_to_their_own.status, StatusCode::CREATED);
    let another = put(&server, &administrator, &workspaces.user, json!({ "orgRole": 254 })).await;
    assert_eq!((another.status, &another.json()["data"]["orgRole"]), (StatusCode::OK, &json!(254)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_change_takes_effect_at_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let status = async || server.call_as(&user, Method::GET, USERS, None).await.status.as_u16();
    assert_eq!(status().await, 403);
    for (role, expected) in [(2, 200), (1, 403), (254, 200), (0, 403)] {
        let change = json!({ "orgRole": role, "lastName": format!("of role {role}") });
        assert_eq!(put(&server, &owner, &user.user, change.clone()).await.status, StatusCode::OK);
        assert_eq!(status().await, expected, "with role {role}");
        let profile = server.call_as(&user, Method::GET, "/user/profile", None).await.json();
        assert_eq!(json!({ "orgRole": profile["data"]["orgRole"], "lastName": profile["data"]["lastName"] }), change);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_cannot_be_demoted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let demote = Some(json!({ "orgRole": 254 }));
    let role = format!("/user/{}/role", owner.user);
    let alone = async |why: &str| {
        for path in [role.clone(), path(&owner.user)] {
            let refused = server.call_as(&owner, Method::PUT, &path, demote.as_ref()).await;
            let message = "This is the last OWNER of the organization: make another user OWNER first";
            let expected = json!({ "success": false, "message": message, "errorCode": "LAST_OWNER" });
            assert_eq!((refused.status, refused.json()), (StatusCode::CONFLICT, expected), "{why}");
        }
    };
    alone("there is no other").await;
    server.owner_of("other").await;
    alone("an owner of another organization does not count").await;
    server.member_of(&owner.org, Role::Administrator).await;
    alone("an administrator does not count").await;
    let invited = server.call_as(&owner, Method::POST, USERS, Some(&guest("eve@example.org", 255))).await.json();
    alone("an owner who has not accepted the invitation does not count").await;
    let itself = server.call_as(&owner, Method::PUT, &role, Some(&json!({ "orgRole": 255 }))).await;
    assert_eq!(itself.status, StatusCode::OK, "setting the role that they have");
    let second = server.member_of(&owner.org, Role::Owner).await;
    delete(&server, &owner, &second.user).await;
    alone("a deleted owner does not count").await;
    let body = json!({ "token": invited["invitationToken"], "password": "a cat on 3 roofs" });
    assert_eq!(server.call(Method::POST, "/user/verify-email", Some(&body)).await.status, StatusCode::OK);
    assert_eq!(server.call_as(&owner, Method::PUT, &role, demote.as_ref()).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_who_remove_each_other_concurrently_one_stays() {
    let server = Arc::new(Server::start().await);
    for way in ["step back", "depose", "delete"] {
        let one = server.owner_of("acme").await;
        let two = server.member_of(&one.org, Role::Owner).await;
        let witness = server.member_of(&one.org, Role::Administrator).await;
        let calls = [(&one, &two), (&two, &one)].map(|(caller, other)| {
            let (server, caller) = (Arc::clone(&server), caller.clone());
            let about = if way == "step back" { caller.user.clone() } else { other.user.clone() };
            tokio::spawn(async move {
                match way {
                    "delete" => delete(&server, &caller, &about).await,
                    _ => put(&server, &caller, &about, json!({ "orgRole": 0 })).await,
                }
            })
        });
        let mut done = 0;
        for call in calls {
            match call.await.expect("an answer").status.as_u16() {
                200 => done += 1,
                status => assert!([401, 403, 409].contains(&status), "{way}: {status}"),
            }
        }
        let owners = people(&server, &witness).await.into_iter();
        let owners = owners.filter(|user| user["orgRole"] == 255 && user["deletedAt"].is_null()).count();
        assert_eq!((done, owners), (1, 1), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_an_invited_users_role_invalidates_the_invitation() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let inviter = server.member_of(&owner.org, Role::Workspaces).await;
    let made = server.call_as(&inviter, Method::POST, USERS, Some(&guest("eve@example.org", 0))).await.json();
    let eve = made["data"]["id"].as_str().expect("an id").to_owned();
    let take = json!({ "token": made["invitationToken"], "password": "a cat on 3 roofs" });
    assert_eq!(put(&server, &owner, &eve, json!({ "orgRole": 254 })).await.status, StatusCode::OK);
    let taken = server.call(Method::POST, "/user/verify-email", Some(&take)).await;
    assert_eq!(
        taken.refusal(),
        (400, "INVALID_TOKEN".to_owned()),
        "a higher role invalidates a token that the inviter knows"
    );
    let again = format!("{}/resend-invitation", path(&eve));
    assert_eq!(server.call_as(&inviter, Method::POST, &again, None).await.refusal().0, 403);
    let renewed = server.call_as(&owner, Method::POST, &again, None).await.json();
    assert_eq!(put(&server, &owner, &eve, json!({ "orgRole": 1 })).await.status, StatusCode::OK);
    let take = json!({ "token": renewed["invitationToken"], "password": "a cat on 3 roofs" });
    let taken = server.call(Method::POST, "/user/verify-email", Some(&take)).await;
    assert_eq!(taken.status, StatusCode::OK, "a lower role leaves the invitation valid");
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_do_not_use_the_disk_reserve() {
    let server = Server::with(|flags| flags.with("disk_reserve", "256KiB")).await;
    let owner = server.owner_of("acme").await;
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let user = server.member_of(&owner.org, Role::User).await;
    let before = entries(&server.database).await.len();
    let path_of_owner = path(&owner.user);
    let pages: i64 = conn(&server).query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a number");
    server.room.store(pages.unsigned_abs() * 4_096 + 256 * 1_024, Ordering::Relaxed);
    let refused = server.call_as(&administrator, Method::DELETE, &path_of_owner, None).await;
    assert_eq!(refused.refusal(), (503, "STORAGE_FULL".to_owned()), "the denial cannot be recorded");
    assert_eq!(entries(&server.database).await.len(), before);
    assert_eq!(server.call_as(&administrator, Method::DELETE, &path(&user.user), None).await.status, StatusCode::OK);
    server.room.store(0, Ordering::Relaxed);
    let refused = server.call_as(&administrator, Method::DELETE, &path_of_owner, None).await;
    assert_eq!(refused.refusal(), (403, "ACCESS_DENIED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_role_as_high_as_the_deleters_can_reactivate_a_user() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let workspaces = server.member_of(&owner.org, Role::Workspaces).await;
    let deleted = server.member_of(&owner.org, Role::User).await.user;
    let activate = async |caller: &Identity| {
        server.call_as(caller, Method::POST, &format!("{}/activate", path(&deleted)), None).await
    };
    let refused = async |caller: &Identity, deleter: &str| {
        let before = entries(&server.database).await.len();
        let answer = activate(caller).await;
        assert_eq!(answer.refusal(), (403, "ACCESS_DENIED".to_owned()), "{answer:?}");
        let message = answer.json()["message"].as_str().expect("text").to_owned();
        assert!(message.contains(deleter), "{message} does not say {deleter}");
        let last = entries(&server.database).await.split_off(before);
        let last: Vec<_> = last.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(last, ["access.denied"]);
    };
    delete(&server, &administrator, &deleted).await;
    refused(&workspaces, "an ADMINISTRATOR or an OWNER").await;
    assert_eq!(activate(&administrator).await.status, StatusCode::OK, "the same role may");
    delete(&server, &owner, &deleted).await;
    refused(&workspaces, "an OWNER").await;
    refused(&administrator, "an OWNER").await;
    // What counts is the deleter's role at the time, not now.
    server.member_of(&owner.org, Role::Owner).await;
    assert_eq!(put(&server, &owner, &owner.user, json!({ "orgRole": 254 })).await.status, StatusCode::OK);
    refused(&owner, "an OWNER").await;
    let second = server.member_of(&owner.org, Role::Owner).await;
    assert_eq!(activate(&second).await.status, StatusCode::OK);
    delete(&server, &administrator, &deleted).await;
    refused(&workspaces, "an ADMINISTRATOR or an OWNER").await;
    assert_eq!(
        activate(&second).await.status,
        StatusCode::OK,
        "a higher role may, and each reactivation clears the stored role"
    );
}

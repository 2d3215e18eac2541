//! Permissions and keys that are revoked while a request waits to be written: the request fails.

use std::sync::Arc;

use hyper::Method;
use orgkeys::domain::role::Role;
use rusqlite::Connection;
use serde_json::json;

use crate::harness::{Answer, Server, entries, registration, until};
use crate::sessions::{PASSWORD, log_in, person};

/// Holds the database's write lock while `call` is sent. Once it waits for the writer, runs `change` and releases the lock.
pub async fn overtaken<C: Future<Output = Answer> + Send + 'static>(
    server: &Server,
    call: impl FnOnce() -> C,
    change: impl FnOnce(&Connection),
) -> Answer {
    let holder = Connection::open(&server.database).expect("the file");
    holder.execute_batch("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE").expect("the lock");
    assert_eq!(server.app.writer_metrics().waiting, 0);
    let call = tokio::spawn(call());
    until("the call waits for the writer", async || {
        assert!(!call.is_finished(), "it was answered without a change");
        server.app.writer_metrics().waiting > 0
    })
    .await;
    change(&holder);
    holder.execute_batch("COMMIT").expect("committed");
    call.await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_deleted_after_the_signature_check_registers_nothing() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    let before = entries(&server.database).await.len();
    let caller = Arc::clone(&server);
    let call = move || async move { caller.call(Method::POST, "/register", Some(&body)).await };
    let delete = |conn: &Connection| assert_eq!(conn.execute("DELETE FROM org_key", []), Ok(1));
    let answer = overtaken(&server, call, delete).await;
    assert_eq!(answer.refusal(), (400, "BAD_SIGNATURE".to_owned()));
    let advice = answer.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.contains("has just been deleted"), "{advice}");
    assert_eq!(entries(&server.database).await.len(), before);
    let nodes = server.call_as(&owner, Method::GET, "/node", None).await.json();
    assert_eq!(nodes["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_revoked_while_its_call_waits_changes_nothing() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    let before = entries(&server.database).await.len();
    let (caller, who) = (Arc::clone(&server), owner.clone());
    let path = format!("/organization/{}/key/{key}", owner.org);
    let call = move || async move { caller.call_as(&who, Method::DELETE, &path, None).await };
    let revoke = |conn: &Connection| {
        let sql = "UPDATE token SET revoked_at = created_at WHERE person IN (SELECT id FROM person WHERE org = (SELECT org FROM org_key))";
        assert_eq!(conn.execute(sql, []), Ok(1));
    };
    let answer = overtaken(&server, call, revoke).await;
    assert_eq!(answer.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    let second = server.member_of(&owner.org, Role::Owner).await;
    let listed = server.call_as(&second, Method::GET, &format!("/organization/{}/key", owner.org), None).await.json();
    assert_eq!(listed["data"][0]["id"], key.as_str());
    let actions = entries(&server.database).await.split_off(before);
    let actions: Vec<&str> = actions.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["user.create", "token.create", "org_key.list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_role_is_revoked_while_it_waits_is_denied_and_recorded() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    let (caller, who) = (Arc::clone(&server), owner.clone());
    let path = format!("/organization/{}/key/{key}", owner.org);
    let call = move || async move { caller.call_as(&who, Method::DELETE, &path, None).await };
    let demote = |conn: &Connection| {
        let sql = "UPDATE person SET role = 2 WHERE org = (SELECT org FROM org_key)";
        assert_eq!(conn.execute(sql, []), Ok(1));
    };
    let answer = overtaken(&server, call, demote).await;
    assert_eq!(answer.refusal(), (403, "ACCESS_DENIED".to_owned()));
    let last = entries(&server.database).await.pop().expect("an entry");
    assert_eq!((last.action.as_str(), last.actor_id), ("access.denied", owner.user));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_or_an_invitation_fails_if_the_account_changes_after_its_check() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    for (sql, code) in [
        ("UPDATE person SET password = 'another' WHERE password IS NOT NULL", "INVALID_CREDENTIALS"),
        ("UPDATE person SET deleted_at = 0, deleted_by = 255 WHERE password <> 'another'", "USER_INACTIVE"),
    ] {
        let ada = person(&server, &owner.org, Role::User).await;
        let caller = Arc::clone(&server);
        let call = move || async move { log_in(&caller, "127.0.0.1", &ada.email, PASSWORD).await };
        let answer = overtaken(&server, call, |conn| assert_eq!(conn.execute(sql, []), Ok(1))).await;
        assert_eq!(answer.refusal(), (401, code.to_owned()));
    }
    assert!(entries(&server.database).await.iter().all(|entry| entry.action != "session.begin"));
    // An invitation does not say why it is invalid.
    let new =
        json!({ "email": "eve@example.org", "firstName": "Eve", "lastName": "", "orgRole": 0, "sendInvite": true });
    let invited = server.call_as(&owner, Method::POST, "/organization/users", Some(&new)).await.json();
    let body = json!({ "token": invited["invitationToken"], "password": PASSWORD });
    let caller = Arc::clone(&server);
    let call = move || async move { caller.call(Method::POST, "/user/verify-email", Some(&body)).await };
    let sql = "UPDATE person SET deleted_at = 0, deleted_by = 255 WHERE email = 'eve@example.org'";
    let answer = overtaken(&server, call, |conn| assert_eq!(conn.execute(sql, []), Ok(1))).await;
    assert_eq!(answer.refusal(), (400, "INVALID_TOKEN".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_revoked_while_its_refresh_waits_is_not_renewed() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let session = person(&server, &owner.org, Role::User).await.session(&server).await;
    let (caller, renewed) = (Arc::clone(&server), session.clone());
    let call = move || async move { renewed.refreshed(&caller).await };
    let sql = "UPDATE token SET revoked_at = created_at WHERE refresh_until IS NOT NULL";
    let answer = overtaken(&server, call, |conn| assert_eq!(conn.execute(sql, []), Ok(1))).await;
    assert_eq!(answer.refusal(), (401, "INVALID_REFRESH_TOKEN".to_owned()));
    let profile = server.call_as(&session.identity, Method::GET, "/user/profile", None).await;
    assert_eq!(profile.refusal(), (401, "TOKEN_REVOKED".to_owned()));
}

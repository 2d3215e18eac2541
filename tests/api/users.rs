//! Users of an organization: added, listed, updated, deleted and reactivated.

use hyper::{HeaderMap, Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, entries};
use crate::openapi::operations;

pub const USERS: &str = "/organization/users";

/// The body that adds a user by invitation.
pub fn guest(email: &str, role: u8) -> Value {
    json!({ "email": email, "firstName": "Eve", "lastName": "Hall", "orgRole": role, "sendInvite": true })
}

/// The path of a user.
pub fn path(user: &str) -> String {
    format!("{USERS}/{user}")
}

/// Updates a user.
pub async fn put(server: &Server, caller: &Identity, user: &str, body: Value) -> Answer {
    server.call_as(caller, Method::PUT, &path(user), Some(&body)).await
}

/// Deletes a user.
pub async fn delete(server: &Server, caller: &Identity, user: &str) -> Answer {
    server.call_as(caller, Method::DELETE, &path(user), None).await
}

/// Activates a deleted user.
pub async fn activate(server: &Server, caller: &Identity, user: &str) -> Answer {
    server.call_as(caller, Method::POST, &format!("{}/activate", path(user)), None).await
}

/// All users of the caller's organization, newest first.
pub async fn people(server: &Server, caller: &Identity) -> Vec<Value> {
    let answer = server.call_as(caller, Method::GET, USERS, None).await;
    answer.json()["data"].as_array().unwrap_or_else(|| panic!("{answer:?}")).clone()
}

/// The parts of a response that must not distinguish one user from another.
fn told(answer: &Answer) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    headers.remove("date");
    (answer.status, headers, answer.body.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_added_updated_deleted_and_reactivated_in_the_documented_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let new = json!({
        "email": "Eve@Example.org", "password": "a cat on 3 roofs", "firstName": "Eve", "lastName": "Hall",
        "orgRole": 2, "provider": "LOCAL",
    });
    let made = server.call_as(&owner, Method::POST, USERS, Some(&new)).await;
    let id = made.json()["data"]["id"].as_str().expect("an id").to_owned();
    let eve = json!({
        "id": id, "email": "Eve@Example.org", "name": "Eve", "lastName": "Hall", "orgId": owner.org, "orgRole": 2,
        "validated": true, "deletedAt": null, "invitedUntil": null, "orgRoleDescription": "WORKSPACES",
        "orgRoles": [0, 1, 2],
    });
    let enveloped = |message: &str, data: &Value| json!({ "success": true, "message": message, "data": data });
    let done = |message: &str| json!({ "success": true, "message": message });
    assert_eq!((made.status, made.json()), (StatusCode::CREATED, enveloped("User created successfully", &eve)));
    assert_eq!(made.headers["cache-control"], "no-store");
    let got = server.call_as(&owner, Method::GET, &path(&id), None).await;
    assert_eq!((got.status, got.json()), (StatusCode::OK, eve.clone()), "the bare user");
    let account = server.call_as(&owner, Method::GET, &format!("/user/{id}"), None).await;
    assert_eq!((account.status, account.json()), (StatusCode::OK, enveloped("User retrieved successfully", &eve)));
    let put = put(&server, &owner, &id, json!({ "name": "Eva", "orgRole": 1 })).await;
    let mut eva = eve;
    (eva["name"], eva["orgRole"], eva["orgRoleDescription"], eva["orgRoles"]) =
        (json!("Eva"), json!(1), json!("BILLING"), json!([0, 1]));
    assert_eq!((put.status, put.json()), (StatusCode::OK, enveloped("User updated successfully", &eva)));
    let role = server.call_as(&owner, Method::PUT, &format!("/user/{id}/role"), Some(&json!({ "orgRole": 0 }))).await;
    let message = "User role updated successfully";
    let given = json!({ "userId": id, "previousRole": 1, "newRole": 0, "message": message });
    assert_eq!((role.status, role.json()), (StatusCode::OK, enveloped(message, &given)));
    let deleted = delete(&server, &owner, &id).await;
    let mut gone = done("User deleted successfully");
    (gone["apiKeys"], gone["apiKeysTotal"]) = (json!([]), json!(0));
    assert_eq!((deleted.status, deleted.json()), (StatusCode::OK, gone));
    (eva["orgRole"], eva["orgRoleDescription"], eva["orgRoles"]) = (json!(0), json!("USER"), json!([0]));
    eva["deletedAt"] = json!("2024-01-15T10:30:00.000Z");
    let list = server.call_as(&owner, Method::GET, USERS, None).await.json();
    assert_eq!((&list["success"], &list["total"]), (&json!(true), &json!(2)));
    assert_eq!((&list["data"][0], &list["data"][1]["id"]), (&eva, &json!(owner.user)), "newest first, deleted or not");
    let activated = activate(&server, &owner, &id).await;
    assert_eq!((activated.status, activated.json()), (StatusCode::OK, done("User activated successfully")));
    eva["deletedAt"] = Value::Null;
    assert_eq!(server.call_as(&owner, Method::GET, &path(&id), None).await.json(), eva);
    let new = json!({ "email": "bo@example.org", "firstName": "Bo", "lastName": "Ek", "sendInvite": true });
    let made = server.call_as(&owner, Method::POST, USERS, Some(&new)).await;
    assert_eq!((made.status.as_u16(), &made.json()["data"]["orgRole"]), (201, &json!(0)), "if none is chosen");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_invitation_says_when_it_ends() {
    const HOUR: i64 = 3_600_000;
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let in_72_hours = || json!(orgkeys::domain::time::Time::from_millis(server.now() + 72 * HOUR).to_string());
    let first = in_72_hours();
    let made = server.call_as(&owner, Method::POST, USERS, Some(&guest("eve@example.org", 2))).await.json();
    let eve = made["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(made["data"]["invitedUntil"], first);
    let told = async |expected: &Value| {
        assert_eq!(people(&server, &owner).await[0]["invitedUntil"], *expected);
        let got = server.call_as(&owner, Method::GET, &path(&eve), None).await.json();
        let account = server.call_as(&owner, Method::GET, &format!("/user/{eve}"), None).await.json();
        assert_eq!((&got["invitedUntil"], &account["data"]["invitedUntil"]), (expected, expected));
    };
    told(&first).await;
    assert_eq!(people(&server, &owner).await[1]["invitedUntil"], Value::Null, "the owner");
    server.pass(72 * HOUR - 1);
    told(&first).await;
    let renamed = put(&server, &owner, &eve, json!({ "name": "Eva" })).await.json();
    assert_eq!(renamed["data"]["invitedUntil"], first);
    server.pass(1);
    told(&Value::Null).await;
    let again = format!("{}/resend-invitation", path(&eve));
    let second = in_72_hours();
    assert_eq!(server.call_as(&owner, Method::POST, &again, None).await.status, StatusCode::OK);
    told(&second).await;
    let promoted = put(&server, &owner, &eve, json!({ "orgRole": 254 })).await.json();
    assert_eq!(promoted["data"]["invitedUntil"], Value::Null, "the invitation to a lesser role is over");
    put(&server, &owner, &eve, json!({ "orgRole": 254 })).await;
    let last = entries(&server.database).await.pop().expect("an entry");
    assert_eq!(last.action, "user.update", "the same role is no new role");
    let token = server.call_as(&owner, Method::POST, &again, None).await.json()["invitationToken"].clone();
    told(&second).await;
    let acceptance = json!({ "token": token, "password": "a cat on 3 roofs" });
    assert_eq!(server.call(Method::POST, "/user/verify-email", Some(&acceptance)).await.status, StatusCode::OK);
    told(&Value::Null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_has_1_to_1000_users_and_the_total_counts_all() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut ids = vec![owner.user.clone()];
    for _ in 0..3 {
        ids.insert(0, server.member_of(&owner.org, Role::User).await.user);
    }
    server.owner_of("other").await;
    for (query, expected) in
        [("", &ids[..]), ("?take=1", &ids[..1]), ("?take=1000", &ids), ("?skip=1&take=2", &ids[1..3]), ("?skip=4", &[])]
    {
        let page = server.call_as(&owner, Method::GET, &format!("{USERS}{query}"), None).await.json();
        let found = page["data"].as_array().expect("people").iter();
        let found: Vec<&str> = found.map(|user| user["id"].as_str().expect("an id")).collect();
        assert_eq!((found, &page["total"]), (expected.iter().map(String::as_str).collect(), &json!(4)), "{query}");
    }
    for query in ["?take=0", "?take=1001", "?take=-1", "?skip=x"] {
        let refused = server.call_as(&owner, Method::GET, &format!("{USERS}{query}"), None).await;
        assert_eq!(refused.refusal(), (400, "INVALID_FIELD".to_owned()), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_a_user_is_validated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let long = |count: usize| "é".repeat(count);
    let address = |count: usize| format!("{}@example.org", "a".repeat(count - 12));
    let with = |field: &str, value: Value| {
        let mut body = guest(&format!("{}@example.org", server.app.request_id()), 0);
        body[field] = value;
        body
    };
    let cases = [
        ("email", json!(address(254)), true),
        ("email", json!(address(255)), false),
        ("email", json!("nobody"), false),
        ("email", json!("a@b\u{7}"), false),
        ("firstName", json!(long(100)), true),
        ("firstName", json!(long(101)), false),
        ("firstName", json!(""), false),
        ("lastName", json!(long(100)), true),
        ("lastName", json!(long(101)), false),
        ("lastName", json!(""), true),
        ("lastName", json!("a\nb"), false),
        ("orgRole", json!(255), true),
        ("orgRole", json!(3), false),
        ("orgRole", json!(-1), false),
        ("orgRole", json!("OWNER"), false),
        ("password", json!("short, and not looked at"), true),
        ("password", json!("x"), true),
    ];
    for (field, value, fits) in cases {
        let answer = server.call_as(&owner, Method::POST, USERS, Some(&with(field, value.clone()))).await;
        if fits {
            assert_eq!(answer.status, StatusCode::CREATED, "{field} {value}: {answer:?}");
        } else {
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{field} {value}");
            assert!(answer.json()["message"].as_str().expect("text").contains(field), "{answer:?}");
        }
    }
    for (password, fits) in [
        (json!("elevenbytes"), false),
        (json!("twelve bytes"), true),
        (json!("日本語の"), true),
        (json!("日本語"), false),
        (json!("PassWord1234"), false),
        (json!("p".repeat(1_024)), true),
        (json!("p".repeat(1_025)), false),
        (Value::Null, false),
    ] {
        let mut body = with("password", password.clone());
        body["sendInvite"] = json!(false);
        let answer = server.call_as(&owner, Method::POST, USERS, Some(&body)).await;
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        if fits {
            assert_eq!((answer.status, &answer.json()["data"]["validated"]), (StatusCode::CREATED, &json!(true)));
            assert!(answer.json().get("invitationToken").is_none(), "{body}");
        } else {
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{password}");
        }
        assert!(password.as_str().is_none_or(|password| !body.contains(password)), "{body} repeats the password");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_user_revokes_their_tokens_for_good() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let user = server.member_of(&owner.org, Role::Administrator).await;
    let itself = delete(&server, &user, &user.user).await;
    let expected = json!({
        "success": false, "message": "Cannot delete yourself", "errorCode": "CANNOT_DELETE_YOURSELF",
    });
    assert_eq!((itself.status, itself.json()), (StatusCode::BAD_REQUEST, expected));
    let active = activate(&server, &owner, &user.user).await;
    let expected = json!({ "success": false, "message": "User is already active", "errorCode": "USER_NOT_DELETED" });
    assert_eq!((active.status, active.json()), (StatusCode::BAD_REQUEST, expected));
    let profile = async || server.call_as(&user, Method::GET, "/user/profile", None).await;
    assert_eq!(profile().await.status, StatusCode::OK);
    assert_eq!(delete(&server, &owner, &user.user).await.status, StatusCode::OK);
    assert_eq!(profile().await.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    let last = entries(&server.database).await.pop().expect("an entry");
    let detail = r#"{"tokensEnded":1,"apiKeys":[],"apiKeysTotal":0}"#;
    assert_eq!((last.action.as_str(), last.detail.as_deref()), ("user.delete", Some(detail)));
    assert_eq!(delete(&server, &owner, &user.user).await.refusal(), (400, "USER_ALREADY_DELETED".to_owned()));
    let changes = [
        (Method::PUT, path(&user.user), Some(json!({ "name": "Eve" }))),
        (Method::PUT, format!("/user/{}/role", user.user), Some(json!({ "orgRole": 0 }))),
        (Method::POST, format!("{}/resend-invitation", path(&user.user)), None),
    ];
    for (method, path, body) in changes {
        let refused = server.call_as(&owner, method, &path, body.as_ref()).await;
        assert_eq!(refused.refusal(), (400, "USER_DELETED".to_owned()), "{path}");
    }
    assert_eq!(activate(&server, &owner, &user.user).await.status, StatusCode::OK);
    assert_eq!(profile().await.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    let server = server.restart().await;
    assert_eq!(server.call_as(&user, Method::GET, "/user/profile", None).await.refusal().0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_another_organization_look_missing() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let invited = server.call_as(&other, Method::POST, USERS, Some(&guest("eve@example.org", 0))).await.json();
    let eve = invited["data"]["id"].as_str().expect("an id").to_owned();
    let deleted = server.member_of(&other.org, Role::User).await.user;
    delete(&server, &other, &deleted).await;
    let before = people(&server, &other).await;
    let missing = format!("user-{}", &other.org["org-".len()..]);
    let mut count = 0;
    for (method, template, operation) in operations() {
        let about_people = operation["tags"][0] == "people";
        if !about_people || !(template.contains("{userId}") || template.contains("{id}")) {
            continue;
        }
        count += 1;
        let method: Method = method.to_uppercase().parse().expect("a method");
        let body = (method == Method::PUT).then(|| json!({ "name": "Mallory", "orgRole": 0 }));
        let mut answers = Vec::new();
        for user in [&other.user, &eve, &deleted, &missing, "user-1", "%7B%7D"] {
            let path = template.replace("{userId}", user).replace("{id}", user);
            let answer = server.call_as(&owner, method.clone(), &path, body.as_ref()).await;
            let expected = if operation["operationId"] == "updateAccount" { 403 } else { 404 };
            assert_eq!(answer.status.as_u16(), expected, "{method} {path}: {answer:?}");
            if expected == 404 {
                let expected = json!({ "success": false, "message": "User not found", "errorCode": "USER_NOT_FOUND" });
                assert_eq!(answer.json(), expected, "{method} {path}");
            }
            answers.push(told(&answer));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{method} {template}: {answers:?}");
    }
    assert_eq!(count, 8);
    assert_eq!(people(&server, &other).await, before, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_fields_of_users_and_organizations_are_ignored() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let administrator = server.member_of(&owner.org, Role::Administrator).await;
    let claims = json!({
        "id": other.user, "userId": other.user, "orgId": other.org, "org": other.org, "organizationId": other.org,
        "validated": true, "role": 255, "roleId": 255, "orgRoles": [255], "deletedAt": "2024-01-15T10:30:00.000Z",
        "email_key": "x", "createdAt": "2000-01-01T00:00:00.000Z", "invitationToken": "oki_x", "reposDisabled": true,
    });
    let claiming = |mut body: Value| {
        let fields = body.as_object_mut().expect("an object");
        fields.extend(claims.as_object().expect("claims").clone());
        body
    };
    let call = async |method: Method, path: &str, body: Value| {
        server.call_as(&administrator, method, path, Some(&claiming(body))).await
    };
    let made = call(Method::POST, USERS, guest("eve@example.org", 1)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let eve = made.json()["data"].clone();
    let id = eve["id"].as_str().expect("an id").to_owned();
    let expected = json!({
        "id": id, "email": "eve@example.org", "name": "Eve", "lastName": "Hall", "orgId": owner.org, "orgRole": 1,
        "validated": false, "deletedAt": null, "invitedUntil": eve["invitedUntil"], "orgRoleDescription": "BILLING",
        "orgRoles": [0, 1],
    });
    assert_eq!(eve, expected);
    let users = people(&server, &owner).await;
    let (others, org) = (people(&server, &other).await, format!("/organization/{}", owner.org));
    let about = server.call_as(&owner, Method::GET, &org, None).await.json()["data"].clone();
    for (path, body) in [
        (path(&id), json!({ "email": "mallory@example.org", "password": "a cat on 3 roofs" })),
        (format!("/user/{}", administrator.user), json!({ "email": "mallory@example.org", "orgRole": 255 })),
        (format!("/user/{id}/role"), json!({ "orgRole": 1, "email": "mallory@example.org" })),
        (org.clone(), json!({ "owner": administrator.user })),
    ] {
        let answer = call(Method::PUT, &path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
    assert_eq!((people(&server, &owner).await, people(&server, &other).await), (users, others));
    assert_eq!(server.call_as(&owner, Method::GET, &org, None).await.json()["data"], about);
    let take = claiming(json!({ "token": made.json()["invitationToken"], "password": "a cat on 3 roofs" }));
    assert_eq!(server.call(Method::POST, "/user/verify-email", Some(&take)).await.status, StatusCode::OK);
    let verified = server.call_as(&owner, Method::GET, &path(&id), None).await.json();
    assert_eq!((&verified["validated"], &verified["orgRole"]), (&json!(true), &json!(1)));
}

//! API keys: created with a secret that is shown once, listed without it, and validated field by field.

use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, entries, new_api_key};

fn wrapped(status: u16, message: &str, result: &Value) -> Value {
    json!({
        "success": true, "errors": [], "messages": [message], "result": result, "resultInfo": "", "statusCode": status,
    })
}

fn status_and_body(answer: &Answer) -> (u16, Value) {
    (answer.status.as_u16(), answer.json())
}

/// The path of an organization's keys.
pub fn keys_of(who: &Identity) -> String {
    format!("/api/organizations/{}/api-keys", who.org)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_listed_updated_and_deleted_in_the_documented_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (first, second) = (server.project(&owner, "Website").await, server.project(&owner, "Shop").await);
    let body = json!({
        "listProjectsId": [first, second, first], "roleId": 2,
        "userApiKey": {
            "apiName": "Deploys", "hasExpireTime": true,
            "startDateTime": "2024-01-15T10:30:00.000Z", "expireDateTime": "2025-01-15T11:30:00+01:00",
        },
    });
    let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await;
    let secret = made.result()["apiKey"].as_str().expect("a secret").to_owned();
    let mask = format!("{}…{}", &secret[..8], &secret[36..]);
    let result = json!({
        "id": 1, "name": "Deploys", "apiKey": secret, "startDate": "2024-01-15T10:30:00.000Z",
        "expireDate": "2025-01-15T10:30:00.000Z", "hasExpireTime": true, "roleId": 2,
    });
    assert_eq!(status_and_body(&made), (201, wrapped(201, "API key created successfully", &result)));
    assert_eq!(made.headers["cache-control"], "no-store");
    assert!(secret.starts_with("oka_") && secret.len() == 40, "{secret}");
    let item = json!({
        "apiKeyId": 1, "apiKeyName": "Deploys", "apiKey": mask, "startDate": "2024-01-15T10:30:00.000Z",
        "expireDate": "2025-01-15T10:30:00.000Z", "hasExpireTime": true,
        "projectsNameList": [{ "publicId": second, "name": "Shop" }, { "publicId": first, "name": "Website" }],
        "roleId": 2, "lastUsed": null, "lastUsedAddress": null, "disabled": false, "note": "",
        "createdAt": "2024-01-15T10:30:00.000Z", "createdBy": owner.user,
        "createdByName": "Ada Lovelace",
    });
    let (of_first, of_second) = (format!("/api/projects/{first}/api-keys"), format!("/api/projects/{second}/api-keys"));
    for path in [&keys_of(&owner), &of_first, &of_second] {
        let listed = server.call_as(&owner, Method::GET, path, None).await;
        assert_eq!(
            status_and_body(&listed),
            (200, wrapped(200, "API keys retrieved successfully", &json!([item]))),
            "{path}"
        );
    }
    let mut change = json!({
        "id": 1, "name": "Builds", "startDate": "2024-01-16T00:00:00Z", "expireDate": null, "hasExpireTime": false,
        "roleId": 0, "listProjectsId": [second], "disabled": true, "note": "of the build server",
    });
    let result = json!({
        "id": 1, "name": "Builds", "apiKey": mask, "startDate": "2024-01-16T00:00:00.000Z", "expireDate": null,
        "hasExpireTime": false, "roleId": 0,
    });
    for path in [&keys_of(&owner), &of_second] {
        let changed = server.call_as(&owner, Method::PUT, path, Some(&change)).await;
        assert_eq!(status_and_body(&changed), (200, wrapped(200, "API key updated successfully", &result)), "{path}");
        // From the second pass on, optional fields are left out.
        for optional in ["listProjectsId", "disabled", "note"] {
            change.as_object_mut().expect("an object").remove(optional);
        }
    }
    let answer = server.call_as(&owner, Method::PUT, &of_first, Some(&change)).await;
    assert_eq!(answer.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()), "the key no longer belongs to that project");
    let item = json!({
        "apiKeyId": 1, "apiKeyName": "Builds", "apiKey": mask, "startDate": "2024-01-16T00:00:00.000Z",
        "expireDate": null, "hasExpireTime": false, "projectsNameList": [{ "publicId": second, "name": "Shop" }],
        "roleId": 0, "lastUsed": null, "lastUsedAddress": null, "disabled": true, "note": "of the build server",
        "createdAt": "2024-01-15T10:30:00.000Z", "createdBy": owner.user,
        "createdByName": "Ada Lovelace",
    });
    assert_eq!(server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result(), json!([item]));
    assert_eq!(server.call_as(&owner, Method::GET, &of_first, None).await.result(), json!([]));
    let deleted = server.call_as(&owner, Method::DELETE, &format!("{}/1", keys_of(&owner)), None).await;
    assert_eq!(status_and_body(&deleted), (200, wrapped(200, "API key deleted successfully", &json!(true))));
    assert_eq!(server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result(), json!([]));
    let (next, _) = server.api_key(&owner, Role::User, &[]).await;
    assert_eq!(next, 2, "the id of a deleted key is never reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_validated() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let theirs = server.project(&other, "a").await;
    let mut own = Vec::new();
    for _ in 0..101 {
        own.push(server.project(&owner, "a").await);
    }
    let (id, _) = server.api_key(&owner, Role::User, &[]).await;
    let good_change =
        json!({ "id": id, "name": "a", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0 });
    for (length, status) in [(64, 200), (65, 400)] {
        let mut ignored = good_change.clone();
        ignored["expireDate"] = json!("1".repeat(length));
        assert_eq!(server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&ignored)).await.status, status);
    }
    // (field when creating, field when updating, accepted values, rejected values)
    let table = [
        (
            "/userApiKey/apiName",
            "/name",
            vec![json!("é".repeat(100)), json!("é")],
            vec![json!("é".repeat(101)), json!(""), json!("a\u{7}"), json!(7)],
        ),
        (
            "/note",
            "/note",
            vec![json!("é".repeat(250)), json!(""), Value::Null],
            vec![json!("é".repeat(251)), json!("a\nb"), json!(7)],
        ),
        (
            "/roleId",
            "/roleId",
            vec![json!(0), json!(1), json!(2), json!(254)],
            vec![json!(255), json!(3), json!(253), json!(-1), json!(256), json!("0"), json!(0.5), Value::Null],
        ),
        (
            "/listProjectsId",
            "/listProjectsId",
            vec![json!(own[..100]), json!([])],
            vec![
                json!(own),
                json!([theirs]),
                json!([own[0], theirs.replace("project-0", "project-1")]),
                json!(["project-1"]),
                json!([""]),
                json!([1]),
                json!("all"),
            ],
        ),
        (
            "/userApiKey/hasExpireTime",
            "/hasExpireTime",
            vec![json!(false)],
            vec![json!(0), json!("false"), Value::Null],
        ),
    ];
    for (in_new, in_change, good, bad) in table {
        for (value, status) in good.into_iter().map(|value| (value, 200)).chain(bad.into_iter().map(|v| (v, 400))) {
            let mut body = new_api_key("a", 0, &[]);
            body["note"] = Value::Null;
            *body.pointer_mut(in_new).expect("a field") = value.clone();
            let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await;
            let mut change = good_change.clone();
            change[&in_change[1..]] = value.clone();
            let changed = server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await;
            let made_status = if status == 200 { 201 } else { status };
            assert_eq!(made.status.as_u16(), made_status, "{in_new} {value}: {made:?}");
            assert_eq!(changed.status.as_u16(), status, "{in_change} {value}: {changed:?}");
            if status == 400 {
                assert_eq!((made.refusal().1, changed.refusal().1), ("INVALID_FIELD".to_owned(), made.refusal().1));
            }
        }
    }
    let unknown = async |project: String| {
        let body = new_api_key("a", 0, &[&project]);
        server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await.json()
    };
    assert_eq!(
        unknown(theirs.clone()).await,
        unknown("project-1".to_owned()).await,
        "a foreign project looks like a missing one"
    );
    for field in ["id", "name", "startDate", "hasExpireTime", "roleId"] {
        let mut change = good_change.clone();
        change.as_object_mut().expect("an object").remove(field);
        let answer = server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{field}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_fields_in_a_request_are_ignored() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let mut body = new_api_key("a", 0, &[]);
    for (name, value) in [
        ("apiKey", json!("oka_mine")),
        ("id", json!(77)),
        ("apiKeyId", json!(77)),
        ("organizationId", json!(other.org)),
        ("orgId", json!(other.org)),
        ("lastUsed", json!("2020-01-01T00:00:00Z")),
        ("createdAt", json!("2020-01-01T00:00:00Z")),
        ("createdBy", json!(other.user)),
        ("disabled", json!(true)),
    ] {
        body[name] = value.clone();
        body["userApiKey"][name] = value;
    }
    let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await.result();
    assert!(made["id"] == 1 && made["apiKey"] != "oka_mine", "{made}");
    let before = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    assert_eq!((&before[0]["lastUsed"], &before[0]["disabled"]), (&Value::Null, &json!(false)));
    assert_eq!(before[0]["createdBy"], owner.user);
    let change = json!({
        "id": 1, "name": "service", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0,
        "apiKey": "oka_mine", "apiKeyId": 2, "organizationId": other.org, "lastUsed": "2020-01-01T00:00:00Z",
        "rotatedAt": null, "mask": "x", "createdAt": "2020-01-01T00:00:00Z", "createdBy": other.user,
    });
    server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await.result();
    let mut after = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    after[0]["apiKeyName"] = before[0]["apiKeyName"].clone();
    assert_eq!(after, before);
    assert_eq!(server.call_as(&other, Method::GET, &keys_of(&other), None).await.result(), json!([]));
    let secret = made["apiKey"].as_str().expect("a secret");
    assert_eq!(server.call_with_key(secret, Method::GET, "/node", None).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_returned_once_and_stored_nowhere() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, secret) = server.api_key(&owner, Role::User, &[]).await;
    let rotate = format!("{}/{id}/rotate", keys_of(&owner));
    let rotated = server.call_as(&owner, Method::POST, &rotate, Some(&json!({ "overlapSeconds": 60 }))).await;
    assert_eq!(rotated.headers["cache-control"], "no-store");
    let successor = rotated.result()["apiKey"].as_str().expect("a secret").to_owned();
    assert_ne!(secret, successor);
    let change =
        json!({ "id": id + 1, "name": "a", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0 });
    let answers = [
        server.call_as(&owner, Method::GET, &keys_of(&owner), None).await,
        server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await,
        server.call_as(&owner, Method::POST, "/systemevent", Some(&json!({}))).await,
    ];
    let bodies = answers.map(|answer| String::from_utf8(answer.body.to_vec()).expect("text")).concat();
    let recorded = format!("{:?}", entries(&server.database).await);
    let mut stored = std::fs::read(&server.database).expect("the file");
    stored.extend(std::fs::read(server.database.with_extension("db-wal")).expect("the log"));
    let stored = String::from_utf8_lossy(&stored).into_owned();
    for secret in [&secret, &successor] {
        let inner = &secret[8..36];
        assert!(!bodies.contains(inner) && !recorded.contains(inner) && !stored.contains(inner));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_is_saved_at_shutdown_and_shown_after_a_restart() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, secret) = server.api_key(&owner, Role::User, &[]).await;
    let (_, unused) = server.api_key(&owner, Role::User, &[]).await;
    server.pass(1_500);
    server.call_with_key(&secret, Method::GET, "/node", None).await;
    let other = if unused.ends_with('x') { 'y' } else { 'x' };
    server.call_with_key(&format!("{}{other}", &unused[..39]), Method::GET, "/node", None).await;
    let asked = json!({ "apiKey": unused, "role": 254 });
    let verified = server.call_as(&owner, Method::POST, "/api/api-keys/verify", Some(&asked)).await.result();
    assert_eq!(verified["code"], "INSUFFICIENT_ROLE", "a refused key was not used");
    // However a key is used: by its own call, by a service that asks, or at a reverse proxy.
    let (_, asked) = server.api_key(&owner, Role::User, &[]).await;
    let (_, presented) = server.api_key(&owner, Role::User, &[]).await;
    let verified = json!({ "apiKey": asked });
    let verified = server.call_as(&owner, Method::POST, "/api/api-keys/verify", Some(&verified)).await.result();
    assert_eq!(verified["code"], "VALID");
    let door = format!("/api/api-keys/verify?organization={}", owner.org);
    assert_eq!(server.call_with_key(&presented, Method::GET, &door, None).await.status, StatusCode::OK);
    let own = async |server: &Server| {
        entries(&server.database).await.into_iter().filter(|entry| entry.org == owner.org).count()
    };
    let before = own(&server).await;
    let server = server.restart().await;
    assert_eq!(own(&server).await, before, "saving the last use is not recorded as an action");
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    let used = listed.as_array().expect("keys").iter().map(|key| json!([key["lastUsed"], key["lastUsedAddress"]]));
    let by_us = json!(["2024-01-15T10:30:01.500Z", "127.0.0.1"]);
    let never = json!([null, null]);
    assert_eq!(used.collect::<Vec<_>>(), [by_us.clone(), by_us.clone(), never, by_us]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_key_keeps_its_last_use() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (changed, secret) = server.api_key(&owner, Role::User, &[]).await;
    let (rotated, other_secret) = server.api_key(&owner, Role::User, &[]).await;
    server.pass(1_500);
    for secret in [&secret, &other_secret] {
        assert_eq!(server.call_with_key(secret, Method::GET, "/node", None).await.status, StatusCode::OK);
    }
    // The use is in memory only until it is saved once in a while.
    server.pass(1_500);
    let change = json!({
        "id": changed, "name": "renamed", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0, "disabled": true,
    });
    let answer = server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let rotate = format!("{}/{rotated}/rotate", keys_of(&owner));
    let answer = server.call_as(&owner, Method::POST, &rotate, Some(&json!({ "overlapSeconds": 60 }))).await;
    assert!(answer.status.is_success(), "{answer:?}");
    let server = server.restart().await;
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    for id in [changed, rotated] {
        let key = listed.as_array().expect("keys").iter().find(|key| key["apiKeyId"] == id).expect("the key");
        assert_eq!(
            (&key["lastUsed"], &key["lastUsedAddress"]),
            (&json!("2024-01-15T10:30:01.500Z"), &json!("127.0.0.1"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_by_skip_and_take_and_state_the_total() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let project = server.project(&owner, "a").await;
    for _ in 0..3 {
        server.api_key(&owner, Role::User, &[&project]).await;
    }
    server.api_key(&owner, Role::User, &[]).await;
    let of_project = format!("/api/projects/{project}/api-keys");
    for (path, total) in [(keys_of(&owner), 4), (of_project, 3)] {
        for (query, ids) in [
            ("", (1..=total).rev().collect::<Vec<_>>()),
            ("?skip=1&take=1", vec![total - 1]),
            ("?take=1000&api-version=1", (1..=total).rev().collect()),
            ("?skip=4", vec![]),
        ] {
            let answer = server.call_as(&owner, Method::GET, &format!("{path}{query}"), None).await;
            assert_eq!(answer.headers["x-total-count"], total.to_string());
            let found = answer.result();
            let found: Vec<_> = found.as_array().expect("keys").iter().map(|key| key["apiKeyId"].as_i64()).collect();
            assert_eq!(found, ids.into_iter().map(Some).collect::<Vec<_>>(), "{path}{query}");
        }
        for query in ["?take=0", "?take=1001", "?take=-1", "?skip=-1", "?take=a"] {
            let answer = server.call_as(&owner, Method::GET, &format!("{path}{query}"), None).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{query}");
        }
    }
}

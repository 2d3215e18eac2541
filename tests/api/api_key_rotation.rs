//! Rotation of API keys: the successor is valid at once, and the old key stays valid for the requested overlap.

use hyper::Method;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{Answer, Identity, Server, new_api_key};

async fn rotate(server: &Server, who: &Identity, id: &Value, overlap: &Value) -> Answer {
    let path = format!("{}/{id}/rotate", keys_of(who));
    server.call_as(who, Method::POST, &path, Some(&json!({ "overlapSeconds": overlap }))).await
}

/// Creates a key that expires in `end` milliseconds, or never.
async fn create(server: &Server, who: &Identity, projects: &[&str], end: Option<i64>) -> Value {
    let mut body = new_api_key("service", 2, projects);
    body["note"] = json!("of the service");
    body["userApiKey"]["hasExpireTime"] = json!(end.is_some());
    body["userApiKey"]["expireDateTime"] = json!(end.map(|millis| time(server.now() + millis)));
    server.call_as(who, Method::POST, &keys_of(who), Some(&body)).await.result()
}

fn time(millis: i64) -> String {
    Time::from_millis(millis).to_string()
}

/// The error code of a call with the key; empty if the key is accepted.
async fn refusal(server: &Server, key: &Value) -> String {
    let secret = key["apiKey"].as_str().expect("a secret");
    let answer = server.call_with_key(secret, Method::GET, "/node", None).await;
    if answer.status == 200 { String::new() } else { answer.refusal().1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_copies_everything_but_the_secret_and_start_date() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (first, second) = (server.project(&owner, "a").await, server.project(&owner, "b").await);
    let old = create(&server, &owner, &[&first, &second], Some(100_000)).await;
    let ends = old["expireDate"].clone();
    server.pass(5_000);
    let answer = rotate(&server, &owner, &old["id"], &json!(10)).await;
    let new = answer.result();
    let expected = json!({
        "success": true, "errors": [], "messages": ["API key rotated successfully"], "resultInfo": "",
        "statusCode": 201,
        "result": {
            "id": 2, "name": "service", "apiKey": new["apiKey"], "startDate": time(server.now()), "expireDate": ends,
            "hasExpireTime": true, "roleId": 2,
        },
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (201, expected));
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    let (successor, before) = (&listed[0], &listed[1]);
    for same in ["apiKeyName", "projectsNameList", "roleId", "note", "disabled", "hasExpireTime"] {
        assert_eq!(successor[same], before[same], "{same}");
    }
    assert_eq!(before["startDate"], old["startDate"]);
    assert_eq!((&before["expireDate"], &successor["expireDate"]), (&json!(time(server.now() + 10_000)), &ends));
    assert_ne!(before["apiKey"], successor["apiKey"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_work_during_the_overlap_and_then_only_the_successor() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let endless = create(&server, &owner, &[], None).await;
    let short = create(&server, &owner, &[], Some(5_000)).await;
    let instant = create(&server, &owner, &[], None).await;
    let endless_new = rotate(&server, &owner, &endless["id"], &json!(10)).await.result();
    let short_new = rotate(&server, &owner, &short["id"], &json!(10)).await.result();
    let instant_new = rotate(&server, &owner, &instant["id"], &json!(0)).await.result();
    assert_eq!(refusal(&server, &instant).await, "API_KEY_EXPIRED", "without an overlap it expires at once");
    for (pass, old, short_valid) in [(0, "", ""), (4_999, "", ""), (1, "", "API_KEY_EXPIRED")] {
        server.pass(pass);
        assert_eq!(
            (refusal(&server, &endless).await.as_str(), refusal(&server, &endless_new).await.as_str()),
            (old, "")
        );
        let both = (refusal(&server, &short).await, refusal(&server, &short_new).await);
        assert_eq!(both, (short_valid.to_owned(), short_valid.to_owned()), "a rotation does not extend a key");
    }
    server.pass(4_999);
    assert_eq!(refusal(&server, &endless).await, "");
    server.pass(1);
    assert_eq!(refusal(&server, &endless).await, "API_KEY_EXPIRED");
    for new in [&endless_new, &instant_new] {
        assert_eq!(refusal(&server, new).await, "");
    }
    let server = server.restart().await;
    assert_eq!(refusal(&server, &endless).await, "API_KEY_EXPIRED");
    assert_eq!(refusal(&server, &endless_new).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_cannot_be_rotated_again_or_change_its_dates() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let project = server.project(&owner, "web").await;
    let old = create(&server, &owner, &[&project], None).await;
    let new = rotate(&server, &owner, &old["id"], &json!(10)).await.result();
    let again = rotate(&server, &owner, &old["id"], &json!(10)).await;
    let message = "The API key already has a successor: rotate the successor";
    let expected = json!({
        "success": false, "errors": [message], "messages": [], "result": null,
        "resultInfo": "API_KEY_ALREADY_ROTATED", "statusCode": 409,
    });
    assert_eq!((again.status.as_u16(), again.json()), (409, expected));
    let ends = time(server.now() + 10_000);
    let body = |start: &str, end: Value| {
        json!({
            "id": old["id"], "name": "old", "startDate": start, "expireDate": end, "hasExpireTime": !end.is_null(),
            "roleId": 2, "disabled": false, "note": "leaving",
        })
    };
    let start = old["startDate"].as_str().expect("a start");
    for (start, end) in [
        (start, Value::Null),
        (start, json!(time(server.now() + 10_001))),
        (start, json!(time(server.now() + 9_999))),
        ("2024-01-15T10:30:00.001Z", json!(ends)),
    ] {
        let answer = server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&body(start, end))).await;
        assert_eq!(answer.refusal(), (409, "API_KEY_ALREADY_ROTATED".to_owned()));
    }
    let mut in_project = body(start, Value::Null);
    in_project["listProjectsId"] = json!([project]);
    let path = format!("/api/projects/{project}/api-keys");
    let answer = server.call_as(&owner, Method::PUT, &path, Some(&in_project)).await;
    assert_eq!(answer.refusal(), (409, "API_KEY_ALREADY_ROTATED".to_owned()));
    let mut rest = body(start, json!(ends));
    server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&rest)).await.result();
    rest["disabled"] = json!(true);
    server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&rest)).await.result();
    assert_eq!(refusal(&server, &old).await, "API_KEY_DISABLED", "it can still be disabled");
    server.pass(10_000);
    assert_eq!(rotate(&server, &owner, &old["id"], &json!(0)).await.refusal().0, 409, "even after it has expired");
    rotate(&server, &owner, &new["id"], &json!(0)).await.result();
    server.call_as(&owner, Method::DELETE, &format!("{}/{}", keys_of(&owner), old["id"]), None).await.result();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_currently_valid_key_can_be_rotated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let ended = create(&server, &owner, &[], Some(1_000)).await;
    let disabled = create(&server, &owner, &[], None).await;
    let mut body = new_api_key("later", 0, &[]);
    body["userApiKey"]["startDateTime"] = json!(time(server.now() + 2_000));
    let later = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await.result();
    let off = json!({
        "id": disabled["id"], "name": "off", "startDate": "2024-01-15T10:30:00Z", "hasExpireTime": false, "roleId": 0,
        "disabled": true,
    });
    server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&off)).await.result();
    server.pass(1_000);
    for (key, code) in [(&ended, "API_KEY_EXPIRED"), (&disabled, "API_KEY_DISABLED"), (&later, "API_KEY_NOT_YET_VALID")]
    {
        let answer = rotate(&server, &owner, &key["id"], &json!(60)).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()));
    }
    server.pass(1_000);
    rotate(&server, &owner, &later["id"], &json!(0)).await.result();
    assert_eq!(refusal(&server, &later).await, "API_KEY_EXPIRED", "at the moment of its start");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlap_can_be_0_seconds_to_30_days() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (id, _) = server.api_key(&owner, Role::User, &[]).await;
    for bad in [json!(-1), json!(2_592_001), json!(i64::MAX), json!("60"), json!(1.5), Value::Null] {
        let answer = rotate(&server, &owner, &json!(id), &bad).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{bad}");
    }
    rotate(&server, &owner, &json!(id), &json!(2_592_000)).await.result();
    let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
    assert_eq!(listed[1]["expireDate"], json!(time(server.now() + 2_592_000_000)));
    rotate(&server, &owner, &json!(id + 1), &json!(0)).await.result();
    for missing in ["0", "-1", "77", "01", "a", "2147483648", "%7B%7D"] {
        let path = format!("{}/{missing}/rotate", keys_of(&owner));
        let answer = server.call_as(&owner, Method::POST, &path, Some(&json!({ "overlapSeconds": 0 }))).await;
        assert_eq!(answer.refusal(), (404, "API_KEY_NOT_FOUND".to_owned()), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_16_concurrent_rotations_one_succeeds() {
    let server = std::sync::Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (id, _) = server.api_key(&owner, Role::User, &[]).await;
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (server, owner) = (std::sync::Arc::clone(&server), owner.clone());
            tokio::spawn(async move { rotate(&server, &owner, &json!(id), &json!(60)).await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    for call in calls {
        statuses.push(call.await.expect("an answer"));
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 15][..]));
}

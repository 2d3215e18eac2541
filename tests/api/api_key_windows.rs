//! Validity of API keys, to the millisecond: the start date is inclusive, the expiry date exclusive.

use hyper::Method;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{Answer, Server, new_api_key};

/// The body that creates a key with these dates.
fn dated(start: &Value, end: &Value, ends: bool) -> Value {
    let mut body = new_api_key("service", 0, &[]);
    body["userApiKey"]["startDateTime"] = start.clone();
    body["userApiKey"]["expireDateTime"] = end.clone();
    body["userApiKey"]["hasExpireTime"] = json!(ends);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_valid_from_its_start_until_just_before_its_expiry() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let body = dated(&json!("2024-01-15T10:30:01Z"), &json!("2024-01-15T10:30:02Z"), true);
    let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await.result();
    let secret = made["apiKey"].as_str().expect("a secret").to_owned();
    let moments = [(999, 401, "API_KEY_NOT_YET_VALID"), (1, 200, ""), (999, 200, ""), (1, 401, "API_KEY_EXPIRED")];
    for (millis, status, code) in moments {
        server.pass(millis);
        let answer = server.call_with_key(&secret, Method::GET, "/node", None).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        if status != 200 {
            assert_eq!(answer.refusal().1, code);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn validity_dates_are_normalized_or_rejected() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let now = "2024-01-15T10:30:00.000Z";
    let last = "9999-12-31T23:59:59.999Z";
    // (start, expiry, whether it expires, expected start and expiry)
    let good = [
        (Value::Null, Value::Null, false, (now, Value::Null)),
        (Value::Null, json!("1970-01-01T00:00:00Z"), false, (now, Value::Null)),
        (Value::Null, json!("nonsense"), false, (now, Value::Null)),
        (Value::Null, json!("2024-01-15T10:30:00.001Z"), true, (now, json!("2024-01-15T10:30:00.001Z"))),
        (json!("2024-01-15T12:30:00+02:00"), json!("9999-12-31T23:59:59.999Z"), true, (now, json!(last))),
        (json!("2024-01-15T10:30:00Z"), json!("9999-12-31T23:59:59.9999999Z"), true, (now, json!(last))),
        (json!("9999-12-31T23:59:59.999Z"), Value::Null, false, (last, Value::Null)),
        (json!("0001-01-01T00:00:00Z"), json!(last), true, ("0001-01-01T00:00:00.000Z", json!(last))),
        (json!("2024-01-15T10:30:00.0009Z"), Value::Null, false, (now, Value::Null)),
    ];
    for (start, end, ends, (starts, expires)) in good {
        let answer = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&dated(&start, &end, ends))).await;
        let made = answer.result();
        let found = (&made["startDate"], &made["expireDate"], &made["hasExpireTime"]);
        assert_eq!(found, (&json!(starts), &expires, &json!(ends)), "{start} {end}");
        let listed = server.call_as(&owner, Method::GET, &keys_of(&owner), None).await.result();
        let found = (&listed[0]["startDate"], &listed[0]["expireDate"], &listed[0]["hasExpireTime"]);
        assert_eq!(found, (&json!(starts), &expires, &json!(ends)), "{start} {end}");
    }
    let (id, _) = server.api_key(&owner, Role::User, &[]).await;
    let bad = [
        (json!(now), Value::Null),
        (json!(now), json!(now)),
        (json!(now), json!("2024-01-15T10:29:59.999Z")),
        (json!("2024-01-15T10:30:00.0001Z"), json!("2024-01-15T10:30:00.0009Z")),
        (json!(now), json!("2025-01-15T10:30:00")),
        (json!(now), json!("9999-12-31T23:59:59-01:00")),
        (json!(now), json!("+010000-01-01T00:00:00Z")),
        (json!(now), json!("2025-02-30T00:00:00Z")),
        (json!(now), json!(0)),
        (json!(now), json!("0")),
        (json!(now), json!(1_736_937_000_000_i64)),
        (json!(now), json!("1736937000")),
        (json!(now), json!("")),
        (json!(now), json!("never")),
        (json!("2024-01-15T10:30:00"), json!(last)),
        (json!("2024-01-15"), json!(last)),
        (json!("2024-01-15T10:30:00+01:00[Europe/Rome]"), json!(last)),
        (json!(0), json!(last)),
        (json!(""), json!(last)),
        (json!(last), json!(last)),
    ];
    for (start, end) in bad {
        let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&dated(&start, &end, true))).await;
        assert_eq!(made.refusal(), (400, "INVALID_FIELD".to_owned()), "{start} {end}");
        let change =
            json!({ "id": id, "name": "a", "startDate": start, "expireDate": end, "hasExpireTime": true, "roleId": 0 });
        let changed = server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change)).await;
        assert_eq!(changed.refusal(), (400, "INVALID_FIELD".to_owned()), "{start} {end}");
        for answer in [made, changed] {
            let text = answer.json()["errors"][0].as_str().expect("text").to_owned();
            assert!(!text.contains("2025-02-30") && !text.contains("never"), "{text} repeats the value");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_that_is_not_in_the_future_is_refused() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let project = server.project(&owner, "web").await;
    let (id, _) = server.api_key(&owner, Role::User, &[&project]).await;
    let of_project = format!("/api/projects/{project}/api-keys");
    let long_ago = json!("2020-01-01T00:00:00Z");
    let change = |end: &str, ends: bool| {
        json!({
            "id": id, "name": "a", "startDate": long_ago, "expireDate": end, "hasExpireTime": ends, "roleId": 0,
        })
    };
    let judge = |answer: &Answer, is_accepted: bool, field: &str| {
        if is_accepted {
            assert!(answer.status.is_success(), "{answer:?}");
        } else {
            let message = format!("{field} must be in the future: to end a key now, disable or delete it");
            let told = (answer.refusal(), &answer.json()["errors"]);
            assert_eq!(told, ((400, "INVALID_FIELD".to_owned()), &json!([message])));
        }
    };
    for (millis, ends, is_accepted) in [(-1, true, false), (0, true, false), (1, true, true), (-1, false, true)] {
        let end = Time::from_millis(server.now() + millis).to_string();
        for start in [&long_ago, &Value::Null] {
            let body = dated(start, &json!(end), ends);
            let made = server.call_as(&owner, Method::POST, &keys_of(&owner), Some(&body)).await;
            judge(&made, is_accepted, "expireDateTime");
        }
        for path in [&keys_of(&owner), &of_project] {
            let changed = server.call_as(&owner, Method::PUT, path, Some(&change(&end, ends))).await;
            judge(&changed, is_accepted, "expireDate");
        }
    }
    let end = Time::from_millis(server.now() + 1_000).to_string();
    let put = async |end: &str| server.call_as(&owner, Method::PUT, &keys_of(&owner), Some(&change(end, true))).await;
    judge(&put(&end).await, true, "");
    server.pass(1_000);
    judge(&put(&end).await, false, "expireDate");
    judge(&put(&Time::from_millis(server.now() + 1).to_string()).await, true, "");
}

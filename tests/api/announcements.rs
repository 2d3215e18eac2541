//! Announcements by the server itself: API keys that are about to expire, and nodes that have fallen silent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::Method;
use orgkeys::actions::jobs::Jobs;
use orgkeys::actions::{api_key, audit};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::role::Role;
use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::api_keys::keys_of;
use crate::harness::{BEGIN, Identity, Server, blocking, entries, new_api_key};
use crate::sessions::{self, conn};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

/// Runs the housekeeping of a minute.
pub async fn keep_house(server: &Server) {
    let system = Arc::clone(&server.system);
    blocking(move || assert!(Jobs::new(system, 0).run_due(0).is_empty())).await;
}

/// The id and detail of each announcement so far, in order.
pub async fn announced(server: &Server, action: &str) -> Vec<(String, Value)> {
    let recorded = entries(&server.database).await.into_iter().filter(|entry| entry.action == action);
    recorded
        .map(|entry| {
            let Entry { actor_kind, actor_id, change, outcome, .. } = &entry;
            assert_eq!((actor_kind.as_str(), actor_id.as_str(), *change), ("system", "system", Some(1)), "{entry:?}");
            assert_eq!(outcome, "done");
            let detail = serde_json::from_str(entry.detail.as_deref().expect("a detail")).expect("JSON");
            (entry.context_id.clone().expect("an id"), detail)
        })
        .collect()
}

fn time(millis: i64) -> String {
    Time::from_millis(millis).to_string()
}

/// Creates an API key that expires in so many milliseconds.
async fn key_for(server: &Server, owner: &Identity, millis: i64) -> String {
    let mut body = new_api_key("service", 0, &[]);
    body["userApiKey"]["hasExpireTime"] = json!(true);
    body["userApiKey"]["expireDateTime"] = json!(time(server.now() + millis));
    server.call_as(owner, Method::POST, &keys_of(owner), Some(&body)).await.result()["id"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn key_expiry_is_announced_once_per_lead_time() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    server.api_key(&owner, Role::User, &[]).await;
    let key = key_for(&server, &owner, 40 * DAY).await;
    let mut expected = Vec::new();
    // (how much time passes, the lead time that is announced then)
    for (millis, days) in
        [(10 * DAY - 1, 0), (1, 30), (23 * DAY - 1, 0), (1, 7), (6 * DAY - 1, 0), (1, 1), (DAY - 1, 0), (1, 0)]
    {
        server.pass(millis);
        for _ in 0..2 {
            keep_house(&server).await;
        }
        if days > 0 {
            expected.push((key.clone(), json!({ "days": days, "ends": time(BEGIN + 40 * DAY) })));
        }
        assert_eq!(announced(&server, "apikey.expiring").await, expected, "{days} days");
    }
    let shown = server.events(&owner).await;
    assert_eq!(shown.len(), 1, "only that of the last day: {shown:?}");
    let fields = (&shown[0]["context"], &shown[0]["event"], &shown[0]["contextId"], &shown[0]["userId"]);
    assert_eq!(fields, (&json!("apikey"), &json!("updated"), &json!(key), &json!("system")));
    let database = server.database.clone();
    blocking(move || audit::verify(&database, &[]).expect("whole")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_downtime_only_the_current_lead_time_is_announced_and_never_twice() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let key = key_for(&server, &owner, 31 * DAY).await;
    let ending = key_for(&server, &owner, 20 * DAY).await;
    server.pass(2 * DAY);
    keep_house(&server).await;
    let server = server.restart().await;
    keep_house(&server).await;
    let end = time(BEGIN + 31 * DAY);
    let mut expected = vec![
        (ending, json!({ "days": 30, "ends": time(BEGIN + 20 * DAY) })),
        (key.clone(), json!({ "days": 30, "ends": end })),
    ];
    assert_eq!(announced(&server, "apikey.expiring").await, expected);
    server.pass(28 * DAY + 12 * 60 * MINUTE);
    let server = server.restart().await;
    keep_house(&server).await;
    expected.push((key, json!({ "days": 1, "ends": end })));
    assert_eq!(announced(&server, "apikey.expiring").await, expected, "neither the 7 days nor the expired key");
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_is_not_announced_for_deleted_disabled_or_rotated_keys() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let path = keys_of(&owner);
    let (deleted, disabled) = (key_for(&server, &owner, 5 * DAY).await, key_for(&server, &owner, 5 * DAY).await);
    let (rotated, moved) = (key_for(&server, &owner, 5 * DAY).await, key_for(&server, &owner, 5 * DAY).await);
    let one = server.call_as(&owner, Method::DELETE, &format!("{path}/{deleted}"), None).await;
    assert!(one.status.is_success(), "{one:?}");
    let change = |id: &str, days: i64, disabled: bool| {
        let id: i64 = id.parse().expect("a number");
        json!({
            "id": id, "name": "a", "startDate": time(BEGIN), "expireDate": time(BEGIN + days * DAY),
            "hasExpireTime": true, "roleId": 0, "disabled": disabled,
        })
    };
    let put = async |id: &str, days: i64, disabled: bool| {
        let answer = server.call_as(&owner, Method::PUT, &path, Some(&change(id, days, disabled))).await;
        assert!(answer.status.is_success(), "{answer:?}");
    };
    put(&disabled, 5, true).await;
    let answer = server
        .call_as(&owner, Method::POST, &format!("{path}/{rotated}/rotate"), Some(&json!({ "overlapSeconds": 3600 })))
        .await;
    let successor = answer.result()["id"].to_string();
    let only_of = async |wanted: &str| {
        keep_house(&server).await;
        let found = announced(&server, "apikey.expiring").await;
        assert!(found.iter().all(|(id, _)| *id != deleted && *id != rotated), "{found:?}");
        found.iter().filter(|(id, _)| id == wanted).map(|(_, detail)| detail["days"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(only_of(&moved).await, [7]);
    assert!(only_of(&disabled).await.is_empty());
    assert_eq!(only_of(&successor).await, [7]);
    put(&moved, 5, false).await;
    assert_eq!(only_of(&moved).await, [7], "its expiry is unchanged");
    put(&moved, 20, false).await;
    assert_eq!(only_of(&moved).await, [7, 30], "a new expiry is announced again");
    put(&disabled, 5, false).await;
    assert_eq!(only_of(&disabled).await, [7], "it is enabled again");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_130_expiring_keys_is_announced_once() {
    let server = Server::with(|flags| flags.with("api_keys_max", "2000")).await;
    let owner = server.owner_of("acme").await;
    for _ in 0..130 {
        key_for(&server, &owner, DAY).await;
    }
    keep_house(&server).await;
    let mut ids: Vec<String> = announced(&server, "apikey.expiring").await.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 130, "each key once");
}

/// Copies the only row of a table until there are 130. Each copy differs in these columns.
fn copied(server: &Server, table: &str, columns: &str, differing: &str) {
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 129)
         INSERT INTO {table} (id, {columns}) SELECT randomblob(16), {differing} FROM {table}, n"
    );
    assert_eq!(conn(server).execute(&sql, []), Ok(129), "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ends_of_130_organization_keys_and_the_silence_of_130_nodes_are_announced_at_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, "10.0.0.1").await.status.as_u16(), 200);
    let columns = "org, ip, ip_key, region, provider, status, version, services, last_contact";
    let differing = "org, i, i, region, provider, status, version, services, last_contact";
    copied(&server, "node", columns, differing);
    let end = json!({ "retireAt": time(BEGIN + DAY) });
    let path = format!("/organization/{}/key/{key}", owner.org);
    assert_eq!(server.call_as(&owner, Method::PUT, &path, Some(&end)).await.status.as_u16(), 200);
    sessions::change(&server, "UPDATE org_key SET announced = NULL");
    copied(&server, "org_key", "org, public_key, created_at, retire_at", "org, randomblob(300), created_at, retire_at");
    server.pass(15 * MINUTE);
    keep_house(&server).await;
    for action in ["node.silent", "org_key.retiring"] {
        let ids = announced(&server, action).await.into_iter().map(|(id, _)| id);
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 130, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_that_fail_on_a_full_disk_are_made_once_there_is_room() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let key = key_for(&server, &owner, DAY).await;
    server.room.store(1, Ordering::Relaxed);
    let system = Arc::clone(&server.system);
    let refused = blocking(move || api_key::ending::announce(&system).expect_err("no room")).await;
    assert_eq!(refused.code, "STORAGE_FULL", "{refused:?}");
    assert!(announced(&server, "apikey.expiring").await.is_empty());
    server.room.store(0, Ordering::Relaxed);
    keep_house(&server).await;
    let expected = [(key, json!({ "days": 1, "ends": time(BEGIN + DAY) }))];
    assert_eq!(announced(&server, "apikey.expiring").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_silence_of_a_node_is_announced_once() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let register = async |server: &Server, ip: &str| {
        let answer = server.register(&owner.org, &pem, ip).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
        answer.json()["data"]["id"].as_str().expect("an id").to_owned()
    };
    let (node, deleted) = (register(&server, "10.0.0.1").await, register(&server, "10.0.0.2").await);
    let path = format!("/organization/{}/node/{deleted}", owner.org);
    assert!(server.call_as(&owner, Method::DELETE, &path, None).await.status.is_success());
    server.pass(10 * MINUTE - 1);
    keep_house(&server).await;
    assert!(announced(&server, "node.silent").await.is_empty());
    server.pass(1);
    keep_house(&server).await;
    keep_house(&server).await;
    let silence = |last: i64| (node.clone(), json!({ "ip": "10.0.0.1", "lastContact": time(last) }));
    assert_eq!(announced(&server, "node.silent").await, [silence(BEGIN)]);
    let server = server.restart().await;
    for _ in 0..7 {
        server.pass(DAY);
        keep_house(&server).await;
    }
    assert_eq!(announced(&server, "node.silent").await, [silence(BEGIN)], "one announcement per silence");
    let heard = server.now();
    assert_eq!(register(&server, "10.0.0.1").await, node);
    keep_house(&server).await;
    server.pass(10 * MINUTE);
    keep_house(&server).await;
    assert_eq!(
        announced(&server, "node.silent").await,
        [silence(BEGIN), silence(heard)],
        "a second silence is announced"
    );
    let shown = server.events(&owner).await;
    let fields: Vec<_> = shown.iter().map(|event| (&event["context"], &event["event"], &event["userId"])).collect();
    let (node, updated) = (&json!("flashbacknode"), &json!("updated"));
    let registered = shown.iter().find(|event| event["userId"] != "system").expect("the registration");
    assert_eq!(fields, [(node, updated, &json!("system")), (node, updated, &registered["userId"])], "{shown:?}");
}

//! System events: the audit log as clients see it.

mod read_marks;

use hyper::{Method, StatusCode};
use orgkeys::domain::id::OrgId;
use orgkeys::domain::role::Role;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::harness::{Answer, BEGIN, Identity, Server, blocking, entries};

async fn query(server: &Server, who: &Identity, wanted: &Value) -> Answer {
    server.call_as(who, Method::POST, "/systemevent", Some(wanted)).await
}

/// The total, and this field of each event on the page.
async fn page(server: &Server, who: &Identity, wanted: &Value, field: &str) -> (Vec<Value>, i64) {
    let answer = query(server, who, wanted).await;
    assert_eq!(answer.status, StatusCode::OK, "{wanted}: {answer:?}");
    let page = answer.json();
    let events = page["events"].as_array().expect("events").iter().map(|event| event[field].clone());
    (events.collect(), page["total"].as_i64().expect("a total"))
}

async fn ids(server: &Server, who: &Identity, wanted: &Value) -> Vec<i64> {
    let (ids, _) = page(server, who, wanted, "id").await;
    ids.iter().map(|id| id.as_i64().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_has_the_documented_format() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.mint(&owner).await;
    let node = server.register(&owner.org, &pem, "203.0.113.7").await.json()["data"]["id"].clone();
    server.pass(1_500);
    server.register(&owner.org, &pem, "203.0.113.7").await;
    server.call_as(&owner, Method::DELETE, &format!("/organization/{}/key", owner.org), None).await;
    let answer = query(&server, &owner, &json!({})).await;
    let mut body = answer.json();
    let email = body["events"][0]["userEmail"].as_str().expect("an address").to_owned();
    assert!(email.ends_with("@example.org"), "{email}");
    let first = body["events"][6]["id"].as_i64().expect("an id");
    let (early, late) = ("2024-01-15T10:30:00.000Z", "2024-01-15T10:30:01.500Z");
    let (ada, node_name, system) = ((&owner.user, "Ada Lovelace", email.as_str()), "203.0.113.7", "system".to_owned());
    let node_id = node.as_str().expect("an id").to_owned();
    let signature = json!({ "keyId": key, "message": "ip|region|timestamp" }).to_string();
    let role = json!({ "role": 255, "invited": false }).to_string();
    let token = json!({ "tokenId": owner.token_id, "expiresAt": null }).to_string();
    let all = json!({ "keys": [key], "nodes": 1, "until": "2024-01-16T10:30:01.500Z" }).to_string();
    let generated = json!({ "brought": false, "bits": 2_048 }).to_string();
    let event = |time: &str, about: (&str, &str), event: &str, who: (&String, &str, &str), data: Option<&String>| {
        json!({
            "timestamp": time, "contextId": about.1, "context": about.0, "event": event, "orgId": owner.org,
            "userId": who.0, "userName": who.1, "userEmail": who.2, "workspaceId": null, "jsonData": data,
            "showUnread": true,
        })
    };
    let by_node = (&node_id, node_name, "");
    let by_system = (&system, "orgkeys", "");
    let expected = vec![
        event(late, ("orgkey", &owner.org), "deleted", ada, Some(&all)),
        event(late, ("flashbacknode", &node_id), "updated", by_node, Some(&signature)),
        event(early, ("flashbacknode", &node_id), "created", by_node, Some(&signature)),
        event(early, ("orgkey", &key), "created", ada, Some(&generated)),
        event(early, ("user", &owner.user), "updated", by_system, Some(&token)),
        event(early, ("user", &owner.user), "created", by_system, Some(&role)),
        event(early, ("org", &owner.org), "created", by_system, None),
    ];
    for event in body["events"].as_array_mut().expect("events") {
        let id = event.as_object_mut().expect("an object").shift_remove("id").expect("an id");
        assert!(id.as_i64() >= Some(first));
    }
    assert_eq!(body, json!({ "events": expected, "total": 7, "skip": 0, "take": 20 }));
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    let order = ["id", "timestamp", "contextId", "context", "event", "orgId", "userId", "userName", "userEmail"];
    let order: Vec<_> = order.iter().chain(&["workspaceId", "jsonData", "showUnread"]).collect();
    let places: Vec<_> = order.iter().map(|name| text.find(&format!("\"{name}\":")).expect("a field")).collect();
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_time_range_is_one_day_and_given_bounds_are_inclusive() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let all = json!({ "context": 4 });
    server.pass(86_400_000);
    assert_eq!(page(&server, &owner, &all, "event").await.1, 1, "exactly a day ago");
    server.pass(1);
    assert_eq!(page(&server, &owner, &all, "event").await.1, 0, "a millisecond longer ago");
    let cases = [
        (json!({ "from_timestamp": "2024-01-15T10:30:00.000Z" }), 1),
        (json!({ "from_timestamp": "2024-01-15T10:30:00.001Z" }), 0),
        (json!({ "to_timestamp": "2024-01-15T10:30:00Z" }), 1),
        (json!({ "to_timestamp": "2024-01-15T10:29:59.999Z" }), 0),
        (json!({ "from_timestamp": "2024-01-15T11:30:00+01:00", "to_timestamp": "2024-01-15T10:30:00Z" }), 1),
        (json!({ "from_timestamp": "2024-01-16T00:00:00Z", "to_timestamp": "2024-01-15T00:00:00Z" }), 0),
        (json!({ "from_timestamp": "", "to_timestamp": null }), 0),
    ];
    for (mut wanted, total) in cases {
        wanted["context"] = json!(4);
        assert_eq!(page(&server, &owner, &wanted, "event").await.1, total, "{wanted}");
    }
    for wrong in ["2024-03-01T10:30:00", "2024-02-30T00:00:00Z", "yesterday", "1705314601"] {
        for field in ["from_timestamp", "to_timestamp"] {
            let answer = query(&server, &owner, &json!({ field: wrong })).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()));
            let message = answer.json()["message"].as_str().expect("text").to_owned();
            assert!(message.starts_with(field) && !message.contains(wrong), "{message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_filter_returns_the_matching_events_and_rejects_bad_values() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let admin = server.member_of(&owner.org, Role::Administrator).await;
    let (key, pem) = server.key(&owner).await;
    server.key(&admin).await;
    server.register(&owner.org, &pem, "203.0.113.7").await;
    let cases = [
        (json!({ "context": 10 }), 2),
        (json!({ "context": 9 }), 1),
        (json!({ "context": 0 }), 0),
        (json!({ "context": 13 }), 0),
        (json!({ "event": 1 }), 2),
        (json!({ "event": 2 }), 0),
        (json!({ "context": 10, "event": 0 }), 2),
        (json!({ "context": 10, "event": 1 }), 0),
        (json!({ "contextId": key }), 1),
        (json!({ "contextId": key, "userId": admin.user }), 0),
        (json!({ "contextId": "nothing" }), 0),
        (json!({ "userId": admin.user }), 1),
        (json!({ "userId": "system" }), 5),
        (json!({ "userId": "", "contextId": "", "workspaceId": "" }), 8),
        (json!({ "workspaceId": "project-1" }), 0),
        (json!({ "unknown": [1], "showUnread": false }), 8),
    ];
    for (wanted, total) in cases {
        let found = page(&server, &owner, &wanted, "id").await;
        assert_eq!((found.0.len(), found.1), (usize::try_from(total).expect("small"), total), "{wanted}");
    }
    for wrong in [
        json!({ "context": 14 }),
        json!({ "context": -1 }),
        json!({ "event": 3 }),
        json!({ "event": -1 }),
        json!({ "context": "orgkey" }),
        json!({ "userId": "a\nb" }),
        json!({ "contextId": "c".repeat(301) }),
    ] {
        assert_eq!(query(&server, &owner, &wrong).await.refusal(), (400, "INVALID_FIELD".to_owned()), "{wrong}");
    }
    assert_eq!(page(&server, &owner, &json!({ "contextId": "c".repeat(300) }), "id").await.1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_skip_and_take_newest_first() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for _ in 0..100 {
        server.member_of(&owner.org, Role::User).await;
    }
    let all = json!({ "event": 0, "context": 3 });
    let asked = async |skip: Option<i64>, take: Option<i64>| {
        let mut wanted = all.clone();
        for (name, value) in [("skip", skip), ("take", take)] {
            if let Some(value) = value {
                wanted[name] = json!(value);
            }
        }
        query(&server, &owner, &wanted).await
    };
    let newest = asked(None, Some(100)).await.json();
    let newest: Vec<_> =
        newest["events"].as_array().expect("events").iter().map(|event| event["id"].as_i64()).collect();
    assert_eq!(newest.len(), 100);
    assert!(newest.is_sorted_by(|a, b| a > b), "newest first");
    for (skip, take, from, to) in
        [(None, None, 0, 20), (Some(0), Some(1), 0, 1), (Some(99), Some(1), 99, 100), (Some(3), Some(5), 3, 8)]
    {
        let page = asked(skip, take).await.json();
        let found: Vec<_> =
            page["events"].as_array().expect("events").iter().map(|event| event["id"].as_i64()).collect();
        assert_eq!(found, newest[from..to], "{skip:?} {take:?}");
        let counts = (&page["total"], &page["skip"], &page["take"]);
        assert_eq!(counts, (&json!(101), &json!(skip.unwrap_or(0)), &json!(take.unwrap_or(20))));
    }
    for (skip, found) in [(100, 1), (101, 0)] {
        assert_eq!(asked(Some(skip), Some(100)).await.json()["events"].as_array().map(Vec::len), Some(found));
    }
    for (skip, take) in [(None, Some(0)), (None, Some(101)), (None, Some(-1)), (Some(-1), None)] {
        assert_eq!(asked(skip, take).await.refusal(), (400, "INVALID_FIELD".to_owned()), "{skip:?} {take:?}");
    }
}

/// Restarts the server with more events in the owner's organization: this many deletions of a conversation per object, all at one moment.
async fn with_more(server: Server, owner: &Identity, objects: &[(&str, u32)]) -> Server {
    let (database, org) = (server.database.clone(), OrgId::parse(&owner.org).expect("an id"));
    let objects: Vec<_> = objects.iter().map(|(object, count)| ((*object).to_owned(), *count)).collect();
    let stopped = server.stop().await;
    let add = move || {
        let conn = Connection::open(database).expect("the file");
        for (object, count) in objects {
            let sql = "INSERT INTO audit SELECT last + n, ?1, seq + n, ?4, 'user', 'somebody', NULL, 'test', 13, ?2, NULL, 2, 'done',
                    NULL, NULL, NULL, zeroblob(32), zeroblob(32)
                FROM (SELECT max(id) AS last FROM audit), (SELECT max(seq) AS seq FROM audit WHERE org = ?1),
                    (WITH RECURSIVE entry (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM entry WHERE n < ?3) SELECT n FROM entry)";
            conn.execute(sql, params![org.as_bytes(), object, count, BEGIN]).expect("more");
        }
    };
    blocking(add).await;
    stopped.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_total_is_exact_up_to_10100_and_capped_there() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let server = with_more(server, &owner, &[("fewer", 10_099), ("as many", 10_100), ("more", 10_101)]).await;
    for (object, total, last) in [("fewer", 10_099, 99), ("as many", 10_100, 100), ("more", 10_100, 100)] {
        let wanted = json!({ "contextId": object, "skip": 10_000, "take": 100 });
        let (found, counted) = page(&server, &owner, &wanted, "contextId").await;
        assert_eq!((counted, found.len()), (total, last), "{object}");
        assert!(found.iter().all(|id| *id == json!(object)));
        let unread = json!({ "contextId": object, "userId": "somebody", "showUnread": true });
        assert_eq!(page(&server, &owner, &unread, "id").await.1, total, "{object}");
    }
    assert_eq!(page(&server, &owner, &json!({}), "id").await.1, 10_100);
    let skip = json!({ "skip": 10_001 });
    assert_eq!(query(&server, &owner, &skip).await.refusal(), (400, "INVALID_FIELD".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_found_and_a_long_search_is_recorded_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, _) = server.key(&owner).await;
    let server = with_more(server, &owner, &[("a", 12_000), ("b", 12_000)]).await;
    let before = entries(&server.database).await.len();
    // Few match by user and many by object; no event matches both.
    for (wanted, total) in [
        (json!({ "userId": owner.user, "event": 0 }), 1),
        (json!({ "userId": "somebody", "event": 0 }), 0),
        (json!({ "userId": "somebody", "event": 2, "contextId": key }), 0),
        (json!({ "contextId": "a", "userId": owner.user }), 0),
    ] {
        let (found, counted) = page(&server, &owner, &wanted, "contextId").await;
        assert_eq!((found, counted), (vec![json!(key); usize::try_from(total).expect("small")], total), "{wanted}");
    }
    let all = ids(&server, &owner, &json!({ "userId": "somebody", "take": 1 })).await;
    server.pass(1);
    assert_eq!(all.len(), 1);
    let after = entries(&server.database).await;
    let listed: Vec<_> = after[before..].iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(listed, ["event.list"; 5], "one entry per search, however long it took");
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_all_events_of_their_organization_and_others_only_their_own() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    server.key(&other).await;
    let admin = server.member_of(&owner.org, Role::Administrator).await;
    let workspaces = server.member_of(&owner.org, Role::Workspaces).await;
    let (key, _) = server.key(&admin).await;
    let everything = ids(&server, &owner, &json!({})).await;
    assert_eq!(everything.len(), 8);
    assert_eq!(ids(&server, &admin, &json!({})).await, everything);
    for wanted in
        [json!({}), json!({ "userId": admin.user }), json!({ "contextId": key }), json!({ "userId": "system" })]
    {
        assert_eq!(page(&server, &workspaces, &wanted, "id").await, (vec![], 0), "{wanted}");
        let (orgs, _) = page(&server, &other, &wanted, "orgId").await;
        assert!(orgs.iter().all(|org| *org == json!(other.org)), "{wanted} crosses organizations");
    }
    let demoted = server.member_of(&owner.org, Role::User).await;
    assert_eq!(page(&server, &demoted, &json!({ "userId": demoted.user }), "id").await, (vec![], 0));
}

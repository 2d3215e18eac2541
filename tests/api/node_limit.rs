//! The limit of nodes per organization: it cannot be exceeded, and known nodes never meet it.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::domain::id::OrgId;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::audit_refusals::{counted, flush};
use crate::harness::{Answer, Identity, Server, blocking, registration};

/// Inserts nodes into an organization beside the server, as if they had registered.
pub async fn seed(server: &Server, org: &str, count: u32) {
    let (database, org) = (server.database.clone(), OrgId::parse(org).expect("an id"));
    blocking(move || {
        let beside = Connection::open(database).expect("opened beside the server");
        let sql = "INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, last_contact)
            WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?2)
            SELECT randomblob(16), ?1, 'seeded-' || n, 'seeded-' || n, 'eu-1', '', '', '', 0, 0 FROM number";
        beside.execute(sql, params![org.as_bytes(), count]).expect("seeded");
    })
    .await;
}

/// How many nodes an organization has in the database, deleted ones included.
async fn stored(server: &Server, org: &str) -> u32 {
    let (database, org) = (server.database.clone(), OrgId::parse(org).expect("an id"));
    blocking(move || {
        let beside = Connection::open(database).expect("opened beside the server");
        let sql = "SELECT count(*) FROM node WHERE org = ?1";
        beside.query_row(sql, [org.as_bytes()], |row| row.get(0)).expect("a number")
    })
    .await
}

/// A server with a key and an organization that has room for `room` more nodes.
async fn nearly_full(most: u32, room: u32) -> (Arc<Server>, Identity, String) {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    seed(&server, &owner.org, most - room).await;
    (server, owner, pem)
}

async fn register(server: &Server, body: &Value) -> Answer {
    server.call(Method::POST, "/register", Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_cannot_exceed_10000_nodes() {
    let (server, owner, pem) = nearly_full(10_000, 3).await;
    let mut calls = JoinSet::new();
    for number in 0..32 {
        let (server, body) =
            (Arc::clone(&server), registration(&owner.org, &pem, &format!("203.0.113.{number}"), server.now() / 1_000));
        calls.spawn(async move { register(&server, &body).await });
    }
    let mut taken = 0;
    for answer in calls.join_all().await {
        if answer.status == StatusCode::OK {
            taken += 1;
        } else {
            assert_eq!(answer.refusal(), (400, "NODE_LIMIT_REACHED".to_owned()), "{answer:?}");
        }
    }
    assert_eq!((taken, stored(&server, &owner.org).await), (3, 10_000));
    let listed = server.call_as(&owner, Method::GET, &format!("/organization/{}/nodes", owner.org), None).await.json();
    let length = listed["data"].as_array().map(Vec::len);
    assert_eq!((&listed["total"], length), (&json!(10_000), Some(1_000)), "a page, if nobody asks for a shorter one");
    let other = server.owner_of("other").await;
    let (_, pem) = server.key(&other).await;
    assert_eq!(server.register(&other.org, &pem, "203.0.113.1").await.status, StatusCode::OK, "another organization");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_known_nodes_still_register() {
    let server = Arc::new(Server::with(|flags| flags.with("nodes_max", "3")).await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    for ip in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        assert_eq!(server.register(&owner.org, &pem, ip).await.status, StatusCode::OK);
    }
    let sent = registration(&owner.org, &pem, "203.0.113.4", server.now() / 1_000);
    let refused = register(&server, &sent).await;
    let expected = json!({
        "success": false, "message": "Maximum number of nodes (3) has been reached", "errorCode": "NODE_LIMIT_REACHED",
        "errorMessage": "The organization has 3 nodes and nodes_max allows 3. Unregister nodes that no longer exist (POST /unregister, \
            signed with a key of the organization; `orgkeys sign` builds the body), or ask the server's administrator to raise \
            nodes_max. Deleted nodes count: activate them, then unregister them",
    });
    assert_eq!((refused.status, refused.json()), (StatusCode::BAD_REQUEST, expected));
    server.pass(1_000);
    for ip in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        assert_eq!(server.register(&owner.org, &pem, ip).await.status, StatusCode::OK, "a node that is known");
    }
    let place = format!("/organization/{}/node/203.0.113.1", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &place, None).await.status, StatusCode::OK);
    assert_eq!(register(&server, &sent).await.refusal().1, "NODE_LIMIT_REACHED", "a deleted node still counts");
    let departing = registration(&owner.org, &pem, "203.0.113.2", server.now() / 1_000 + 1);
    assert_eq!(server.call(Method::POST, "/unregister", Some(&departing)).await.status, StatusCode::OK);
    assert_eq!(
        register(&server, &sent).await.status,
        StatusCode::OK,
        "the same call succeeds later: its signature was not used up"
    );
    assert_eq!(register(&server, &sent).await.refusal().1, "SIGNATURE_REPLAYED");
    assert_eq!(
        register(&server, &departing).await.refusal().1,
        "SIGNATURE_REPLAYED",
        "a replay is detected before the limit is checked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lowering_the_limit_removes_no_node() {
    let server = Server::with(|flags| flags.with("nodes_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    seed(&server, &owner.org, 3).await;
    for ip in ["seeded-1", "seeded-3"] {
        assert_eq!(server.register(&owner.org, &pem, ip).await.status, StatusCode::OK, "a node that is known");
    }
    let refused = server.register(&owner.org, &pem, "203.0.113.8").await.json();
    let advice = refused["errorMessage"].as_str().expect("advice");
    assert!(advice.contains("has 3 nodes and nodes_max allows 1"), "{advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_limit_refusals_are_recorded_but_do_not_rate_limit_the_network() {
    let set = [("nodes_max", "1"), ("refused_rate", "1"), ("refused_burst", "3")];
    let server =
        Server::with(|flags| set.into_iter().fold(flags, |flags, (name, value)| flags.with(name, value))).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, "203.0.113.1").await.status, StatusCode::OK);
    for number in 0..20 {
        let refused = server.register(&owner.org, &pem, &format!("198.51.100.{number}")).await;
        assert_eq!(refused.refusal(), (400, "NODE_LIMIT_REACHED".to_owned()), "never 429");
    }
    server.pass(60_000);
    assert_eq!(
        server.register(&owner.org, &pem, "203.0.113.1").await.status,
        StatusCode::OK,
        "its known neighbour is not limited"
    );
    flush(&server).await;
    let counted = counted(&server, &owner.org).await;
    assert_eq!(
        (counted.len(), &counted[0]["errorCode"], &counted[0]["count"]),
        (1, &json!("NODE_LIMIT_REACHED"), &json!(20))
    );
}

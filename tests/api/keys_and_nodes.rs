//! Keys and their nodes: what a deletion ends, a node that returns, and the separation of organizations.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use orgkeys::actions::admin::command::{self, Command, List};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, registration};
use crate::signing::sign;

const IP: &str = "203.0.113.7";

async fn get(server: &Server, who: &Identity, path: &str) -> Value {
    let answer = server.call_as(who, Method::GET, &path.replace("ORG", &who.org), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

async fn nodes(server: &Server, who: &Identity) -> Vec<Value> {
    get(server, who, "/organization/ORG/nodes").await["data"].as_array().expect("nodes").clone()
}

/// Registers with these fields, signed at the current time.
async fn register_as(server: &Server, org: &str, pem: &str, ip: &str, fields: &Value) -> Answer {
    let mut body = registration(org, pem, ip, server.now() / 1_000);
    for (name, value) in fields.as_object().expect("fields") {
        body[name] = value.clone();
    }
    server.call(Method::POST, "/register", Some(&body)).await
}

async fn unregister(server: &Server, body: &Value) -> Answer {
    server.call(Method::POST, "/unregister", Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_their_nodes_are_listed_newest_first() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut minted = Vec::new();
    for _ in 0..3 {
        minted.push(server.key(&owner).await);
    }
    for ip in ["a", "b"] {
        assert_eq!(server.register(&owner.org, &minted[1].1, ip).await.status, StatusCode::OK);
    }
    let listed = get(&server, &owner, "/organization/ORG/key").await;
    let ids: Vec<&Value> = listed["data"].as_array().expect("keys").iter().map(|key| &key["id"]).collect();
    assert_eq!(ids, minted.iter().rev().map(|(id, _)| id).collect::<Vec<_>>());
    let key = &minted[1].0;
    let beside = ["b", "a"].map(|ip| json!({ "keyId": key, "nodeId": ip, "lastUsed": "2024-01-15T10:30:00.000Z" }));
    assert_eq!((&listed["data"][1]["nodeKeys"], &listed["data"][0]["nodeKeys"]), (&json!(beside), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_key_detaches_its_nodes_and_invalidates_its_signatures() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    let (left, left_pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, IP).await;
    assert_eq!(nodes(&server, &owner).await[0]["keyId"], json!(key));
    let path = format!("/organization/{}/key/{key}", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    let found = nodes(&server, &owner).await;
    assert_eq!((found.len(), &found[0]["keyId"]), (1, &Value::Null), "the node stays, without a key");
    server.pass(1_000);
    for call in ["/register", "/unregister", "/secrets"] {
        let body = registration(&owner.org, &pem, IP, server.now() / 1_000);
        let answer = server.call(Method::POST, call, Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "BAD_SIGNATURE".to_owned()), "{call}");
    }
    assert_eq!(server.register(&owner.org, &left_pem, IP).await.json()["data"]["keyId"], json!(left));
    let all = format!("/organization/{}/key", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &all, None).await.status, StatusCode::OK);
    assert_eq!(nodes(&server, &owner).await[0]["keyId"], Value::Null);
    server.pass(1_000);
    assert_eq!(server.register(&owner.org, &left_pem, IP).await.refusal().1, "NO_KEYS");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_only_for_its_own_organization() {
    let server = Server::start().await;
    let (one, two) = (server.owner_of("one").await, server.owner_of("two").await);
    let ((_, pem), (_, other_pem)) = (server.key(&one).await, server.key(&two).await);
    assert_eq!(server.register(&one.org, &other_pem, IP).await.refusal().1, "BAD_SIGNATURE");
    let first = server.register(&one.org, &pem, IP).await.json()["data"]["id"].clone();
    let second = server.register(&two.org, &other_pem, IP).await.json()["data"]["id"].clone();
    assert_ne!(first, second, "an address is a different node in each organization");
    let path = format!("/organization/{}/node/{IP}", one.org);
    assert_eq!(server.call_as(&one, Method::DELETE, &path, None).await.status, StatusCode::OK);
    assert_eq!((nodes(&server, &one).await.len(), nodes(&server, &two).await.len()), (0, 1));
    let theirs = format!("/organization/{}/node/{}", one.org, second.as_str().expect("an id"));
    let answer = server.call_as(&one, Method::DELETE, &theirs, None).await;
    assert_eq!(
        answer.refusal(),
        (404, "NODE_NOT_FOUND".to_owned()),
        "nor by its id under the caller's own organization"
    );
    server.pass(1_000);
    assert_eq!(server.register(&two.org, &other_pem, IP).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_unregisters_and_returns_gets_a_new_id() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let first = server.register(&owner.org, &pem, IP).await.json()["data"]["id"].clone();
    server.pass(1_000);
    let again = server.register(&owner.org, &pem, IP).await.json()["data"]["id"].clone();
    assert_eq!(first, again, "a repeated registration is the same node");
    server.pass(1_000);
    let left = unregister(&server, &registration(&owner.org, &pem, IP, server.now() / 1_000)).await;
    let done = json!({ "success": true, "message": "Node unregistered successfully" });
    assert_eq!((left.status, left.json()), (StatusCode::OK, done));
    assert_eq!(nodes(&server, &owner).await, Vec::<Value>::new());
    assert_eq!(get(&server, &owner, "/organization/ORG/key").await["data"][0]["nodeKeys"], json!([]));
    server.pass(1_000);
    let answer = unregister(&server, &registration(&owner.org, &pem, IP, server.now() / 1_000)).await;
    assert_eq!(answer.refusal(), (404, "NODE_NOT_FOUND".to_owned()));
    server.pass(1_000);
    assert_ne!(server.register(&owner.org, &pem, IP).await.json()["data"]["id"], first);
}

#[tokio::test(flavor = "multi_thread")]
async fn unregistering_without_a_region_uses_the_stored_region() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, IP).await;
    server.pass(1_000);
    let now = server.now() / 1_000;
    let body = |region: &str, ip: &str| json!({ "ip": ip, "timestamp": now, "signature": sign(&pem, &format!("{ip}|{region}|{now}")), "id_org": owner.org });
    let there = unregister(&server, &body("eu-2", IP)).await;
    let elsewhere = unregister(&server, &body("eu-1", "203.0.113.8")).await;
    assert_eq!(there.refusal(), (400, "BAD_SIGNATURE".to_owned()));
    let told = |answer: &Answer, ip: &str| String::from_utf8_lossy(&answer.body).replace(ip, "IP");
    assert_eq!(told(&there, IP), told(&elsewhere, "203.0.113.8"), "a stranger cannot tell which nodes exist");
    assert!(!told(&there, IP).contains("eu-1"), "nor in which region");
    assert_eq!(unregister(&server, &body("eu-1", IP)).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_filtered_by_any_of_their_services_and_paged() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let user = server.member_of(&owner.org, Role::User).await;
    let (_, pem) = server.key(&owner).await;
    for (ip, services) in [("none", 0), ("storage", 1), ("aillm", 2), ("chat", 4), ("all", 7)] {
        let answer = register_as(&server, &owner.org, &pem, ip, &json!({ "nodeServices": services })).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    let ips = async |who: &Identity, path: &str| {
        let page = get(&server, who, path).await;
        let ips =
            page["data"].as_array().expect("nodes").iter().map(|node| node["ip"].as_str().expect("text").to_owned());
        (ips.collect::<Vec<_>>().join(" "), page["total"].as_i64().expect("a total"))
    };
    let everything = "all chat aillm storage none";
    let cases = [
        ("/node", everything, 5),
        ("/node?nodeServices=0", everything, 5),
        ("/node?nodeServices=1", "all storage", 2),
        ("/node?nodeServices=6", "all chat aillm", 3),
        ("/node?nodeServices=7", "all chat aillm storage", 4),
        ("/node?nodeServices=7&skip=1&take=2", "chat aillm", 4),
        ("/organization/ORG/nodes", everything, 5),
        ("/organization/ORG/nodes?take=1", "all", 5),
        ("/organization/ORG/nodes?skip=4&take=1000", "none", 5),
        ("/organization/ORG/nodes?skip=5", "", 5),
    ];
    for (path, found, total) in cases {
        for who in [&owner, &user] {
            assert_eq!(ips(who, path).await, (found.to_owned(), total), "{path}");
        }
        assert_eq!(ips(&other, path).await, (String::new(), 0), "{path} shows another organization's");
    }
    for path in ["/node", &format!("/organization/{}/nodes", owner.org)] {
        for wrong in ["take=0", "take=1001", "take=-1", "skip=-1", "skip=x"] {
            let answer = server.call_as(&owner, Method::GET, &format!("{path}?{wrong}"), None).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{path}?{wrong}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_shows_the_data_and_time_of_its_last_registration() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    let answer = server.register(&owner.org, &pem, IP).await.json();
    let mut expected = json!({
        "id": answer["data"]["id"], "ip": IP, "region": "eu-1", "version": "1.4.2", "provider": "AWS",
        "status": "active", "url": "https://203.0.113.7", "id_org": owner.org, "nodeServices": 1, "latencyMs": null,
        "keyId": key, "lastUpdated": "2024-01-15T10:30:00.000Z", "silentSince": null, "deletedAt": null,
    });
    assert_eq!(answer, json!({ "success": true, "message": "Node registered successfully", "data": expected }));
    let listed = get(&server, &owner, "/organization/ORG/nodes").await;
    let page = json!({ "success": true, "message": "Nodes retrieved successfully", "data": [expected], "total": 1 });
    assert_eq!(listed, page);
    server.pass(61_250);
    let mut refused = registration(&owner.org, &pem, IP, server.now() / 1_000);
    refused["region"] = json!("elsewhere");
    assert_eq!(server.call(Method::POST, "/register", Some(&refused)).await.refusal().0, 400);
    assert_eq!(nodes(&server, &owner).await, [expected.clone()], "a refused call does not count as contact");
    let (second, second_pem) = server.key(&owner).await;
    let now = server.now() / 1_000;
    let body = json!({
        "ip": IP, "region": "us", "timestamp": now, "signature": sign(&second_pem, &format!("{IP}|us|{now}")),
        "id_org": owner.org, "org_id": owner.org, "status": "", "version": "", "provider": "gcp",
    });
    assert_eq!(server.call(Method::POST, "/register", Some(&body)).await.status, StatusCode::OK);
    for (field, value) in [
        ("region", json!("us")),
        ("version", json!("")),
        ("provider", json!("GCP")),
        ("status", json!("")),
        ("nodeServices", json!(0)),
        ("keyId", json!(second)),
        ("lastUpdated", json!("2024-01-15T10:31:01.250Z")),
    ] {
        expected[field] = value;
    }
    assert_eq!(nodes(&server, &owner).await, [expected]);
    let keys = get(&server, &owner, "/organization/ORG/key").await;
    let beside: Vec<_> =
        keys["data"].as_array().expect("keys").iter().map(|key| key["nodeKeys"].as_array().map(Vec::len)).collect();
    assert_eq!(beside, [Some(1), Some(0)], "it is listed under its latest key only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_is_reactivated_once_and_without_a_key() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    let id = server.register(&owner.org, &pem, IP).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    let by_id = format!("/organization/{}/node/{id}", owner.org);
    let call = async |method: Method, path: &str| {
        let answer = server.call_as(&owner, method, path, None).await;
        (answer.status.as_u16(), answer.json()["message"].as_str().expect("text").to_owned())
    };
    let activate = format!("{by_id}/activate");
    let expected = |status: u16, message: &str| (status, message.to_owned());
    assert_eq!(call(Method::POST, &activate).await, expected(400, "Node is not deleted"));
    assert_eq!(call(Method::DELETE, &by_id).await, expected(200, "Node deleted successfully"));
    assert_eq!(get(&server, &owner, "/organization/ORG/key").await["data"][0]["nodeKeys"], json!([]), "at once");
    assert_eq!(call(Method::DELETE, &by_id).await, expected(400, "Node is already deleted"));
    server.pass(5_000);
    assert_eq!(call(Method::POST, &activate).await, expected(200, "Node activated successfully"));
    let found = nodes(&server, &owner).await;
    assert_eq!((&found[0]["id"], &found[0]["keyId"]), (&json!(id), &Value::Null));
    assert_eq!(
        found[0]["lastUpdated"], "2024-01-15T10:30:00.000Z",
        "an administrator's call does not count as contact"
    );
    assert_eq!(server.register(&owner.org, &pem, IP).await.json()["data"]["keyId"], json!(key));
    for missing in ["203.0.113.8", "node-018d0b6a-5c80-7000-8000-000000000004", "node-1", "%20"] {
        let path = format!("/organization/{}/node/{missing}", owner.org);
        assert_eq!(call(Method::DELETE, &path).await, expected(404, "Node not found"), "{missing}");
        assert_eq!(call(Method::POST, &format!("{path}/activate")).await, expected(404, "Node not found"), "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organization_may_be_omitted_if_there_is_exactly_one() {
    let server = Server::start().await;
    let system = Arc::clone(&server.system);
    let listed = blocking(move || command::run(&system, Command::List(List::Orgs)).expect("organizations")).await;
    let command::Answer::Orgs(only) = listed else { panic!("{listed:?}") };
    assert_eq!(only.len(), 1, "the first start makes one");
    let owner = server.member_of(&only[0].id, Role::Owner).await;
    let (_, pem) = server.key(&owner).await;
    let without = |server: &Server, ip: &str| {
        let mut body = registration("", &pem, ip, server.now() / 1_000);
        body.as_object_mut().expect("an object").remove("id_org");
        body
    };
    let answer = server.call(Method::POST, "/register", Some(&without(&server, IP))).await;
    assert_eq!(answer.json()["data"]["id_org"], json!(owner.org), "{answer:?}");
    server.pass(1_000);
    assert_eq!(unregister(&server, &without(&server, IP)).await.status, StatusCode::OK);
    server.owner_of("second").await;
    for call in ["/register", "/unregister", "/secrets"] {
        server.pass(1_000);
        let answer = server.call(Method::POST, call, Some(&without(&server, IP))).await;
        assert_eq!(answer.refusal(), (400, "UNKNOWN_ORGANIZATION".to_owned()));
        assert!(answer.json()["errorMessage"].as_str().expect("advice").contains("id_org"));
    }
}

//! The list of nodes by state, region, key and text, and since when a node is silent.

use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::announcements::{announced, keep_house};
use crate::harness::{Identity, Server};
use crate::signing::sign;

const MINUTE: i64 = 60_000;

/// Registers a node; returns its id.
async fn register(server: &Server, (owner, pem): (&Identity, &str), ip: &str, region: &str, version: &str) -> String {
    let timestamp = server.now() / 1_000;
    let signature = sign(pem, &format!("{ip}|{region}|{timestamp}"));
    let body = json!({
        "ip": ip, "region": region, "timestamp": timestamp, "signature": signature, "id_org": owner.org,
        "status": "active", "version": version,
    });
    let answer = server.call(Method::POST, "/register", Some(&body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let data = answer.json()["data"].clone();
    assert_eq!((&data["silentSince"], &data["deletedAt"]), (&Value::Null, &Value::Null), "it has just called");
    data["id"].as_str().expect("an id").to_owned()
}

/// The nodes that a query selects, and their addresses in order.
async fn list(server: &Server, owner: &Identity, query: &str) -> (Value, Vec<String>) {
    let path = format!("/organization/{}/nodes?{query}", owner.org);
    let answer = server.call_as(owner, Method::GET, &path, None).await;
    assert_eq!(answer.status, StatusCode::OK, "{query}: {answer:?}");
    let nodes = answer.json();
    let data = nodes["data"].as_array().expect("nodes");
    let ips = data.iter().map(|node| node["ip"].as_str().expect("text").to_owned()).collect();
    (nodes, ips)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_silent_from_the_moment_of_the_event_until_it_calls_again() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let began = server.now();
    register(&server, (&owner, &pem), "10.0.0.1", "eu", "1").await;
    let states = async |expected: [&[&str]; 3]| {
        for (state, expected) in ["active", "silent", "deleted"].iter().zip(expected) {
            let (nodes, ips) = list(&server, &owner, &format!("state={state}")).await;
            assert_eq!(ips, expected, "{state}");
            assert_eq!(nodes["total"], expected.len(), "{state}");
        }
    };
    server.pass(10 * MINUTE - 1);
    keep_house(&server).await;
    states([&["10.0.0.1"], &[], &[]]).await;
    assert_eq!(list(&server, &owner, "").await.0["data"][0]["silentSince"], Value::Null);
    server.pass(1);
    keep_house(&server).await;
    assert_eq!(announced(&server, "node.silent").await.len(), 1);
    states([&[], &["10.0.0.1"], &[]]).await;
    let since = json!(orgkeys::domain::time::Time::from_millis(began + 10 * MINUTE).to_string());
    for path in [format!("/organization/{}/nodes", owner.org), "/node".to_owned()] {
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!(answer.json()["data"][0]["silentSince"], since, "{path}");
    }
    server.pass(MINUTE);
    assert_eq!(list(&server, &owner, "").await.0["data"][0]["silentSince"], since, "it stays the same");
    register(&server, (&owner, &pem), "10.0.0.1", "eu", "1").await;
    states([&["10.0.0.1"], &[], &[]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_is_listed_by_its_state_alone_and_can_be_activated() {
    let server = Server::with(|flags| flags.with("node_silent", "10m")).await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let node = register(&server, (&owner, &pem), "10.0.0.1", "eu", "1").await;
    register(&server, (&owner, &pem), "10.0.0.2", "eu", "1").await;
    let path = format!("/organization/{}/node/{node}", owner.org);
    server.pass(MINUTE);
    let deleted = json!(orgkeys::domain::time::Time::from_millis(server.now()).to_string());
    assert_eq!(server.call_as(&owner, Method::DELETE, &path, None).await.status, StatusCode::OK);
    server.pass(10 * MINUTE);
    let (nodes, ips) = list(&server, &owner, "state=deleted").await;
    assert_eq!((ips, &nodes["total"]), (vec!["10.0.0.1".to_owned()], &json!(1)));
    let [shown, silent] = [&nodes["data"][0]["deletedAt"], &nodes["data"][0]["silentSince"]];
    assert_eq!((shown, silent), (&deleted, &Value::Null), "deleted, and so not silent");
    assert_eq!(list(&server, &owner, "").await.1, ["10.0.0.2"]);
    assert_eq!(list(&server, &owner, "state=silent").await.1, ["10.0.0.2"]);
    assert_eq!(list(&server, &owner, "search=10.0.0").await.1, ["10.0.0.2"], "a search leaves it out, too");
    let path = format!("{path}/activate");
    assert_eq!(server.call_as(&owner, Method::POST, &path, None).await.status, StatusCode::OK);
    assert!(list(&server, &owner, "state=deleted").await.1.is_empty());
    assert_eq!(list(&server, &owner, "state=silent").await.1, ["10.0.0.2", "10.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_combine_and_select_only_nodes_of_the_organization() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let ((first_key, first), (second_key, second)) = (server.key(&owner).await, server.key(&owner).await);
    let (_, foreign) = server.key(&other).await;
    register(&server, (&owner, &first), "10.0.0.1", "eu-1", "1.4").await;
    register(&server, (&owner, &first), "Edge_A.example.org", "eu-2", "1.5").await;
    register(&server, (&owner, &second), "edge-b.example.org", "eu-1", "2.0-EDGE").await;
    let percent = register(&server, (&owner, &second), "100%!", "us", "3").await;
    let foreign = register(&server, (&other, &foreign), "10.0.0.1", "eu-1", "1.4").await;
    let (a, b, c, d) = ("10.0.0.1", "Edge_A.example.org", "edge-b.example.org", "100%!");
    let search = |text: &str| format!("search={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
    for (query, expected) in [
        (String::new(), vec![d, c, b, a]),
        ("region=&search=".to_owned(), vec![d, c, b, a]),
        ("region=eu-1".to_owned(), vec![c, a]),
        ("region=EU-1".to_owned(), vec![]),
        ("region=eu".to_owned(), vec![]),
        (search("EDGE"), vec![c, b]),
        (search("edge_"), vec![b]),
        (search("%"), vec![d]),
        (search("!"), vec![d]),
        (search("_"), vec![b]),
        (search("eu-"), vec![c, b, a]),
        (search("2.0-edge"), vec![c]),
        (search(&percent), vec![d]),
        (search(&percent[..20]), vec![]),
        (search(&foreign), vec![]),
        (format!("keyId={first_key}"), vec![b, a]),
        (format!("keyId={first_key}&region=eu-1"), vec![a]),
        (format!("keyId={second_key}&{}&state=active", search("edge")), vec![c]),
        (format!("keyId={second_key}&state=silent"), vec![]),
        (format!("keyId={second_key}&state=deleted"), vec![]),
        ("region=eu-1&skip=1&take=1".to_owned(), vec![a]),
        ("region=eu-1&take=1".to_owned(), vec![c]),
    ] {
        let (nodes, ips) = list(&server, &owner, &query).await;
        assert_eq!(ips, expected, "{query}");
        if !query.contains("take") {
            assert_eq!(nodes["total"], expected.len(), "{query}");
        }
    }
    assert_eq!(list(&server, &owner, "region=eu-1&take=1").await.0["total"], 2, "of all that match");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_validated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let path = format!("/organization/{}/nodes", owner.org);
    for (query, status) in [
        ("state=gone".to_owned(), 400),
        ("state=".to_owned(), 400),
        ("state=Silent".to_owned(), 400),
        (format!("region={}", "r".repeat(64)), 200),
        (format!("region={}", "r".repeat(65)), 400),
        ("region=a%7Cb".to_owned(), 400),
        (format!("search={}", "s".repeat(253)), 200),
        (format!("search={}", "s".repeat(254)), 400),
        ("search=%E2%80%AE".to_owned(), 400),
        ("state=deleted&keyId=none".to_owned(), 404),
    ] {
        let answer = server.call_as(&owner, Method::GET, &format!("{path}?{query}"), None).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {answer:?}");
    }
}

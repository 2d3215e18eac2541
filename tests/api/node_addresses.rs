//! One IP address is one node, however it is spelled, and is shown as it was signed.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Identity, Server, registration};
use crate::signing::sign;

/// Spellings of one IPv6 address.
const SPELLINGS: [&str; 4] = ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8:0000::0001", "[2001:db8::1]"];

async fn nodes(server: &Server, owner: &Identity) -> Value {
    server.call_as(owner, Method::GET, &format!("/organization/{}/nodes", owner.org), None).await.json()
}

/// The path of a node that is named by its address.
fn path(owner: &Identity, ip: &str) -> String {
    format!("/organization/{}/node/{}", owner.org, ip.replace('[', "%5B").replace(']', "%5D"))
}

fn unregistration(owner: &Identity, pem: &str, ip: &str, timestamp: i64) -> Value {
    json!({
        "ip": ip, "timestamp": timestamp, "id_org": owner.org,
        "signature": sign(pem, &format!("{ip}|eu-1|{timestamp}")),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ip_address_is_one_node_in_every_spelling() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    let mut id = Value::Null;
    for spelling in SPELLINGS {
        let answer = server.register(&owner.org, &pem, spelling).await;
        assert_eq!(answer.status, StatusCode::OK, "{spelling}: {answer:?}");
        let node = &answer.json()["data"];
        assert_eq!((&node["ip"], &node["url"]), (&json!(spelling), &json!("https://[2001:db8::1]")));
        assert!(id.is_null() || node["id"] == id, "{spelling} is another node");
        id = node["id"].clone();
        let all = nodes(&server, &owner).await;
        assert_eq!((&all["total"], &all["data"][0]["ip"]), (&json!(1), &json!(spelling)), "as it was last signed");
        let keys = server.call_as(&owner, Method::GET, &format!("/organization/{}/key", owner.org), None).await.json();
        let beside = &keys["data"][0]["nodeKeys"];
        assert_eq!(
            (beside.as_array().map(Vec::len), &beside[0]["keyId"], &beside[0]["nodeId"]),
            (Some(1), &json!(key), &json!(spelling))
        );
    }
    for other in ["2001:db8::2", "::ffff:192.0.2.1", "192.0.2.1", "edge", "Edge"] {
        assert_eq!(server.register(&owner.org, &pem, other).await.status, StatusCode::OK, "{other}");
    }
    let all = nodes(&server, &owner).await;
    let ips: Vec<_> = all["data"].as_array().expect("nodes").iter().map(|node| &node["ip"]).collect();
    assert_eq!(ips, ["Edge", "edge", "192.0.2.1", "2001:db8::2", SPELLINGS[3]], "a mapped address is that address");
    let gone = unregistration(&owner, &pem, SPELLINGS[1], server.now() / 1_000 - 1);
    assert_eq!(server.call(Method::POST, "/unregister", Some(&gone)).await.status, StatusCode::OK);
    assert_eq!(nodes(&server, &owner).await["total"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_does_not_come_back_under_another_spelling() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    assert_eq!(server.register(&owner.org, &pem, SPELLINGS[0]).await.status, StatusCode::OK);
    let deleted = server.call_as(&owner, Method::DELETE, &path(&owner, SPELLINGS[1]), None).await;
    assert_eq!(deleted.status, StatusCode::OK, "{deleted:?}");
    server.pass(1_000);
    for spelling in SPELLINGS {
        let answer = server.register(&owner.org, &pem, spelling).await;
        assert_eq!(answer.refusal(), (400, "NODE_DELETED".to_owned()), "{spelling}");
        let gone = unregistration(&owner, &pem, spelling, server.now() / 1_000 + 1);
        let answer = server.call(Method::POST, "/unregister", Some(&gone)).await;
        assert_eq!(answer.refusal(), (400, "NODE_DELETED".to_owned()), "{spelling}");
        let again = server.call_as(&owner, Method::DELETE, &path(&owner, spelling), None).await;
        assert_eq!(again.refusal(), (400, "NODE_ALREADY_DELETED".to_owned()), "{spelling}");
    }
    assert_eq!(nodes(&server, &owner).await["total"], 0);
    let activate = path(&owner, SPELLINGS[3]) + "/activate";
    assert_eq!(server.call_as(&owner, Method::POST, &activate, None).await.status, StatusCode::OK);
    assert_eq!(server.register(&owner.org, &pem, SPELLINGS[2]).await.status, StatusCode::OK);
    assert_eq!(nodes(&server, &owner).await["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_registrations_under_two_spellings_make_one_node() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let calls: Vec<_> = (0..16)
        .map(|number| {
            let body = registration(
                &owner.org,
                &pem,
                SPELLINGS[number % 4],
                server.now() / 1_000 - i64::try_from(number).expect("small"),
            );
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.call(Method::POST, "/register", Some(&body)).await })
        })
        .collect();
    for call in calls {
        let answer = call.await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!(nodes(&server, &owner).await["total"], 1);
    let counted = server
        .events(&owner)
        .await
        .iter()
        .filter(|event| event["context"] == "flashbacknode" && event["event"] == "created")
        .count();
    assert_eq!(counted, 1, "one of them was new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_url_says_so() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    for (ip, url) in [
        ("203.0.113.7", json!("https://203.0.113.7")),
        ("edge-1.example.org", json!("https://edge-1.example.org")),
        ("edge 1", Value::Null),
        ("fe80::1%eth0", Value::Null),
        ("a@b", Value::Null),
        ("rack/7", Value::Null),
    ] {
        let answer = server.register(&owner.org, &pem, ip).await;
        assert_eq!((answer.status, &answer.json()["data"]["url"]), (StatusCode::OK, &url), "{ip}");
    }
    let all = nodes(&server, &owner).await;
    assert_eq!((&all["data"][0]["ip"], &all["data"][0]["url"]), (&json!("rack/7"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_in_a_refusal_signs_exactly_what_was_expected() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    for (ip, region) in [("203.0.113.7", "l'ouest"), ("$(id)", "`é` \"東\\"), ("'", "''")] {
        let mut body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
        (body["ip"], body["region"]) = (json!(ip), json!(region));
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "BAD_SIGNATURE".to_owned()));
        let advice = answer.json()["errorMessage"].as_str().expect("advice").to_owned();
        let expected = format!("{ip}|{region}|{}", server.now() / 1_000);
        assert!(advice.contains(&format!("over \"{expected}\", without a newline")), "{advice}");
        let (_, command) = advice.split_once("organization: ").expect("a command");
        let (printf, _) = command.split_once(" | openssl dgst -sha256 -sign key.pem").expect("it pipes to openssl");
        let printed = std::process::Command::new("sh").args(["-c", printf]).output().expect("a shell").stdout;
        assert_eq!(String::from_utf8_lossy(&printed), expected, "{printf}");
    }
}

//! Signed calls of nodes: what is signed, when it is accepted, and that it is accepted once.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Server, registration};
use crate::signing::sign;

#[tokio::test(flavor = "multi_thread")]
async fn of_64_concurrent_copies_of_a_registration_one_is_accepted() {
    let server = Arc::new(Server::start().await);
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (server, body) = (Arc::clone(&server), body.clone());
            tokio::spawn(async move { server.call(Method::POST, "/register", Some(&body)).await })
        })
        .collect();
    let mut taken = 0;
    for call in calls {
        let answer = call.await.expect("an answer");
        if answer.status == StatusCode::OK {
            taken += 1;
        } else {
            assert_eq!(answer.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()));
        }
    }
    assert_eq!(taken, 1);
    let server = Arc::into_inner(server).expect("no more calls").restart().await;
    for path in ["/register", "/unregister", "/secrets"] {
        let answer = server.call(Method::POST, path, Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_timestamp_format_is_verified_as_it_was_signed() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let forms = [
        (json!(1_705_314_600), "1705314600"),
        (json!(1_705_314_600_000_i64), "1705314600000"),
        (json!("1705314600"), "1705314600"),
        (json!("2024-01-15T10:30:00Z"), "2024-01-15T10:30:00Z"),
        (json!("2024-01-15T12:30:00.000+02:00"), "2024-01-15T12:30:00.000+02:00"),
    ];
    for (index, (timestamp, text)) in forms.into_iter().enumerate() {
        let ip = format!("203.0.113.{index}");
        for (message, region) in [(format!("{ip}|eu|{text}"), "eu"), (format!("{ip}|us|{text}|{}", owner.org), "us")] {
            let body = json!({
                "ip": ip, "region": region, "timestamp": timestamp, "signature": sign(&pem, &message),
                "org_id": owner.org, "status": "active", "version": "1",
            });
            let answer = server.call(Method::POST, "/register", Some(&body)).await;
            assert_eq!(answer.status, StatusCode::OK, "{message}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_up_to_300_seconds_off_are_accepted() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let now = server.now() / 1_000;
    let cases = [
        (now - 300, None),
        (now + 300, None),
        (now - 301, Some("TIMESTAMP_TOO_OLD")),
        (now + 301, Some("TIMESTAMP_IN_FUTURE")),
    ];
    for (timestamp, refused) in cases {
        let body = registration(&owner.org, &pem, "203.0.113.7", timestamp);
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        match refused {
            None => assert_eq!(answer.status, StatusCode::OK, "{answer:?}"),
            Some(code) => {
                assert_eq!(answer.refusal(), (400, code.to_owned()));
                let advice = answer.json()["errorMessage"].as_str().expect("advice").to_owned();
                assert!(advice.contains("2024-01-15T10:30:00.000Z") && advice.contains("301.000 s"), "{advice}");
            }
        }
    }
    let strict = Server::with(|flags| flags.with("signature_window", "20s")).await;
    let owner = strict.owner_of("acme").await;
    let (_, pem) = strict.key(&owner).await;
    for (timestamp, status) in [(now - 20, 200), (now + 20, 200), (now - 21, 400), (now + 21, 400)] {
        let body = registration(&owner.org, &pem, "203.0.113.7", timestamp);
        assert_eq!(strict.call(Method::POST, "/register", Some(&body)).await.status, status, "as it is set");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_says_what_is_wrong() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let other = server.owner_of("other").await;
    let (_, pem) = server.key(&owner).await;
    let good = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
    let changed = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let cases = [
        (changed("region", json!("elsewhere")), "BAD_SIGNATURE", "203.0.113.7|elsewhere|1705314600"),
        (changed("signature", json!("AAAA")), "INVALID_FIELD", "344, 512 or 684 characters"),
        (changed("id_org", json!(other.org)), "NO_KEYS", "POST /organization/{idOrg}/key"),
        (changed("id_org", json!("org-1")), "UNKNOWN_ORGANIZATION", "GET /user/profile"),
        (changed("org_id", json!(other.org)), "INVALID_FIELD", "org_id"),
        (changed("ip", json!("a|b")), "INVALID_FIELD", "'|'"),
        (changed("timestamp", json!(1.5)), "INVALID_FIELD", "timestamp"),
        (changed("timestamp", json!("noon")), "INVALID_FIELD", "RFC 3339"),
        (changed("provider", json!("IBM")), "INVALID_FIELD", "AZURE"),
        (changed("nodeServices", json!(8)), "INVALID_FIELD", "0 to 7"),
        (changed("status", json!("s".repeat(33))), "INVALID_FIELD", "0 to 32"),
        (json!({ "ip": "203.0.113.7" }), "INVALID_FIELD", "missing field region"),
    ];
    for (body, code, expected) in cases {
        let answer = server.call(Method::POST, "/register", Some(&body)).await;
        assert_eq!(answer.refusal(), (400, code.to_owned()), "{answer:?}");
        let advice = answer.json()["errorMessage"].as_str().unwrap_or_default().to_owned();
        assert!(advice.contains(expected), "{advice} does not say {expected}");
    }
    assert_eq!(
        server.call(Method::POST, "/register", Some(&good)).await.status,
        StatusCode::OK,
        "no refusal uses up the signature"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_node_stays_blocked_until_it_is_reactivated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (key, pem) = server.key(&owner).await;
    server.register(&owner.org, &pem, "203.0.113.7").await;
    let path = format!("/organization/{}/node/203.0.113.7", owner.org);
    let deleted = server.call_as(&owner, Method::DELETE, &path, None).await;
    assert_eq!(deleted.json()["message"], "Node deleted successfully");
    let again = server.call_as(&owner, Method::DELETE, &path, None).await;
    assert_eq!((again.refusal().0, again.json()["message"].clone()), (400, json!("Node is already deleted")));
    for call in ["/unregister", "/register", "/secrets", "/unregister"] {
        server.pass(1_000);
        let body = registration(&owner.org, &pem, "203.0.113.7", server.now() / 1_000);
        let answer = server.call(Method::POST, call, Some(&body)).await;
        assert_eq!(answer.refusal(), (400, "NODE_DELETED".to_owned()), "{call}");
    }
    let nodes = server.call_as(&owner, Method::GET, &format!("/organization/{}/nodes", owner.org), None).await.json();
    assert_eq!((&nodes["data"], &nodes["total"]), (&json!([]), &json!(0)));
    let activated = server.call_as(&owner, Method::POST, &format!("{path}/activate"), None).await;
    assert_eq!(activated.json()["message"], "Node activated successfully");
    server.pass(1_000);
    assert_eq!(server.register(&owner.org, &pem, "203.0.113.7").await.json()["data"]["keyId"], json!(key));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_a_signed_call_come_in_one_order() {
    let server = Server::start().await;
    let (owner, without) = (server.owner_of("acme").await, server.owner_of("without keys").await);
    let (_, pem) = server.key(&owner).await;
    let now = server.now() / 1_000;
    let used = registration(&owner.org, &pem, "203.0.113.7", now);
    assert_eq!(server.call(Method::POST, "/register", Some(&used)).await.status, StatusCode::OK);
    let gone = format!("/organization/{}/node/203.0.113.7", owner.org);
    assert_eq!(server.call_as(&owner, Method::DELETE, &gone, None).await.status, StatusCode::OK);
    let signed = |org: &str, timestamp: i64| registration(org, &pem, "203.0.113.7", timestamp);
    let forged = |org: &str, timestamp: i64| {
        let mut body = signed(org, timestamp);
        body["region"] = json!("elsewhere");
        body
    };
    let nowhere = "org-00000000-0000-0000-0000-000000000000";
    for path in ["/register", "/unregister", "/secrets"] {
        for (body, code) in [
            // Of each call, what comes later in the order is wrong, too.
            (forged(nowhere, now - 301), "UNKNOWN_ORGANIZATION"),
            (forged(&without.org, now - 301), "TIMESTAMP_TOO_OLD"),
            (forged(&without.org, now + 301), "TIMESTAMP_IN_FUTURE"),
            (forged(&without.org, now), "NO_KEYS"),
            (forged(&owner.org, now - 301), "TIMESTAMP_TOO_OLD"),
            (forged(&owner.org, now), "BAD_SIGNATURE"),
            (used.clone(), "SIGNATURE_REPLAYED"),
            (signed(&owner.org, now + 1), "NODE_DELETED"),
        ] {
            let answer = server.call(Method::POST, path, Some(&body)).await;
            assert_eq!(answer.refusal(), (400, code.to_owned()), "{path} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_a_signed_message_contains_the_character_between_the_parts() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let now = server.now() / 1_000;
    // Otherwise one signature would be good for two calls: `a|b` in `c` is `a` in `b|c`.
    for (ip, region) in
        [("a", "b|c"), ("a|b", "c"), ("a", "|"), ("|", "c"), ("a", "b|"), ("a", "|c"), ("|a", "c"), ("a|", "c")]
    {
        let mut body = registration(&owner.org, &pem, ip, now);
        (body["region"], body["signature"]) = (json!(region), json!(sign(&pem, &format!("{ip}|{region}|{now}"))));
        for path in ["/register", "/unregister", "/secrets"] {
            let answer = server.call(Method::POST, path, Some(&body)).await;
            assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()), "{path} {ip} {region}");
            let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
            let field = if ip.contains('|') { "ip" } else { "region" };
            assert!(message.contains(field) && message.contains("'|'"), "{path}: {message}");
        }
    }
}

//! Secrets for nodes: who gets which text, in what form, and what is refused.

use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::{Method, StatusCode};
use rsa::PrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Answer, Identity, Server, blocking, entries, registration};
use crate::outbox::due;
use crate::signing::sign;
use crate::webhooks::Hook;

const IP: &str = "203.0.113.7";

fn path(owner: &Identity, name: &str) -> String {
    format!("/organization/{}/secrets/{name}", owner.org)
}

async fn put(server: &Server, owner: &Identity, name: &str, body: Value) -> Answer {
    server.call_as(owner, Method::PUT, &path(owner, name), Some(&body)).await
}

/// Sets a text, which must succeed.
async fn set(server: &Server, owner: &Identity, name: &str, region: Option<&str>, text: &str) {
    let answer = put(server, owner, name, json!({ "text": text, "region": region })).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

async fn list(server: &Server, owner: &Identity) -> Vec<Value> {
    let path = format!("/organization/{}/secrets", owner.org);
    let answer = server.call_as(owner, Method::GET, &path, None).await;
    answer.json()["data"].as_array().expect("secrets").clone()
}

/// The names and regions of the secrets.
async fn named(server: &Server, owner: &Identity) -> Vec<(String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let secrets = list(server, owner).await.into_iter();
    secrets.map(|secret| (text(&secret["name"]).expect("a name"), text(&secret["region"]))).collect()
}

/// The body of a call from a region, signed a second later than the last.
fn call(server: &Server, owner: &Identity, pem: &str, region: &str) -> Value {
    server.pass(1_000);
    let timestamp = server.now() / 1_000;
    let signature = sign(pem, &format!("{IP}|{region}|{timestamp}"));
    json!({ "ip": IP, "region": region, "timestamp": timestamp, "signature": signature, "id_org": owner.org })
}

async fn fetch(server: &Server, owner: &Identity, pem: &str, region: &str) -> Answer {
    let body = call(server, owner, pem, region);
    server.call(Method::POST, "/secrets", Some(&body)).await
}

/// Opens the text of a name as the holder of the key does.
fn opened(pem: &str, answer: &Answer, name: &str) -> String {
    let told = answer.json()[format!("env_{name}_enc")].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    let envelope: Value = serde_json::from_str(&told).expect("a JSON text");
    assert_eq!(envelope.as_object().map(serde_json::Map::len), Some(4));
    let bytes = |name: &str| BASE64_STANDARD.decode(envelope[name].as_str().expect("base64")).expect("base64");
    let der = PrivateKey::from_pkcs1_pem(pem).expect("a key").to_pkcs8_der().expect("a key");
    let private = PrivateDecryptingKey::from_pkcs8(der.as_bytes()).expect("a key");
    let private = OaepPrivateDecryptingKey::new(private).expect("a key");
    let mut room = vec![0; private.min_output_size()];
    let wrapped = bytes("key");
    let key = private.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut room, None).expect("the key");
    let (iv, mut text) = (bytes("iv"), bytes("ct"));
    let mac = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::verify(&mac, &[&iv[..], &text].concat(), &bytes("mac")).expect("authentic");
    let cipher = DecryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).expect("a key")).expect("a cipher");
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).expect("16 bytes"));
    let text = cipher.decrypt(&mut text, DecryptionContext::Iv128(iv)).expect("a text");
    String::from_utf8(text.to_vec()).expect("text")
}

/// Changes the database beside the server.
async fn change(server: &Server, sql: &'static str) {
    let database = server.database.clone();
    blocking(move || Connection::open(database).expect("opened").execute_batch(sql).expect("changed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gets_the_texts_of_its_region_encrypted_for_the_key_it_signed_with() {
    let server = Server::start().await;
    let (owner, other) = (server.owner_of("acme").await, server.owner_of("other").await);
    let (key, pem) = server.key(&owner).await;
    let (_, second) = server.key(&owner).await;
    let (_, others) = server.key(&other).await;
    let exact = "A=1\r\n\u{feff}B='x|\u{1F600}'\0\n\n";
    set(&server, &owner, "s3", None, exact).await;
    set(&server, &owner, "s3", Some("us"), "us only").await;
    set(&server, &owner, "s3", Some("\u{e9}"), "").await;
    set(&server, &owner, "app0", Some("eu"), "eu only").await;
    // Those of another organization neither replace nor hide ours.
    set(&server, &other, "s3", Some("asia"), "theirs").await;
    for (pem, region, texts) in [
        (&pem, "eu", &[("s3", exact), ("gcs", ""), ("blob", ""), ("app0", "eu only")][..]),
        (&second, "us", &[("s3", "us only"), ("gcs", ""), ("blob", "")]),
        (&pem, "US", &[("s3", exact), ("gcs", ""), ("blob", "")]),
        (&pem, "asia", &[("s3", exact), ("gcs", ""), ("blob", "")]),
        (&pem, "\u{e9}", &[("s3", ""), ("gcs", ""), ("blob", "")]),
    ] {
        let answer = fetch(&server, &owner, pem, region).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let told = answer.json();
        assert_eq!((told["success"].clone(), told["message"].is_string()), (json!(true), true));
        assert_eq!(told.as_object().map(serde_json::Map::len), Some(2 + texts.len()), "{told}");
        for (name, text) in texts {
            assert_eq!(opened(pem, &answer, name), *text, "{name} in {region}");
        }
    }
    assert_eq!(fetch(&server, &other, &others, "eu").await.refusal(), (400, "SECRETS_NOT_SET".to_owned()));
    // Fetching neither registers the node nor counts as a registration.
    let recorded = entries(&server.database).await;
    let read = recorded.iter().find(|entry| entry.action == "secret.read").expect("an entry");
    assert_eq!((read.context, read.context_id.clone(), read.change), (Some(9), None, None));
    assert_eq!((read.actor_kind.as_str(), read.actor_id.as_str(), read.actor_name.as_deref()), ("node", "", Some(IP)));
    let detail: Value = serde_json::from_str(read.detail.as_deref().expect("a detail")).expect("JSON");
    let expected = json!({ "keyId": key, "names": ["app0", "s3"], "message": "ip|region|timestamp" });
    assert_eq!(detail, expected);
    let registered = server.register(&owner.org, &pem, IP).await.json();
    fetch(&server, &owner, &second, "us").await;
    let nodes = format!("/organization/{}/nodes", owner.org);
    let nodes = server.call_as(&owner, Method::GET, &nodes, None).await.json();
    assert_eq!(nodes["data"][0], registered["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_node_may_leave_out_its_region() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    set(&server, &owner, "s3", None, "all").await;
    set(&server, &owner, "s3", Some("eu-1"), "eu-1 only").await;
    let without = || {
        let mut body = call(&server, &owner, &pem, "eu-1");
        body.as_object_mut().expect("an object").remove("region");
        body
    };
    let unknown = server.call(Method::POST, "/secrets", Some(&without())).await;
    assert_eq!(unknown.refusal(), (400, "BAD_SIGNATURE".to_owned()));
    assert_eq!(server.register(&owner.org, &pem, IP).await.status, StatusCode::OK);
    let known = server.call(Method::POST, "/secrets", Some(&without())).await;
    assert_eq!(opened(&pem, &known, "s3"), "eu-1 only");
    let elsewhere = fetch(&server, &owner, &pem, "us-1").await;
    assert_eq!(opened(&pem, &elsewhere, "s3"), "all", "the region that it signs comes first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_used_up_by_an_answer_and_not_by_a_refusal() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = registration(&owner.org, &pem, IP, server.now() / 1_000);
    let send = async |path: &str| server.call(Method::POST, path, Some(&body)).await;
    let refused = send("/secrets").await;
    assert_eq!(refused.refusal(), (400, "SECRETS_NOT_SET".to_owned()));
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    assert!(advice.starts_with("SECRETS_NOT_SET: ") && advice.contains("orgkeys secret put"), "{advice}");
    set(&server, &owner, "gcs", None, "x").await;
    assert_eq!(send("/secrets").await.status, StatusCode::OK);
    for path in ["/secrets", "/register", "/unregister"] {
        assert_eq!(send(path).await.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()), "{path}");
    }
    server.pass(1_000);
    let next = registration(&owner.org, &pem, IP, server.now() / 1_000);
    assert_eq!(server.call(Method::POST, "/register", Some(&next)).await.status, StatusCode::OK);
    let again = server.call(Method::POST, "/secrets", Some(&next)).await;
    assert_eq!(again.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_limited_in_name_length_and_number_and_never_shown_again() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for name in ["S3", "s_3", "abcdefghijklmnopq", "%C3%A9", "s3%0A"] {
        assert_eq!(
            put(&server, &owner, name, json!({ "text": "" })).await.refusal(),
            (400, "INVALID_FIELD".to_owned())
        );
    }
    for (body, expected) in [
        (json!({ "text": "x".repeat(16_385) }), "text must be at most 16384 bytes"),
        (json!({ "text": "\u{e9}".repeat(8_193) }), "text must be at most 16384 bytes"),
        (json!({ "text": "", "region": "" }), "region"),
        (json!({ "text": "", "region": "a|b" }), "region"),
        (json!({ "text": "", "region": "r".repeat(65) }), "region"),
        (json!({ "text": 7 }), "text must be a string"),
        (json!({ "region": "eu" }), "missing field text"),
    ] {
        let answer = put(&server, &owner, "s3", body).await;
        assert_eq!(answer.refusal(), (400, "INVALID_FIELD".to_owned()));
        assert!(answer.json()["message"].as_str().expect("a message").contains(expected), "{answer:?}");
    }
    let whole = put(&server, &owner, "abcdefghijklmnop", json!({ "text": "\u{e9}".repeat(8_192) })).await.json();
    let expected = json!({
        "id": whole["data"]["id"], "name": "abcdefghijklmnop", "region": null, "bytes": 16_384,
        "updatedAt": "2024-01-15T10:30:00.000Z",
    });
    assert_eq!(whole["data"], expected);
    let text = "never shown again";
    // Those of another organization do not count.
    set(&server, &server.owner_of("other").await, "n0", None, text).await;
    for number in 1..32 {
        set(&server, &owner, &format!("n{}", number % 4), Some(&format!("r{number}")), text).await;
    }
    let full = put(&server, &owner, "n0", json!({ "text": text })).await;
    assert_eq!(full.refusal(), (400, "SECRET_LIMIT_REACHED".to_owned()));
    server.pass(5_000);
    set(&server, &owner, "n0", Some("r4"), "").await;
    let secrets = list(&server, &owner).await;
    assert_eq!((secrets.len(), secrets[0].clone()), (32, whole["data"].clone()));
    assert_eq!((&secrets[1]["region"], &secrets[1]["bytes"]), (&json!("r12"), &json!(17)));
    let changed = secrets.iter().find(|secret| secret["region"] == "r4").expect("the secret");
    assert_eq!((&changed["bytes"], &changed["updatedAt"]), (&json!(0), &json!("2024-01-15T10:30:05.000Z")));
    let shown = Value::from(secrets).to_string();
    let deleted = server.call_as(&owner, Method::DELETE, &path(&owner, "n1?region=r1"), None).await;
    assert_eq!(deleted.status, StatusCode::OK);
    let put = put(&server, &owner, "n0", json!({ "text": text })).await;
    assert_eq!(put.status, StatusCode::OK, "there is room again");
    for answer in [shown, deleted.json().to_string(), put.json().to_string()] {
        assert!(!answer.contains(text), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_deletion_deletes_nothing() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    set(&server, &owner, "s3", None, "all").await;
    set(&server, &owner, "s3", Some("a b"), "one").await;
    let all = named(&server, &owner).await;
    for (query, status, code) in [
        ("s3?regoin=eu", 400, "INVALID_FIELD"),
        ("s3?Region=a%20b", 400, "INVALID_FIELD"),
        ("s3?region=a%20b&region=eu", 400, "INVALID_FIELD"),
        ("s3?region=a%20b&x", 400, "INVALID_FIELD"),
        ("s3?region=", 400, "INVALID_FIELD"),
        ("s3?region", 400, "INVALID_FIELD"),
        ("s3?region=eu", 404, "SECRET_NOT_FOUND"),
        ("S3", 404, "SECRET_NOT_FOUND"),
        ("gcs", 404, "SECRET_NOT_FOUND"),
    ] {
        let answer = server.call_as(&owner, Method::DELETE, &path(&owner, query), None).await;
        assert_eq!(answer.refusal(), (status, code.to_owned()), "{query}");
        assert_eq!(named(&server, &owner).await, all, "{query}");
    }
    let deleted = server.call_as(&owner, Method::DELETE, &path(&owner, "s3?region=a+b"), None).await;
    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(named(&server, &owner).await, [("s3".to_owned(), None)]);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path(&owner, "s3"), None).await.status, StatusCode::OK);
    assert_eq!(named(&server, &owner).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_cannot_be_decrypted_is_refused_until_it_is_set_again() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    set(&server, &owner, "s3", None, "all").await;
    set(&server, &owner, "gcs", Some("eu"), "eu only").await;
    for damage in [
        "UPDATE secret SET sealed = zeroblob(bytes + 36) WHERE name = 'gcs'",
        // The text of one row does not open in another: each is sealed for its id.
        "UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE name = 's3'), bytes = 3 WHERE name = 'gcs'",
    ] {
        change(&server, damage).await;
        let before = entries(&server.database).await.len();
        let body = call(&server, &owner, &pem, "eu");
        let refused = server.call(Method::POST, "/secrets", Some(&body)).await;
        assert_eq!(refused.refusal(), (503, "SECRETS_UNREADABLE".to_owned()));
        let told = refused.json();
        assert!(told["errorMessage"].as_str().is_some_and(|advice| advice.contains("secret gcs")), "{told}");
        assert_eq!(entries(&server.database).await.len(), before, "nothing is recorded");
        assert_eq!(opened(&pem, &fetch(&server, &owner, &pem, "us").await, "s3"), "all", "others are not affected");
        set(&server, &owner, "gcs", Some("eu"), "again").await;
        let answer = server.call(Method::POST, "/secrets", Some(&body)).await;
        assert_eq!(opened(&pem, &answer, "gcs"), "again", "the refusal did not use up the signature");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_secrets_are_system_events_and_go_to_webhooks() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (_, pem) = server.key(&owner).await;
    let body = json!({ "url": "https://a.example", "contexts": [8] });
    let hook = Hook::make(&server, &owner, &body).await;
    set(&server, &owner, "s3", None, "a text to look for").await;
    set(&server, &owner, "s3", None, "another text to look for").await;
    assert_eq!(fetch(&server, &owner, &pem, "eu").await.status, StatusCode::OK);
    assert_eq!(server.call_as(&owner, Method::DELETE, &path(&owner, "s3"), None).await.status, StatusCode::OK);
    let about = |event: &Value| event["contextId"].as_str().is_some_and(|id| id.starts_with("secret-"));
    let events: Vec<Value> = server.events(&owner).await.into_iter().filter(about).collect();
    let changes: Vec<_> = events.iter().map(|event| (event["context"].as_str(), event["event"].as_str())).collect();
    let of = |change| (Some("orgsettings"), Some(change));
    assert_eq!(changes, [of("deleted"), of("updated"), of("created")]);
    let (sent, _) = due(&server, &[], 100).await;
    let bodies: Vec<String> = sent.iter().map(|attempt| String::from_utf8_lossy(&attempt.body).into_owned()).collect();
    assert!(sent.iter().all(|attempt| attempt.webhook.to_string() == hook.id));
    for (action, count) in [("secret.put", 2), ("secret.delete", 1), ("\"action\":\"secret.", 3)] {
        assert_eq!(bodies.iter().filter(|body| body.contains(action)).count(), count, "{action}: {bodies:?}");
    }
    let all = format!("{bodies:?}{events:?}{:?}", entries(&server.database).await);
    assert!(!all.contains("to look for"), "{all}");
}

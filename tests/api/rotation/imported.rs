//! Keys whose private half the server never had.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{Method, StatusCode};
use orgkeys::domain::role::Role;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{all, ip, keys_of, rotate};
use crate::harness::{Answer, Identity, Server, registration};
use crate::key_pairs::KeyPair;

/// Runs openssl in a folder. Returns what it prints.
fn openssl(folder: &TempDir, arguments: &str) -> Vec<u8> {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().expect("openssl");
    assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// A key pair of openssl: the private and the public key. It generates one of 2,048 bits; longer ones take it seconds, so
/// they were generated before.
fn pair(bits: u32) -> (TempDir, String, String) {
    let folder = TempDir::new().expect("a folder");
    let text = match bits {
        3_072 => include_str!("../../shared/rsa/3072.pem").into(),
        4_096 => include_str!("../../shared/rsa/4096.pem").into(),
        _ => openssl(&folder, &format!("genrsa {bits}")),
    };
    std::fs::write(folder.path().join("key.pem"), text).expect("written");
    let public = String::from_utf8(openssl(&folder, "pkey -in key.pem -pubout")).expect("text");
    let private = std::fs::read_to_string(folder.path().join("key.pem")).expect("a key");
    (folder, private, public)
}

async fn import(server: &Server, owner: &Identity, body: &Value) -> Answer {
    server.call_as(owner, Method::POST, &format!("/organization/{}/keys/import", owner.org), Some(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_each_size_registers_a_node_with_a_signature_by_openssl() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    for bits in [2_048, 3_072, 4_096] {
        let (folder, private, public) = pair(bits);
        let made = import(&server, &owner, &json!({ "publicKey": public, "name": "ours" })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        let key = made.json()["data"].clone();
        let facts = ["state", "name", "algorithm", "bits", "brought", "publicKey"].map(|name| key[name].clone());
        let expected = [json!("active"), json!("ours"), json!("RSA"), json!(bits), json!(true), json!(public)];
        assert_eq!(facts, expected);

        let timestamp = server.now() / 1_000;
        std::fs::write(folder.path().join("message"), format!("{}|eu-1|{timestamp}", ip(7))).expect("written");
        let signature = STANDARD.encode(openssl(&folder, "dgst -sha256 -sign key.pem message"));
        let mut body = registration(&owner.org, &private, &ip(7), timestamp);
        assert_eq!(body["signature"], json!(signature), "`orgkeys sign` makes the same");
        body["signature"] = json!(signature);
        let registered = server.call(Method::POST, "/register", Some(&body)).await;
        assert_eq!(registered.json()["data"]["keyId"], key["id"], "{registered:?}");
        let (_, _, detail) = super::history(&server).await.pop().expect("an entry");
        assert_eq!(detail, json!({ "brought": true, "bits": bits }));

        let again = import(&server, &owner, &json!({ "publicKey": public })).await;
        assert_eq!(again.refusal(), (409, "KEY_KNOWN".to_owned()));
        let other = import(&server, &server.owner_of("other").await, &json!({ "publicKey": public })).await;
        assert_eq!(other.status, StatusCode::CREATED, "another organization is told nothing");
        server.pass(1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_to_one_that_was_generated_elsewhere() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (old, _) = server.key(&owner).await;
    let KeyPair { private, public } = server.pair();
    let refused = rotate(&server, &owner, &old, &json!({ "publicKey": private })).await;
    assert_eq!(refused.refusal(), (400, "KEY_REFUSED".to_owned()));
    // PEM has no place for what a rotation says, and there is no private key to return.
    let path = keys_of(&owner, &format!("/{old}/rotate?format=pem"));
    let body = json!({ "publicKey": public });
    let answer = server.call_as(&owner, Method::POST, &path, Some(&body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let data = answer.json()["data"].clone();
    assert_eq!((data.get("privateKey"), &data["publicKey"]), (None, &json!(public)));
    assert_eq!(super::shown(&server, &owner, data["id"].as_str().expect("an id")).await["brought"], true);
    assert_eq!(server.register(&owner.org, private, &ip(1)).await.status, StatusCode::OK);
    let known = rotate(&server, &owner, data["id"].as_str().expect("an id"), &body).await;
    assert_eq!(known.refusal(), (409, "KEY_KNOWN".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_another_form_are_refused_and_not_repeated() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let (folder, private, public) = pair(2_048);
    let der = openssl(&folder, "pkey -in key.pem -pubout -outform DER");
    openssl(&folder, "genrsa -out short.pem 1024");
    openssl(&folder, "genrsa -out odd.pem 2047");
    openssl(
        &folder,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out three.pem",
    );
    openssl(&folder, "genpkey -algorithm ED25519 -out ed25519.pem");
    openssl(&folder, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem");
    let mut texts =
        vec![private.clone(), String::from_utf8(openssl(&folder, "pkcs8 -topk8 -nocrypt -in key.pem")).expect("text")];
    for name in ["short", "odd", "three", "ed25519", "ec"] {
        texts.push(String::from_utf8(openssl(&folder, &format!("pkey -in {name}.pem -pubout"))).expect("text"));
    }
    // Each length of its DER, and a change of each byte of its head.
    let pem = |der: &[u8]| format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
    texts.extend((0..100).map(|cut| pem(&der[..der.len() - 1 - cut * 2])));
    texts.extend((0..100).map(|at| {
        let mut changed = der.clone();
        changed[at % 33] ^= 1 << (at % 8);
        pem(&changed)
    }));
    // Who may not import a key is told nothing about one.
    let member = server.member_of(&owner.org, Role::User).await;
    let denied = import(&server, &member, &json!({ "publicKey": texts[0] })).await;
    assert_eq!(denied.refusal(), (403, "ACCESS_DENIED".to_owned()));
    for text in texts {
        let refused = import(&server, &owner, &json!({ "publicKey": text })).await;
        assert_eq!(refused.refusal(), (400, "KEY_REFUSED".to_owned()), "{text}");
        let body = String::from_utf8(refused.body.to_vec()).expect("text");
        let line = text.lines().nth(1).unwrap_or("a line that is not there");
        assert!(line.is_empty() || !body.contains(line), "{body}");
    }
    let told = import(&server, &owner, &json!({ "publicKey": private })).await.json();
    assert!(told["message"].as_str().expect("text").contains("compromised"), "{told}");
    assert_eq!(all(&server, &owner).await.len(), 0);
    assert_eq!(import(&server, &owner, &json!({ "publicKey": public })).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_known_in_another_state_is_named() {
    let server = Server::with(|flags| flags.with("org_keys_max", "1")).await;
    let owner = server.owner_of("acme").await;
    let public = &server.pair().public;
    let body = json!({ "publicKey": public });
    let key = import(&server, &owner, &body).await.json()["data"]["id"].as_str().expect("an id").to_owned();
    let other = &server.pair().public;
    let full = import(&server, &owner, &json!({ "publicKey": other })).await;
    assert_eq!(full.refusal(), (400, "KEY_LIMIT_REACHED".to_owned()));
    server.call_as(&owner, Method::DELETE, &keys_of(&owner, &format!("/{key}")), None).await;
    let deleted = import(&server, &owner, &body).await;
    assert_eq!(deleted.refusal(), (409, "KEY_KNOWN".to_owned()));
    let told = deleted.json()["message"].as_str().expect("text").to_owned();
    assert!(told.contains(&key) && told.contains("restore it"), "{told}");
    // Once the deletion cannot be undone any more, the key can be imported as another one.
    server.pass(super::DAY);
    let again = import(&server, &owner, &body).await.json();
    assert_ne!(again["data"]["id"], json!(key));
    assert_eq!(super::census(&server, &owner).await, [1, 0, 0, 0]);
}

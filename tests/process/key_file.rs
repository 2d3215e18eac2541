//! The key file: created once, readable by its owner only. If it is missing or wrong, the server runs and webhooks wait.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use orgkeys::server::clock::system_seed;
use serde_json::{Value, json};

use crate::courier::receiver;
use crate::doctor::{examined, finds};
use crate::harness::{Answer, Home, Owner, Server, mode, now, received, registration, sqlite};
use crate::log::wait_for;

fn hooks(owner: &Owner) -> String {
    format!("/organization/{}/webhooks", owner.org)
}

fn create(server: &Server, owner: &Owner) -> Answer {
    server.call("POST", &hooks(owner), Some(&owner.token), Some(&json!({ "url": "https://a.example" })))
}

fn rotate(server: &Server, owner: &Owner) -> Answer {
    let listed = server.call_as(owner, "GET", &hooks(owner)).json();
    let id = listed["data"][0]["id"].as_str().expect("an id").to_owned();
    let body = json!({ "overlapSeconds": 0 });
    server.call("POST", &format!("{}/{id}/rotate-secret", hooks(owner)), Some(&owner.token), Some(&body))
}

/// Webhooks can be neither created nor rotated, and everything else works.
fn waits(server: &Server, owner: &Owner) {
    let message = "The server's key file is missing or unreadable, so webhooks are paused and secrets for nodes can be neither set nor fetched: the server's administrator must restore the file and restart the server; if it is lost, `orgkeys doctor` says what to do";
    let expected = json!({ "success": false, "message": message, "errorCode": "KEY_FILE_MISSING" });
    for answer in [create(server, owner), rotate(server, owner)] {
        assert_eq!((answer.status, answer.json()), (503, expected.clone()));
    }
    assert_eq!(server.call_as(owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.call_as(owner, "GET", "/ready").status, 200);
}

#[test]
fn the_key_file_is_not_recreated_while_secrets_are_sealed_with_it() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let key = fs::read(home.path("orgkeys.db.key")).expect("a key file");
    assert_eq!((key.len(), mode(&home.path("orgkeys.db.key"))), (45, 0o600));
    server.kill();
    // Nothing is sealed yet, and a start was killed while it created the file.
    fs::rename(home.path("orgkeys.db.key"), home.path("aside")).expect("taken away");
    home.write("orgkeys.db.key.new", "half");
    let server = home.start();
    let made = fs::read(home.path("orgkeys.db.key")).expect("a key file");
    assert!(made.len() == 45 && made != key && !home.path("orgkeys.db.key.new").exists());
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    assert!(!home.log().contains("the key file has a problem"), "{}", home.log());

    fs::remove_file(home.path("orgkeys.db.key")).expect("taken away");
    let server = home.start();
    waits(&server, &owner);
    assert!(!home.path("orgkeys.db.key").exists(), "a new key would not unseal the secrets");
    assert!(
        home.log().contains("the key file has a problem, and webhooks may be paused: it does not exist"),
        "{}",
        home.log()
    );
    server.stop();
    home.write("orgkeys.db.key", &made);
    let server = home.start();
    assert_eq!((create(&server, &owner).status, rotate(&server, &owner).status), (201, 200));
}

#[test]
fn a_wrong_key_file_is_logged_and_rotation_recovers_from_it() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    let expected = "it contains a different key than the one that encrypted the secrets";
    let other = Home::new();
    other.first_start().0.stop();
    fs::copy(other.path("orgkeys.db.key"), home.path("orgkeys.db.key")).expect("mixed up");
    let server = home.start();
    assert_eq!(home.log().matches(expected).count(), 1, "{}", home.log());
    assert_eq!((rotate(&server, &owner).status, server.stop().0), (200, Some(0)));
    let server = home.start();
    assert_eq!((home.log().matches(expected).count(), create(&server, &owner).status), (1, 201));
    // A secret that was changed in the file pauses its webhook, too.
    let beside = sqlite(&home.database);
    let select = "SELECT secret FROM webhook LIMIT 1";
    let mut secret: Vec<u8> = beside.query_row(select, [], |row| row.get(0)).expect("a secret");
    secret[67] ^= 1;
    assert_eq!(beside.execute("UPDATE webhook SET secret = ?1", [secret]), Ok(2));
    assert_eq!(create(&server, &owner).status, 201);
    let paused =
        "a webhook is paused: its secret was changed in the database and cannot be decrypted; rotate the secret";
    wait_for(&home, paused, 2);
}

#[test]
fn an_unusable_key_file_pauses_only_webhooks() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    home.write("garbage", "okp_verysecretverysecret\n");
    fs::create_dir(home.path("folder")).expect("a folder");
    for (path, expected) in [
        ("garbage", "it does not contain a key"),
        ("folder", "it is not a key file"),
        ("none/key", "it does not exist"),
    ] {
        let server = home.start_with(&mut home.serve(&["--key-file", path]));
        waits(&server, &owner);
        assert!(home.log().contains(expected), "{path}: {}", home.log());
        server.stop();
    }
    assert!(!home.log().contains("verysecret"), "the contents of the file are not logged");

    let fresh = Home::new();
    let server = fresh.start_with(&mut fresh.serve(&["--key-file", "none/key"]));
    let owner = server.owner();
    assert_eq!((create(&server, &owner).status, fresh.log().contains("it cannot be created")), (503, true));
    server.stop();
    let server = fresh.start_with(fresh.serve(&[]).env("ORGKEYS_KEY_FILE", "elsewhere"));
    assert_eq!((create(&server, &owner).status, mode(&fresh.path("elsewhere"))), (201, 0o600));
    server.stop();
}

#[test]
fn the_doctors_remedy_recovers_from_a_lost_key_file() {
    let (home, (address, told)) = (Home::new(), receiver());
    let start = || home.start_with(&mut home.serve(&["--webhook-allow", "127.0.0.0/8"]));
    let server = start();
    let owner = server.owner();
    let made = json!({ "url": format!("http://{address}/"), "contexts": [1] });
    let made = server.call("POST", &hooks(&owner), Some(&owner.token), Some(&made)).json();
    let path = format!("{}/{}", hooks(&owner), made["data"]["id"].as_str().expect("an id"));
    let test = |server: &Server| {
        let tested = server.call_as(&owner, "POST", &format!("{path}/test")).json();
        tested["data"]["deliveryId"].as_str().expect("an id").to_owned()
    };
    let first = test(&server);
    assert_eq!(received("the delivery arrives", &told).0, first);
    // An overlap that is still running when the key is lost.
    let overlap = json!({ "overlapSeconds": 3_600 });
    let rotated = server.call("POST", &format!("{path}/rotate-secret"), Some(&owner.token), Some(&overlap));
    assert_eq!(rotated.status, 200);
    home.done(&["backup", "copy.db"]);
    server.stop();
    fs::remove_file(home.path("orgkeys.db.key")).expect("lost");
    let server = start();
    waits(&server, &owner);
    let waiting = test(&server);
    let lost = "if it is lost, create a new one with `openssl rand -base64 32` (mode 0600), restart, rotate the secret of \
       every webhook and configure the new secret at its receiver: pending deliveries are then sent";
    finds(&home, &["--quick"], "key_file", "cannot decrypt the secrets of 1 webhook: it does not exist", lost);
    assert!(home.log().contains(lost), "{}", home.log());
    server.stop();

    let line = STANDARD.encode(system_seed()) + "\n";
    fs::set_permissions(home.write("orgkeys.db.key", line), Permissions::from_mode(0o600)).expect("a mode");
    let server = start();
    let rotate = "if it is lost, rotate the secret of every webhook that was created with the old file and configure the \
        new secret at its receiver";
    finds(&home, &["--quick"], "key_file", "it contains a different key than the one", rotate);
    assert!(home.log().contains(rotate), "{}", home.log());
    let rotated = server.call("POST", &format!("{path}/rotate-secret"), Some(&owner.token), Some(&json!({})));
    assert_eq!(
        (rotated.status, &rotated.json()["data"]["previousSecretUntil"]),
        (200, &Value::Null),
        "the previous secret no longer signs"
    );
    assert_eq!(received("the delivery arrives", &told).0, waiting, "the waiting delivery is sent");
    let found = examined(&home, &["--quick"]);
    assert!(found.iter().any(|finding| finding["check"] == "key_file" && finding["ok"] == true), "{found:?}");
    server.stop();
}

#[test]
fn secrets_for_nodes_are_refused_without_the_right_key_file_and_set_again_with_another() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (_, pem) = server.key(&owner);
    let put = |server: &Server, name: &str| {
        let path = format!("/organization/{}/secrets/{name}", owner.org);
        server.call("PUT", &path, Some(&owner.token), Some(&json!({ "text": "A=1" })))
    };
    let mut signed_at = now().millis();
    let mut fetch = |server: &Server| {
        signed_at += 1;
        server.call("POST", "/secrets", None, Some(&registration(&owner.org, &pem, "203.0.113.7", signed_at)))
    };
    assert_eq!((put(&server, "s3").status, put(&server, "blob").status, fetch(&server).status), (200, 200, 200));
    home.done(&["backup", "copy.db"]);
    server.stop();
    fs::rename(home.path("orgkeys.db.key"), home.path("aside")).expect("lost");
    let server = home.start();
    assert!(!home.path("orgkeys.db.key").exists(), "a new key would not unseal the secrets");
    assert_eq!(put(&server, "s3").refusal(), (503, "KEY_FILE_MISSING".to_owned()));
    assert_eq!(fetch(&server).refusal(), (503, "SECRETS_UNREADABLE".to_owned()));
    let org = &owner.org;
    let ill = |check: &str| {
        let found = examined(&home, &["--quick"]).into_iter().find(|finding| finding["check"] == check);
        let found = found.expect("a finding");
        assert_eq!(found["ok"], false, "{found}");
        format!("{} {}", found["message"], found["remedy"])
    };
    assert!(ill("key_file").contains("cannot decrypt 2 secrets for nodes: it does not exist"), "{}", ill("key_file"));
    let told = ill("secrets");
    assert!(
        told.contains(&format!("blob of {org}, s3 of {org}")) && told.contains("orgkeys secret put NAME"),
        "{told}"
    );
    server.stop();
    // Another key: what is set with it can be fetched once nothing sealed with the lost one is left.
    let line = STANDARD.encode(system_seed()) + "\n";
    fs::set_permissions(home.write("orgkeys.db.key", line), Permissions::from_mode(0o600)).expect("a mode");
    let server = home.start();
    assert!(
        home.log().contains("it contains a different key than the one that encrypted the secrets"),
        "{}",
        home.log()
    );
    assert_eq!((put(&server, "s3").status, fetch(&server).status), (200, 503));
    assert!(ill("secrets").contains(&format!("cannot be decrypted: blob of {org}\"")), "{}", ill("secrets"));
    assert_eq!((put(&server, "blob").status, fetch(&server).status), (200, 200));
    assert!(examined(&home, &["--quick"]).iter().all(|finding| finding["ok"] == true));
    server.stop();
    // A backup does not hold the key: restored, it needs the file of its time.
    let restored = home.done(&["restore", "copy.db", "--keep-tokens"]);
    assert!(restored.contains("that encrypted the secrets"), "{restored}");
    fs::rename(home.path("aside"), home.path("orgkeys.db.key")).expect("found");
    let server = home.start();
    assert_eq!(put(&server, "gcs").status, 200);
    server.stop();
}

#[test]
fn a_backup_holds_no_key_and_is_restored_with_the_existing_key_file() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(create(&server, &owner).status, 201);
    home.done(&["backup", "copy.db"]);
    server.stop();
    let key = fs::read(home.path("orgkeys.db.key")).expect("a key file");
    let copy = fs::read(home.path("copy.db")).expect("bytes");
    assert!(!copy.windows(44).any(|part| part == &key[..44]), "the key is not in the backup");
    home.done(&["restore", "copy.db"]);
    let server = home.start();
    assert!(!home.log().contains("the key file has a problem"), "{}", home.log());
    server.stop();
}

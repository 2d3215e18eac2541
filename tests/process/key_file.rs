//! The key file: made once, for its owner alone; without it, or with another, the server runs and webhooks wait.

use std::fs;

use serde_json::json;

use crate::harness::{Answer, Home, Owner, Server, mode};

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

/// Webhooks cannot be made nor rotated, and everything else goes on.
fn waits(server: &Server, owner: &Owner) {
    let message = "The key file is missing or cannot be read, so webhooks wait: put it back and restart the server";
    let expected = json!({ "success": false, "message": message, "errorCode": "KEY_FILE_MISSING" });
    for answer in [create(server, owner), rotate(server, owner)] {
        assert_eq!((answer.status, answer.json()), (503, expected.clone()));
    }
    assert_eq!(server.call_as(owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.call_as(owner, "GET", "/ready").status, 200);
}

#[test]
fn the_key_file_is_made_once_and_never_again_while_something_is_sealed_under_it() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let key = fs::read(home.path("orgkeys.db.key")).expect("a key file");
    assert_eq!((key.len(), mode(&home.path("orgkeys.db.key"))), (45, 0o600));
    server.kill();
    // Nothing is sealed yet, and a start was killed while it made the file.
    fs::rename(home.path("orgkeys.db.key"), home.path("aside")).expect("taken away");
    home.write("orgkeys.db.key.new", "half");
    let server = home.start();
    let made = fs::read(home.path("orgkeys.db.key")).expect("a key file");
    assert!(made.len() == 45 && made != key && !home.path("orgkeys.db.key.new").exists());
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    assert!(!home.log().contains("webhooks may wait"), "{}", home.log());

    fs::remove_file(home.path("orgkeys.db.key")).expect("taken away");
    let server = home.start();
    waits(&server, &owner);
    assert!(!home.path("orgkeys.db.key").exists(), "a new key would not open what is sealed");
    assert!(home.log().contains("webhooks may wait for their key file: it is not there"), "{}", home.log());
    server.stop();
    home.write("orgkeys.db.key", &made);
    let server = home.start();
    assert_eq!((create(&server, &owner).status, rotate(&server, &owner).status), (201, 200));
}

#[test]
fn a_wrong_key_file_is_noticed_and_rotating_leaves_it_behind() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    let said = "it is not the key that their secrets are sealed under";
    let other = Home::new();
    other.first_start().0.stop();
    fs::copy(other.path("orgkeys.db.key"), home.path("orgkeys.db.key")).expect("mixed up");
    let server = home.start();
    assert_eq!(home.log().matches(said).count(), 1, "{}", home.log());
    assert_eq!((rotate(&server, &owner).status, server.stop().0), (200, Some(0)));
    let server = home.start();
    assert_eq!((home.log().matches(said).count(), create(&server, &owner).status), (1, 201));
}

#[test]
fn a_key_file_that_cannot_be_read_or_made_keeps_webhooks_waiting_alone() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    assert_eq!(create(&server, &owner).status, 201);
    server.stop();
    home.write("garbage", "okp_verysecretverysecret\n");
    fs::create_dir(home.path("folder")).expect("a folder");
    for (path, said) in
        [("garbage", "it holds no key"), ("folder", "it is no key file"), ("none/key", "it is not there")]
    {
        let server = home.start_with(&mut home.serve(&["--key-file", path]));
        waits(&server, &owner);
        assert!(home.log().contains(said), "{path}: {}", home.log());
        server.stop();
    }
    assert!(!home.log().contains("verysecret"), "what a file holds is not logged");

    let fresh = Home::new();
    let server = fresh.start_with(&mut fresh.serve(&["--key-file", "none/key"]));
    let owner = server.owner();
    assert_eq!((create(&server, &owner).status, fresh.log().contains("it cannot be made")), (503, true));
    server.stop();
    let server = fresh.start_with(fresh.serve(&[]).env("ORGKEYS_KEY_FILE", "elsewhere"));
    assert_eq!((create(&server, &owner).status, mode(&fresh.path("elsewhere"))), (201, 0o600));
    server.stop();
}

#[test]
fn a_backup_holds_no_key_and_its_webhooks_work_with_the_key_file_beside_it() {
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
    assert!(!home.log().contains("webhooks may wait"), "{}", home.log());
    server.stop();
}

//! What `orgkeys doctor` reports about webhooks, and about the key file that seals their secrets.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::json;

use crate::doctor::{examined, finds};
use crate::harness::{Home, now, sqlite};

/// A stopped server's database with a backup and a webhook. Returns the ids of the webhook and its organization.
fn with_webhook() -> (Home, String, String) {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let body = json!({ "url": "https://a.example/hidden-path", "contexts": [0] });
    let path = format!("/organization/{}/webhooks", owner.org);
    let made = server.call("POST", &path, Some(&owner.token), Some(&body)).json();
    let id = made["data"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(server.stop().0, Some(0));
    home.done(&["backup", "copy.db"]);
    (home, id, owner.org)
}

fn change(home: &Home, sql: &str) {
    sqlite(&home.database).execute_batch(sql).expect("changed");
}

fn is_well(home: &Home, words: &[&str]) {
    let found = examined(home, words);
    assert!(found.iter().all(|finding| finding["ok"] == true), "{found:?}");
}

/// A delivery of the only webhook, with its age and the time since it ended.
fn deliver(home: &Home, state: &str, made: Duration, ended: Option<Duration>) {
    let at = |ago: Duration| now().minus(ago).millis();
    let ended = ended.map_or_else(|| "NULL".to_owned(), |ago| at(ago).to_string());
    let made = at(made);
    change(
        home,
        &format!(
            "DELETE FROM delivery; INSERT INTO delivery (id, webhook, event, state, due_at, attempts, created_at, ended_at)
             SELECT randomblob(16), webhook.id, (SELECT max(id) FROM audit), '{state}', {made}, 1, {made}, {ended} FROM webhook"
        ),
    );
}

#[test]
fn a_failing_webhook_is_reported_without_its_url() {
    let (home, id, org) = with_webhook();
    let minutes = Duration::from_mins;
    is_well(&home, &[]);
    let replay = format!("/organization/{org}/webhooks/{id}/replay");
    let unknown = "last_status = NULL, last_why = 'the name could not be looked up'";
    for (columns, expected, mend) in [
        ("last_status = 500", "got status 500", "/deliveries) and fix the receiver"),
        ("last_status = 302", "got status 302", "/deliveries) and fix the receiver"),
        (unknown, "failed: the name could not be looked up", "that this machine can reach it"),
    ] {
        change(&home, &format!("UPDATE webhook SET last_at = {}, {columns}", now().millis()));
        finds(&home, &["--quick"], "webhooks", &format!("Webhook {id} of {org}: its last attempt, at 2"), mend);
        finds(&home, &["--quick"], "webhooks", expected, mend);
    }
    change(&home, "UPDATE webhook SET disabled = 'administrator'");
    is_well(&home, &["--quick"]);
    change(&home, "UPDATE webhook SET disabled = NULL, last_status = 204, last_why = NULL");
    is_well(&home, &["--quick"]);

    deliver(&home, "failed", minutes(9_000), Some(minutes(24 * 60 + 1)));
    is_well(&home, &["--quick"]);
    deliver(&home, "failed", minutes(9_000), Some(minutes(24 * 60 - 2)));
    finds(&home, &["--quick"], "webhooks", "1 of its deliveries failed for good within the last 24 hours", &replay);
    finds(&home, &["--quick"], "webhooks", "", "Check what its receiver responded");
    // Everything that is wrong with it is one finding.
    change(&home, "UPDATE webhook SET last_status = 500; UPDATE delivery SET state = 'pending', ended_at = NULL");
    let both =
        format!("got status 500; its oldest delivery has been pending since {}", now().to_string().split_at(4).0);
    finds(&home, &["--quick"], "webhooks", &both, "/deliveries) and fix the receiver");
    change(&home, "UPDATE webhook SET last_status = 204");
    deliver(&home, "pending", minutes(58), None);
    is_well(&home, &["--quick"]);
    deliver(&home, "pending", minutes(61), None);
    finds(&home, &["--quick"], "webhooks", "its oldest delivery has been pending since 2", "Start the server");
    change(&home, "UPDATE webhook SET disabled = 'gone'");
    finds(&home, &["--quick"], "webhooks", "its receiver responded 410 Gone", &replay);
    change(&home, "UPDATE webhook SET disabled = 'overfull'");
    finds(&home, &["--quick"], "webhooks", "is disabled: it had 10000 pending deliveries", &replay);
    let output = home.run(&["doctor", "--quick"]);
    assert!(!output.stdout.contains("a.example") && !output.stdout.contains("hidden-path"), "{output:?}");
}

#[test]
fn of_many_failing_webhooks_twenty_are_listed() {
    let (home, ..) = with_webhook();
    change(
        &home,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
         INSERT INTO webhook (id, org, url, name, contexts, changes, disabled, secret, created_at)
         SELECT randomblob(16), org, url, name, 0, 0, 'gone', secret, created_at FROM webhook, n",
    );
    let count = || examined(&home, &["--quick"]).iter().filter(|finding| finding["check"] == "webhooks").count();
    assert_eq!(count(), 20);
    change(&home, "UPDATE webhook SET disabled = 'gone'");
    assert_eq!(count(), 21);
    assert!(home.run(&["doctor", "--quick"]).stdout.contains("More webhooks that need attention: 1"));
}

#[test]
fn a_missing_wrong_or_readable_key_file_is_reported() {
    let (home, ..) = with_webhook();
    let key = home.path("orgkeys.db.key");
    let right = fs::read(&key).expect("a key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("a mode");
    finds(&home, &["--quick"], "modes", "orgkeys.db.key is accessible to other users: its mode is 0640", "chmod 0600 ");
    fs::remove_file(&key).expect("removed");
    let none = "cannot decrypt the secrets of 1 webhook: it does not exist";
    finds(&home, &["--quick"], "key_file", none, "Restore it from your copy");
    let other = Home::new();
    other.first_start().0.stop();
    let wrong = fs::read(other.path("orgkeys.db.key")).expect("a key");
    for (name, contents, mode) in [("right", &right[..], 0o600), ("wrong", &wrong, 0o600), ("empty", b"", 0o600)] {
        fs::set_permissions(home.write(name, contents), Permissions::from_mode(mode)).expect("a mode");
    }
    is_well(&home, &["--quick", "--key-file", "right"]);
    let another = "it contains a different key than the one that encrypted the secrets";
    finds(&home, &["--quick", "--key-file", "wrong"], "key_file", another, "rotate the secret of every webhook");
    finds(
        &home,
        &["--quick", "--key-file", "empty"],
        "key_file",
        "it does not contain a key",
        "openssl rand -base64 32",
    );
    fs::create_dir(home.path("folder")).expect("a folder");
    fs::set_permissions(home.path("folder"), Permissions::from_mode(0o700)).expect("a mode");
    finds(&home, &["--quick", "--key-file", "folder"], "key_file", "it cannot be read: ", "key_file");
    fs::set_permissions(home.path("right"), Permissions::from_mode(0o604)).expect("a mode");
    finds(
        &home,
        &["--quick", "--key-file", "right"],
        "modes",
        "right is accessible to other users: its mode is 0604",
        "chmod 0600 right",
    );
    // Without sealed secrets the key file is not needed.
    change(&home, "DELETE FROM webhook");
    is_well(&home, &["--quick"]);
    assert!(!key.exists(), "the doctor creates nothing");
}

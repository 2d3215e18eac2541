//! Restores: only from an intact backup, with the old database set aside, and with a report and a record of what was undone.

mod before_the_stop;
mod refused;

use std::fs;
use std::time::Duration;

use orgkeys::domain::time::Time;
use serde_json::{Value, json};

use crate::harness::{Home, Owner, Server, integrity, mode, now, registration};

/// A server that was backed up to `copy.db` after one node and one key, and then registered a second node.
struct Site {
    home: Home,
    owner: Owner,
    pem: String,
    /// Registrations that were accepted: before and after the backup.
    used: [Value; 2],
}

fn site() -> Site {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (_, pem) = server.key(&owner);
    let used = ["203.0.113.1", "203.0.113.2"].map(|ip| {
        let body = registration(&owner.org, &pem, ip, now().millis() / 1_000);
        assert_eq!(server.call("POST", "/register", None, Some(&body)).status, 200);
        if ip == "203.0.113.1" {
            home.done(&["backup", "copy.db"]);
        }
        body
    });
    assert_eq!(server.stop().0, Some(0));
    Site { home, owner, pem, used }
}

fn nodes(server: &Server, owner: &Owner) -> Vec<Value> {
    let answer = server.call_as(owner, "GET", &format!("/organization/{}/nodes", owner.org)).json();
    answer["data"].as_array().expect("nodes").iter().map(|node| node["ip"].clone()).collect()
}

fn heads(home: &Home, database: &str) -> Vec<Value> {
    let text = home.done(&["audit", "head", "--json", "--database", database]);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The last entry of the server's own chain.
fn last_of_the_server(home: &Home) -> (Value, Value) {
    let export = home.done(&["audit", "export"]);
    let mut entries = export.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let entry = entries.rfind(|entry| entry["org"] == "server").expect("an entry");
    let detail = serde_json::from_str(entry["detail"].as_str().expect("a detail")).expect("JSON");
    (entry["action"].clone(), detail)
}

#[test]
fn a_restore_installs_the_backup_and_sets_the_old_database_aside() {
    let Site { home, owner, pem, used } = site();
    let (old_heads, new_heads) = (heads(&home, "orgkeys.db"), heads(&home, "copy.db"));
    assert_ne!(old_heads, new_heads);
    let old = fs::read(&home.database).expect("bytes");
    let copy = fs::read(home.path("copy.db")).expect("bytes");
    let before = now();
    let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
    let aside = restored["aside"].as_str().expect("a path").to_owned();
    let expected = json!({
        "success": true, "aside": aside, "logAside": null, "oldHeads": old_heads, "newHeads": new_heads,
        "tokensEnded": 1, "signedAfter": restored["signedAfter"], "keyFile": restored["keyFile"],
    });
    let signed_after = restored["signedAfter"].as_str().expect("a time");
    assert!(*before.to_string() <= *signed_after && *signed_after <= *now().to_string(), "{signed_after}");
    assert_eq!(restored, expected);
    assert!(restored["keyFile"].as_str().expect("a path").ends_with("/orgkeys.db.key"), "{restored}");
    let aside = aside.rsplit_once('/').expect("a folder").1;
    assert!(aside.starts_with("orgkeys.db.before-"), "{aside}");
    assert!(fs::read(home.path(aside)).expect("bytes") == old, "the old database was changed");
    assert!(fs::read(home.path("copy.db")).expect("bytes") == copy, "the backup was changed");
    assert_eq!((mode(&home.database), mode(&home.path(aside))), (0o600, 0o600));
    let locks = ["orgkeys.db.backup.lock", "orgkeys.db.lock", "orgkeys.db.reserve"];
    let mut names = vec!["copy.db", aside, "orgkeys.db", "orgkeys.db.last-backup", "orgkeys.db.key", "stderr.log"];
    names.extend(locks);
    names.sort_unstable();
    assert_eq!(home.files(), names);
    assert_eq!(integrity(&home.database), "ok");
    let detail = json!({ "oldHeads": old_heads, "newHeads": new_heads, "tokensEnded": 1 });
    assert_eq!(last_of_the_server(&home), (json!("server.restore"), detail));
    // The printed heads are in the restored log, and the old ones are not.
    home.write("new", new_heads[0].to_string());
    home.write("old", old_heads[0].to_string());
    home.done(&["audit", "verify", "--head", "new"]);
    let ran = home.run(&["audit", "verify", "--head", "old"]);
    assert_eq!((ran.code, ran.stderr.contains("entries at its end are missing")), (Some(1), true), "{ran:?}");

    let token = home.done(&["token", "create", "--user", "owner@localhost"]);
    let restored_at = now();
    let server = home.start();
    let ended = server.call_as(&owner, "GET", "/user/profile");
    assert_eq!(ended.refusal(), (401, "TOKEN_REVOKED".to_owned()));
    let owner = Owner { token: token.lines().next().expect("a token").to_owned(), ..owner };
    assert_eq!(nodes(&server, &owner), ["203.0.113.1"]);
    for (body, path) in used.iter().flat_map(|body| [(body, "/register"), (body, "/unregister")]) {
        // Including the one whose use is not in the backup.
        let answer = server.call("POST", path, None, Some(body));
        assert_eq!(answer.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()), "{path} {body}");
    }
    let unused = registration(&owner.org, &pem, "203.0.113.3", restored_at.millis() / 1_000 - 60);
    let early = server.call("POST", "/register", None, Some(&unused));
    assert_eq!(early.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
    let advice = early.json()["errorMessage"].as_str().expect("advice").to_owned();
    let expected = format!("so it refuses timestamps before {signed_after}. The server's time is ");
    assert!(advice.contains(&expected) && advice.ends_with(": sign again"), "{advice}");
    let fresh = registration(&owner.org, &pem, "203.0.113.3", now().millis());
    assert_eq!(server.call("POST", "/register", None, Some(&fresh)).status, 200);
}

#[test]
fn keep_tokens_keeps_them_valid_and_the_output_says_what_to_review() {
    let Site { home, owner, .. } = site();
    let output = home.done(&["restore", "copy.db", "--keep-tokens"]);
    for words in [
        "Restored orgkeys.db from copy.db.",
        "/orgkeys.db.before-",
        "The access tokens in the backup are valid again",
        "Review the organization keys, API keys, users and nodes: those that were deleted since the backup exist again.",
        "Signed calls with a timestamp before 2",
    ] {
        assert!(output.contains(words), "{words:?} is not in {output}");
    }
    let server = home.start();
    assert_eq!(nodes(&server, &owner), ["203.0.113.1"]);
    drop(server);
    let output = home.done(&["restore", "copy.db"]);
    assert!(
        output.contains("1 access token(s) were revoked: create a new one with `orgkeys token create --user EMAIL`."),
        "{output}"
    );
    let replaced = home.files().iter().filter(|name| name.starts_with("orgkeys.db.before-")).count();
    assert_eq!(replaced, 2, "each restore keeps the database that it replaced: {:?}", home.files());
}

#[test]
fn a_restore_sets_the_log_of_a_killed_server_aside_too() {
    let Site { home, owner, .. } = site();
    let server = home.start();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    server.kill();
    assert!(home.path("orgkeys.db-wal").metadata().expect("a log").len() > 0);
    let old_heads = heads(&home, "orgkeys.db");
    // A start checkpoints the log; a server that is killed again leaves another.
    let server = home.start();
    server.call_as(&owner, "GET", "/user/profile");
    server.kill();
    let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
    let aside = restored["aside"].as_str().expect("a path");
    assert!(!home.files().iter().any(|name| name.ends_with("-wal") || name.ends_with("-shm")), "{:?}", home.files());
    assert_eq!(heads(&home, aside), restored["oldHeads"].as_array().expect("heads").clone());
    assert_ne!(heads(&home, aside), old_heads);
    assert_eq!(heads(&home, "copy.db"), restored["newHeads"].as_array().expect("heads").clone());
    assert_eq!(integrity(&home.database), "ok");
}

#[test]
fn a_restore_works_if_the_database_is_lost_or_damaged() {
    let Site { home, .. } = site();
    fs::remove_file(&home.database).expect("removed");
    let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
    assert_eq!((&restored["aside"], &restored["oldHeads"]), (&Value::Null, &json!([])));
    let mut bytes = fs::read(&home.database).expect("bytes");
    bytes[0] = b'X';
    fs::write(&home.database, &bytes).expect("damaged");
    let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
    let aside = restored["aside"].as_str().expect("a path");
    assert!(fs::read(home.path(aside)).expect("bytes") == bytes, "the damaged database was changed");
    home.done(&["audit", "verify"]);
    assert_eq!(home.start().call("GET", "/ready", None, None).status, 200);
}

/// The ids of all entries of the audit log.
fn ids(home: &Home) -> Vec<i64> {
    let export = home.done(&["audit", "export"]);
    let id = |line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_i64().expect("a number");
    export.lines().map(id).collect()
}

#[test]
fn entries_after_a_restore_get_ids_that_were_never_used() {
    let Site { home, owner, .. } = site();
    let last_id = *ids(&home).last().expect("an entry");
    // First with the old database, which knows the ids, then without one, and then with unreadable or shorter ones.
    home.done(&["restore", "copy.db", "--keep-tokens"]);
    let restored = ids(&home);
    let (new, old) = restored.split_last().expect("an entry");
    assert_eq!((*new, old.last() < Some(&last_id)), (last_id + 1, true), "{restored:?}");
    let server = home.start();
    let (key, _) = server.key(&owner);
    assert_eq!(ids(&home).last(), Some(&(last_id + 2)));
    // A client that followed the old log resumes, and receives the new event.
    let shown = server.followed(&owner, last_id);
    assert!(shown.contains(&format!("\"id\":{},", last_id + 2)) && shown.contains(&key), "{shown}");
    drop(server);
    let other = Home::new();
    assert_eq!(other.first_start().0.stop().0, Some(0));
    // A database shorter than the backup cannot be its continuation.
    let short = fs::read(&other.database).expect("bytes");
    for left in [None, Some(b"SQLite format 3\0 and nothing else".to_vec()), Some(short)] {
        match &left {
            None => fs::remove_file(&home.database).expect("removed"),
            Some(bytes) => fs::write(&home.database, bytes).expect("written"),
        }
        home.done(&["restore", "copy.db", "--keep-tokens"]);
        let last = *ids(&home).last().expect("an entry");
        assert_eq!(last, old.last().expect("an entry") + 1_000_000_001);
        home.done(&["audit", "verify"]);
    }
    let server = home.start();
    let (key, _) = server.key(&owner);
    let shown = server.followed(&owner, *old.last().expect("an entry"));
    assert!(shown.contains(&key), "{shown}");
}

#[test]
fn without_the_old_database_signed_calls_are_refused_for_15_minutes() {
    let Site { home, owner, pem, .. } = site();
    fs::remove_file(&home.database).expect("removed");
    let before = now();
    let output = home.done(&["restore", "copy.db"]);
    let (_, rest) = output
        .split_once("used signatures are unknown: all signed calls are refused until ")
        .unwrap_or_else(|| panic!("{output}"));
    let (until, rest) = rest.split_once(", ").expect("a time");
    assert!(rest.starts_with("and nodes must sign again after that.\n"), "{rest}");
    let quarter = Duration::from_mins(15);
    assert!(
        (before.plus(quarter)..=now().plus(quarter)).contains(&Time::parse_rfc3339(until).expect("a time")),
        "{until}"
    );
    let server = home.start();
    let fresh = registration(&owner.org, &pem, "203.0.113.3", now().millis());
    let refused = server.call("POST", "/register", None, Some(&fresh));
    assert_eq!(refused.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
    let advice = refused.json()["errorMessage"].as_str().expect("advice").to_owned();
    let expected = format!("so it refuses timestamps before {until}. The server's time is ");
    assert!(advice.contains(&expected) && advice.ends_with(": sign again then"), "{advice}");
}

#[test]
fn a_signature_that_was_stamped_ahead_and_used_before_the_restore_is_a_replay() {
    let Site { home, owner, pem, .. } = site();
    let server = home.start();
    // The window is 300 s, so both timestamps are later than that from which on the restored server takes signed calls.
    let later = now().millis() / 1_000 + 200;
    let [used, unused] = ["203.0.113.4", "203.0.113.5"].map(|ip| registration(&owner.org, &pem, ip, later));
    assert_eq!(server.call("POST", "/register", None, Some(&used)).status, 200);
    home.done(&["backup", "later.db"]);
    let mut server = server;
    // One backup knows the signature as well, the other one is from before it was used.
    for (backup, left) in [("later.db", 3), ("copy.db", 1)] {
        assert_eq!(server.stop().0, Some(0));
        home.done(&["restore", backup, "--keep-tokens"]);
        server = home.start();
        assert_eq!(nodes(&server, &owner).len(), left, "later registrations are undone");
        for path in ["/register", "/unregister"] {
            let refused = server.call("POST", path, None, Some(&used));
            assert_eq!(refused.refusal(), (400, "SIGNATURE_REPLAYED".to_owned()), "{path}, {backup}");
        }
    }
    assert_eq!(server.call("POST", "/register", None, Some(&unused)).status, 200);
    assert_eq!(nodes(&server, &owner), ["203.0.113.5", "203.0.113.1"]);
}

#[test]
fn used_signatures_are_unknown_unless_the_database_continues_the_backup() {
    // A standby machine has a fresh database, or an older state of the same one.
    let Site { home, owner, used, .. } = site();
    home.done(&["backup", "later.db"]);
    let fresh = Home::new();
    assert_eq!(fresh.first_start().0.stop().0, Some(0));
    let older = Home::new();
    fs::copy(home.path("copy.db"), &older.database).expect("copied");
    for standby in [fresh, older] {
        fs::copy(home.path("later.db"), standby.path("later.db")).expect("copied");
        let output = standby.done(&["restore", "later.db", "--keep-tokens"]);
        assert!(output.contains("used signatures are unknown"), "{output}");
        let server = standby.start();
        for body in &used {
            let refused = server.call("POST", "/register", None, Some(body));
            assert_eq!(refused.refusal(), (400, "TIMESTAMP_TOO_OLD".to_owned()));
        }
        assert_eq!(nodes(&server, &owner).len(), 2);
    }
}

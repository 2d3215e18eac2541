//! Backups: consistent beside a server that writes, noticed by it, and never written over anything but a backup.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use orgkeys::crypto::chain::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Home, Owner, Server, call, integrity, mode, now, sqlite};

fn backup(home: &Home, file: &str) -> Value {
    serde_json::from_str(&home.done(&["backup", file, "--json"])).expect("JSON")
}

fn count(home: &Home, file: &str, sql: &str) -> i64 {
    sqlite(&home.path(file)).query_row(sql, [], |row| row.get(0)).expect("a count")
}

/// Tells the writers to stop, even when the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Makes calls that write until `stop`. Returns how many were acknowledged.
fn write(address: SocketAddr, owner: &Owner, stop: &AtomicBool) -> usize {
    let mut acknowledged = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = call(address, "GET", "/user/profile", Some(&owner.token), None).expect("an answer");
        assert_eq!(answer.status, 200);
        acknowledged += 1;
    }
    acknowledged
}

#[test]
fn a_backup_during_writes_is_consistent_and_matches_its_output() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    let (before, stop) = (now(), AtomicBool::new(false));
    let mut heads = Vec::new();
    thread::scope(|scope| {
        let stopping = Stop(&stop);
        let (address, owner, stop) = (server.address, &owner, &stop);
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(move || write(address, owner, stop))).collect();
        for round in 0..5 {
            let file = format!("copy{round}.db");
            let made = backup(&home, &file);
            let fields: Vec<&String> = made.as_object().expect("an object").keys().collect();
            assert_eq!(fields, ["at", "schemaVersion", "heads", "sha256", "keyFile"]);
            let bytes = fs::read(home.path(&file)).expect("bytes");
            assert_eq!(made["sha256"], hex(&Sha256::digest(&bytes)), "{file}");
            assert_eq!((mode(&home.path(&file)), made["schemaVersion"].as_i64()), (0o600, Some(2)));
            assert!(made["at"].as_str().expect("a time") >= before.to_string().as_str());
            let seq = made["heads"][0]["seq"].as_i64().expect("a number");
            assert_eq!(count(&home, &file, "SELECT count(*) FROM audit"), seq);
            assert_eq!(integrity(&home.path(&file)), "ok");
            let verified: Value =
                serde_json::from_str(&home.done(&["audit", "verify", "--json", "--database", &file])).expect("JSON");
            assert_eq!(verified, json!({ "success": true, "entries": seq, "chains": 1 }));
            heads.push(made["heads"][0].clone());
        }
        drop(stopping);
        let acknowledged: usize = writers.into_iter().map(|writer| writer.join().expect("a writer")).sum();
        let all = count(&home, "orgkeys.db", "SELECT count(*) FROM audit WHERE action = 'user.profile'");
        assert_eq!(usize::try_from(all).expect("a count"), acknowledged, "every call has its entry");
    });
    assert_ne!(heads.first(), heads.last(), "nothing was written meanwhile");
    // The printed heads prove that the log was not rewritten since.
    let lines: String = heads.iter().flat_map(|head| [head.to_string(), "\n".to_owned()]).collect();
    home.write("heads", lines);
    home.done(&["audit", "verify", "--head", "heads"]);
    let left: Vec<String> =
        home.files().into_iter().filter(|name| name.contains(".new") || name.starts_with("copy0.db-")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn without_json_a_backup_prints_the_same_as_lines() {
    let home = Home::new();
    drop(home.first_start());
    let output = home.done(&["backup", "copy.db"]);
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].starts_with("copy.db holds the database as of 2") && lines[0].ends_with("(schema 2)"), "{output}");
    assert_eq!(lines[1], format!("sha256 {}", hex(&Sha256::digest(fs::read(home.path("copy.db")).expect("bytes")))));
    assert_eq!(lines[2], home.done(&["audit", "head"]).trim_end());
    assert!(lines[3].starts_with("Not in the backup: the key file ") && lines.len() == 4, "{output}");
}

#[test]
fn a_server_records_a_backup_once() {
    let home = Home::new();
    let (server, _) = home.first_start();
    let metric = |server: &Server| {
        let text = String::from_utf8(server.call("GET", "/metrics", None, None).body).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix("orgkeys_backup_timestamp_seconds "));
        line.expect("the metric").parse::<i64>().expect("a number")
    };
    let entries = || home.done(&["audit", "export"]).lines().filter(|line| line.contains("server.backup")).count();
    assert_eq!((metric(&server), entries()), (0, 0));
    let mut made = backup(&home, "copy.db");
    let marker: Value =
        serde_json::from_slice(&fs::read(home.path("orgkeys.db.last-backup")).expect("a marker")).expect("JSON");
    made.as_object_mut().expect("an object").remove("keyFile");
    assert_eq!((&marker, mode(&home.path("orgkeys.db.last-backup"))), (&made, 0o600));
    let at = orgkeys::domain::time::Time::parse_rfc3339(made["at"].as_str().expect("a time")).expect("a time");
    for _ in 0..3 {
        assert_eq!((metric(&server), entries()), (at.millis() / 1_000, 1));
    }
    assert_eq!(server.stop().0, Some(0));
    let server = home.start();
    assert_eq!((metric(&server), entries()), (at.millis() / 1_000, 1), "after a restart");
    backup(&home, "copy.db");
    metric(&server);
    assert_eq!(entries(), 2, "another backup, over the first");
    let export = home.done(&["audit", "export"]);
    let entry: Value =
        serde_json::from_str(export.lines().find(|line| line.contains("server.backup")).expect("a line"))
            .expect("JSON");
    let detail: Value = serde_json::from_str(entry["detail"].as_str().expect("a detail")).expect("JSON");
    assert_eq!((&entry["org"], detail), (&json!("server"), json!({ "at": made["at"], "heads": made["heads"] })));
    // An unreadable marker counts as no backup, and stops nothing.
    home.write("orgkeys.db.last-backup", "{");
    assert_eq!((metric(&server), entries()), (0, 2));
}

#[test]
fn a_backup_never_overwrites_anything_but_a_backup() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    fs::create_dir(home.path("folder")).expect("a folder");
    std::os::unix::fs::symlink(&home.database, home.path("link.db")).expect("a link");
    home.write("notes.txt", "not a database, and longer than the header of one would be: ".repeat(3));
    sqlite(&home.path("foreign.db")).execute_batch("CREATE TABLE notes (id)").expect("a table");
    for (file, expected) in [
        ("orgkeys.db", "is the database itself: name another file"),
        ("./orgkeys.db", "is the database itself: name another file"),
        ("link.db", "is the database itself: name another file"),
        ("notes.txt", "already exists and is not an orgkeys backup: name another file"),
        ("foreign.db", "already exists and is not an orgkeys backup: name another file"),
        ("folder", "already exists and is not an orgkeys backup: name another file"),
        ("missing/copy.db", "missing"),
        ("orgkeys.db.reserve", "is a name that orgkeys reserves for its own files"),
        ("orgkeys.db-journal", "is a name that orgkeys reserves for its own files"),
        ("orgkeys.db.new", "is a name that orgkeys reserves for its own files"),
        ("./orgkeys.db.last-backup", "is a name that orgkeys reserves for its own files"),
        ("folder/../orgkeys.db.restoring", "is a name that orgkeys reserves for its own files"),
        ("orgkeys.db.last-backup.new", "is a name that orgkeys reserves for its own files"),
    ] {
        let before = fs::read(home.path(file)).unwrap_or_default();
        let ran = home.run(&["backup", file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{file}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{file}: {ran:?}");
        if ["notes.txt", "foreign.db"].contains(&file) {
            assert!(fs::read(home.path(file)).expect("bytes") == before, "{file} was changed");
        }
    }
    assert!(!home.path("orgkeys.db.last-backup").exists());
    assert!(home.files().iter().all(|name| !name.contains(".new")), "{:?}", home.files());
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    assert_eq!(integrity(&home.database), "ok");
}

#[test]
fn a_backup_succeeds_even_if_its_marker_cannot_be_written() {
    let home = Home::new();
    let (server, _) = home.first_start();
    // Nothing can be renamed over a folder: writing the marker fails as on a full disk, even for root.
    fs::create_dir(home.path("orgkeys.db.last-backup")).expect("a folder");
    let ran = home.run(&["backup", "copy.db", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let made: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(made["sha256"], hex(&Sha256::digest(fs::read(home.path("copy.db")).expect("bytes"))));
    let warning = "orgkeys: warning: the backup is complete, but its time could not be written next to orgkeys.db (";
    assert!(ran.stderr.starts_with(warning) && ran.stderr.lines().count() == 1, "{ran:?}");
    assert!(!home.files().iter().any(|name| name.contains(".new") || name.contains("draft")), "{:?}", home.files());
    assert_eq!(server.call("GET", "/ready", None, None).status, 200);
    fs::remove_dir(home.path("orgkeys.db.last-backup")).expect("removed");
    assert_eq!(home.run(&["backup", "copy.db"]).stderr, "", "the next one is noted again");
    assert!(home.path("orgkeys.db.last-backup").is_file());
}

#[test]
fn a_backup_does_not_replace_the_database_of_another_server() {
    let (home, other) = (Home::new(), Home::new());
    assert_eq!(home.first_start().0.stop().0, Some(0));
    let (server, owner) = other.first_start();
    let file = other.database.display().to_string();
    let refused = |when: &str| {
        let files = other.files();
        let ran = home.run(&["backup", &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{when}: {ran:?}");
        assert!(ran.stderr.contains("is a database in use: name another file"), "{when}: {ran:?}");
        assert_eq!(other.files(), files, "{when}");
    };
    refused("while it runs");
    let lock = fs::read(other.path("orgkeys.db.lock")).expect("a lock");
    fs::remove_file(other.path("orgkeys.db.lock")).expect("removed");
    refused("while it runs, although its lock file was removed");
    fs::write(other.path("orgkeys.db.lock"), &lock).expect("put back");
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    server.kill();
    refused("after it was killed");
    let server = other.start();
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.stop().0, Some(0));
    let bytes = fs::read(&other.database).expect("bytes");
    refused("while it is stopped");
    assert!(fs::read(&other.database).expect("bytes") == bytes, "it was changed");
    assert!(!home.path("orgkeys.db.last-backup").exists());
}

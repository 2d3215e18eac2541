//! What a restore does before it asks for a stop, and what it says of files that a backup does not contain.

use std::fs;

use serde_json::{Value, json};

use super::{Site, site};
use crate::harness::{Home, integrity, past_triggers, sqlite};

#[test]
fn a_restore_looks_at_the_backup_before_it_asks_for_a_stop() {
    let Site { home, .. } = site();
    let server = home.start();
    let copy = fs::read(home.path("copy.db")).expect("bytes");
    home.write("chain.db", &copy);
    past_triggers(&home.path("chain.db"))
        .execute_batch("UPDATE audit SET action = 'user.delete' WHERE id = 3")
        .expect("changed");
    home.write("magic.db", [b"X", &copy[1..]].concat());
    let wrong = "0".repeat(64);
    let stop = "stop it first, because it would go on working on the replaced file";
    for (words, expected) in [
        (&["restore", "missing.db"][..], "missing.db does not exist: name a backup"),
        (&["restore", "magic.db"], "use another backup"),
        (&["restore", "chain.db"], "The audit log is broken: entry 3"),
        (&["restore", "copy.db", "--sha256", &wrong], "is not the backup that you meant: its SHA-256 is "),
        (&["restore", "copy.db"], stop),
    ] {
        let ran = home.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(expected), "{words:?}: {ran:?}");
        assert_eq!(ran.stderr.contains(stop), expected == stop, "{words:?}: {ran:?}");
        assert!(!home.files().iter().any(|name| name.contains("restoring")), "{:?}", home.files());
    }
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_restore_takes_the_checksum_that_the_backup_printed() {
    let Site { home, .. } = site();
    let made: Value = serde_json::from_str(&home.done(&["backup", "copy.db", "--json"])).expect("JSON");
    let sha256 = made["sha256"].as_str().expect("text");
    home.done(&["restore", "copy.db", "--sha256", sha256]);
    home.done(&["restore", "copy.db", "--sha256", &sha256.to_uppercase()]);
    for text in [&sha256[1..], "copy.db", ""] {
        let ran = home.run(&["restore", "copy.db", "--sha256", text]);
        assert_eq!((ran.code, ran.stderr.contains("64 hexadecimal digits")), (Some(2), true), "{ran:?}");
    }
    let other = format!("{}{}", if sha256.starts_with('0') { '1' } else { '0' }, &sha256[1..]);
    let before = fs::read(&home.database).expect("bytes");
    assert_eq!(home.run(&["restore", "copy.db", "--sha256", &other]).code, Some(1));
    assert!(fs::read(&home.database).expect("bytes") == before, "the database was changed");
}

#[test]
fn a_log_that_was_left_without_its_database_is_kept() {
    let Site { home, owner, .. } = site();
    let server = home.start();
    server.call_as(&owner, "GET", "/user/profile");
    server.kill();
    let (database, log) =
        (fs::read(&home.database).expect("bytes"), fs::read(home.path("orgkeys.db-wal")).expect("a log"));
    fs::remove_file(&home.database).expect("lost");
    home.write("orgkeys.db-journal", "a journal of something else");
    let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
    assert_eq!((&restored["aside"], home.path("orgkeys.db-wal").exists()), (&Value::Null, false));
    let kept = |ending: &str| {
        let name = home.files().into_iter().find(|name| name.contains(".before-") && name.ends_with(ending));
        home.path(&name.unwrap_or_else(|| panic!("no {ending} was kept: {:?}", home.files())))
    };
    assert!(fs::read(kept("-wal")).expect("bytes") == log, "the log was changed");
    assert_eq!(fs::read(kept("-journal")).expect("bytes"), b"a journal of something else");
    assert!(restored["logAside"].as_str().expect("a path").contains("orgkeys.db.before-"), "{restored}");
    home.done(&["audit", "verify"]);
    // The database is found after all: with its log, it has everything again.
    fs::write(home.path("found.db"), database).expect("found");
    fs::copy(kept("-wal"), home.path("found.db-wal")).expect("put back");
    assert_eq!(
        home.done(&["audit", "export", "--database", "found.db"])
            .lines()
            .last()
            .map(|line| line.contains("user.profile")),
        Some(true)
    );
    // The text says so, too.
    fs::remove_file(&home.database).expect("lost");
    home.write("orgkeys.db-wal", log);
    let text = home.done(&["restore", "copy.db"]);
    assert!(text.contains("its latest changes were left behind in its log. It is kept at "), "{text}");
}

#[test]
fn backup_and_restore_name_the_key_file_that_is_not_in_the_backup() {
    let Site { home, .. } = site();
    let key = fs::canonicalize(home.path("orgkeys.db.key")).expect("there").display().to_string();
    let made = home.done(&["backup", "copy.db"]);
    assert!(made.contains(&format!("Not in the backup: the key file {key}. ")), "{made}");
    let json: Value = serde_json::from_str(&home.done(&["backup", "copy.db", "--json"])).expect("JSON");
    assert_eq!(json["keyFile"], json!(key));
    let made = home.done(&["backup", "copy.db", "--key-file", "elsewhere.key"]);
    assert!(made.contains("the key file elsewhere.key. "), "{made}");
    let text = home.done(&["restore", "copy.db"]);
    assert!(text.contains(&format!("Not in a backup: the key file {key}: it is in its place.")), "{text}");
    let text = home.done(&["restore", "copy.db", "--key-file", "elsewhere.key"]);
    assert!(text.contains("the key file elsewhere.key: nothing is encrypted with it"), "{text}");
    // On a new machine, where nothing is encrypted with it.
    let other = Home::new();
    fs::copy(home.path("copy.db"), other.path("copy.db")).expect("copied");
    let text = other.done(&["restore", "copy.db"]);
    assert!(text.contains("orgkeys.db.key: nothing is encrypted with it, and the next start creates one."), "{text}");
    // And where one does.
    let home = Home::new();
    let (server, owner) = home.first_start();
    let hook = json!({ "url": "https://hooks.example.org/", "disabled": true });
    let path = format!("/organization/{}/webhooks", owner.org);
    assert_eq!(server.call("POST", &path, Some(&owner.token), Some(&hook)).status, 201);
    assert_eq!(server.stop().0, Some(0));
    home.done(&["backup", "copy.db"]);
    let text = home.done(&["restore", "copy.db"]);
    assert!(text.contains("it is in its place, and decrypts the secrets of 1 webhook."), "{text}");
    fs::copy(home.path("copy.db"), other.path("copy.db")).expect("copied");
    fs::remove_file(other.path("orgkeys.db.key")).unwrap_or_default();
    let text = other.done(&["restore", "copy.db"]);
    assert!(text.contains("orgkeys.db.key: it does not exist: restore it from your copy"), "{text}");
}

#[test]
fn no_log_of_the_replaced_database_stays_beside_the_restored_one() {
    for damaged in [false, true] {
        let Site { home, owner, .. } = site();
        let in_the_backup = entries(&home, "copy.db");
        let server = home.start();
        server.key(&owner);
        server.kill();
        let log = fs::read(home.path("orgkeys.db-wal")).expect("a log");
        assert!(!log.is_empty());
        if damaged {
            // SQLite cannot move the log's changes into it, so they are kept beside it.
            let mut bytes = fs::read(&home.database).expect("bytes");
            bytes[0] = b'X';
            fs::write(&home.database, bytes).expect("damaged");
        }
        let restored: Value = serde_json::from_str(&home.done(&["restore", "copy.db", "--json"])).expect("JSON");
        for suffix in ["-wal", "-shm", "-journal"] {
            assert!(!home.path(&format!("orgkeys.db{suffix}")).exists(), "{suffix}: {:?}", home.files());
        }
        let aside = format!("{}-wal", restored["aside"].as_str().expect("a path"));
        assert_eq!(fs::read(aside).ok(), damaged.then_some(log), "{:?}", home.files());
        // SQLite itself, which would apply a log that it finds.
        assert_eq!(entries(&home, "orgkeys.db"), in_the_backup + 1, "those of the backup, and the restore's own");
        assert_eq!(integrity(&home.database), "ok");
    }
}

/// The number of entries in the audit log, as SQLite sees it.
fn entries(home: &Home, database: &str) -> i64 {
    sqlite(&home.path(database)).query_row("SELECT count(*) FROM audit", [], |row| row.get(0)).expect("a number")
}

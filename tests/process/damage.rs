//! Damaged, foreign and newer files are refused with a remedy, and not a byte of them is changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use orgkeys::store::{files, open};
use rusqlite::Connection;

use crate::harness::{Home, Ran, failed, run, sqlite};

/// The files of a folder with their contents, except the lock, which is not part of the database, and the server's log.
fn contents(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let files = home.files().into_iter().filter(|name| name != "orgkeys.db.lock" && name != "stderr.log");
    files.map(|name| (name.clone(), fs::read(home.path(&name)).expect("bytes"))).collect()
}

/// Whether the first 16 bytes of the database are SQLite's, and its first 100 are there.
fn has_header(home: &Home) -> bool {
    let bytes = fs::read(&home.database).expect("bytes");
    bytes.len() >= 100 && bytes.starts_with(b"SQLite format 3\0")
}

/// Checks that the commands refuse the database in `home`, advise `remedy`, and change nothing.
fn refused(home: &Home, what: &str, remedy: &str) {
    let before = contents(home);
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["audit", "verify"], &["backup", "copy.db"]] {
        let ran = home.run(words);
        // A damaged database is a broken log; a file that is none is not looked at.
        let code = if remedy.contains("restore the last backup") && has_header(home) { 1 } else { failed(words) };
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{what}: {words:?}: {ran:?}");
        assert!(ran.stderr.contains("orgkeys.db"), "{what}: {words:?} does not name the file: {ran:?}");
        assert!(ran.stderr.contains(remedy), "{what}: {words:?} does not say {remedy:?}: {ran:?}");
        let after = contents(home);
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(&before), "{what}: {words:?}");
        for (name, bytes) in &before {
            assert!(after[name] == *bytes, "{what}: {words:?} changed {name}");
        }
    }
}

/// A database of orgkeys that was closed cleanly.
fn sound() -> Home {
    let home = Home::new();
    open::prepare(&home.database).expect("a database");
    // The mode in which a server leaves its files.
    let mode: String =
        sqlite(&home.database).query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).expect("WAL");
    assert_eq!((mode.as_str(), home.files()), ("wal", vec!["orgkeys.db".to_owned()]));
    home
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("bytes");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

#[test]
fn a_damaged_file_is_refused_and_not_changed() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 8] = [
        ("wrong magic", |bytes| bytes[0] = b'X'),
        ("wrong page size", |bytes| bytes[16..18].copy_from_slice(&[0, 3])),
        ("page size 0", |bytes| bytes[16..18].copy_from_slice(&[0, 0])),
        ("half of its pages", |bytes| bytes.truncate(bytes.len() / 2 / 4_096 * 4_096)),
        ("a page less", |bytes| bytes.truncate(bytes.len() - 4_096)),
        ("a header alone", |bytes| bytes.truncate(100)),
        ("less than a header", |bytes| bytes.truncate(99)),
        ("empty", Vec::clear),
    ];
    for (what, damage) in damages {
        let home = sound();
        change(&home.database, damage);
        refused(&home, what, "restore the last backup with `orgkeys restore FILE --database");
    }
}

#[test]
fn an_unparsable_schema_is_refused_and_not_changed() {
    let home = sound();
    let conn = sqlite(&home.database);
    conn.execute_batch(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE org (((' WHERE name = 'org'",
    )
    .expect("damaged");
    conn.close().expect("closed");
    refused(&home, "schema", "restore the last backup with `orgkeys restore FILE --database");
}

#[test]
fn a_file_of_a_newer_orgkeys_is_refused_and_not_changed() {
    let home = sound();
    let conn = sqlite(&home.database);
    conn.pragma_update(None, "user_version", orgkeys::store::migrate::VERSION + 1).expect("newer");
    conn.close().expect("closed");
    refused(&home, "newer", "run that version");
}

#[test]
fn a_newer_schema_version_in_the_write_ahead_log_is_refused_too() {
    let home = sound();
    let conn = sqlite(&home.database);
    conn.pragma_update(None, "wal_autocheckpoint", 0).expect("set");
    conn.pragma_update(None, "user_version", orgkeys::store::migrate::VERSION + 1).expect("newer");
    // As a killed process leaves it: the log beside the file, and no process that has it open.
    let other = Home::new();
    for suffix in ["", "-wal"] {
        fs::copy(files::beside(&home.database, suffix), files::beside(&other.database, suffix)).expect("copied");
    }
    drop(conn);
    let (file, log) =
        (fs::read(&other.database).expect("bytes"), fs::read(other.path("orgkeys.db-wal")).expect("bytes"));
    for words in [&["serve", "--listen", "127.0.0.1:0"][..], &["audit", "verify"]] {
        let ran = other.run(words);
        assert_eq!((ran.code, ran.stderr.contains("run that version")), (Some(failed(words)), true), "{ran:?}");
        assert!(fs::read(&other.database).expect("bytes") == file, "{words:?}");
        assert!(fs::read(other.path("orgkeys.db-wal")).expect("bytes") == log, "{words:?}");
    }
}

#[test]
fn a_database_of_another_program_is_refused_and_not_changed() {
    for wal in [false, true] {
        let home = Home::new();
        let conn = sqlite(&home.database);
        if wal {
            conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("WAL");
        }
        conn.execute_batch("CREATE TABLE org (id); INSERT INTO org VALUES (1)").expect("a table");
        conn.close().expect("closed");
        refused(&home, "foreign", "choose another file with --database");
    }
}

#[test]
fn a_foreign_database_that_is_open_is_refused_and_not_changed() {
    let home = Home::new();
    let conn: Connection = sqlite(&home.database);
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).expect("WAL");
    conn.execute_batch("CREATE TABLE org (id); INSERT INTO org VALUES (1)").expect("a table");
    assert!(home.path("orgkeys.db-wal").exists());
    refused(&home, "foreign and open", "choose another file with --database");
    conn.execute_batch("INSERT INTO org VALUES (2)").expect("the other program continues");
}

#[test]
fn verifying_a_backup_does_not_change_it() {
    let home = Home::new();
    drop(home.first_start());
    home.done(&["backup", "copy.db"]);
    let before = fs::read(home.path("copy.db")).expect("bytes");
    home.done(&["audit", "verify", "--database", "copy.db"]);
    assert!(fs::read(home.path("copy.db")).expect("bytes") == before, "the backup was changed");
    assert!(!home.files().iter().any(|name| name.starts_with("copy.db-")), "{:?}", home.files());
}

#[test]
fn what_needs_the_server_to_be_stopped_is_refused_beside_it_and_says_why() {
    let home = Home::new();
    let server = home.start_with(&mut home.serve(&["--socket", "off"]));
    let owner = server.owner();
    home.done(&["backup", "copy.db"]);
    let off = "the setting `socket` is off, so stop the server first";
    let commands: [(&[&str], &str); 7] = [
        (&["serve", "--listen", "127.0.0.1:0"], "stop it first, because only one process at a time can use a database"),
        (&["org", "create", "--name", "other"], off),
        (&["user", "create", "--org", &owner.org, "--email", "eve@example.org", "--role", "OWNER"], off),
        (&["token", "create", "--user", "owner@localhost"], off),
        (&["token", "revoke", "token-00000000-0000-7000-8000-000000000000"], off),
        (&["restore", "copy.db"], "stop it first, because it would go on working on the replaced file"),
        (&["clock", "accept"], "stop it first, because it would remember the later time and store it again"),
    ];
    for (words, why) in commands {
        let Ran { code, stdout, stderr } = run(home.orgkeys(words).env("ORGKEYS_SOCKET", "off"));
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{words:?}: {stderr}");
        let expected = format!("another orgkeys process is using {}: {why}\n", home.database.display());
        assert!(stderr.ends_with(&expected), "{words:?}: {stderr}");
    }
    // Who looks for the socket is told where.
    let ran = home.run(&["org", "create", "--name", "other"]);
    assert!(ran.stderr.contains("it does not listen on ") && ran.stderr.contains("orgkeys.db.sock"), "{ran:?}");
    // A list needs neither the server nor the lock.
    let listed = home.done(&["org", "list"]);
    assert_eq!((listed.lines().count(), home.done(&["user", "list"]).lines().count()), (1, 1));
    assert!(home.done(&["token", "list"]).starts_with("token-"));
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.stop().0, Some(0));
    assert_eq!(home.done(&["org", "list"]), listed);
}

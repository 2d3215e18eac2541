//! Restores that are refused: from an unusable backup, and beside a running server.

use std::collections::BTreeMap;
use std::fs;

use super::{Site, nodes, site};
use crate::harness::{Home, Ran, past_triggers, sqlite};

fn contents(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let files = home.files().into_iter().filter(|name| name != "orgkeys.db.lock" && name != "stderr.log");
    files.map(|name| (name.clone(), fs::read(home.path(&name)).expect("bytes"))).collect()
}

#[test]
fn an_unusable_backup_is_refused_and_the_database_is_unchanged() {
    let Site { home, .. } = site();
    // It is large, and every file is read before and after each try.
    fs::remove_file(home.path("orgkeys.db.reserve")).expect("removed");
    let copy = fs::read(home.path("copy.db")).expect("bytes");
    let with_sql = |name: &str, sql: &str| {
        home.write(name, &copy);
        past_triggers(&home.path(name)).execute_batch(sql).expect("changed");
    };
    with_sql("chain.db", "UPDATE audit SET action = 'user.delete' WHERE id = 3");
    with_sql("gap.db", "DELETE FROM audit WHERE id = 3");
    with_sql("newer.db", "PRAGMA user_version = 99");
    with_sql("foreign.db", "PRAGMA application_id = 1");
    with_sql("index.db", "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'node_by_org'");
    home.write("magic.db", [b"X", &copy[1..]].concat());
    home.write("short.db", &copy[..copy.len() - 4_096]);
    home.write("empty.db", "");
    // A page of an index that contradicts its table.
    let rows = "SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_time'";
    let page: usize =
        sqlite(&home.path("copy.db")).query_row(rows, [], |row| row.get::<_, u32>(0)).expect("a page") as usize;
    let mut damaged = copy.clone();
    damaged[(page - 1) * 4_096 + 8..page * 4_096].fill(0x5a);
    home.write("page.db", damaged);
    for (file, expected) in [
        ("chain.db", "The audit log is broken: entry 3"),
        ("gap.db", "The audit log is broken: entry 4"),
        ("newer.db", "was written by a newer orgkeys (schema 99"),
        ("foreign.db", "is a database of another program (application id 0x00000001), not a backup: use another file"),
        ("index.db", "damaged (the index node_by_org of its schema is missing)"),
        ("magic.db", "): use another backup\n"),
        ("short.db", "): use another backup\n"),
        ("empty.db", "): use another backup\n"),
        ("page.db", "The backup is damaged"),
        ("missing.db", "missing.db"),
    ] {
        let before = contents(&home);
        let Ran { code, stdout, stderr } = home.run(&["restore", file]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{file}: {stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("--database"), "{file}: {stderr}");
        assert!(contents(&home) == before, "{file}: {:?} became {:?}", before.keys(), contents(&home).keys());
    }
    home.done(&["audit", "verify"]);
}

#[test]
fn a_restore_beside_a_running_server_is_refused() {
    let Site { home, owner, .. } = site();
    let server = home.start();
    let ran = home.run(&["restore", "copy.db"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(ran.stderr.ends_with("stop it first, because it would go on working on the replaced file\n"), "{ran:?}");
    assert_eq!(nodes(&server, &owner), ["203.0.113.2", "203.0.113.1"]);
    assert!(
        !home.files().iter().any(|name| name.contains("before") || name.contains("restoring")),
        "{:?}",
        home.files()
    );
}

#[test]
fn a_database_in_use_is_not_replaced_even_without_its_lock_file() {
    let home = Home::new();
    let (server, owner) = home.first_start();
    home.done(&["backup", "copy.db"]);
    fs::remove_file(home.path("orgkeys.db.lock")).expect("removed");
    let ran = home.run(&["restore", "copy.db"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    assert!(ran.stderr.contains("another process is using "), "{ran:?}");
    assert_eq!(server.call_as(&owner, "GET", "/user/profile").status, 200);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_restore_replaces_no_file_of_another_program() {
    let Site { home, .. } = site();
    let magic = |id: i32| {
        let file = format!("foreign-{id}.db");
        sqlite(&home.path(&file))
            .execute_batch(&format!(
                "PRAGMA application_id = {id}; CREATE TABLE notes (id); INSERT INTO notes VALUES (1)"
            ))
            .expect("a database");
        file
    };
    for file in [magic(0), magic(0x1234_5678)] {
        let before = contents(&home);
        let ran = home.run(&["restore", "copy.db", "--database", &file]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{file}: {ran:?}");
        assert!(ran.stderr.contains("is a database of another program"), "{file}: {ran:?}");
        let mut after = contents(&home);
        after.remove(&format!("{file}.lock"));
        assert!(after == before, "{file}: {:?} became {:?}", before.keys(), after.keys());
    }
    // It is its own program's database still.
    let count = "SELECT count(*) FROM notes";
    let rows: i64 = sqlite(&home.path("foreign-0.db")).query_row(count, [], |row| row.get(0)).expect("a number");
    assert_eq!(rows, 1);
}

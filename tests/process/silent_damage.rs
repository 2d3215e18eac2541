//! Damage that no query meets: flipped bits in the schema, and required rows that are missing.

use std::fs;

use orgkeys::store::{StoreError, open};
use serde_json::{Value, json};

use crate::harness::{Home, Ran, objects, past_triggers, sqlite};

/// The size of a page.
const PAGE: usize = 4_096;

/// A stopped server's database, with its log checkpointed.
fn stopped() -> Home {
    let home = Home::new();
    let (server, owner) = home.first_start();
    server.key(&owner);
    assert_eq!(server.stop().0, Some(0));
    home
}

/// The schema as SQLite reads it from these bytes, an object a row; `None` if it cannot be read. First what the objects
/// are, then the pages where they begin.
fn meaning(home: &Home, bytes: &[u8]) -> Option<(Vec<String>, Vec<String>)> {
    let path = home.write("read.db", bytes);
    let conn = sqlite(&path);
    let mut statement =
        conn.prepare("SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema ORDER BY name").ok()?;
    let rows = statement.query_map([], |row| {
        let value = |column| row.get::<_, rusqlite::types::Value>(column);
        Ok((format!("{:?}", (0..4).map(value).collect::<Vec<_>>()), format!("{:?}", value(4))))
    });
    Some(rows.ok()?.collect::<rusqlite::Result<Vec<_>>>().ok()?.into_iter().unzip())
}

/// The pages of the schema table, whose root is page 1.
fn schema_pages(home: &Home) -> Vec<usize> {
    let conn = sqlite(&home.database);
    let sql = "SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' ORDER BY pageno";
    if let Ok(mut statement) = conn.prepare(sql) {
        let pages = statement.query_map([], |row| row.get::<_, u32>(0)).expect("rows");
        return pages.map(|page| page.expect("a page") as usize).collect();
    }
    // The root is an interior page: 2-byte offsets of cells that start with a page number; its last child is in its header.
    let bytes = fs::read(&home.database).expect("bytes");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("4 bytes")) as usize;
    assert_eq!(bytes[100], 5, "an inner page of a table");
    let cells = usize::from(u16::from_be_bytes([bytes[103], bytes[104]]));
    let offset = |cell: usize| usize::from(u16::from_be_bytes([bytes[112 + 2 * cell], bytes[113 + 2 * cell]]));
    (0..cells).map(|cell| number(offset(cell))).chain([number(108), 1]).collect()
}

/// Every command reports the file as damaged.
fn said_to_be_damaged(home: &Home, place: &str) {
    for words in [&["org", "list"][..], &["audit", "verify"], &["doctor", "--quick"], &["backup", "copy.db"]] {
        let Ran { code, stdout, stderr } = home.run(words);
        let output = format!("{stdout}{stderr}");
        assert!(code == Some(1) && output.contains("orgkeys.db is damaged"), "{words:?}, {place}: {output}");
    }
}

#[test]
fn flipped_bits_in_the_schema_are_detected() {
    let home = stopped();
    let sound = fs::read(&home.database).expect("bytes");
    let (pages, meant) = (schema_pages(&home), meaning(&home, &sound).expect("a schema"));
    let (mut refused, mut same) = (0, 0);
    // A stride that is coprime to the page size hits the headers, cells and free bytes of each page.
    for at in (0..pages.len() * PAGE).step_by(61) {
        let place = (pages[at / PAGE] - 1) * PAGE + at % PAGE;
        let mut bytes = sound.clone();
        bytes[place] ^= 1 << (at % 7);
        let read = meaning(&home, &bytes);
        if place < 100 || read.as_ref() == Some(&meant) {
            same += 1;
            continue;
        }
        home.write("orgkeys.db", &bytes);
        let place = format!("bit {} of byte {place}", at % 7);
        if read.is_some_and(|(objects, _)| objects == meant.0) && open::prepare(&home.database).is_ok() {
            // An object that begins at another page, on which no other object begins: the check of all pages finds it.
            let Ran { code, stdout, .. } = home.run(&["doctor"]);
            assert!(code == Some(1) && stdout.contains("orgkeys.db is damaged"), "{place}: {stdout}");
            refused += 1;
            continue;
        }
        let error = open::prepare(&home.database).expect_err(&place);
        assert!(matches!(error, StoreError::Damaged { .. }), "{place}: {error}");
        if refused % 20 == 0 {
            said_to_be_damaged(&home, &place);
        }
        refused += 1;
    }
    assert!(refused >= 250, "{refused} were flipped, {same} changed nothing that is read");
}

#[test]
fn start_doctor_and_restore_name_a_missing_or_foreign_schema_object() {
    for (change, expected) in [
        ("DROP TRIGGER audit_is_never_deleted", "the trigger audit_is_never_deleted of its schema is missing"),
        ("DROP INDEX node_by_org", "the index node_by_org of its schema is missing"),
        ("CREATE TABLE note (id)", "its schema has the table note, which orgkeys did not create"),
    ] {
        let home = stopped();
        home.done(&["backup", "copy.db"]);
        for file in ["orgkeys.db", "copy.db"] {
            sqlite(&home.path(file)).execute_batch(change).expect("changed");
        }
        for words in [&["org", "create", "--name", "b"][..], &["doctor", "--quick"], &["restore", "copy.db"]] {
            let ran = home.run(words);
            assert_eq!(ran.code, Some(1), "{words:?}: {ran:?}");
            assert!(format!("{}{}", ran.stdout, ran.stderr).contains(expected), "{words:?}: {ran:?}");
        }
    }
}

#[test]
fn running_analyze_by_hand_does_no_damage() {
    let home = stopped();
    sqlite(&home.database).execute_batch("ANALYZE").expect("analyzed");
    let server = home.start();
    assert_eq!(server.call("GET", "/ready", None, None).status, 200);
}

/// What the start says about a database after `change`, made without triggers and foreign keys; verification and doctor fail too.
fn said_after(change: &str) -> String {
    let home = stopped();
    let conn = past_triggers(&home.database);
    conn.execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).expect("changed");
    conn.close().expect("closed");
    let before = fs::read(&home.database).expect("bytes");
    let start = home.run(&["org", "create", "--name", "b"]);
    assert_eq!((start.code, start.stdout.as_str()), (Some(1), ""), "{change}: {start:?}");
    assert!(start.stderr.contains("restore the last backup"), "{change}: {start:?}");
    assert!(fs::read(&home.database).expect("bytes") == before, "{change}: the start changed the file");
    let verified = home.run(&["audit", "verify"]);
    assert_eq!(verified.code, Some(1), "{change}: {verified:?}");
    assert!(verified.stderr.starts_with("orgkeys: The audit log is broken: "), "{change}: {verified:?}");
    let found = objects(&home.run(&["doctor", "--json"]).stdout);
    let ill: Vec<&Value> =
        found.iter().filter(|finding| finding["ok"] == false && finding["check"] == "audit").collect();
    assert_eq!(ill.len(), 1, "{change}: {found:?}");
    start.stderr
}

#[test]
fn a_missing_chain_or_organization_is_detected() {
    for (change, expected) in [
        ("DELETE FROM audit", "the audit log has no entry of org-"),
        ("DELETE FROM audit; DELETE FROM sqlite_sequence", "the audit log has no entry of org-"),
        ("DELETE FROM person; DELETE FROM token; DELETE FROM org_key; DELETE FROM org", "but that organization does not exist"),
        ("INSERT INTO trim_point VALUES (x'', 7, zeroblob(32))", "server has a trim point but no entry after it"),
        ("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", "the end of a chain was removed"),
        ("DELETE FROM sqlite_sequence", "the end of a chain was removed"),
        ("DELETE FROM file_identity", "the table file_identity does not have exactly one row"),
        ("DELETE FROM server", "the table server does not have exactly one row"),
        (
            "INSERT INTO api_key SELECT 7, id, zeroblob(32), 'oka_', 'name', '', 0, 0, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL FROM org;
             UPDATE sqlite_sequence SET seq = 6 WHERE name = 'api_key'",
            "would be issued again",
        ),
    ] {
        let start = said_after(change);
        assert!(start.contains(expected), "{change}: {start}");
    }
}

#[test]
fn inconsistent_rows_are_reported_by_the_doctor() {
    for (change, expected) in [
        ("UPDATE token SET person = zeroblob(16)", "a row of token refers to a row of person that does not exist"),
        ("UPDATE webhook SET pending = 3", "the stored count of pending deliveries of webhook-"),
        ("UPDATE org SET nodes = 3", "the stored count of nodes of org-"),
    ] {
        let home = Home::new();
        let (server, owner) = home.first_start();
        let hooks = format!("/organization/{}/webhooks", owner.org);
        let made = server.call("POST", &hooks, Some(&owner.token), Some(&json!({ "url": "https://a.example" })));
        assert_eq!((made.status / 100, server.stop().0), (2, Some(0)), "{made:?}");
        sqlite(&home.database).execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}")).expect("changed");
        for words in [&["doctor", "--json"][..], &["doctor", "--json", "--quick"]] {
            let found = objects(&home.run(words).stdout);
            let ill = found.iter().find(|finding| finding["check"] == "integrity").expect("it looked");
            assert!(ill["message"].as_str().expect("text").contains(expected), "{ill}");
        }
    }
}

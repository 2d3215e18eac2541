//! What `orgkeys doctor` reports when several things of a kind need attention, and what only its whole check finds.

use serde_json::Value;

use crate::doctor::{examined, finds, healthy};
use crate::harness::{Home, now, sqlite};

const DAY: i64 = 86_400_000;

fn change(home: &Home, sql: &str) {
    sqlite(&home.database).execute_batch(sql).expect("changed");
}

/// The finding of one check.
fn finding(home: &Home, words: &[&str], check: &str) -> (bool, String) {
    let found = examined(home, words);
    let looked: Vec<&Value> = found.iter().filter(|finding| finding["check"] == check).collect();
    assert_eq!(looked.len(), 1, "{found:?}");
    (looked[0]["ok"] == true, looked[0]["message"].as_str().expect("text").to_owned())
}

#[test]
fn three_keys_that_retire_are_named_with_their_nodes_and_the_others_are_counted() {
    let home = healthy();
    let retire_at = now().millis() + DAY / 2;
    let key = |number: i64, nodes: i64| {
        let retire_at = retire_at + number;
        change(
            &home,
            &format!(
                "INSERT INTO org_key (id, org, public_key, created_at, retire_at)
                 SELECT randomblob(16), id, randomblob(294), 0, {retire_at} FROM org;
                 INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, key, last_contact)
                 WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {nodes})
                 SELECT randomblob(16), org, '10.0.{number}.' || n, '10.0.{number}.' || n, 'eu', '', '', '', 0, id, 0
                 FROM org_key, number WHERE retire_at = {retire_at}"
            ),
        );
    };
    let named = || {
        let (ok, text) = finding(&home, &["--quick"], "keys");
        assert!(!ok, "{text}");
        (text.matches("1 node signs with key-").count(), text.matches("2 nodes sign with key-").count(), text)
    };
    for (number, nodes) in [(1, 1), (2, 2), (3, 2)] {
        key(number, nodes);
    }
    let (one, two, text) = named();
    assert_eq!((one, two, text.contains(" more key")), (1, 2, false), "{text}");
    key(4, 1);
    let (.., text) = named();
    assert!(text.ends_with(", and 1 more key"), "{text}");
    key(5, 1);
    let (one, two, text) = named();
    assert_eq!((one, two, text.ends_with(", and 2 more keys")), (1, 2, true), "the first to retire: {text}");
}

#[test]
fn the_organization_with_the_most_nodes_is_named_and_the_others_near_the_limit_are_counted() {
    let home = healthy();
    for (name, nodes) in [("fewer", 8), ("most", 9), ("few", 2)] {
        home.done(&["org", "create", "--name", name]);
        let sql = format!(
            "INSERT INTO node (id, org, ip, ip_key, region, provider, status, version, services, last_contact)
             WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {nodes})
             SELECT randomblob(16), org.id, n, n, 'eu', '', '', '', 0, 0 FROM number, org WHERE name = '{name}'"
        );
        change(&home, &sql);
    }
    // From nine tenths of the limit on.
    assert!(finding(&home, &["--quick", "--nodes-max", "11"], "nodes").0);
    finds(&home, &["--nodes-max", "10"], "nodes", " has 9 of the 10 nodes", "raise nodes_max");
    let (_, alone) = finding(&home, &["--quick", "--nodes-max", "10"], "nodes");
    assert!(alone.ends_with("including deleted ones"), "{alone}");
    let (_, two) = finding(&home, &["--quick", "--nodes-max", "8"], "nodes");
    assert!(two.contains(" has 9 of the 8 nodes") && two.ends_with("; 1 more has 8 or more"), "{two}");
    let (_, three) = finding(&home, &["--quick", "--nodes-max", "2"], "nodes");
    assert!(three.ends_with("; 2 more have 2 or more"), "{three}");
}

#[test]
fn twenty_secrets_that_cannot_be_decrypted_are_named_and_the_others_are_counted() {
    let home = healthy();
    assert_eq!(
        finding(&home, &["--quick"], "secrets"),
        (true, "Every secret for nodes can be decrypted (0 in total)".to_owned())
    );
    let add = |from: i64, until: i64| {
        change(
            &home,
            &format!(
                "INSERT INTO secret WITH RECURSIVE number(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM number WHERE n < {until})
                 SELECT randomblob(16), id, 's' || n, iif(n = 1, 'eu-1', ''), randomblob(40), 4, 0 FROM org, number"
            ),
        );
    };
    let named = || {
        let (ok, text) = finding(&home, &["--quick"], "secrets");
        assert!(!ok, "{text}");
        (text.matches(" of org-").count(), text)
    };
    add(1, 20);
    let (count, text) = named();
    assert_eq!((count, text.contains(" more")), (20, false), "{text}");
    assert_eq!(text.matches(" for the region eu-1").count(), 1, "{text}");
    add(21, 22);
    let (count, text) = named();
    assert_eq!((count, text.ends_with(", and 2 more")), (20, true), "{text}");
}

#[test]
fn only_the_whole_check_compares_indexes_with_their_tables() {
    let home = healthy();
    let conn = sqlite(&home.database);
    // As if the index had missed a change of its table.
    let kept = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = 'token_ending'";
    for sql in [
        &format!("CREATE TEMP TABLE kept AS {kept}"),
        "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'token_ending'; PRAGMA writable_schema = RESET",
        "UPDATE token SET expires_at = expires_at + 1",
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept",
    ] {
        conn.execute_batch(sql).expect(sql);
    }
    conn.close().expect("closed");
    let quick = "SQLite finds no damaged page; indexes were not compared".to_owned();
    assert_eq!(finding(&home, &["--quick"], "integrity"), (true, quick));
    let (ok, message) = finding(&home, &[], "integrity");
    assert!(!ok && message.contains("token_ending"), "{message}");
}

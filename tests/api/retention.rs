//! Retention of the audit log: removals are recorded in the chain, the rest verifies, and nothing else can be removed.

mod long;
mod meanwhile;

use hyper::{Method, StatusCode};
use orgkeys::actions::retention::Retention;
use orgkeys::actions::{audit, clock};
use orgkeys::domain::audit::Entry;
use orgkeys::domain::event::Head;
use orgkeys::domain::id::OrgId;
use orgkeys::store::backup::Snapshot;
use orgkeys::store::restore;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::audit_chain::rehashed;
use crate::harness::{BEGIN, Identity, Server, blocking, entries};

const DAY: i64 = 86_400_000;

/// The entries that are removed from the chain of the first start's organization.
const OF_THE_FIRST: usize = 3;

/// Moves the clock, and runs the clock check of the housekeeping.
async fn pass(server: &Server, millis: i64) {
    server.pass(millis);
    let system = server.system.clone();
    blocking(move || clock::keep(&system).expect("kept")).await;
}

/// Lets days pass, with the clock check of a running server.
pub async fn days(server: &Server, count: i64) {
    for _ in 0..count {
        pass(server, DAY).await;
    }
}

/// Runs the retention of this many days. Returns how many entries were removed.
pub async fn remove_old(server: &Server, days: u32) -> usize {
    let system = server.system.clone();
    blocking(move || Retention::new(days).remove_old(&system).expect("kept")).await
}

pub async fn chain_of(server: &Server, org: &str) -> Vec<Entry> {
    entries(&server.database).await.into_iter().filter(|entry| entry.org == org).collect()
}

async fn verdict(server: &Server, heads: Vec<Head>) -> Result<audit::VerifiedLog, String> {
    let database = server.database.clone();
    blocking(move || audit::verify(&database, &heads).map_err(|error| error.message)).await
}

async fn file_verdict(server: &Server, heads: Vec<Head>) -> Result<audit::VerifiedLog, String> {
    let database = server.database.clone();
    blocking(move || {
        let mut lines = Vec::new();
        audit::export(&database, &mut lines).expect("an export");
        audit::verify_file(lines.as_slice(), &heads).map_err(|error| error.message)
    })
    .await
}

async fn heads(server: &Server) -> Vec<Head> {
    let database = server.database.clone();
    blocking(move || audit::heads(&database).expect("heads")).await
}

fn conn(server: &Server) -> Connection {
    let conn = Connection::open(&server.database).expect("the file");
    conn.execute_batch("PRAGMA recursive_triggers = ON; PRAGMA busy_timeout = 5000").expect("set");
    conn
}

/// A server with an organization whose chain has entries from two days, eight days apart.
async fn old() -> (Server, Identity, Vec<Head>) {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    server.events(&owner).await;
    let known = heads(&server).await;
    days(&server, 8).await;
    server.events(&owner).await;
    (server, owner, known)
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_days_are_removed_and_the_chain_records_it() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    server.events(&owner).await;
    let before = chain_of(&server, &owner.org).await;
    assert_eq!((before.len(), remove_old(&server, 7).await), (4, 0));
    days(&server, 7).await;
    server.events(&owner).await;
    assert_eq!(remove_old(&server, 7).await, 0, "the day of 7 days ago is kept whole");
    // It is 13 hours and 30 minutes to midnight.
    server.pass(DAY - BEGIN % DAY - 1);
    assert_eq!(remove_old(&server, 7).await, 0);
    server.pass(1);
    assert_eq!((remove_old(&server, 0).await, remove_old(&server, 8).await), (0, 0), "0 keeps everything");
    assert_eq!(remove_old(&server, 7).await, 4 + OF_THE_FIRST);
    let after = chain_of(&server, &owner.org).await;
    let expected = json!({ "seq": 4, "hash": before[3].hash, "count": 4 }).to_string();
    let last = after.last().expect("an entry");
    assert_eq!((after.len(), after[0].seq, last.seq), (2, 5, 6));
    assert_eq!((last.action.as_str(), last.actor_id.as_str()), ("audit.trim", "system"));
    assert_eq!((last.detail.as_ref(), &after[0].prev_hash), (Some(&expected), &before[3].hash));
    assert_eq!(remove_old(&server, 7).await, 0, "it is trimmed once");
    let (whole, file) = (verdict(&server, Vec::new()).await, file_verdict(&server, Vec::new()).await);
    assert_eq!(whole.expect("whole").entries, file.expect("whole").entries);
    server.events(&owner).await;
    assert_eq!(chain_of(&server, &owner.org).await.last().expect("an entry").seq, 7, "the chain continues");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_removed_by_retention_are_reported_and_wrong_heads_fail() {
    let (server, owner, known) = old().await;
    let all = chain_of(&server, &owner.org).await;
    assert!(remove_old(&server, 7).await > 0);
    let earlier = Head { org: owner.org.clone(), seq: 2, hash: "0".repeat(64) };
    let now = heads(&server).await;
    for head in known.iter().filter(|head| head.org == owner.org).chain(&now) {
        for verified in [verdict(&server, vec![head.clone()]).await, file_verdict(&server, vec![head.clone()]).await] {
            let removed = if now.contains(head) { Vec::new() } else { vec![head.clone()] };
            assert_eq!(verified.expect("whole").removed, removed);
        }
    }
    assert_eq!(verdict(&server, vec![earlier.clone()]).await.expect("whole").removed, [earlier]);
    // The hash of the last removed entry is still stored.
    let last = Head { org: owner.org.clone(), seq: 4, hash: all[2].hash.clone() };
    let error = verdict(&server, vec![last]).await.expect_err("another hash");
    assert!(error.contains("differs from the given head"), "{error}");
    let beyond = Head { seq: 99, ..now.into_iter().find(|head| head.org == owner.org).expect("a head") };
    assert!(verdict(&server, vec![beyond]).await.expect_err("cut").ends_with("entries at its end are missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_continues_a_backup_whose_last_entries_retention_removed() {
    let (server, owner, known) = old().await;
    assert!(remove_old(&server, 7).await > 0);
    let beyond = Head { org: owner.org.clone(), seq: 99, hash: "0".repeat(64) };
    for (heads, expected) in [(known, true), (vec![beyond], false)] {
        let database = server.database.clone();
        let continues = move || Snapshot::open(&database)?.read(|tx| restore::continues(tx, &heads));
        assert_eq!(blocking(continues).await.expect("read"), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_a_clock_that_was_ahead_do_not_keep_later_ones() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    pass(&server, 3_652 * DAY).await;
    server.events(&owner).await;
    pass(&server, -3_652 * DAY).await;
    server.events(&owner).await;
    let last = chain_of(&server, &owner.org).await.last().expect("an entry").seq;
    days(&server, 8).await;
    remove_old(&server, 7).await;
    let left: Vec<_> = chain_of(&server, &owner.org).await.into_iter().map(|entry| entry.seq).collect();
    assert_eq!(left, [last + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_must_begin_where_its_chain_says_that_retention_ended() {
    let (server, owner, _) = old().await;
    assert!(remove_old(&server, 7).await > 0);
    let entries = entries(&server.database).await;
    let verdict = |entries| audit::verify_file(rehashed(entries, &owner.org).as_slice(), &[]);
    assert!(verdict(entries.clone()).is_ok());
    let mut forged = entries;
    let first = forged.iter_mut().find(|entry| entry.org == owner.org).expect("an entry");
    first.prev_hash = "0".repeat(64);
    let place = format!("the chain of {} begins after number {}", owner.org, first.seq - 1);
    let error = verdict(forged).expect_err("after another entry").message;
    assert!(error.contains(&place), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_entries_before_the_trim_point_can_be_deleted() {
    let (server, owner, _) = old().await;
    remove_old(&server, 7).await;
    let conn = conn(&server);
    let org = OrgId::parse(&owner.org).expect("an id");
    let (hash, last): (Vec<u8>, i64) = conn
        .query_row("SELECT hash, seq FROM audit WHERE org = ?1 ORDER BY seq LIMIT 1", [org.as_bytes()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .expect("an entry");
    assert_eq!(last, 5);
    for (statement, refused) in [
        ("DELETE FROM audit WHERE org = ?1 AND seq = 5 AND ?2 IS NOT NULL", "append-only"),
        ("UPDATE audit SET at = 0 WHERE org = ?1 AND seq = 5 AND ?2 IS NOT NULL", "append-only"),
        ("UPDATE trim_point SET seq = 5, hash = ?2 WHERE chain = ?1", "only moves forward, and only to where"),
        ("UPDATE trim_point SET seq = 3 WHERE chain = ?1 AND ?2 IS NOT NULL", "only moves forward"),
        ("UPDATE trim_point SET seq = 4 WHERE chain = ?1 AND ?2 IS NOT NULL", "only moves forward"),
        ("DELETE FROM trim_point WHERE chain = ?1 AND ?2 IS NOT NULL", "only moves forward"),
        ("REPLACE INTO trim_point VALUES (?1, 5, ?2)", "no entry covers the trim point"),
        ("INSERT INTO trim_point SELECT x'', 1, ?2 WHERE ?1 IS NOT NULL", "no entry covers the trim point"),
    ] {
        let error = conn.execute(statement, params![org.as_bytes(), hash]).expect_err(statement);
        assert!(error.to_string().contains(refused), "{statement}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_deleted_by_hand_is_detected_despite_a_moved_trim_point() {
    for (forgery, expected) in [
        // The first entry is deleted, and the trim point moved to it.
        (
            "UPDATE trim_point SET seq = 5, hash = (SELECT hash FROM audit WHERE org = ?1 AND seq = 5) WHERE chain = ?1;",
            "entries are missing",
        ),
        ("DELETE FROM trim_point WHERE chain = ?1;", "entries are missing"),
        ("", "entries are missing"),
    ] {
        let (server, owner, _) = old().await;
        remove_old(&server, 7).await;
        let conn = conn(&server);
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).expect("set");
        let org = OrgId::parse(&owner.org).expect("an id");
        if !forgery.is_empty() {
            conn.execute(forgery, [org.as_bytes()]).expect("forged");
        }
        conn.execute("DELETE FROM audit WHERE org = ?1 AND seq = 5", [org.as_bytes()]).expect("deleted");
        let error = verdict(&server, Vec::new()).await.expect_err("missed");
        assert!(error.contains(expected), "{forgery}: {error}");
        let error = file_verdict(&server, Vec::new()).await.expect_err("missed in an export too");
        assert!(error.contains(expected), "{forgery}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trim_point_that_contradicts_the_chain_is_reported() {
    for forgery in ["UPDATE trim_point SET seq = 3 WHERE chain = ?1", "DELETE FROM trim_point WHERE chain = ?1"] {
        let (server, owner, _) = old().await;
        remove_old(&server, 7).await;
        let conn = conn(&server);
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).expect("set");
        conn.execute(forgery, [OrgId::parse(&owner.org).expect("an id").as_bytes()]).expect("forged");
        let error = verdict(&server, Vec::new()).await.expect_err("missed");
        assert!(error.ends_with("it was changed by something other than the server"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_lists_and_read_marks_start_after_the_trim_point() {
    let (server, owner, _) = old().await;
    let listed = json!({ "from_timestamp": "2024-01-01T00:00:00Z" });
    let list = async || server.call_as(&owner, Method::POST, "/systemevent", Some(&listed)).await.json();
    let before = list().await;
    let ids: Vec<Value> =
        before["events"].as_array().expect("events").iter().map(|event| event["id"].clone()).collect();
    let marked = json!({ "ids": ids });
    let answer = server.call_as(&owner, Method::POST, "/systemevent/read", Some(&marked)).await;
    assert_eq!((ids.len(), answer.status), (3, StatusCode::OK));
    assert!(remove_old(&server, 7).await > 0);
    assert_eq!(list().await["total"], 0, "all three were from the removed day");
    let marks: i64 = conn(&server).query_row("SELECT count(*) FROM read_mark", [], |row| row.get(0)).expect("a count");
    assert_eq!(marks, 0);
    let path = format!("/organization/{}/audit?limit=1", owner.org);
    let page = server.call_as(&owner, Method::GET, &path, None).await.json();
    assert_eq!((&page["removed"], &page["data"][0]["seq"], &page["next"]), (&json!(4), &json!(5), &json!(5)));
    for before in [4, 5] {
        let newest = format!("{path}&order=newest&before={before}");
        let page = server.call_as(&owner, Method::GET, &newest, None).await.json();
        assert_eq!((&page["data"], &page["next"]), (&json!([]), &json!(0)), "before {before}");
    }
    let server = server.restart().await;
    let page = server.call_as(&owner, Method::GET, &path, None).await.json();
    assert_eq!(page["removed"], 4);
    verdict(&server, Vec::new()).await.expect("whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_chain_is_never_empty_and_an_idle_one_records_it_once() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let mut lengths = Vec::new();
    for _ in 0..6 {
        days(&server, 9).await;
        remove_old(&server, 7).await;
        lengths.push(chain_of(&server, &owner.org).await.len());
        assert!(chain_of(&server, "server").await.is_empty());
        verdict(&server, Vec::new()).await.expect("whole");
    }
    assert_eq!(lengths, [1; 6]);
    let mark = chain_of(&server, &owner.org).await.remove(0);
    assert_eq!((mark.action.as_str(), mark.seq), ("audit.trim", 4));
    server.events(&owner).await;
    assert_eq!(chain_of(&server, &owner.org).await.len(), 2);
    verdict(&server, Vec::new()).await.expect("whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_chain_is_trimmed_like_the_others() {
    let server = Server::start().await;
    pass(&server, -3_600_000).await;
    assert_eq!(chain_of(&server, "server").await.len(), 1);
    days(&server, 2).await;
    pass(&server, -3_600_000).await;
    days(&server, 7).await;
    assert!(remove_old(&server, 7).await > 0);
    let own = chain_of(&server, "server").await;
    let actions: Vec<_> = own.iter().map(|entry| (entry.seq, entry.action.as_str())).collect();
    assert_eq!(actions, [(2, "clock.backwards"), (3, "audit.trim")]);
    verdict(&server, Vec::new()).await.expect("whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ten_year_clock_jump_removes_nothing() {
    let (server, owner, _) = old().await;
    let before = chain_of(&server, &owner.org).await.len();
    server.pass(3_652 * DAY);
    server.events(&owner).await;
    pass(&server, 0).await;
    assert_eq!(remove_old(&server, 30).await, 0);
    let server = server.restart().await;
    assert_eq!(remove_old(&server, 30).await, 0, "not even after a restart");
    server.pass(-3_652 * DAY);
    assert_eq!(remove_old(&server, 30).await, 0);
    // Entries recorded meanwhile have a time in the future; they do not hold up the removal of older ones for ten years.
    assert!(remove_old(&server, 7).await > 0);
    let after = chain_of(&server, &owner.org).await;
    assert!(after[0].seq == 5 && after.len() >= before - 4, "{after:?}");
    verdict(&server, Vec::new()).await.expect("whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_cannot_resume_from_a_removed_event() {
    let server = Server::start().await;
    let owner = server.owner_of("acme").await;
    let removed = chain_of(&server, &owner.org).await.last().expect("an entry").id;
    days(&server, 10).await;
    let answer = server.call_as(&owner, Method::GET, &format!("/organization/{}", owner.org), None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(remove_old(&server, 7).await > 0);
    let first = chain_of(&server, &owner.org).await.first().expect("an entry").id;
    for (after, status) in [(removed, 400), (first - 1, 400), (first, 200), (0, 200)] {
        let path = format!("/organization/{}/events/stream?after={after}", owner.org);
        let answer = server.call_as(&owner, Method::GET, &path, None).await;
        assert_eq!(answer.status, status, "after {after}: {answer:?}");
    }
}

//! Tests of what pages of the whole log cost, in steps of SQLite's virtual machine, and that they are complete.

use rusqlite::Connection;

use super::audit::backwards::{AuditFilter, EXAMINED, page};
use super::event_tests::counted;
use super::{ReadTx, migrate};
use crate::domain::id::OrgId;
use crate::domain::time::Time;

const ORG: OrgId = OrgId::from_bytes([0; 16]);

/// A log in which of every ten entries, six are of nodes, three are reads of a user, and one is a refusal of another. Two
/// neighbors have the same time, and the first two entries are of a third user.
fn log(entries: u32) -> Connection {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    conn.execute_batch(&format!(
        "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0);
         WITH RECURSIVE entry (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM entry WHERE n < {entries})
         INSERT INTO audit SELECT n, zeroblob(16), n, n / 2,
             CASE WHEN n < 3 OR n % 10 < 4 THEN 'user' ELSE 'node' END,
             CASE WHEN n < 3 THEN 'first' WHEN n % 10 = 0 THEN 'other' WHEN n % 10 < 4 THEN 'ada' ELSE 'node' END, NULL,
             CASE WHEN n < 3 THEN 'org.create' WHEN n % 10 = 0 THEN 'access.denied' WHEN n % 10 < 4 THEN 'node.list'
                 ELSE 'node.register' END,
             9, 'node', NULL, CASE WHEN n < 3 OR n % 10 > 3 THEN 1 END,
             CASE WHEN n % 10 = 0 THEN 'refused' ELSE 'done' END, NULL, NULL, NULL, zeroblob(32), zeroblob(32) FROM entry"
    ))
    .expect("entries");
    conn
}

fn any() -> AuditFilter {
    let (from, to) = (Time::from_millis(0), Time::from_millis(i64::MAX));
    AuditFilter { from, to, action: None, actor_id: None, outcome: None }
}

fn acted(action: Option<&str>, actor_id: Option<&str>, outcome: Option<&'static str>) -> AuditFilter {
    AuditFilter { action: action.map(str::to_owned), actor_id: actor_id.map(str::to_owned), outcome, ..any() }
}

fn filters() -> [AuditFilter; 14] {
    let late = AuditFilter { from: Time::from_millis(100), to: Time::from_millis(200), ..any() };
    [
        any(),
        late.clone(),
        AuditFilter { outcome: Some("refused"), ..late.clone() },
        AuditFilter { actor_id: Some("ada".to_owned()), ..late },
        acted(Some("node.list"), None, None),
        acted(Some("org.create"), None, None),
        acted(Some("node.register"), None, None),
        acted(Some("node.register"), Some("node"), None),
        acted(None, Some("first"), None),
        acted(None, Some("node"), None),
        acted(None, None, Some("done")),
        acted(None, None, Some("refused")),
        acted(Some("access.denied"), Some("other"), Some("refused")),
        acted(Some("org.create"), Some("first"), Some("done")),
    ]
}

#[test]
fn pages_together_are_all_matching_entries_newest_first() {
    let conn = log(1_000);
    for filter in filters() {
        let (mut before, mut seqs) = (None, Vec::new());
        loop {
            let (entries, next) =
                page(&ReadTx { conn: &conn }, ORG, &filter, before, 7).expect("read").expect("a page");
            assert!(entries.len() <= 7, "{filter:?}");
            seqs.extend(entries.into_iter().map(|entry| entry.seq));
            before = next;
            if before.is_none() {
                break;
            }
        }
        let is_in_time = |seq: &i64| (filter.from.millis()..=filter.to.millis()).contains(&(seq / 2));
        let matches = |seq: &i64| {
            let (action, actor, outcome) = match seq % 10 {
                _ if *seq < 3 => ("org.create", "first", "done"),
                0 => ("access.denied", "other", "refused"),
                1..=3 => ("node.list", "ada", "done"),
                _ => ("node.register", "node", "done"),
            };
            filter.action.as_deref().is_none_or(|wanted| wanted == action)
                && filter.actor_id.as_deref().is_none_or(|wanted| wanted == actor)
                && filter.outcome.is_none_or(|wanted| wanted == outcome)
        };
        let expected: Vec<i64> = (1..=1_000).rev().filter(is_in_time).filter(matches).collect();
        assert_eq!(seqs, expected, "{filter:?}");
    }
}

#[test]
fn a_page_costs_the_same_however_long_the_log_is() {
    let (short, long) = (log(2_000), log(26_000));
    let steps = |conn: &Connection, filter: &AuditFilter| counted(conn, |tx| page(tx, ORG, filter, None, 20)).0;
    for filter in filters() {
        let [of_short, of_long] = [&short, &long].map(|conn| steps(conn, &filter));
        // To choose among several indexes, up to 1,000 entries of each are counted.
        let several = filter.action.is_some() && filter.actor_id.is_some();
        let more = of_short / 5 + if several { 2_000 } else { 20 };
        assert!(of_long <= of_short + more, "{of_short} and {of_long} for {filter:?}");
    }
}

#[test]
fn a_page_without_a_match_ends_after_20000_entries_and_says_where_to_go_on() {
    let conn = log(26_000);
    let tx = ReadTx { conn: &conn };
    let nobody = acted(Some("node.register"), Some("node"), Some("refused"));
    let filter = acted(Some("node.list"), Some("node"), None);
    for (filter, entries) in [(&nobody, 2_600), (&filter, 15_600)] {
        let (found, next) = page(&tx, ORG, filter, None, 20).expect("read").expect("a page");
        assert_eq!((found.len(), next), (0, None), "{entries} entries are fewer than {EXAMINED}");
    }
    let unseen = AuditFilter { outcome: Some("done"), action: None, actor_id: None, ..any() };
    let (found, _) = page(&tx, ORG, &unseen, None, 20).expect("read").expect("a page");
    assert_eq!(found.len(), 20);
    // By time alone, with a filter that nothing matches.
    let done = AuditFilter { outcome: Some("none"), ..any() };
    let (found, next) = page(&tx, ORG, &done, None, 20).expect("read").expect("a page");
    assert_eq!((found.len(), next), (0, Some(26_000 - i64::from(EXAMINED) + 1)));
    let (found, next) = page(&tx, ORG, &done, next, 20).expect("read").expect("a page");
    assert_eq!((found.len(), next), (0, None));
    assert!(page(&tx, ORG, &done, Some(26_001), 20).expect("read").is_none(), "there is no such entry");
}

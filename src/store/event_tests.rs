//! Tests that event listings are complete, and of what they cost in steps of SQLite's virtual machine, which other load
//! does not disturb.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, params};

use super::event::{ListQuery, REACH, SLICE, Search};
use super::{ReadTx, migrate};
use crate::domain::event::EventFilter;
use crate::domain::id::{OrgId, UserId};
use crate::domain::time::Time;

const READER: [u8; 16] = [1; 16];

/// Creates a log whose entry `n` has these columns from `at` to `change`, written as expressions of `n`.
fn database(entries: u32, at: &str, columns: [&str; 6]) -> Connection {
    let conn = Connection::open_in_memory().expect("a database");
    conn.execute_batch(migrate::SCHEMA).expect("the schema");
    let [kind, actor, context, object, project, change] = columns;
    conn.execute_batch(&format!(
        "INSERT INTO org (id, name, created_at) VALUES (zeroblob(16), 'acme', 0), (x'02020202020202020202020202020202', 'b', 0);
         INSERT INTO person (id, org, email, email_key, name, last_name, role, validated, created_at)
             VALUES (x'01010101010101010101010101010101', zeroblob(16), 'a@b', 'a@b', '', '', 0, 1, 0);
         WITH RECURSIVE entry (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM entry WHERE n < {entries})
         INSERT INTO audit SELECT n, zeroblob(16), n, {at}, {kind}, {actor}, NULL, 'a', {context}, {object}, {project}, {change},
             'done', NULL, NULL, NULL, zeroblob(32), zeroblob(32) FROM entry"
    ))
    .expect("entries");
    conn
}

/// Of every three entries, one is of a user about an object in a project, one is of a node, and one is of another user
/// about something else.
fn of_three_kinds(thirds: u32) -> Connection {
    let columns = [
        "CASE n % 3 WHEN 1 THEN 'node' ELSE 'user' END",
        "CASE n % 3 WHEN 0 THEN 'ada' WHEN 1 THEN 'node' ELSE 'other' END",
        "CASE n % 3 WHEN 0 THEN 6 WHEN 1 THEN 9 ELSE 4 END",
        "CASE n % 3 WHEN 0 THEN 'key' WHEN 1 THEN 'node' ELSE 'thing' END",
        "CASE n % 3 WHEN 0 THEN 'project' END",
        "CASE n % 3 WHEN 0 THEN 0 WHEN 1 THEN 1 ELSE 2 END",
    ];
    database(3 * thirds, "n", columns)
}

fn any() -> ListQuery {
    ListQuery {
        org: OrgId::from_bytes([0; 16]),
        from: Time::from_millis(0),
        to: Time::from_millis(i64::from(u32::MAX)),
        filter: EventFilter::default(),
        unread_only: false,
        reader: Some(UserId::from_bytes(READER)),
        skip: 0,
        take: 20,
    }
}

fn filtered(filter: EventFilter) -> ListQuery {
    ListQuery { filter, ..any() }
}

/// The queries that a single index can answer.
fn queries() -> [(&'static str, ListQuery); 11] {
    let none = EventFilter::default;
    [
        ("all", any()),
        ("the last page", ListQuery { skip: 10_000, take: 100, ..any() }),
        ("unread", ListQuery { unread_only: true, ..any() }),
        ("a person", filtered(EventFilter { actor_id: Some("ada".to_owned()), ..none() })),
        ("a node", filtered(EventFilter { actor_id: Some("node".to_owned()), ..none() })),
        ("what is about a node", filtered(EventFilter { context_id: Some("node".to_owned()), ..none() })),
        ("what is about an object", filtered(EventFilter { context_id: Some("key".to_owned()), ..none() })),
        ("a project", filtered(EventFilter { project: Some("project".to_owned()), ..none() })),
        ("a context", filtered(EventFilter { context: Some(6), ..none() })),
        ("a change", filtered(EventFilter { change: Some(1), ..none() })),
        ("a context and a change", filtered(EventFilter { context: Some(6), change: Some(0), ..none() })),
    ]
}

/// Counts the steps, in tens, that `work` takes; also returns its result.
pub(super) fn counted<T>(conn: &Connection, work: impl FnOnce(&ReadTx<'_>) -> T) -> (u64, T) {
    let steps = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&steps);
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    conn.progress_handler(10, Some(count)).expect("a handler");
    let done = work(&ReadTx { conn });
    conn.progress_handler(0, None::<fn() -> bool>).expect("no handler");
    (steps.load(Ordering::Relaxed), done)
}

/// Returns how many steps, in tens, each slice of a listing takes.
fn steps(conn: &Connection, query: &ListQuery) -> Vec<u64> {
    let (mut search, mut slices, mut last) = (Search::new(query.clone()), Vec::new(), false);
    while !last {
        let (steps, ended) = counted(conn, |tx| search.slice(tx).expect("a slice"));
        (last, slices) = (ended, [slices, vec![steps]].concat());
    }
    slices
}

fn ids(conn: &Connection, query: &ListQuery) -> (Vec<i64>, u32) {
    let mut search = Search::new(query.clone());
    while !search.slice(&ReadTx { conn }).expect("a slice") {}
    let (events, total) = search.end();
    (events.iter().map(|event| event.id).collect(), total)
}

#[test]
fn the_cost_of_a_listing_does_not_depend_on_the_log_length() {
    let (short, long) = (of_three_kinds(10_200), of_three_kinds(40_800));
    for (name, query) in queries() {
        let (less, more): (u64, u64) = (steps(&short, &query).iter().sum(), steps(&long, &query).iter().sum());
        assert!(more <= less + less / 20, "{name}: {less} tens of steps, and {more} in a log four times as long");
        assert_eq!(ids(&long, &query).1, REACH, "{name}");
    }
}

#[test]
fn a_search_without_matches_ends_and_every_slice_is_bounded() {
    let log = of_three_kinds(20_000);
    let none = EventFilter::default;
    let nothing = [
        (
            "another's",
            4,
            filtered(EventFilter { actor_id: Some("ada".to_owned()), context: Some(9), change: Some(1), ..none() }),
        ),
        (
            "elsewhere",
            4,
            filtered(EventFilter { actor_id: Some("other".to_owned()), project: Some("project".to_owned()), ..none() }),
        ),
        // The way with the fewest entries is chosen, and has none.
        ("unheard of", 0, filtered(EventFilter { actor_id: Some("ada".to_owned()), context: Some(13), ..none() })),
        (
            "about nothing",
            0,
            filtered(EventFilter {
                actor_id: Some("ada".to_owned()),
                context_id: Some("nothing".to_owned()),
                ..none()
            }),
        ),
    ];
    for (name, slices, query) in nothing {
        let found = steps(&log, &query);
        assert_eq!((found.len() - 1, ids(&log, &query)), (slices, (vec![], 0)), "{name}: {found:?}");
        let most = u64::from(SLICE) * 4;
        assert!(found.iter().all(|steps| *steps <= most), "{name}: {found:?} tens of steps");
    }
    log.execute("INSERT INTO read_mark SELECT ?1, id FROM audit", [READER]).expect("all are read");
    let unread = ListQuery { unread_only: true, ..any() };
    let found = steps(&log, &unread);
    assert_eq!((found.len() - 1, ids(&log, &unread)), (13, (vec![], 0)), "one that counts, and those that look");
    assert!(found.iter().all(|steps| *steps <= u64::from(SLICE) * 4), "{found:?} tens of steps");
}

#[test]
fn no_search_statement_sorts_or_scans_a_table() {
    let log = of_three_kinds(100);
    let mut lookups = 0;
    for (name, query) in queries() {
        for sql in Search::new(query).statements(&ReadTx { conn: &log }).expect("statements") {
            let mut statement = log.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
            let rows = statement.raw_query().mapped(|row| row.get::<_, String>(3));
            for step in rows.map(|row| row.expect("text")) {
                let scans = step.starts_with("SCAN") && step != "SCAN entries";
                assert!(!step.contains("TEMP B-TREE") && !scans, "{name}: {step}: {sql}");
                lookups += usize::from(step.contains("INDEX audit_by_"));
            }
        }
    }
    assert!(lookups > 50, "{lookups} looks into an index");
}

/// Compares with a plain query on a log with thousands of entries at the same time, some entries out of order or of
/// another organization, and users who are both actor and object.
#[test]
fn searches_return_all_matches_in_order_for_every_filter() {
    let columns = [
        "CASE WHEN n * 7919 % 5 < 2 THEN 'node' WHEN n % 5 = 3 THEN 'api_key' ELSE 'user' END",
        "CASE WHEN n * 7919 % 5 < 2 THEN 'n' || n % 3 ELSE 'u' || n % 2 END",
        "CASE WHEN n % 7 = 0 AND n * 7919 % 5 >= 2 THEN NULL WHEN n * 7919 % 5 < 2 THEN 9 ELSE n % 11 END",
        "CASE WHEN n * 7919 % 5 < 2 THEN 'n' || n % 3 WHEN n % 5 = 4 THEN 'u' || n % 2 ELSE 'n' || n % 4 END",
        "CASE WHEN n * 7919 % 5 >= 2 AND n % 3 > 0 THEN 'p' || n % 3 END",
        "CASE WHEN n % 7 > 0 THEN n % 3 END",
    ];
    let log =
        database(16_000, "CASE WHEN n BETWEEN 500 AND 9000 THEN 700 WHEN n % 1000 = 1 THEN n + 90 ELSE n END", columns);
    log.execute_batch(
        "INSERT INTO audit SELECT id + 20000, x'02020202020202020202020202020202', seq, at, actor_kind, actor_id, NULL, 'a', context,
             context_id, project, change, outcome, NULL, NULL, NULL, prev_hash, hash FROM audit;
         INSERT INTO read_mark SELECT x'01010101010101010101010101010101', id FROM audit WHERE id % 4 = 0 OR id > 15000",
    )
    .expect("more");
    let mut asked = 0;
    for choice in 0..1_024_u32 {
        // A sample of all combinations, in which every pair of values occurs.
        if choice % 5 != 0 {
            continue;
        }
        let pick = |bit: u32, value: &str| (choice >> bit & 1 == 1).then(|| value.to_owned());
        let times = [(0, 1 << 40), (600, 8_000), (700, 700), (701, 12_000)][choice as usize % 4];
        let filter = EventFilter {
            actor_id: pick(2, ["n1", "u1", "u0"][choice as usize % 3]),
            context: pick(3, "").map(|_| [9, 6, 3][choice as usize % 3]),
            context_id: pick(4, ["n1", "u1", "n3"][choice as usize / 4 % 3]),
            project: pick(5, "p1"),
            change: pick(6, "").map(|_| 1),
        };
        let query = ListQuery {
            from: Time::from_millis(times.0),
            to: Time::from_millis(times.1),
            filter,
            unread_only: pick(7, "").is_some(),
            skip: [0, 3, 4_990, 10_000][choice as usize / 2 % 4],
            take: [1, 20, 100][choice as usize % 3],
            ..any()
        };
        assert_eq!(ids(&log, &query), plainly(&log, &query), "{query:?}");
        asked += 1;
    }
    assert!(asked > 200);
}

/// The expected result of a search.
fn plainly(conn: &Connection, query: &ListQuery) -> (Vec<i64>, u32) {
    let sql = "SELECT id FROM audit NOT INDEXED WHERE org = ?1 AND change IS NOT NULL AND at BETWEEN ?2 AND ?3
        AND (?4 IS NULL OR actor_id = ?4) AND (?5 IS NULL OR context = ?5) AND (?6 IS NULL OR context_id = ?6)
        AND (?7 IS NULL OR project = ?7) AND (?8 IS NULL OR change = ?8)
        AND (NOT ?9 OR id NOT IN (SELECT event FROM read_mark WHERE person = ?10)) ORDER BY at DESC, id DESC";
    let mut statement = conn.prepare_cached(sql).expect("a statement");
    let filter = &query.filter;
    let values = params![
        query.org.as_bytes(),
        query.from.millis(),
        query.to.millis(),
        filter.actor_id,
        filter.context,
        filter.context_id,
        filter.project,
        filter.change,
        query.unread_only,
        READER
    ];
    let all: Vec<i64> =
        statement.query_map(values, |row| row.get(0)).expect("rows").map(|id| id.expect("an id")).collect();
    let page = all.iter().skip(query.skip as usize).take(query.take as usize).copied();
    (page.collect(), REACH.min(u32::try_from(all.len()).expect("a number")))
}
